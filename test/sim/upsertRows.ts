/**
 * Rows of the simulated changes: which key and what each record of the topic changes, columns, and
 * Parquet files, which are real ones here, since the index reads them.
 */
import type { Column, ColumnBatch } from "#columns/batch.ts";
import { CHANGE, CHANGE_TYPE } from "#columns/changes.ts";
import type { Field } from "#columns/schema.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import type { Storage } from "#storage/storage.ts";
import { foreignFile } from "./rows.ts";

/** A row: its key, and the number of the record, or of the foreign row, that it came from. */
export interface KeyedRow {
  readonly key: number;
  readonly n: number;
}

/** Columns of the table; ids 1 and 2. */
export const KEY_FIELDS: readonly Field[] = [
  { id: 0, name: "key", required: false, type: { kind: "long" } },
  { id: 0, name: "n", required: false, type: { kind: "long" } },
];

/** Keys of one partition. */
const KEYS = 5;

/** Orders of changes, each once: of the records of a partition, and of foreign rows (`share` 2). */
export function orderOf(share: number, number: number): number {
  return 4 * ((number * 613) % 997) + share;
}

/**
 * The change that a record makes; a key lies on one partition.
 * @param isOrdered keys lie on all partitions, and column `n` says which change is later
 */
export function changeOf(
  partition: number,
  offset: number,
  isOrdered: boolean,
): KeyedRow & { readonly does: keyof typeof CHANGE } {
  if (isOrdered) {
    return { key: (offset * 7) % KEYS, n: orderOf(partition, offset), does: "put" };
  }
  const key = partition * 100 + ((offset * 7) % KEYS);
  return { key, n: partition * 1000 + offset, does: (offset * 11) % 4 === 0 ? "delete" : "put" };
}

/** The same where there is one partition, whose source is emptied now and then. */
export function emptyingChangeOf(offset: number): ReturnType<typeof changeOf> {
  const change = changeOf(0, offset, false);
  return offset % 6 === 4 ? { ...change, key: 0, does: "truncate" } : change;
}

/** Changes as a batch with its control column. */
export function changeBatch(
  partition: number,
  offsets: readonly number[],
  form: "changes" | "ordered" | "emptying",
): ColumnBatch {
  const changes = offsets.map((offset) =>
    form === "emptying"
      ? emptyingChangeOf(offset)
      : changeOf(partition, offset, form === "ordered"),
  );
  const kinds = changes.map(({ does }) => CHANGE[does]);
  const rows = batchOf(changes, KEY_FIELDS);
  const data = new Uint8Array(new Int32Array(kinds).buffer);
  const control = { ...columnOf(CHANGE_TYPE, kinds.length), data };
  return {
    ...rows,
    fields: [...KEY_FIELDS, CHANGE_TYPE],
    columns: [...rows.columns, control],
  };
}

/** Rows as a batch. */
export function batchOf(
  rows: readonly KeyedRow[],
  fields: readonly Field[] = KEY_FIELDS,
): ColumnBatch {
  const longs = (values: number[]): Uint8Array =>
    new Uint8Array(new BigInt64Array(values.map(BigInt)).buffer);
  const [keys, numbers] = [rows.map(({ key }) => key), rows.map(({ n }) => n)];
  const columns = [longs(keys), longs(numbers)].flatMap((data, index) => {
    const field = fields[index];
    return field === undefined ? [] : { ...columnOf(field, rows.length), data };
  });
  return { fields, rowCount: rows.length, columns, byteCount: 16 * rows.length };
}

function columnOf(field: Field, length: number): Column {
  return { field, length, nullCount: 0, validity: null, offsets: null, data: null, children: [] };
}

/** A stored file of rows of another engine, for a manifest. */
export async function storeRows(
  storage: Pick<Storage, "put">,
  path: string,
  rows: readonly KeyedRow[],
): Promise<DataFile> {
  const fields = KEY_FIELDS.map((field, index) => ({ ...field, id: index + 1 }));
  const bytes = await encode(fields, batchOf(rows, fields));
  await storage.put(path, bytes);
  const size = BigInt(bytes.length);
  return { ...foreignFile(path), recordCount: BigInt(rows.length), fileSizeBytes: size };
}

/** A stored equality delete file of one key. */
export async function storeKeyDelete(
  storage: Pick<Storage, "put">,
  path: string,
  key: number,
): Promise<DataFile> {
  const fields = KEY_FIELDS.slice(0, 1).map((field) => ({ ...field, id: 1 }));
  const bytes = await encode(fields, batchOf([{ key, n: 0 }], fields));
  await storage.put(path, bytes);
  return {
    ...foreignFile(path),
    content: "equality-deletes",
    recordCount: 1n,
    fileSizeBytes: BigInt(bytes.length),
    equalityIds: [1],
  };
}

async function encode(fields: readonly Field[], batch: ColumnBatch): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const options = { codec: "none" as const, level: null, rowGroupRows: 1000, metadata: {} };
  await createInlineEncoder().encode(fields, [{ batch, rows: null }], options, (chunk) => {
    chunks.push(chunk.slice());
    return Promise.resolve();
  });
  return Buffer.concat(chunks);
}
