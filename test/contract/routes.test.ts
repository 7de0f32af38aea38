/**
 * Tables that records name: each record is in exactly one table, whatever ends between any two steps
 * of however many processes.
 */
import { afterEach, expect, test } from "bun:test";
import { EXIT, fail } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import type { PipelineOptions } from "#config/buildPipeline.ts";
import type { PipelineValues } from "#config/keys.ts";
import { routesOf } from "#config/routing.ts";
import { FakeKafka } from "../fakes/kafkaBroker.ts";
import { buildBatch } from "../fakes/recordBatches.ts";
import { tablesIn } from "../support/program.ts";
import { WRITER_OPTIONS } from "../support/writerOptions.ts";
import {
  endAll,
  LIMITS,
  memoryLog,
  newWarehouse,
  pipelineOf,
  type Wanted,
} from "./pipelineRunRig.ts";

afterEach(endAll);

/** Sixty seconds of the rig's clock are little on a busy machine. */
const PATIENT = { ...LIMITS, startupTimeoutMs: 0 };

/** Routing by field `t`. */
function routing(more: Partial<PipelineValues> = {}): NonNullable<PipelineOptions["routing"]> {
  const values = {
    "iceberg.database_name": "db",
    "iceberg.table_prefix": "",
    "iceberg.catalog_type": "file",
    "iceberg.routes": {},
    "iceberg.route_table": null,
    ...more,
  } as PipelineValues;
  const routes = routesOf(values);
  return {
    ...routes,
    field: "t",
    branch: "main",
    writer: (topic, value) => {
      const name = routes.tableOf(topic, value);
      return name === null ? null : { ...WRITER_OPTIONS, name };
    },
  };
}

const DECODER = { fields: null, inferRows: 1 } as const;

/** A topic of two partitions whose batches have these values of `t`. */
function brokerWith(
  batches: readonly (readonly (string | null)[])[],
  broker = new FakeKafka(),
): FakeKafka {
  if (!broker.topics.has("e")) broker.topic("e", 2);
  const ends = [0, 1].map((each) => Number(broker.topics.get("e")?.partitions[each]?.end ?? 0n));
  for (const [index, names] of batches.entries()) {
    const partition = index % 2;
    const baseOffset = ends[partition] ?? 0;
    const records = names.map((t, n) => ({ value: JSON.stringify({ n: baseOffset + n, t }) }));
    broker.append("e", partition, buildBatch({ baseOffset, records, leaderEpoch: 0 }));
    ends[partition] = baseOffset + names.length;
  }
  return broker;
}

function runOf(broker: FakeKafka, warehouse: string, more: Partial<Wanted> = {}) {
  return pipelineOf(broker, {
    topics: ["e"],
    warehouse,
    decoder: DECODER,
    routing: routing(),
    intervalMs: 50,
    ...more,
  });
}

/** Rows by table. */
function rowsIn(warehouse: string): Readonly<Record<string, number>> {
  const tables = Object.entries(tablesIn(warehouse));
  return Object.fromEntries(tables.map(([name, { rows }]) => [name, rows]));
}

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

test("each value has its table; records without one stay in the topic's own", async () => {
  const warehouse = newWarehouse();
  const broker = brokerWith([["a", "b", null], ["b", "", "a/b", "a"], ["c"]]);
  expect(await runOf(broker, warehouse).run(PATIENT, true)).toBe(EXIT.ok);
  expect(rowsIn(warehouse)).toEqual({
    "db.e": 2,
    "db.e_": 1,
    "db.e_a": 2,
    "db.e_b": 2,
    "db.e_c": 1,
  });
}, 30_000);

test("values that are named in the configuration have these tables, from the start", async () => {
  const warehouse = newWarehouse();
  const named = routing({ "iceberg.routes": { a: "letters", b: "letters", z: "later" } });
  const broker = brokerWith([["a", "b", "c"]]);
  expect(await runOf(broker, warehouse, { routing: named }).run(PATIENT, true)).toBe(EXIT.ok);
  expect(rowsIn(warehouse)).toEqual({ "db.e": 1, "db.letters": 2, "db.later": 0 });
}, 30_000);

test("a later process finds the tables in the catalog, and reads on from the least of them", async () => {
  const warehouse = newWarehouse();
  const broker = brokerWith([["a", "b"], ["a"]]);
  expect(await runOf(broker, warehouse).run(PATIENT, true)).toBe(EXIT.ok);
  brokerWith([["c", "a"], ["b"]], broker);
  const next = runOf(broker, warehouse);
  expect(await next.run(PATIENT, true)).toBe(EXIT.ok);
  expect(rowsIn(warehouse)).toEqual({ "db.e": 0, "db.e_a": 3, "db.e_b": 2, "db.e_c": 1 });
  expect([...(next.pipeline?.tables ?? [])].map(({ name }) => name).sort()).toEqual([
    ...["db.e", "db.e_a", "db.e_b", "db.e_c"],
  ]);
}, 30_000);

test("one table too many stops the topic's own in front of its record; with room nothing is missing", async () => {
  const warehouse = newWarehouse();
  const { logger, errors } = listening();
  const broker = brokerWith([
    ["a", null, "b"],
    [null, "a"],
    ["a", null],
  ]);
  const bounded = runOf(broker, warehouse, { tablesMax: 2, logger });
  expect(await bounded.run(PATIENT, true)).toBe(EXIT.usage);
  expect(errors[0]).toStartWith(
    "Topic e would bring table db.e_b, beyond the 2 of iceberg.max_tables",
  );
  expect(rowsIn(warehouse)["db.e_a"]).toBe(3);
  expect(await runOf(broker, warehouse).run(PATIENT, true)).toBe(EXIT.ok);
  expect(rowsIn(warehouse)).toEqual({ "db.e": 3, "db.e_a": 3, "db.e_b": 1 });
}, 30_000);

test("a table that cannot be made stops the topic's own, so that it begins in front of its records once it can", async () => {
  const warehouse = newWarehouse();
  const broker = brokerWith([["a", null], ["a"], ["b", null], [null, "b"]]);
  const open = routing();
  const writer: typeof open.writer = (topic, value) => {
    const options = open.writer(topic, value);
    if (options === null || value !== "b") return options;
    return { ...options, create: { ...options.create, allowed: false } };
  };
  const denied = runOf(broker, warehouse, { routing: { ...open, writer } });
  expect(await denied.run(PATIENT, true)).toBe(EXIT.usage);
  expect(Object.keys(rowsIn(warehouse))).toEqual(["db.e", "db.e_a"]);
  expect(await runOf(broker, warehouse).run(PATIENT, true)).toBe(EXIT.ok);
  expect(rowsIn(warehouse)).toEqual({ "db.e": 3, "db.e_a": 2, "db.e_b": 2 });
}, 30_000);

test("records that are no rows are dead letters of the table that they name, each once, and tables are none of letters", async () => {
  const warehouse = newWarehouse();
  const broker = brokerWith([["a", null], ["a"]]);
  const values = ['{"n":"no","t":"a"}', "{", '{"n":1,"t":"a__dead_letter"}', '{"n":2,"t":"b"}'];
  const records = values.map((value) => ({ value }));
  broker.append("e", 0, buildBatch({ baseOffset: 2, records, leaderEpoch: 0 }));
  const letters = { action: "table" } as const;
  for (let times = 0; times < 2; times++) {
    const run = runOf(broker, warehouse, { rejects: letters });
    expect(await run.run(PATIENT, true)).toBe(EXIT.ok);
  }
  expect(rowsIn(warehouse)).toEqual({
    "db.e": 2,
    "db.e__dead_letter": 1,
    "db.e_a": 2,
    "db.e_a__dead_letter": 1,
    "db.e_b": 1,
  });
}, 30_000);

/** Seeds of processes that end anywhere: `ROUTE_SEEDS=100` for more. */
const SEEDS = Number(process.env["ROUTE_SEEDS"] ?? 3);

test("each record is in exactly one table after processes that ended anywhere", async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = seededRandom(seed);
    const pick = (below: number): number => Math.floor(random.unit() * below);
    const warehouse = newWarehouse();
    const names = ["a", "b", "c", "d", null];
    const some = (): (string | null)[] =>
      Array.from({ length: 1 + pick(6) }, () => names[pick(5)] ?? null);
    const broker = brokerWith(Array.from({ length: 6 }, some));
    for (let life = 0; life < 4; life++) {
      brokerWith(Array.from({ length: 4 }, some), broker);
      let left = 1 + pick(25);
      const txlog = memoryLog(() => {
        if (--left <= 0) throw fail("state", "the process ended here");
      });
      const run = runOf(broker, warehouse, { txlog });
      const ended = run.run(PATIENT, false);
      await Promise.race([ended, Bun.sleep(20 + pick(200))]);
      await run.stop(1);
      await ended;
    }
    expect(await runOf(broker, warehouse).run(PATIENT, true)).toBe(EXIT.ok);
    expect([seed, rowsIn(warehouse)]).toEqual([seed, expectedRows(broker)]);
  }
}, 120_000);

/** What the topic holds, by table. */
function expectedRows(broker: FakeKafka): Readonly<Record<string, number>> {
  const rows: Record<string, number> = { "db.e": 0 };
  for (const { batches } of broker.topics.get("e")?.partitions ?? []) {
    for (const batch of batches) {
      const text = batch.toString("latin1");
      for (const [, t] of text.matchAll(/"t":(?:"(\w)"|null)/g)) {
        const name = t === undefined ? "db.e" : `db.e_${t}`;
        rows[name] = (rows[name] ?? 0) + 1;
      }
    }
  }
  return rows;
}
