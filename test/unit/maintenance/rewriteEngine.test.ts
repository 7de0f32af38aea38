/** The engine that rewrites data files, on real files: rows, ids, metrics and footers are what ingest would have written. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FileMetaData, parquetMetadata } from "hyparquet";
import { KERNELS_ON } from "#base/kernelSwitch.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import type { Field } from "#columns/schema.ts";
import type { LiveFile } from "#iceberg/io/scan.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import type { PlannedInput } from "#maintenance/compactPlan.ts";
import { rowGroupRows } from "#maintenance/rewriteEngine.ts";
import { leavesOf } from "#parquet/metrics.ts";
import { dataFile } from "#writer/dataFile.ts";
import { RewriteRig } from "../../support/rewriteRig.ts";
import { fileOf } from "../../support/tableOf.ts";
import { batchOf, encodeWhole, everyTypeRows, field, type Row } from "../parquet/rows.ts";

const folder = mkdtempSync(join(tmpdir(), "rewrite-"));
const rig = new RewriteRig(folder);
const { engine, stop } = rig;
afterAll(() => rmSync(folder, { recursive: true }));

const tableOf = rig.tableOf.bind(rig);
const write = rig.write.bind(rig);

async function rewrite(head: LoadedTable, inputs: readonly PlannedInput[]): Promise<DataFile> {
  const { output } = await rig.rewrite(head, inputs);
  if (output === null) throw new Error("rows are left");
  return output;
}

async function footerOf(file: DataFile): Promise<FileMetaData> {
  return parquetMetadata((await Bun.file(file.filePath).bytes()).buffer as ArrayBuffer);
}

/** Metrics as the encoder of ingest has them for the same rows. */
async function metricsOf(fields: readonly Field[], rows: readonly Row[]): Promise<DataFile> {
  const options = { codec: "zstd", level: null, rowGroupRows: 10_000, metadata: {} } as const;
  const file = await encodeWhole(fields, [batchOf(fields, rows)], options);
  return dataFile("", file, 0, [], new Map());
}

/** Types that DuckDB writes as others. */
const isKept = ({ type }: Field): boolean =>
  type.kind !== "fixed" && !(type.kind === "timestamp_ns" && type.zone);

test("columns of every type have the metrics that ingest's own encoder gives them", async () => {
  const all = everyTypeRows();
  const kept = all.fields.flatMap((each, at) => (isKept(each) ? [at] : []));
  const fields = kept.flatMap((at) => all.fields[at] ?? []);
  const rows = all.rows.map((row) => kept.map((at) => row[at]));
  const head = tableOf(fields, 2);
  const file = await rewrite(head, [await write(fields, rows), await write(fields, rows)]);
  const wanted = await metricsOf(fields, [...rows, ...rows]);
  expect(file.recordCount).toBe(BigInt(2 * rows.length));
  expect(file.valueCounts).toEqual(wanted.valueCounts);
  expect(file.nanValueCounts).toEqual(wanted.nanValueCounts);
  // Nobody is told of nulls in lists and maps: DuckDB counts them wrong.
  const repeated = new Set(leavesOf(fields).flatMap((leaf) => (leaf.repeated ? leaf.fieldId : [])));
  const counted = [...wanted.nullValueCounts].filter(([id]) => !repeated.has(id));
  expect(file.nullValueCounts).toEqual(new Map(counted));
  expect(file.lowerBounds).toEqual(wanted.lowerBounds);
  expect(file.upperBounds).toEqual(wanted.upperBounds);
});

const ID = field("id", { kind: "long" });
const NAME = field("name", { kind: "string" });

test("deleted rows are left out; those that stay have their row ids and the sequence numbers of their files", async () => {
  const fields = [ID];
  const rows = Array.from({ length: 100 }, (_, n): Row => [BigInt(n)]);
  const first = await write(fields, rows, { sequenceNumber: 3n, firstRowId: 1000n });
  const vector = await rig.vector(first.path, [0, 7, 99]);
  const second = await write(fields, rows.slice(0, 2), { sequenceNumber: 5n, firstRowId: 50n });
  const head = tableOf(fields, 3);
  const file = await rewrite(head, [{ ...first, deletes: [vector] }, second]);
  expect(file.recordCount).toBe(99n);
  const footer = await footerOf(file);
  expect(footer.schema.map(({ name, field_id }) => [name, field_id])).toEqual([
    ["duckdb_schema", undefined],
    ["id", ID.id],
    ["_row_id", 2_147_483_540],
    ["_last_updated_sequence_number", 2_147_483_539],
  ]);
  // Once more: what stands in the file goes before what the file gives.
  const again = await rewrite(head, [
    { ...second, path: file.filePath, recordCount: 99n, firstRowId: 7000n, sequenceNumber: 9n },
  ]);
  const stats = (await footerOf(again)).row_groups[0]?.columns.map(
    ({ meta_data }) => meta_data?.statistics,
  );
  expect(stats?.slice(1).map((each) => [each?.min_value, each?.max_value])).toEqual([
    [50n, 1098n],
    [3n, 5n],
  ]);
});

test("files of many rows are put together without being decoded: rows, ids and metrics are the same", async () => {
  const fields = [ID, NAME, field("score", { kind: "double" })];
  const rowsOf = (from: number): Row[] =>
    Array.from({ length: 1500 }, (_, n): Row => {
      const score = n % 100 === 0 ? Number.NaN : n / 2;
      return [BigInt(from + n), n % 9 === 0 ? null : `name ${n % (from + 3)}`, score];
    });
  const [first, second] = [rowsOf(0), rowsOf(40)];
  const inputs = [
    await write(fields, first, { sequenceNumber: 3n, firstRowId: 1000n }, {}, 2000),
    await write(fields, second, { sequenceNumber: 5n, firstRowId: 0n }, {}, 2000),
  ];
  const { output, moved, isCopied } = await rig.rewrite(tableOf(fields, 3), inputs);
  expect(isCopied).toBe(KERNELS_ON);
  if (output === null) throw new Error("rows are left");
  const { columnSizes, ...wanted } = await metricsOf(fields, [...first, ...second]);
  expect({ ...output, columnSizes }).toMatchObject({
    ...{ recordCount: 3000n, valueCounts: wanted.valueCounts },
    ...{ nullValueCounts: wanted.nullValueCounts, nanValueCounts: wanted.nanValueCounts },
    ...{ lowerBounds: wanted.lowerBounds, upperBounds: wanted.upperBounds },
  });
  expect(moved?.map(({ places, hidden }) => [places, hidden.size])).toEqual([
    [0, 0],
    [1500, 0],
  ]);
  expect(await rig.rowsByDuckDb(output.filePath)).toEqual(["3000", "0", "1539", "43"]);
  const [group] = (await footerOf(output)).row_groups;
  const bounds = group?.columns.map(({ meta_data }) => meta_data?.statistics).slice(-2);
  expect(bounds?.map((each) => [each?.min_value, each?.max_value])).toEqual([
    [0n, 2499n],
    [3n, 5n],
  ]);
});

test("the footer names the clusters, topics, partitions and joined offset ranges of all inputs", async () => {
  const ranges = (start: number, end: number): Record<string, string> => ({
    "kafka-iceberg.cluster-id": "c",
    "kafka-iceberg.topic": "t",
    "kafka-iceberg.partition": "0",
    "kafka-iceberg.offset-ranges": JSON.stringify([{ topic: "t", partition: 0, start, end }]),
    "kafka-iceberg.commit-id": `old-${start}`,
  });
  const fields = [ID];
  const inputs = [
    await write(fields, [[1n]], {}, ranges(10, 20)),
    await write(fields, [[2n]], {}, ranges(0, 10)),
    await write(fields, [[3n]], {}, ranges(30, 31)),
    await write(fields, [[4n]]),
  ];
  const footer = await footerOf(await rewrite(tableOf(fields, 2), inputs));
  const keys = Object.fromEntries(
    (footer.key_value_metadata ?? []).map(({ key, value }) => [key, value]),
  );
  expect(keys).toMatchObject({
    "kafka-iceberg.cluster-id": "c",
    "kafka-iceberg.topic": "t",
    "kafka-iceberg.partition": "0",
    "kafka-iceberg.commit-id": "new",
  });
  expect(JSON.parse(keys["kafka-iceberg.offset-ranges"] ?? "")).toEqual([
    { topic: "t", partition: 0, start: 0, end: 20 },
    { topic: "t", partition: 0, start: 30, end: 31 },
  ]);
});

test("a group of which every row is deleted leaves no file", async () => {
  const input = await write([ID], [[1n]]);
  const deletes = await write([ID], [[1n]]);
  const equality: LiveFile = {
    file: {
      ...fileOf("e", []),
      ...{ content: "equality-deletes", filePath: deletes.path, equalityIds: [ID.id] },
    },
    ...{ snapshotId: 1n, sequenceNumber: 2n },
  };
  const group = { inputs: [{ ...input, deletes: [equality] }], bytes: 100 };
  const location = join(folder, "nothing.parquet");
  const job = { head: tableOf([ID, NAME], 2), group, location, commitId: "new" };
  const { output, moved } = await engine.rewrite(job, stop);
  expect(output).toBeNull();
  expect(moved?.map(({ hidden }) => [...hidden])).toEqual([[0]]);
  expect(await Bun.file(location).exists()).toBe(false);
});

test("columns that would become others are refused by name", () => {
  const fixed = field("code", { kind: "fixed", length: 4 });
  expect(engine.refusal(tableOf([ID, fixed], 2))).toContain("column code is of type fixed");
  expect(engine.refusal(tableOf([ID], 2))).toBeNull();
});

test("a delete file that others have removed meanwhile is missing, as a data file is", async () => {
  const input = await write([ID], [[1n]]);
  const of = { content: "equality-deletes", equalityIds: [ID.id] } as const;
  const file = { ...fileOf("e", []), ...of, filePath: join(folder, "gone.parquet") };
  const deletes = [{ file, snapshotId: 1n, sequenceNumber: 2n }];
  const job = rewrite(tableOf([ID], 2), [{ ...input, deletes }]);
  expect(job).rejects.toMatchObject({ kind: "storage_missing" });
  await job.catch(() => undefined);
});

test("a file that others have removed meanwhile is missing, and nothing is left in the scratch folder", async () => {
  const input = await write([ID], [[1n]]);
  rmSync(input.path);
  // What a killed process has left goes, too; that of one which runs stays.
  const [dead, alive] = ["rewrite-4194305-a", `rewrite-${process.ppid}-b`];
  for (const name of [dead, alive]) mkdirSync(join(folder, "scratch", name), { recursive: true });
  const job = rewrite(tableOf([ID], 2), [input]);
  expect(job).rejects.toMatchObject({ kind: "storage_missing" });
  await job.catch(() => undefined);
  expect(readdirSync(join(folder, "scratch"))).toEqual([alive]);
});

test("row groups have 122,880 rows at most, more where a file would have too many column chunks, fewer where rows are large", () => {
  const MIB = 1024 * 1024;
  const rowsOf = (mib: number, rows: number, columns: number): number =>
    rowGroupRows(mib * MIB, rows, columns, 224 * MIB);
  expect(rowsOf(100, 4_000_000, 14)).toBe(122_880);
  // 512 MiB of 40 columns, 40 bytes a row: some 3,000 chunks instead of 4,400.
  expect(rowsOf(512, 13_421_772, 40)).toBe(2048 * Math.ceil(178_956.96 / 2048));
  // Of 300 columns no more rows would be in memory, unpacked.
  expect(rowsOf(512, 53_687_091, 300)).toBe(122_880);
  // 1 MiB a row: 66 of them.
  expect(rowsOf(512, 512, 4)).toBe(2048);
  expect(rowsOf(512, 65_536, 4)).toBe(2048 * Math.ceil(8448 / 2048));
  expect(rowsOf(0, 0, 0)).toBe(2048);
});
