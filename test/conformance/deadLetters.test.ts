/**
 * Dead letters through the whole product, on a real broker: the good rows are in the table, the bad
 * records in the table beside it with their coordinates and bytes, as PyIceberg and DuckDB read them,
 * also when the process dies between the two commits.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { type IHeaders, Kafka, logLevel } from "kafkajs";
import { type ExactRecord, produceValues, type RecordBytes } from "../../scripts/events/events.ts";
import { createTopic } from "../../scripts/events/topics.ts";
import { type JudgedTable, judgeUnion } from "../../scripts/judge/everySnapshot.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";
import { temporaryFolder } from "../../scripts/services/process.ts";
import { type Config, startProduct } from "../../scripts/services/product.ts";
import { BAD, FIELDS, good, produceBomb, produceMixed } from "../support/badRecords.ts";
import { fileTable, runUntilEnd, tableFolder } from "../support/binary.ts";
import { readColumns } from "../support/tableReaders.ts";

let broker: KafkaBroker;

beforeAll(async () => {
  broker = await startKafka();
}, 600_000);

afterAll(async () => {
  await broker?.stop();
});

function configOf(topic: string, folder: string, more: Config = {}): Config {
  const { bootstrap } = broker;
  const config = { schema: FIELDS, ...more };
  return fileTable({ bootstrap, topic, warehouse: join(folder, "warehouse"), config });
}

/** Columns of a table, which both readers read alike. */
async function columnsOf(
  folder: string,
  table: string,
  columns: readonly string[],
  order?: string,
): Promise<Record<string, readonly (string | null)[]>> {
  const source = { folder: tableFolder(join(folder, "warehouse"), table) };
  const job = { table: source, columns, ...(order === undefined ? {} : { order }) };
  const { readers } = await readColumns(job);
  expect(readers["duckdb"]).toEqual(readers["pyiceberg"] ?? {});
  return readers["duckdb"] as Record<string, readonly (string | null)[]>;
}

function hexOf(value: RecordBytes): string | null {
  if (value === null) return null;
  return typeof value === "string" ? Buffer.from(value).toString("hex") : value.hex;
}

/** What is in the letters of a topic by offset: reason and bytes. */
async function letters(folder: string, topic: string): Promise<unknown[]> {
  const columns = ["topic", "partition", "offset", "reason", "value"];
  const read = await columnsOf(folder, `${topic}__dead_letter`, columns, "offset");
  return (read["offset"] ?? []).map((_, row) => columns.map((name) => read[name]?.[row] ?? null));
}

/** In every snapshot of a topic's table each record is in exactly one of it and the tables beside it. */
async function judgeSnapshots(
  folder: string,
  topic: string,
  beside: readonly (readonly [table: string, prefix: string])[],
): Promise<void> {
  const judged = ([table, prefix]: readonly [string, string]): JudgedTable => ({
    folder: tableFolder(join(folder, "warehouse"), table),
    partition: `${prefix}partition`,
    offset: `${prefix}offset`,
  });
  const rows = judged([topic, "_kafka_"]);
  const { problems, snapshots } = await judgeUnion(rows, beside.map(judged));
  expect(problems).toEqual([]);
  // By itself the table lacks what is beside it.
  expect((await judgeUnion(rows, [])).problems).not.toEqual([]);
  expect(snapshots).toBeGreaterThan(beside.length + 2);
}

test("good records are rows, bad ones letters with their coordinates and bytes, and no partition stands", async () => {
  const topic = "mixed-letters";
  await produceMixed(broker.bootstrap, topic);
  const folder = await temporaryFolder("letters");
  const { product, exitCode } = await runUntilEnd({ folder, config: configOf(topic, folder) });
  expect([exitCode, product.log().slice(-2000)]).toEqual([0, expect.any(String)]);
  const { n } = await columnsOf(folder, topic, ["n"], "n");
  const wanted = [
    ...BAD.map((_, at) => at),
    99,
    ...Array.from({ length: 100 }, (_, i) => 1000 + i),
  ];
  expect(n?.map(Number).sort((a, b) => a - b)).toEqual(wanted);
  expect(await letters(folder, topic)).toEqual(
    BAD.map(([reason, value], at) => [topic, "0", String(at * 2 + 1), reason, hexOf(value)]),
  );
}, 180_000);

test("a batch that unpacks to more than its bound is one letter, and reading goes on behind it", async () => {
  const { bootstrap } = broker;
  const topic = "bombed-letters";
  await createTopic(bootstrap, { topic, partitions: 1 });
  await produceValues({ bootstrap, topic }, [good(1, 0)]);
  await produceBomb(bootstrap, topic);
  await produceValues({ bootstrap, topic }, [good(3, 0)]);
  const folder = await temporaryFolder("letters-bomb");
  const { exitCode } = await runUntilEnd({ folder, config: configOf(topic, folder) });
  expect(exitCode).toBe(0);
  expect((await columnsOf(folder, topic, ["n"]))["n"]).toEqual(["1", "3"]);
  expect(await letters(folder, topic)).toEqual([[topic, "0", "1", "batch_corrupt", null]]);
}, 180_000);

/** Runs `dead-letter` on a topic's table to its end. */
async function deadLetter(
  folder: string,
  config: Config,
  words: readonly string[],
  env: Record<string, string> = {},
): Promise<{ readonly out: string; readonly exitCode: number }> {
  const product = await startProduct({ command: ["dead-letter", ...words], folder, config, env });
  const exitCode = await product.exited;
  return { out: product.log(), exitCode };
}

test("after the cause was mended, retry brings the letters in once, also when it is killed at any step", async () => {
  const { bootstrap } = broker;
  const topic = "retried-letters";
  await createTopic(bootstrap, { topic, partitions: 2 });
  const values = [...Array(60).keys()].map((at) => `{"n":${at % 3 === 0 ? 3e9 + at : at}}`);
  const records = values.map((value, at): ExactRecord => ({ partition: at % 2, value }));
  await produceValues({ bootstrap, topic }, [...records, { partition: 0, value: "{" }]);
  const folder = await temporaryFolder("letters-retry");
  const narrow = configOf(topic, folder, { schema: { fields: [{ name: "n", type: "int" }] } });
  expect((await runUntilEnd({ folder, config: narrow })).exitCode).toBe(0);
  expect((await columnsOf(folder, topic, ["n"], "n"))["n"]).toHaveLength(40);
  const listed = await deadLetter(folder, narrow, ["list", topic, "--json"]);
  expect(JSON.parse(listed.out)).toMatchObject([
    { reason: "type_conflict", waiting: 20, brought_in: 0 },
    { reason: "bad_json", waiting: 1, brought_in: 0 },
  ]);
  const shown = await deadLetter(folder, narrow, ["show", topic, "--record", `${topic}:0:0`]);
  expect(shown.out).toContain(`value:     {"n":3000000000}`);
  const early = await deadLetter(folder, narrow, ["retry", topic]);
  expect(early.out).toContain("0 letters are brought in");

  const wide = configOf(topic, folder, {
    schema: { fields: [{ name: "n", type: "long" }] },
    iceberg: { table_management: { schema_mismatch_action: "evolve" } },
  });
  expect((await runUntilEnd({ folder, config: wide })).exitCode).toBe(0);
  // The last two die behind the mark, and between the rows and the mark.
  const points = ["manifest=crash@1", "commit_before=crash@1", "commit_after=crash@2"];
  for (const point of [...points, "commit_after=crash@1"]) {
    const env = { KAFKA_ICEBERG_FAILPOINT: point };
    const killed = await deadLetter(folder, wide, ["retry", topic, "--limit", "5"], env);
    expect(killed.exitCode).not.toBe(0);
  }
  const brought = await deadLetter(folder, wide, ["retry", topic]);
  expect(brought.out).toContain("1 do not fit yet: bad_json");
  const again = await deadLetter(folder, wide, ["retry", topic, "--again"]);
  expect(again.out).toContain("0 letters are brought in");
  const { n } = await columnsOf(folder, topic, ["n"], "n");
  expect(n?.map(Number).sort((x, y) => x - y)).toEqual(
    [...Array(60).keys()].map((at) => (at % 3 === 0 ? 3e9 + at : at)).sort((x, y) => x - y),
  );
  // The process goes on from its offsets, which nothing has moved.
  await produceValues({ bootstrap, topic }, [{ partition: 1, value: '{"n":-1}' }]);
  expect((await runUntilEnd({ folder, config: wide })).exitCode).toBe(0);
  expect((await columnsOf(folder, topic, ["n"], "n"))["n"]).toHaveLength(61);
}, 300_000);

test("killed between any two commits, and judging otherwise the second time, every record is in one of both tables", async () => {
  const { bootstrap } = broker;
  const topic = "killed-letters";
  await createTopic(bootstrap, { topic, partitions: 2 });
  const folder = await temporaryFolder("letters-killed");
  const number = (at: number): ExactRecord => ({
    partition: at % 2,
    // What has a field more is a letter for every second process, and a row for the others.
    value: at % 10 === 3 ? `{"n":${at},"more":1}` : at % 10 === 7 ? "{" : `{"n":${at}}`,
  });
  // The first start claims the table, then both for their owner; each cut commits letters, then rows.
  const points = ["commit_after=crash@4", "commit_after=crash@3", "commit_before=crash@4"];
  let at = 0;
  for (const [round, point] of [...points, null].entries()) {
    const records = Array.from({ length: 40 }, () => number(at++));
    await produceValues({ bootstrap, topic }, records);
    const env: Record<string, string> = point === null ? {} : { KAFKA_ICEBERG_FAILPOINT: point };
    const schema = { on_unknown_field: round % 2 === 0 ? "dead_letter" : "ignore" };
    const config = configOf(topic, folder, { schema: { ...FIELDS, ...schema } });
    const { exitCode } = await runUntilEnd({ folder, config, env });
    expect(exitCode === 0).toBe(point === null);
  }
  const rows = await columnsOf(folder, topic, ["_kafka_partition", "_kafka_offset", "n"], "n");
  const aside = await columnsOf(folder, `${topic}__dead_letter`, ["partition", "offset"], "offset");
  const all = [
    ...(rows["_kafka_offset"] ?? []).map((o, i) => `${rows["_kafka_partition"]?.[i]}/${o}`),
    ...(aside["offset"] ?? []).map((o, i) => `${aside["partition"]?.[i]}/${o}`),
  ];
  expect(new Set(all).size).toBe(all.length);
  expect(all.length).toBe(at);
  await judgeSnapshots(folder, topic, [[`${topic}__dead_letter`, ""]]);
}, 300_000);

test("killed between any two commits, every record is a row, a late row or a letter, as its partition's times say", async () => {
  const { bootstrap } = broker;
  const topic = "late-rows";
  await createTopic(bootstrap, { topic, partitions: 2 });
  const folder = await temporaryFolder("late-rows");
  const began = Date.UTC(2026, 0, 31);
  const isLate = (at: number): boolean => at % 10 === 4 || at % 10 === 5;
  const record = (at: number): ExactRecord => {
    const ts = began + 1000 * (isLate(at) ? at - 100 : at);
    return { partition: at % 2, value: at % 10 === 7 ? "{" : `{"n":${at},"ts":${ts}}` };
  };
  const late = { late_threshold_seconds: 60, late_table: "{topic}-aside" };
  const config = configOf(topic, folder, {
    source: { event_time_field: "ts", ...late },
    schema: { fields: [{ name: "n", type: "long" }] },
  });
  // Each cut commits dead letters, late rows and rows, in this order; the first start claims three tables before.
  const points = ["commit_after=crash@4", "commit_after=crash@5", "commit_before=crash@6"];
  let at = 0;
  for (const point of [...points, null]) {
    const records = Array.from({ length: 40 }, () => record(at++));
    await produceValues({ bootstrap, topic, batchBytes: 512 }, records);
    const env: Record<string, string> = point === null ? {} : { KAFKA_ICEBERG_FAILPOINT: point };
    const { exitCode } = await runUntilEnd({ folder, config, env });
    expect(exitCode === 0).toBe(point === null);
  }
  const numbersOf = async (table: string): Promise<number[]> =>
    ((await columnsOf(folder, table, ["n"], "n"))["n"] ?? []).map(Number).sort((a, b) => a - b);
  const [rows, aside] = [await numbersOf(topic), await numbersOf(`${topic}-aside`)];
  const letters = await columnsOf(folder, `${topic}__dead_letter`, ["offset"], "offset");
  const wanted = [...Array(at).keys()].filter((number) => number % 10 !== 7);
  expect([...rows, ...aside].sort((a, b) => a - b)).toEqual(wanted);
  expect(letters["offset"]).toHaveLength(at / 10);
  // Reading began anew with each kill: a late row that was the first of it is a row.
  expect(aside.every(isLate)).toBe(true);
  expect(aside.length).toBeGreaterThan(at / 10);
  const beside = [
    [`${topic}__dead_letter`, ""],
    [`${topic}-aside`, "_kafka_"],
  ] as const;
  await judgeSnapshots(folder, topic, beside);
}, 300_000);

/** Where the letters of a topic are from, as their headers say. */
async function letterPlaces(topic: string, wanted: number): Promise<string[]> {
  const kafka = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.NOTHING });
  const consumer = kafka.consumer({ groupId: `readers-of-${topic}` });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const places: string[] = [];
  const all = Promise.withResolvers<void>();
  const header = (headers: IHeaders | undefined, name: string) =>
    headers?.[`kafka-iceberg.${name}`];
  await consumer.run({
    eachMessage: ({ message: { value, headers } }) => {
      const [partition, offset] = ["partition", "offset"].map((name) => header(headers, name));
      places.push(`${partition}/${offset} ${header(headers, "reason")} ${value}`);
      if (new Set(places).size >= wanted) all.resolve();
      return Promise.resolve();
    },
  });
  await all.promise;
  await consumer.disconnect();
  return places;
}

test("killed behind the letters and before the commit, the dead-letter topic has every bad record at least once", async () => {
  const { bootstrap } = broker;
  const [topic, letters] = ["topic-letters", "topic-letters.dlq"];
  await createTopic(bootstrap, { topic, partitions: 2 });
  const folder = await temporaryFolder("topic-letters");
  const config = configOf(topic, folder, { dead_letter: { action: "topic", topic: letters } });
  expect((await runUntilEnd({ folder, config })).exitCode).toBe(1);
  await createTopic(bootstrap, { topic: letters, partitions: 3 });
  const isBad = (at: number): boolean => at % 10 === 7;
  let at = 0;
  // The first start commits first positions before its rows.
  for (const point of ["commit_before=crash@2", "commit_before=crash@1", null]) {
    const records = Array.from({ length: 40 }, (): ExactRecord => {
      const number = at++;
      return { partition: number % 2, value: isBad(number) ? `{${number}` : `{"n":${number}}` };
    });
    await produceValues({ bootstrap, topic }, records);
    const env: Record<string, string> = point === null ? {} : { KAFKA_ICEBERG_FAILPOINT: point };
    expect((await runUntilEnd({ folder, config, env })).exitCode === 0).toBe(point === null);
  }
  const bad = [...Array(at).keys()].filter(isBad);
  const places = new Set(await letterPlaces(letters, bad.length));
  const wanted = bad.map((number) => `${number % 2}/${Math.floor(number / 2)} bad_json {${number}`);
  expect([...places].sort()).toEqual(wanted.sort());
  expect((await columnsOf(folder, topic, ["n"], "n"))["n"]).toHaveLength(at - bad.length);
}, 300_000);

test("replay reads a range again by the configuration of now: its rows are replaced, the others and the letters stay", async () => {
  const topic = "replayed-letters";
  await produceMixed(broker.bootstrap, topic);
  const folder = await temporaryFolder("replayed");
  const narrow = { fields: [{ name: "n", type: "long" }], on_unknown_field: "ignore" };
  const before = configOf(topic, folder, { schema: narrow });
  expect((await runUntilEnd({ folder, config: before })).exitCode).toBe(0);
  const config = configOf(topic, folder);
  const read = ["_kafka_partition", "_kafka_offset", "n"];
  const rowsBefore = await columnsOf(folder, topic, read, "n");
  const lettersBefore = await letters(folder, topic);
  const places = (rowsBefore["_kafka_offset"] ?? []).map((offset, row) => {
    return { partition: rowsBefore["_kafka_partition"]?.[row], offset: Number(offset) };
  });
  const ofFirst = places.filter(({ partition }) => partition === "0");
  const end = Math.max(...ofFirst.map(({ offset }) => offset)) + 1;
  const replay = async (from: number, to: number): Promise<number> => {
    const words = ["--partition", "0", "--from", String(from), "--to", String(to)];
    const product = await startProduct({ command: ["replay", topic, ...words], folder, config });
    return await product.exited;
  };
  const [from, to] = [5, end - 8];
  // The second one has nothing more to do, and does it again.
  for (let time = 0; time < 2; time++) expect(await replay(from, to)).toBe(0);
  // What is not committed is still to come.
  expect(await replay(from, end + 1)).toBe(2);
  const { name: names = [], ...others } = await columnsOf(folder, topic, [...read, "name"], "n");
  expect(others).toEqual(rowsBefore);
  const isReplayed = places.map(
    ({ partition, offset }) => partition === "0" && offset >= from && offset < to,
  );
  expect(names.map((name) => name !== null)).toEqual(isReplayed);
  expect(isReplayed.filter(Boolean).length).toBeGreaterThan(5);
  expect(await letters(folder, topic)).toEqual(lettersBefore);
}, 180_000);
