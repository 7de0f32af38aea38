/**
 * Topics by a pattern, each into its own table: they come and go while the pipeline runs, and one that
 * cannot have a table never stops the others.
 */
import { afterEach, expect, test } from "bun:test";
import type { PipelineRun } from "#app/pipelineRun.ts";
import { EXIT, fail } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { FakeKafka } from "../fakes/kafkaBroker.ts";
import { buildBatch } from "../fakes/recordBatches.ts";
import { brokerWith, endAll, LIMITS, newWarehouse, pipelineOf } from "./pipelineRunRig.ts";

afterEach(endAll);

/** Sixty seconds of the rig's clock are little on a busy machine. */
const PATIENT = { ...LIMITS, startupTimeoutMs: 0 };

const PATTERN = { topics: [], topicPattern: "t\\..*" };

function addTopic(broker: FakeKafka, name: string): void {
  broker.topic(name);
  const records = [{ value: '{"n":1}' }, { value: '{"n":2}' }];
  broker.append(name, 0, buildBatch({ baseOffset: 0, records, leaderEpoch: 0 }));
}

/** Committed rows by table. */
function rowsOf(run: PipelineRun): Readonly<Record<string, number>> {
  const tables = [...(run.pipeline?.tables ?? [])];
  return Object.fromEntries(tables.map(({ name, rowsCommitted }) => [name, rowsCommitted]));
}

function stateOf(run: PipelineRun, table: string): string | undefined {
  return [...(run.pipeline?.tables ?? [])].find(({ name }) => name === table)?.state.kind;
}

async function until(what: () => boolean): Promise<void> {
  for (let tries = 0; tries < 1000 && !what(); tries++) await Bun.sleep(10);
  expect(what()).toBe(true);
}

/** Errors that are logged. */
function listening(): { readonly logger: Logger; readonly errors: string[] } {
  const errors: string[] = [];
  const logger: Logger = {
    log: (level, message) => {
      if (level === "error") errors.push(message);
    },
    with: () => logger,
  };
  return { logger, errors };
}

test("topics that appear while it runs get their tables, and one that vanishes stops only its own", async () => {
  const broker = brokerWith("t.a", "t.b", "other");
  const run = pipelineOf(broker, PATTERN);
  const ended = run.run(PATIENT, false);
  await until(() => rowsOf(run)["db.t\\.a"] === 3 && rowsOf(run)["db.t\\.b"] === 3);
  addTopic(broker, "t.c");
  await until(() => rowsOf(run)["db.t\\.c"] === 2);
  broker.topics.delete("t.a");
  await until(() => stateOf(run, "db.t\\.a") === "stopped");
  const records = [{ value: '{"n":3}' }];
  broker.append("t.c", 0, buildBatch({ baseOffset: 2, records, leaderEpoch: 0 }));
  await until(() => rowsOf(run)["db.t\\.c"] === 3);
  expect(rowsOf(run)).toEqual({ "db.t\\.a": 3, "db.t\\.b": 3, "db.t\\.c": 3 });
  await run.stop(LIMITS.shutdownTimeoutMs);
  expect(await ended).toBe(EXIT.question);
}, 30_000);

test("a topic whose name makes no table is not read, the others are, and the end says so", async () => {
  const { logger, errors } = listening();
  const tableOf = (topic: string): string => {
    if (topic === "t.b") throw fail("usage", `Topic ${topic} names no table`, { topic });
    return topic;
  };
  const run = pipelineOf(brokerWith("t.a", "t.b"), { ...PATTERN, tableOf, logger });
  expect(await run.run(PATIENT, true)).toBe(EXIT.usage);
  expect(rowsOf(run)).toEqual({ "db.t\\.a": 3 });
  expect(errors).toEqual(["Topic not read: Topic t.b names no table"]);
}, 30_000);

test("a pipeline of which no topic feeds a table ends, with the reason", async () => {
  const tableOf = (topic: string): never => {
    throw fail("usage", `Topic ${topic} names no table`, { topic });
  };
  const run = pipelineOf(brokerWith("t.a"), { ...PATTERN, tableOf });
  expect(await run.run(PATIENT, false)).toBe(EXIT.usage);
}, 30_000);

test("tables beyond iceberg.max_tables are not made, by the order of their topics' names", async () => {
  const { logger, errors } = listening();
  const broker = brokerWith("t.c", "t.b", "t.a");
  const run = pipelineOf(broker, { ...PATTERN, tablesMax: 2, logger });
  expect(await run.run(PATIENT, true)).toBe(EXIT.usage);
  expect(rowsOf(run)).toEqual({ "db.t\\.a": 3, "db.t\\.b": 3 });
  expect(errors).toEqual([
    "Topic not read: Topic t.c would bring table db.t\\.c, beyond the 2 of iceberg.max_tables. " +
      "Raise it, or let fewer topics or records name tables",
  ]);
}, 30_000);

test("of two tables whose names differ by case only the first by name is made, and stays when both are wanted again", async () => {
  const warehouse = newWarehouse();
  const broker = brokerWith("t.x", "t.X");
  for (let times = 0; times < 2; times++) {
    const { logger, errors } = listening();
    const run = pipelineOf(broker, { ...PATTERN, warehouse, logger });
    expect(await run.run(PATIENT, true)).toBe(EXIT.usage);
    expect(rowsOf(run)).toEqual({ "db.t\\.X": times === 0 ? 3 : 0, "db.t\\.x": 0 });
    expect(errors).toEqual([
      "Table db.t\\.x is not made: its name differs from that of db.t\\.X by upper and lower case " +
        "only, and many catalogs and engines take both for one. Read its topic in a pipeline of its " +
        "own, with another iceberg.table_prefix",
    ]);
  }
}, 30_000);

test("a table that is there is not displaced by one whose name differs by case only", async () => {
  const warehouse = newWarehouse();
  const first = pipelineOf(brokerWith("t.x"), { ...PATTERN, warehouse });
  expect(await first.run(PATIENT, true)).toBe(EXIT.ok);
  const broker = brokerWith("t.x", "t.X");
  const run = pipelineOf(broker, { ...PATTERN, warehouse, tableOf: (topic) => topic });
  await run.run(PATIENT, true);
  expect(stateOf(run, "db.t\\.X")).toBe("stopped");
}, 30_000);
