/** A log that was lost under a table, from the start of a process to its exit code. */
import { afterEach, expect, test } from "bun:test";
import { EXIT } from "#base/errors.ts";
import { buildBatch } from "../fakes/recordBatches.ts";
import { endAll, LIMITS, lostLog, partitionOf, pipelineOf } from "./pipelineRunRig.ts";

afterEach(endAll);

test("--until-end does not end with 0 while the log ends before what the table has", async () => {
  const { broker, warehouse } = await lostLog();
  const run = pipelineOf(broker, { topics: ["a"], warehouse });
  const ended = run.run(LIMITS, true);
  while ((run.pipeline?.feeds.all() ?? []).every(({ epoch }) => epoch === 0)) await Bun.sleep(5);
  // Kafka has not answered a fetch of it: no end of the log is made up.
  expect(partitionOf(run)).toMatchObject({ position: 3n, committedOffset: 3n });
  expect(partitionOf(run)).toMatchObject({
    highWatermark: null,
    lastStableOffset: null,
    lag: null,
  });
  expect(await ended).toBe(EXIT.question);
  const [table] = run.pipeline?.tables ?? [];
  expect(table?.state).toMatchObject({ kind: "stopped" });
}, 10_000);

test("--until-end goes on when the log reaches the table's offset again", async () => {
  const { broker, log, warehouse } = await lostLog();
  const run = pipelineOf(broker, { topics: ["a"], warehouse });
  const ended = run.run(LIMITS, true);
  while ((run.pipeline?.feeds.all() ?? []).every(({ epoch }) => epoch === 0)) await Bun.sleep(5);
  await Bun.sleep(50);
  log.end = 3n;
  expect(await ended).toBe(EXIT.ok);
  expect(partitionOf(run)).toMatchObject({ highWatermark: 3n, lag: 0n });
}, 10_000);

test("a log that was lost and has grown past the table's offset stops the table in every process", async () => {
  const { broker, warehouse } = await lostLog();
  const records = Array.from({ length: 9 }, (_, n) => ({ value: `{"n":${n}}` }));
  broker.append("a", 0, buildBatch({ baseOffset: 0, records, leaderEpoch: 2 }));
  for (let process = 0; process < 2; process++) {
    const run = pipelineOf(broker, { topics: ["a"], warehouse });
    expect(await run.run(LIMITS, true)).toBe(EXIT.question);
    const [table] = run.pipeline?.tables ?? [];
    expect(table?.rowsCommitted).toBe(0);
    expect(Bun.inspect(table?.state)).toContain("offsets db.a --set a:0=0");
  }
}, 10_000);
