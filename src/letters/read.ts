/**
 * Reads a dead-letter table: letters, and the marks of those that were brought in. A row group at a
 * time; of letters that are not wanted only the coordinates.
 */
import { fail } from "#base/errors.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import { OffsetSet } from "#commit/offsetSet.ts";
import { refOf } from "#commit/progress.ts";
import type { LetterPlace } from "#decode/letters.ts";
import type { RecordHeader } from "#decode/records.ts";
import { listDataFiles } from "#iceberg/io/scan.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import { type ParquetRow, parquetBytes, readRows } from "#parquet/readColumns.ts";

/** A letter with its bytes. */
export interface Letter extends LetterPlace {
  /** Null: it has none, or none that can be stored. */
  readonly timestampMs: number | null;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  /** Null: they were damaged. */
  readonly headers: readonly RecordHeader[] | null;
  readonly detail: string | null;
}

/** Letters that are wanted. */
export type LetterFilter = (place: LetterPlace) => boolean;

const PLACE = ["topic", "topic_id", "partition", "offset", "reason", "rejected_at"];
const MARK = [...PLACE, "retried_at"];
const WHOLE = [...MARK, "timestamp", "key", "headers", "value", "detail"];

/** Which letters were brought in, by topic id and partition. */
export class Marks {
  readonly #sets = new Map<string, OffsetSet>();
  count = 0;

  add({ topicId, partition, offset }: LetterPlace): void {
    const key = `${topicId}/${partition}`;
    const set = this.#sets.get(key) ?? new OffsetSet();
    this.#sets.set(key, set);
    if (!set.has(offset)) this.count++;
    set.add(offset);
  }

  has({ topicId, partition, offset }: LetterPlace): boolean {
    return this.#sets.get(`${topicId}/${partition}`)?.has(offset) === true;
  }
}

/** All marks of a table. */
export async function readMarks(table: LoadedTable, branch: string): Promise<Marks> {
  const marks = new Marks();
  for await (const rows of rowsOf(table, branch, MARK)) {
    for (const row of rows) if (row["retried_at"] != null) marks.add(placeOf(row));
  }
  return marks;
}

/** The coordinates of all letters, a row group at a time. */
export async function* readPlaces(
  table: LoadedTable,
  branch: string,
): AsyncGenerator<LetterPlace[]> {
  for await (const rows of rowsOf(table, branch, MARK)) {
    yield rows.filter((row) => row["retried_at"] == null).map(placeOf);
  }
}

/** Letters with their bytes, a row group at a time; one without a wanted letter is not read whole. */
export async function* readLetters(
  table: LoadedTable,
  branch: string,
  isWanted: LetterFilter,
): AsyncGenerator<Letter[]> {
  for await (const file of filesOf(table, branch)) {
    if (!(await hasWanted(table, file, isWanted))) continue;
    for await (const rows of readRows(bytesOf(table, file), WHOLE)) {
      const letters = rows.filter((row) => row["retried_at"] == null).map(letterOf);
      yield letters.filter(isWanted);
    }
  }
}

async function hasWanted(
  table: LoadedTable,
  file: DataFile,
  isWanted: LetterFilter,
): Promise<boolean> {
  for await (const rows of readRows(bytesOf(table, file), MARK)) {
    if (rows.some((row) => row["retried_at"] == null && isWanted(placeOf(row)))) return true;
  }
  return false;
}

async function* rowsOf(
  table: LoadedTable,
  branch: string,
  columns: readonly string[],
): AsyncGenerator<readonly ParquetRow[]> {
  for await (const file of filesOf(table, branch)) yield* readRows(bytesOf(table, file), columns);
}

/** @throws AppError `table_unsupported` where another engine has deleted rows without rewriting files */
async function* filesOf(table: LoadedTable, branch: string): AsyncGenerator<DataFile> {
  const head = refOf(table.metadata, branch);
  if (head === null) return;
  const files: DataFile[] = [];
  for await (const { file } of listDataFiles(table.storage, table.metadata, head)) {
    if (file.content !== "data") {
      throw fail(
        "table_unsupported",
        `Rows of ${fullName(table.name)} were deleted by delete files, which this command does not ` +
          "read. Rewrite its data files with the engine that deleted them, then try again",
      );
    }
    files.push(file);
  }
  yield* files;
}

function bytesOf({ storage }: LoadedTable, { filePath, fileSizeBytes }: DataFile) {
  return parquetBytes(storage, filePath, Number(fileSizeBytes));
}

function placeOf(row: ParquetRow): LetterPlace {
  return {
    topic: String(row["topic"]),
    topicId: String(row["topic_id"]),
    partition: Number(row["partition"]),
    offset: BigInt(row["offset"] as bigint),
    reason: String(row["reason"]),
    rejectedMs: timeOf(row["rejected_at"]) ?? 0,
  };
}

function letterOf(row: ParquetRow): Letter {
  const headers = row["headers"] as
    | readonly { readonly key: string | null; readonly value: Uint8Array | null }[]
    | null
    | undefined;
  return {
    ...placeOf(row),
    timestampMs: timeOf(row["timestamp"]),
    key: (row["key"] as Uint8Array | null | undefined) ?? null,
    value: (row["value"] as Uint8Array | null | undefined) ?? null,
    headers:
      headers?.map(({ key, value }) => ({
        key: new TextEncoder().encode(key ?? ""),
        value: value ?? null,
      })) ?? null,
    detail: (row["detail"] as string | null | undefined) ?? null,
  };
}

function timeOf(value: unknown): number | null {
  return value instanceof Date ? value.getTime() : null;
}
