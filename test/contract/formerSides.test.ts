/**
 * Side tables that the configuration names no more: what an earlier process put into them is in no other
 * table, whatever the next one makes of its records.
 */
import { afterEach, expect, test } from "bun:test";
import { EXIT, type ExitCode, fail } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { PipelineOptions } from "#config/buildPipeline.ts";
import { FakeKafka } from "../fakes/kafkaBroker.ts";
import { buildBatch } from "../fakes/recordBatches.ts";
import { endAll, LIMITS, memoryLog, newWarehouse, pipelineOf } from "./pipelineRunRig.ts";

afterEach(endAll);

const TABLE: PipelineOptions["rejects"] = { action: "table" };
const SKIP: PipelineOptions["rejects"] = { action: "skip" };

/** Three records and one that is none. */
function brokerWithBad(): FakeKafka {
  const broker = new FakeKafka();
  broker.topic("a");
  const records = ['{"n":1}', "{", '{"n":2}', '{"n":3}'].map((value) => ({ value }));
  broker.append("a", 0, buildBatch({ baseOffset: 0, records, leaderEpoch: 0 }));
  return broker;
}

/** A run to the topic's end: how it ended, what it committed by table, and its errors. */
async function runOnce(
  broker: FakeKafka,
  warehouse: string,
  rejects: PipelineOptions["rejects"],
  end: "lives" | "dies between both tables" = "lives",
): Promise<{ code: ExitCode; rows: Readonly<Record<string, number>>; said: string }> {
  const lines: string[] = [];
  const logger: Logger = { log: (_, message) => lines.push(message), with: () => logger };
  const txlog = memoryLog((entry) => {
    if (end === "lives" || entry.type !== "ParquetWritten") return;
    if (!entry.file_path.includes("__dead_letter")) throw fail("usage", "the process dies");
  });
  const run = pipelineOf(broker, { topics: ["a"], warehouse, rejects, logger, txlog });
  const code = await run.run(LIMITS, true);
  const tables = [...(run.pipeline?.tables ?? [])];
  const rows = Object.fromEntries(tables.map((each) => [each.name, each.rowsCommitted]));
  const why = tables.map(({ state }) => ("error" in state ? String(state.error) : ""));
  return { code, rows, said: [...lines, ...why].join("\n") };
}

test("a start without the dead-letter table that has more than its table is refused, until that has caught up", async () => {
  const broker = brokerWithBad();
  const warehouse = newWarehouse();
  const died = await runOnce(broker, warehouse, TABLE, "dies between both tables");
  expect(died.rows).toEqual({ "db.a": 0, "db.a__dead_letter": 1 });
  for (let times = 0; times < 2; times++) {
    const refused = await runOnce(broker, warehouse, SKIP);
    expect([refused.code, refused.rows]).toEqual([EXIT.question, { "db.a": 0 }]);
    expect(refused.said).toContain(
      "Table db.a__dead_letter took dead letters or late rows of db.a, and the configuration names it no more. " +
        "It may have records of a/0 from offset 0 on",
    );
  }
  const asBefore = await runOnce(broker, warehouse, TABLE);
  expect([asBefore.code, asBefore.rows]).toEqual([EXIT.ok, { "db.a": 3, "db.a__dead_letter": 0 }]);
  expect((await runOnce(broker, warehouse, SKIP)).code).toBe(EXIT.ok);
}, 30_000);

test("where all was committed the action may be another, and another again", async () => {
  const broker = brokerWithBad();
  const warehouse = newWarehouse();
  for (const [times, rejects] of [TABLE, SKIP, SKIP, TABLE, SKIP].entries()) {
    const { code, rows } = await runOnce(broker, warehouse, rejects);
    expect([times, code, rows["db.a"]]).toEqual([times, EXIT.ok, times === 0 ? 3 : 2]);
    const records = [{ value: '{"n":4}' }, { value: "{" }, { value: '{"n":5}' }];
    broker.append("a", 0, buildBatch({ baseOffset: 4 + times * 3, records, leaderEpoch: 0 }));
  }
}, 30_000);
