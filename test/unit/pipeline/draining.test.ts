/**
 * Whatever ends the reading of a table, what was read before is in the table first: Kafka may have it
 * no longer.
 */
import "../../sim/syncZlib.ts";
import { expect, test } from "bun:test";
import { fail } from "#base/errors.ts";
import { feedKey } from "#base/offsets.ts";
import { AppRig } from "../../support/appRig.ts";

const row = (n: number): string => JSON.stringify({ n });

/** What ends the reading of a table, each after rows 0 and 1 of partition 0. */
const ENDS: Readonly<Record<string, (rig: AppRig) => void>> = {
  "its topic is deleted": (rig) => {
    for (const partition of [0, 1]) rig.consumer.owned.delete(partition);
    rig.consumer.push({
      type: "topic_failed",
      topic: "t",
      error: fail("topic_unreadable", "gone"),
    });
  },
  "retention passes the reader": (rig) => {
    const feed = rig.world.feed(0);
    const bounds = { position: 2n, logStart: 9n, logEnd: 20n, divergesAt: null };
    rig.consumer.push({ type: "out_of_range", feed, ...bounds });
  },
  "the log of another partition is lost": (rig) => {
    const feed = rig.world.feed(1);
    const bounds = { position: 0n, logStart: 0n, logEnd: 20n, divergesAt: 0n };
    rig.consumer.push({ type: "out_of_range", feed, ...bounds });
  },
  "a batch is damaged": (rig) => {
    const feed = rig.world.feed(0);
    const key = feedKey(feed);
    const place = { feed, key, epoch: rig.consumer.epoch(key), position: 2n, nextOffset: 5n };
    rig.consumer.push({ type: "batch_corrupt", ...place, error: fail("batch_corrupt", "CRC") });
  },
  "a record is no row": (rig) => rig.consumer.give(0, 2n, [row(2), "{", row(4)]),
  "a record of another partition is no row": (rig) => rig.consumer.give(1, 0n, ["{"]),
};

for (const [what, end] of Object.entries(ENDS)) {
  test(`rows that were read are committed, then the table stops: ${what}`, async () => {
    const rig = await new AppRig().start();
    rig.consumer.give(0, 0n, [row(0), row(1)]);
    end(rig);
    await rig.pass(300);
    expect(rig.table.state.kind).toBe("stopped");
    expect((await rig.rows(0)).slice(0, 2)).toEqual([0, 1]);
    expect((await rig.committed(0)) ?? 0n).toBeGreaterThanOrEqual(2n);
    expect(await rig.running).toBeUndefined();
  });

  test(`they are kept while the catalog is away, and the pipeline with them: ${what}`, async () => {
    const rig = await new AppRig().start();
    rig.consumer.give(0, 0n, [row(0), row(1)]);
    await rig.settle();
    rig.world.onRequest = () => undefined;
    end(rig);
    await rig.pass(1000);
    expect(rig.table.state.kind).toBe("draining");
    rig.heal();
    await rig.pass(300);
    expect(rig.table.state.kind).toBe("stopped");
    expect((await rig.rows(0)).slice(0, 2)).toEqual([0, 1]);
  });
}

test("no row of a batch is written that ends with the stop: a restart reads the batch again, whole", async () => {
  const rig = await new AppRig().start();
  rig.consumer.give(0, 0n, [row(0), row(1)]);
  rig.consumer.give(0, 2n, [row(2), "{", row(4)]);
  await rig.pass(300);
  expect([await rig.rows(0), await rig.committed(0)]).toEqual([[0, 1], 2n]);
});

test("records that wait for the schema to be inferred count as read", async () => {
  const rig = new AppRig({ inferRows: 1000, inferWaitMs: 60_000 });
  await rig.start();
  rig.consumer.give(0, 0n, [row(0), row(1)]);
  rig.consumer.push({ type: "topic_failed", topic: "t", error: fail("topic_unreadable", "gone") });
  await rig.pass(300);
  expect([await rig.rows(0), rig.table.state.kind]).toEqual([[0, 1], "stopped"]);
});

test("a shutdown while a table is at its end writes what it has", async () => {
  const rig = await new AppRig().start();
  rig.consumer.give(0, 0n, [row(0), row(1)]);
  rig.consumer.push({ type: "topic_failed", topic: "t", error: fail("topic_unreadable", "gone") });
  await rig.settle();
  await rig.pipeline.shutdown(1000);
  expect([await rig.rows(0), rig.table.state.kind]).toEqual([[0, 1], "stopped"]);
});
