/**
 * A partition's log that was lost and has grown again (KIP-320): offsets alone cannot tell it from the
 * old one, the leader epochs of its records do.
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { FakeLog } from "../fakes/kafkaLog.ts";
import { Rig } from "./consumerRig.ts";

let rig: Rig;

beforeEach(() => {
  rig = new Rig();
});

afterEach(() => rig.stop());

/** Partition 0 of topic `t` with one record per epoch given, from offset 0 on. */
function write(epochs: readonly number[]): FakeLog {
  const [log] = rig.broker.topics.get("t")?.partitions ?? rig.broker.topic("t").partitions;
  if (log === undefined) throw new Error("no partition");
  Object.assign(log, { batches: [], end: 0n });
  for (const [offset, leaderEpoch] of epochs.entries()) rig.put(offset, "v", { leaderEpoch });
  return log;
}

async function startAt(offset: bigint, leaderEpoch?: number): Promise<void> {
  await rig.create().open();
  const { feeds } = await rig.next("assigned");
  const epoch = leaderEpoch === undefined ? {} : { leaderEpoch };
  rig.consumer.start(feeds.map((feed) => ({ feed, offset, ...epoch })));
}

describe("a position with its leader epoch", () => {
  for (const [what, epochs, position, epoch, divergesAt] of [
    ["lost whole and grown past it", [2, 2, 2, 2, 2], 3n, 0, 0n],
    ["lost whole and grown just to it", [2, 2, 2], 3n, 0, 0n],
    ["cut in the middle and grown past it", [0, 0, 4, 4, 4], 4n, 1, 2n],
    ["cut within its epoch and grown by the next leader", [0, 1, 1, 2, 2, 2], 5n, 1, 3n],
  ] as const) {
    test(`is out of range in a log that was ${what}`, async () => {
      write(epochs);
      await startAt(position, epoch);
      expect(await rig.next("out_of_range", "batch")).toMatchObject({
        type: "out_of_range",
        position,
        logEnd: BigInt(epochs.length),
        divergesAt,
      });
    });
  }

  for (const [what, epochs, position, epoch] of [
    ["whose leader moved later", [0, 0, 0, 5], 3n, 0],
    ["whose leader moved before", [0, 0, 5, 5], 3n, 5],
    ["whose records of that epoch were compacted away", [0, 0, 0, 5], 3n, 3],
    ["whose epoch is not known to us", [2, 2, 2, 2], 3n, undefined],
  ] as const) {
    test(`is read on from in a log ${what}`, async () => {
      write(epochs);
      await startAt(position, epoch);
      expect(await rig.next("out_of_range", "batch")).toMatchObject({
        type: "batch",
        batch: { baseOffset: 3n, leaderEpoch: epochs[3] },
      });
    });
  }
});

test("a log that is lost and grows past us while we read it is noticed at the next fetch", async () => {
  write([0, 0, 0]);
  await startAt(0n);
  for (const nextOffset of [1n, 2n, 3n]) {
    expect(await rig.batch()).toMatchObject({ nextOffset, leaderEpoch: 0 });
  }
  write([1, 1, 1, 1, 1]);
  expect(await rig.next("out_of_range", "batch")).toMatchObject({
    type: "out_of_range",
    position: 3n,
    divergesAt: 0n,
  });
});

test("a batch that was skipped leaves no epoch behind by which its log would be refused", async () => {
  write([0, 0, 3, 3]);
  await startAt(0n);
  expect((await rig.batch()).nextOffset).toBe(1n);
  const { feed } = await rig.batch();
  rig.consumer.start([{ feed, offset: 3n }]);
  expect(await rig.next("out_of_range", "batch")).toMatchObject({ batch: { baseOffset: 3n } });
});

test("a follower whose log is behind is left for the leader, not believed", async () => {
  const log = write([0, 0, 0, 0]);
  log.preferredReplica = 1;
  log.divergesAt = 2n;
  await startAt(3n, 0);
  expect(await rig.next("out_of_range", "batch")).toMatchObject({ batch: { baseOffset: 3n } });
});
