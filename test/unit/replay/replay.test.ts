/**
 * Replays (CHANGE_RULES 13): each record of the range is a row once, all others are as they were, and nothing is
 * replaced where that cannot be.
 */
import "../../sim/syncZlib.ts";
import { expect, test } from "bun:test";
import { parquetWriteBuffer } from "hyparquet-writer";
import type { LateOptions } from "#config/lateRows.ts";
import { letterTable } from "#config/letterTable.ts";
import type { RecordColumn } from "#decode/options.ts";
import { asideTables } from "#replay/aside.ts";
import { currentFields } from "#writer/schema.ts";
import { rejection } from "../../support/rejection.ts";
import { FEED, ReplayRig } from "../../support/replayRig.ts";

const value = (n: number): string => `{"n":${n}}`;
const TEN = [...Array(10).keys()].map(value);
const ROWS = [...Array(10).keys()].map((n) => `${n}=${n}`);

/** A table with ten records, in two flushes. */
async function tableOfTen(formatVersion: 2 | 3 = 2): Promise<ReplayRig> {
  const rig = new ReplayRig(formatVersion);
  await rig.ingest(TEN.slice(0, 5), 0n);
  await rig.ingest(TEN.slice(5), 5n);
  return rig;
}

/** The same records say other things now. */
function mended(rig: ReplayRig): void {
  for (const n of rig.topic.keys()) rig.topic.set(n, value(100 + n));
}

for (const version of [2, 3] as const) {
  test(`v${version}: the rows of the range are what the records are now, all others and the offsets are as they were`, async () => {
    const rig = await tableOfTen(version);
    mended(rig);
    const report = await rig.replay(3n, 7n);
    expect(report).toMatchObject({ before: 4, after: 4, aside: 0 });
    expect(await rig.rows()).toEqual(
      ROWS.map((row, n) => (n >= 3 && n < 7 ? `${n}=${100 + n}` : row)),
    );
    expect(await rig.progress()).toEqual([10n, 10n]);
    expect(report.snapshotId).toBe((await rig.head()).metadata.currentSnapshotId);
    // Twice is once, also where rows of a file were deleted before.
    expect(await rig.replay(2n, 8n)).toMatchObject({ before: 6, after: 6 });
    expect(await rig.rows()).toEqual(
      ROWS.map((row, n) => (n >= 2 && n < 8 ? `${n}=${100 + n}` : row)),
    );
  });
}

test("rows that stand twice, that are gone, and that were skipped are each there once", async () => {
  const rig = await tableOfTen();
  const [first, second] = await rig.dataFiles();
  if (first === undefined || second === undefined) throw new Error("two flushes make two files");
  const copy = `${first.filePath}.copy.parquet`;
  await rig.storage.put(copy, await rig.storage.get(first.filePath));
  await rig.foreign({ files: [{ ...first, filePath: copy }], removed: [second] });
  await rig.setOffset(15n);
  for (let n = 10; n < 15; n++) rig.topic.set(n, value(n));
  expect(await rig.rows()).toHaveLength(10);
  expect(await rig.replay(0n, 13n)).toMatchObject({ before: 10, after: 13 });
  expect(await rig.rows()).toEqual([...ROWS, "10=10", "11=11", "12=12"]);
  // Those that a person had skipped are rows that the table was given from now on.
  expect(await rig.progress()).toEqual([15n, 10n + 5n + 3n]);
});

test("dead letters stay dead letters, but a record that is a row is the table's", async () => {
  const rig = await tableOfTen();
  const [, second] = await rig.dataFiles();
  await rig.foreign({ removed: second === undefined ? [] : [second] });
  await rig.letters([2n, 6n, 99n]);
  expect(await rig.replay(0n, 10n)).toMatchObject({ before: 5, after: 9, aside: 1 });
  expect(await rig.rows()).toEqual(ROWS.filter((_, n) => n !== 6));
});

test("a letter that was brought in keeps no record out: the row that was deleted since then comes back", async () => {
  const rig = await tableOfTen();
  const [, second] = await rig.dataFiles();
  await rig.foreign({ removed: second === undefined ? [] : [second] });
  await rig.letters([6n, 7n], [7n]);
  expect(await rig.replay(0n, 10n)).toMatchObject({ before: 5, after: 9, aside: 1 });
  expect(await rig.rows()).toEqual(ROWS.filter((_, n) => n !== 6));
});

test("letters, and marks of letters, that a delete hides are not there", async () => {
  const rig = await tableOfTen();
  const [, second] = await rig.dataFiles();
  await rig.foreign({ removed: second === undefined ? [] : [second] });
  await rig.letters([5n, 6n, 7n], [7n]);
  const { name } = letterTable(rig.options);
  const [letters] = await rig.dataFiles(name);
  if (letters === undefined) throw new Error("letters make a file");
  const content = parquetWriteBuffer({
    columnData: [
      { name: "file_path", data: [letters.filePath, letters.filePath] },
      { name: "pos", data: [1n, 3n] },
    ],
    schema: [
      { name: "root", num_children: 2 },
      { ...column("file_path", "BYTE_ARRAY", 2_147_483_546), converted_type: "UTF8" },
      column("pos", "INT64", 2_147_483_545),
    ],
  });
  const filePath = `${letters.filePath}.deletes`;
  await rig.storage.put(filePath, new Uint8Array(content));
  const own = { filePath, fileSizeBytes: BigInt(content.byteLength), recordCount: 2n };
  const bounds = { lowerBounds: new Map(), upperBounds: new Map() };
  await rig.foreign(
    { files: [{ ...letters, ...own, ...bounds, content: "position-deletes" }] },
    name,
  );
  expect(await rig.replay(0n, 10n)).toMatchObject({ before: 5, after: 8, aside: 2 });
  expect(await rig.rows()).toEqual(ROWS.filter((_, n) => n !== 5 && n !== 7));
  // Which letters are deleted by values is not known.
  await rig.foreign(
    { files: [{ ...letters, content: "equality-deletes", equalityIds: [4] }] },
    name,
  );
  expect(await rejection(rig.replay(0n, 10n))).toMatchObject({ kind: "table_unsupported" });
});

test("the late table is a side table, by the topic's id that its rows have", () => {
  const { options } = new ReplayRig();
  const topicId = {
    id: 0,
    name: "_kafka_topic_id",
    required: true,
    type: { kind: "string" },
  } as const;
  const late: LateOptions = {
    lateness: { thresholdMs: 1, timeColumn: "ts", offsetColumn: "_kafka_offset" },
    topicId,
    tableOf: (topic, main) => ({ ...main, name: { namespace: ["db"], table: `${topic}-late` } }),
  };
  const names = asideTables({ late }, "t", options).map(({ name, columns }) => [
    name.table,
    columns.topic,
  ]);
  expect(names).toEqual([
    ["t__dead_letter", "topic_id"],
    ["t-late", "_kafka_topic_id"],
  ]);
});

/** Rows are given coordinates from now on, by which a replay knows them. */
function withCoordinates(rig: ReplayRig, metadataColumns: readonly RecordColumn[]): void {
  rig.decoding = { metadataColumns };
  const topic = metadataColumns.includes("topic") ? "_kafka_topic" : null;
  const coordinates = { topic, partition: "_kafka_partition", offset: "_kafka_offset" };
  rig.options = { ...rig.options, coordinates };
}

const OTHER = { ...FEED, topic: "u", topicId: "2" };

test("rows of another topic that are older than the topic's column are not taken for the range's", async () => {
  const rig = await tableOfTen();
  await rig.ingest(TEN.slice(0, 5), 0n, OTHER);
  withCoordinates(rig, ["partition", "offset", "topic"]);
  await rig.ingest([value(10)], 10n);
  const before = await rig.rows();
  const error = await rejection(rig.replay(0n, 11n));
  expect(error).toMatchObject({ kind: "usage" });
  expect(String(error)).toContain("_kafka_topic");
  expect(await rig.rows()).toEqual(before);
});

test("where there was one topic only, rows that are older than its column are its own", async () => {
  const rig = await tableOfTen();
  withCoordinates(rig, ["partition", "offset", "topic"]);
  await rig.ingest([value(10)], 10n);
  mended(rig);
  expect(await rig.replay(0n, 11n)).toMatchObject({ before: 11, after: 11 });
  expect(await rig.rows()).toEqual([...Array(11).keys()].map((n) => `${n}=${100 + n}`));
});

test("rows that are older than the columns of coordinates are not written a second time", async () => {
  const rig = new ReplayRig();
  withCoordinates(rig, []);
  await rig.ingest(TEN.slice(0, 5), 0n);
  withCoordinates(rig, ["partition", "offset"]);
  await rig.ingest(TEN.slice(5), 5n);
  const before = await rig.rows();
  expect(await rejection(rig.replay(5n, 10n))).toMatchObject({ kind: "usage" });
  expect(await rig.rows()).toEqual(before);
});

for (const told of [true, false]) {
  test(`rows that a compaction gave no coordinates are not written a second time (${told ? "manifests say so" : "manifests do not tell"})`, async () => {
    const rig = await tableOfTen();
    const [first, second] = await rig.dataFiles();
    if (first === undefined || second === undefined) throw new Error("two flushes make two files");
    const fields = currentFields(await rig.head());
    const idOf = (name: string): number => fields.find((field) => field.name === name)?.id ?? 0;
    const { filePath, nullValueCounts } = first;
    const content = parquetWriteBuffer({
      columnData: [
        { name: "_kafka_partition", data: [0, 0, null, 0, 0] },
        { name: "_kafka_offset", data: [0n, 1n, null, 3n, 4n] },
      ],
      schema: [
        { name: "root", num_children: 2 },
        column("_kafka_partition", "INT32", idOf("_kafka_partition")),
        column("_kafka_offset", "INT64", idOf("_kafka_offset")),
      ],
    });
    await rig.storage.put(`${filePath}.new`, new Uint8Array(content));
    const counts = new Map(nullValueCounts);
    for (const name of ["_kafka_partition", "_kafka_offset"]) {
      if (told) counts.set(idOf(name), 1n);
      else counts.delete(idOf(name));
    }
    const file = {
      ...{ ...first, filePath: `${filePath}.new`, nullValueCounts: counts },
      fileSizeBytes: BigInt(content.byteLength),
    };
    await rig.foreign({ files: [file], removed: [first] });
    const before = await rig.rows();
    expect(await rejection(rig.replay(5n, 10n))).toMatchObject({ kind: "usage" });
    // Also where it comes between the first look and the commit.
    await rig.foreign({ files: [first], removed: [file] });
    rig.beforeCommit = () => rig.foreign({ files: [file], removed: [first] });
    expect(await rejection(rig.replay(0n, 10n))).toMatchObject({ kind: "usage" });
    expect(await rig.rows()).toEqual(before);
  });
}

function column(name: string, type: "INT32" | "INT64" | "BYTE_ARRAY", id: number) {
  return { name, type, repetition_type: "OPTIONAL", field_id: id } as const;
}

test("a row whose record is gone, is passed over or fits no more stays, with all others, and is named", async () => {
  const rig = await tableOfTen();
  mended(rig);
  rig.topic.delete(4);
  expect(String(await rejection(rig.replay(3n, 7n)))).toContain("t/0 offset 4");
  rig.topic.set(4, "{");
  const broken = await rejection(rig.replay(3n, 7n));
  expect(broken).toMatchObject({ kind: "data", context: { offset: 4n } });
  rig.topic.set(4, null);
  rig.decoding = { onTombstone: "skip" };
  expect(await rejection(rig.replay(3n, 7n))).toMatchObject({ context: { offset: 4n } });
  expect(await rig.rows()).toEqual(ROWS);
  const files = [...rig.storage.objects.keys()].filter((path) => path.endsWith(".parquet"));
  expect(files).toHaveLength(2);
});

test("what never was a row and does not fit is counted by its reason, and the others are replaced", async () => {
  const rig = new ReplayRig();
  await rig.ingest([value(0), "{", value(2)], 0n);
  const report = await rig.replay(0n, 3n);
  expect([...report.refused]).toEqual([["bad_json", 1]]);
  expect(await rig.rows()).toEqual(["0=0", "2=2"]);
});

test("ranges that Kafka no longer has, that are not committed or that the table was never given are refused", async () => {
  const rig = new ReplayRig();
  for (let n = 0; n < 12; n++) rig.topic.set(n, value(n));
  await rig.ingest([4, 5, 6, 7].map(value), 4n);
  expect(await rejection(rig.replay(2n, 6n))).toMatchObject({ kind: "usage" });
  expect(await rejection(rig.replay(5n, 9n))).toMatchObject({ kind: "usage" });
  rig.logStart = 6n;
  expect(await rejection(rig.replay(5n, 7n))).toMatchObject({ kind: "progress" });
  expect(await rig.replay(6n, 8n)).toMatchObject({ before: 2, after: 2 });
});

test("retention that passes the range while it is read costs no row", async () => {
  const rig = await tableOfTen();
  mended(rig);
  const progress = (): void => {
    rig.logStart = 4n;
  };
  expect(await rejection(rig.replay(3n, 7n, { progress }))).toMatchObject({ kind: "progress" });
  expect(await rig.rows()).toEqual(ROWS);
});

test("where a person has set offsets back, a person says that the topic is the same", async () => {
  const rig = await tableOfTen();
  await rig.setOffset(5n);
  await rig.ingest(TEN.slice(5), 5n);
  expect(await rig.rows()).toHaveLength(15);
  expect(String(await rejection(rig.replay(0n, 10n)))).toContain("--yes");
  expect(await rig.replay(0n, 10n, { isVouchedFor: true })).toMatchObject({
    before: 15,
    after: 10,
  });
  expect(await rig.rows()).toEqual(ROWS);
});

test("a commit of others in between is looked at: rows that they moved, added and took are not lost or doubled", async () => {
  const rig = await tableOfTen();
  mended(rig);
  const [first] = await rig.dataFiles();
  if (first === undefined) throw new Error("a flush makes a file");
  rig.beforeCommit = async () => {
    const copy = `${first.filePath}.moved.parquet`;
    await rig.storage.put(copy, await rig.storage.get(first.filePath));
    await rig.foreign({ files: [{ ...first, filePath: copy }], removed: [first] });
  };
  await rig.replay(3n, 7n);
  const wanted = ROWS.map((row, n) => (n >= 3 && n < 7 ? `${n}=${100 + n}` : row));
  expect(await rig.rows()).toEqual(wanted);
  rig.beforeCommit = () => rig.letters([5n]);
  await rig.replay(3n, 7n);
  expect(await rig.rows()).toEqual(wanted);
});

test("a rollback in between that takes a row makes a dead letter's record the side table's again", async () => {
  const rig = await tableOfTen();
  await rig.letters([8n]);
  const [, second] = await rig.dataFiles();
  rig.beforeCommit = () => rig.foreign({ removed: second === undefined ? [] : [second] });
  await rig.replay(7n, 10n);
  expect(await rig.rows()).toEqual([...ROWS.slice(0, 5), "7=7", "9=9"]);
});

test("rows that were deleted by the values of columns are left to a compaction", async () => {
  const rig = await tableOfTen();
  const [first] = await rig.dataFiles();
  if (first === undefined) throw new Error("a flush makes a file");
  const deletes = { ...first, content: "equality-deletes", equalityIds: [1] } as const;
  await rig.foreign({ files: [deletes] });
  const error = await rejection(rig.replay(3n, 5n));
  expect(error).toMatchObject({ kind: "table_unsupported" });
});

test("a dry run writes nothing and says what would be done", async () => {
  const rig = await tableOfTen();
  mended(rig);
  const before = new Set(rig.storage.objects.keys());
  expect(await rig.replay(3n, 7n, { isDry: true })).toMatchObject({ before: 4, after: 4 });
  expect(new Set(rig.storage.objects.keys())).toEqual(before);
});

test("records that bring columns since then bring them into the table first", async () => {
  const rig = await tableOfTen();
  rig.topic.set(3, '{"n":3,"more":"x"}');
  await rig.replay(3n, 4n);
  expect(await rig.columns()).toContain("more");
  expect(await rig.rows()).toEqual(ROWS);
});
