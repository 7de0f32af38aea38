/** Tables with rows, for readers to judge our manifests: Parquet by pyarrow, the rest by us. */
import { join } from "node:path";
import { systemClock } from "#base/clock.ts";
import { systemDisk } from "#base/disk.ts";
import { type Random, seededRandom, systemRandom } from "#base/random.ts";
import type { Catalog, LoadedTable, TableName } from "#catalog/catalog.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import type { Field } from "#columns/schema.ts";
import { stageAppend } from "#iceberg/io/stageAppend.ts";
import type { DataFile, PartitionValue } from "#iceberg/manifest/manifest.ts";
import { newTableMetadata } from "#iceberg/metadata/newTable.ts";
import { partitionPath, partitionRows } from "#iceberg/partition/partition.ts";
import { partitionSpecOf } from "#iceberg/partition/partitionSpec.ts";
import { encodeSingleValue } from "#iceberg/singleValue.ts";
import { createLocalStorage } from "#storage/local.ts";
import { localPath } from "#storage/location.ts";
import type { Storage } from "#storage/storage.ts";
import { readersPython } from "../../scripts/services/cache.ts";
import { run } from "../../scripts/services/process.ts";
import { batchOf, columnOf } from "./columnOf.ts";

/** The columns that `manifest_readers.py` writes. */
export const FIELDS: readonly Field[] = [
  { id: 1, name: "id", required: true, type: { kind: "long" } },
  { id: 2, name: "ts", required: false, type: { kind: "timestamp", zone: true } },
  { id: 3, name: "d", required: false, type: { kind: "date" } },
  { id: 4, name: "name", required: false, type: { kind: "string" } },
  { id: 5, name: "amount", required: false, type: { kind: "decimal", precision: 9, scale: 2 } },
  { id: 6, name: "bin", required: false, type: { kind: "binary" } },
  { id: 7, name: "num", required: false, type: { kind: "int" } },
  { id: 8, name: "uid", required: false, type: { kind: "long" } },
];

/** A row: one value per column of {@link FIELDS}. */
export type Row = readonly PartitionValue[];

/** The storage that tables are written through. */
export const storage: Storage = createLocalStorage({ disk: systemDisk, random: systemRandom });

/** Rows with ids from `first`; a tenth of the other values is null, none before 1960. */
export function randomRows(count: number, first: number, seed: number): Row[] {
  const random = seededRandom(seed);
  const int = (bound: number): number => Math.floor(random.unit() * bound);
  const maybe = <T>(value: T): T | null => (random.unit() < 0.1 ? null : value);
  return Array.from({ length: count }, (_, index) => [
    BigInt(first + index),
    maybe(BigInt(int(40 * 24) - 20 * 24) * 3_600_000_000n + BigInt(int(1000)) * 1001n),
    maybe(int(4000) - 2000),
    maybe(`${"abc".charAt(int(3))}${["é", "😀", "x", ""][int(4)] ?? ""}${int(5)}`),
    maybe(BigInt(int(2000) - 1000)),
    maybe(Uint8Array.of(int(3), int(256), int(256))),
    maybe(int(60) - 30),
    maybe(bigValue(random)),
  ]);
}

function bigValue(random: Random): bigint {
  return random.id63() - 2n ** 62n;
}

/** Runs a job of `manifest_readers.py`. */
export async function ask<T>(job: Record<string, unknown>): Promise<T> {
  const script = join(import.meta.dir, "manifest_readers.py");
  const python = await readersPython();
  return JSON.parse(await run(["nice", python, script], { stdin: JSON.stringify(job) })) as T;
}

/** What `manifest_readers.py` sees of a table. */
export interface Seen {
  /** Ids by PyIceberg and by DuckDB, sorted. */
  readonly pyiceberg: number[];
  readonly duckdb: number[];
  /** DuckDB's row ids, sorted; empty before v3. */
  readonly rowIds: number[];
  /** Per filter: ids, and how many files PyIceberg plans. */
  readonly filtered: number[][];
  readonly planned: number[];
}

/** Reads a table with PyIceberg and DuckDB. */
export function read(table: LoadedTable, filters: readonly string[] = []): Promise<Seen> {
  return ask<Seen>({ action: "read", metadata: table.metadataLocation, filters });
}

/** Sorted ids of rows. */
export function ids(rows: readonly Row[]): number[] {
  return rows.map((row) => Number(row[0])).sort((a, b) => a - b);
}

/** Creates a table of {@link FIELDS}. */
export async function createTable(
  catalog: Catalog,
  name: TableName,
  forms: readonly string[],
  formatVersion: 2 | 3,
  properties: Readonly<Record<string, string>> = {},
): Promise<LoadedTable> {
  const outcome = await catalog.create({
    name,
    metadataAt: (location) =>
      newTableMetadata({
        uuid: systemRandom.uuid(),
        location,
        fields: FIELDS,
        spec: (fields) => partitionSpecOf(fields, forms),
        formatVersion,
        properties,
        timestampMs: systemClock.nowMs(),
      }),
  });
  if (outcome.kind !== "committed") throw new Error(`${outcome.kind}: ${String(outcome.cause)}`);
  return outcome.table;
}

/** Splits rows by partition, writes one Parquet file for each and appends them. */
export async function appendRows(
  catalog: Catalog,
  name: TableName,
  rows: readonly Row[],
): Promise<LoadedTable> {
  const head = await load(catalog, name);
  return appendFiles(catalog, name, await writeRows(head, rows));
}

/** Writes Parquet files of rows, one per partition of the table's default spec. */
export async function writeRows(table: LoadedTable, rows: readonly Row[]): Promise<DataFile[]> {
  const { metadata } = table;
  const spec = metadata.partitionSpecs.find((one) => one.specId === metadata.defaultSpecId);
  if (spec === undefined) throw new Error("the table has no default spec");
  const parts = partitionRows(spec, FIELDS, batch(rows)).map(({ partition, rows: numbers }) => {
    const members = numbers === null ? rows : [...numbers].map((row) => rows[row] ?? []);
    const folder = partitionPath(spec, FIELDS, partition);
    const path = `${metadata.location}/data/${folder}/${systemRandom.uuid()}.parquet`;
    return { path, partition, members };
  });
  const sizes = await ask<number[]>({
    action: "write",
    files: parts.map(({ path, members }) => ({
      path: localPath(path),
      columns: columnsOf(members),
    })),
  });
  return parts.map(({ path, partition, members }, index) =>
    fileOf(path, spec.specId, partition, members, sizes[index] ?? 0),
  );
}

/** Commits files on the head. */
export async function appendFiles(
  catalog: Catalog,
  name: TableName,
  files: readonly DataFile[],
): Promise<LoadedTable> {
  const head = await load(catalog, name);
  const staged = await stageAppend({
    storage,
    metadata: head.metadata,
    branch: "main",
    snapshotId: systemRandom.id63(),
    timestampMs: systemClock.nowMs(),
    files,
    summary: {},
    nameSuffix: `${systemRandom.uuid()}-1`,
  });
  const { currentSnapshotId } = head.metadata;
  const outcome = await catalog.commit(
    name,
    [{ type: "assert-ref-snapshot-id", ref: "main", snapshotId: currentSnapshotId }],
    staged.updates,
  );
  if (outcome.kind !== "committed") throw new Error(`${outcome.kind}: ${String(outcome.cause)}`);
  return outcome.table;
}

/** The table's head. */
export async function load(catalog: Catalog, name: TableName): Promise<LoadedTable> {
  const table = await catalog.load(name);
  if (table === null) throw new Error(`there is no table ${name.table}`);
  return table;
}

function batch(rows: readonly Row[]): ColumnBatch {
  return batchOf(
    ...FIELDS.map(({ id, type }, index) => {
      if (type.kind === "struct" || type.kind === "list" || type.kind === "map") {
        throw new Error("columns are primitive");
      }
      return columnOf(
        id,
        type,
        rows.map((row) => row[index] ?? null),
      );
    }),
  );
}

/** Rows as `manifest_readers.py` takes them, column by column. */
export function columnsOf(rows: readonly Row[]): Record<string, unknown[]> {
  return Object.fromEntries(
    FIELDS.map(({ name }, index) => [name, rows.map((row) => jsonValue(row[index] ?? null))]),
  );
}

/** A value as `manifest_readers.py` reads it. */
export function jsonValue(value: PartitionValue): string | number | boolean | null {
  if (typeof value === "bigint") return String(value);
  return value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value;
}

/** A file with metrics of its first column only. */
export function fileOf(
  path: string,
  specId: number,
  partition: readonly PartitionValue[],
  rows: readonly Row[],
  bytes: number,
): DataFile {
  const ids = rows.map((row) => BigInt(Number(row[0])));
  const bound = (id: bigint | undefined): Uint8Array =>
    encodeSingleValue({ kind: "long" }, id ?? 0n);
  return {
    content: "data",
    filePath: path,
    fileFormat: "PARQUET",
    specId,
    partition,
    recordCount: BigInt(rows.length),
    fileSizeBytes: BigInt(bytes),
    columnSizes: new Map([[1, 77n]]),
    valueCounts: new Map([[1, BigInt(rows.length)]]),
    nullValueCounts: new Map([[1, 0n]]),
    nanValueCounts: new Map(),
    lowerBounds: new Map([[1, bound(ids[0])]]),
    upperBounds: new Map([[1, bound(ids.at(-1))]]),
    splitOffsets: [4n],
    equalityIds: null,
    sortOrderId: 0,
    firstRowId: null,
    referencedDataFile: null,
    contentOffset: null,
    contentSizeBytes: null,
  };
}
