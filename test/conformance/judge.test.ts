/**
 * The judge of tables must itself be judged: it accepts a right table and names what is wrong in each
 * seeded wrong one. The tables are built with PyIceberg, from a real topic.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { produceEvents, produceTransactions } from "../../scripts/events/events.ts";
import { createTopic } from "../../scripts/events/topics.ts";
import {
  askSpark,
  judgeTable,
  readTopic,
  type StoreAccess,
  type TopicCopy,
  type Verdict,
} from "../../scripts/judge/judge.ts";
import { UpsertModel } from "../../scripts/prove/upsertModel.ts";
import { readersPython } from "../../scripts/services/cache.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";
import { run, temporaryFolder } from "../../scripts/services/process.ts";
import { startS3 } from "../../scripts/services/versitygw.ts";

type Offsets = Record<string, number>;

let broker: KafkaBroker;
let events: TopicCopy;
let transactions: TopicCopy;

beforeAll(async () => {
  broker = await startKafka();
  const { bootstrap } = broker;
  await createTopic(bootstrap, { topic: "events", partitions: 2 });
  await createTopic(bootstrap, { topic: "tx", partitions: 2 });
  await produceEvents({ bootstrap, topic: "events", count: 3000 });
  await produceTransactions({
    bootstrap,
    topic: "tx",
    partitions: 2,
    count: 3000,
    recordsMax: 300,
  });
  events = await readTopic(bootstrap, "events");
  transactions = await readTopic(bootstrap, "tx");
}, 600_000);

afterAll(async () => {
  await broker?.stop();
});

/** Five growing steps over a topic, the first at 100 in partition 0. */
function steps(copy: TopicCopy): Offsets[] {
  return [0, 0.2, 0.21, 0.6, 1].map((share) => {
    const at = (p: string): number => Math.round((copy.partitions[p]?.end ?? 0) * share);
    return { "0": Math.max(100, at("0")), "1": at("1") };
  });
}

/** How {@link seed} differs from a right table on local disk. */
interface Seed {
  readonly fault?: string;
  readonly s3?: StoreAccess;
  /** Where objects go, default the warehouse folder. */
  readonly objects?: string;
}

async function seed(copy: TopicCopy, how: Seed = {}): Promise<{ metadata: string; uri: string }> {
  const warehouse = await temporaryFolder("seed");
  const script = join(import.meta.dir, "..", "support", "seed_table.py");
  const job = { warehouse, copy: copy.file, topic: copy.topic, steps: steps(copy), ...how };
  const text = await run([await readersPython(), script], { stdin: JSON.stringify(job) });
  return JSON.parse(text) as { metadata: string; uri: string };
}

async function verdictOn(copy: TopicCopy, fault?: string): Promise<Verdict> {
  const { metadata } = await seed(copy, fault === undefined ? {} : { fault });
  return judgeTable({ table: { metadata }, topics: [copy] });
}

describe("the judge", () => {
  test("accepts a right table in every snapshot, by DuckDB and by PyIceberg", async () => {
    const verdict = await verdictOn(events);
    expect(verdict.violations).toEqual([]);
    expect(verdict.ok).toBe(true);
    expect(verdict.judged).toBe(5);
    expect(verdict.readers.duckdb?.rows).toBe(2900);
    expect(verdict.readers.pyiceberg?.rows).toBe(2900);
  }, 120_000);

  test("accepts offsets that are not dense: aborted transactions and control records", async () => {
    const verdict = await verdictOn(transactions);
    expect(verdict.violations).toEqual([]);
    expect(verdict.readers.duckdb?.rows).toBeGreaterThan(1000);
    expect(verdict.readers.duckdb?.rows).toBeLessThan(2900);
  }, 120_000);

  test("finds the table through a SQL catalog", async () => {
    const { uri } = await seed(events);
    const table = { sql: { uri, name: "judge", table: "db.t" } };
    const verdict = await judgeTable({ table, topics: [events], readers: ["duckdb"] });
    expect(verdict.violations).toEqual([]);
  }, 120_000);

  test("finds by Spark one wrong value and nothing else", async () => {
    const { metadata } = await seed(events, { fault: "wrong-value" });
    const verdict = await judgeTable({ table: { metadata }, topics: [events], readers: ["spark"] });
    expect(verdict.violations.map((v) => v.kind)).toEqual(["spark: wrong values"]);
    expect(verdict.readers.spark?.rows).toBe(2900);
  }, 240_000);

  test("judges a table on S3", async () => {
    const s3 = await startS3();
    const { metadata } = await seed(events, { s3, objects: "s3://warehouse/db" });
    const verdict = await judgeTable({ table: { metadata }, topics: [events], s3 });
    await s3.stop();
    expect(metadata).toStartWith("s3://warehouse/");
    expect(verdict.violations).toEqual([]);
    expect(verdict.judged).toBe(5);
  }, 120_000);

  test("asks Spark for metadata tables", async () => {
    const { metadata } = await seed(events);
    const sql = ["SELECT count(*) FROM t", "SELECT sum(record_count) FROM files"];
    const answer = await askSpark({ metadata, metadataTables: ["files"], sql });
    expect(answer).toEqual([[["2900"]], [["2900"]]]);
  }, 120_000);

  test.each([
    ["lost", "lost rows", "duckdb: lost rows"],
    ["doubled", "doubled rows", "pyiceberg: doubled rows"],
    ["wrong-value", "duckdb: wrong values", "pyiceberg: wrong values"],
    ["lost-field", "duckdb: lost field", "pyiceberg: lost field"],
  ])(
    "rejects a table with one fault: %s",
    async (fault, one, other) => {
      const verdict = await verdictOn(events, fault);
      expect(verdict.ok).toBe(false);
      const found = new Set(verdict.violations.map((v) => v.kind));
      expect(found).toContain(one);
      expect(found).toContain(other);
    },
    120_000,
  );

  test("rejects a snapshot in the middle whose offsets are ahead of its rows", async () => {
    const verdict = await verdictOn(events, "wrong-offsets");
    expect(verdict.violations.map((v) => v.kind)).toContain("lost rows");
    expect(new Set(verdict.violations.map((v) => v.snapshot)).size).toBe(1);
  }, 120_000);
});

test("the model of a table that follows changes beside other engines takes what they may do, and names what nobody did", () => {
  const model = new UpsertModel(2);
  const put = (id: number): number => JSON.parse(String(model.change(id, false).value)).n;
  const row = (id: number, n: number, marks = ""): [number, number, string] => [
    ...([id, n] as const),
    `change ${n} of ${id}${marks}`,
  ];
  put(0);
  const [first, second, other] = [put(1), put(0), put(2)];
  const offsets = { "0": 3, "1": 1 };
  const right = [row(0, second), row(1, first), row(2, other)];
  expect(model.judge({ offsets: { "0": 1, "1": 0 }, rows: [row(0, 0)] }, false)).toEqual([]);
  expect(model.judge({ offsets, rows: right }, true)).toEqual([]);
  const faults: readonly (readonly [string, (typeof right)[number][]])[] = [
    ["key 1 is lost", right.filter(([id]) => id !== 1)],
    ["1 keys twice", [...right, row(1, first)]],
    ["key 0 is change 0", [row(0, 0), ...right.slice(1)]],
    ["key 0 says change 2 of 0+m", [row(0, second, "+m"), ...right.slice(1)]],
    ["key 9 has not come yet", [...right, row(9, 7)]],
  ];
  for (const [sentence, rows] of faults) {
    expect(model.judge({ offsets, rows }, false).join()).toContain(sentence);
  }
  expect(model.judge({ offsets: { ...offsets, "1": 0 }, rows: right }, true).join()).toContain(
    "offsets 3,0 instead of 3,1",
  );
  model.begin(1);
  model.touch(0, 2);
  model.tryDelete(1, 2);
  const changed = [row(0, second, "+m"), row(2, other)];
  expect(model.judge({ offsets, rows: changed }, true)).toEqual([]);
  model.begin(2);
  expect(model.judge({ offsets, rows: right }, true).join()).toContain("key 1 was gone");
  model.overwrite(0, 1);
  const half = { offsets, rows: [row(2, other)] };
  expect(model.judge(half, false)).toEqual([]);
  expect(model.judge(half, true).join()).toContain("key 0 is lost");
  model.begin(3);
  model.rolledBack();
  expect(model.judge(half, true)).toEqual([]);
  expect(model.judge({ offsets, rows: changed }, true)).toEqual([]);
  model.change(2, true);
  const deleted = { offsets: { ...offsets, "0": 4 }, rows: changed };
  expect(model.judge(deleted, true).join()).toContain("key 2 is there, deleted by change");
});
