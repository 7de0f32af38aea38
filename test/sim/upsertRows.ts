/**
 * Rows of the simulated changes: which key and what each record of the topic changes, columns, and
 * Parquet files, which are real ones here, since the index reads them.
 */
import type { Column, ColumnBatch } from "#columns/batch.ts";
import { ColumnBuilder, sealColumns } from "#columns/builder.ts";
import { CHANGE, CHANGE_TYPE } from "#columns/changes.ts";
import type { Field } from "#columns/schema.ts";
import { PLACEHOLDER } from "#columns/unavailable.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import { ROW_ID_FIELD } from "#iceberg/metadata/lineage.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import type { Storage } from "#storage/storage.ts";
import { foreignFile } from "./rows.ts";

/** A row: its key, and the number of the record, or of the foreign row, that it came from. */
export interface KeyedRow {
  readonly key: number;
  readonly n: number;
  /** A text that changes may leave as it was; in worlds without such changes rows have none. */
  readonly t?: string;
  /** Row id, of rows of files (v3); null: it has none. */
  readonly id?: bigint | null;
}

/** Columns of the table; ids 1 and 2. */
export const KEY_FIELDS: readonly Field[] = [
  { id: 0, name: "key", required: false, type: { kind: "long" } },
  { id: 0, name: "n", required: false, type: { kind: "long" } },
];

/** The same with a text. */
export const TEXT_FIELDS: readonly Field[] = [
  ...KEY_FIELDS,
  { id: 0, name: "t", required: false, type: { kind: "string" } },
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

/** The text that the change of a record sets; null: it leaves it as it was. */
export type TextOf = (partition: number, offset: number) => string | null;

/**
 * Texts of changes of which every third leaves it as it was, where there is something.
 * @param recordsOf offsets of the records of a partition that the table was ever given
 */
export function textOf(recordsOf: (partition: number) => readonly number[]): TextOf {
  return (partition, offset) => {
    const { key, n } = changeOf(partition, offset, false);
    const before = recordsOf(partition)
      .filter((each) => each < offset)
      .map((each) => changeOf(partition, each, false))
      .findLast((each) => each.key === key);
    const isHeld = offset % 3 > 0 && before?.does === "put";
    return isHeld ? null : `text ${n}`;
  };
}

/**
 * Changes as a batch with its control column.
 * @param texts default: rows have none
 */
export function changeBatch(
  partition: number,
  offsets: readonly number[],
  form: "changes" | "ordered" | "emptying",
  texts: TextOf | null = null,
): ColumnBatch {
  const changes = offsets.map((offset) => {
    const change =
      form === "emptying"
        ? emptyingChangeOf(offset)
        : changeOf(partition, offset, form === "ordered");
    if (texts === null) return change;
    const text = change.does === "put" ? texts(partition, offset) : "";
    const does = text === null ? ("partial" as const) : change.does;
    return { ...change, does, t: text ?? PLACEHOLDER.toString() };
  });
  const kinds = changes.map(({ does }) => CHANGE[does]);
  const fields = texts === null ? KEY_FIELDS : TEXT_FIELDS;
  const rows = batchOf(changes, fields);
  const data = new Uint8Array(new Int32Array(kinds).buffer);
  const control = { ...columnOf(CHANGE_TYPE, kinds.length), data };
  return {
    ...rows,
    fields: [...fields, CHANGE_TYPE],
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
  const columns = [longs(keys), longs(numbers)].flatMap((data, index): Column[] => {
    const field = fields[index];
    return field === undefined ? [] : [{ ...columnOf(field, rows.length), data }];
  });
  const text = fields.find(({ name }) => name === "t");
  if (text !== undefined) columns.push(textColumn(text, rows));
  if (fields.includes(ROW_ID_FIELD)) columns.push(idColumn(rows));
  return { fields, rowCount: rows.length, columns, byteCount: 16 * rows.length };
}

function textColumn(field: Field, rows: readonly KeyedRow[]): Column {
  const texts = rows.map(({ t = "" }) => Buffer.from(t));
  const offsets = new Int32Array(rows.length + 1);
  for (const [row, text] of texts.entries()) offsets[row + 1] = (offsets[row] ?? 0) + text.length;
  return { ...columnOf(field, rows.length), offsets, data: Buffer.concat(texts) };
}

function idColumn(rows: readonly KeyedRow[]): Column {
  const builder = new ColumnBuilder(ROW_ID_FIELD);
  for (const { id = null } of rows) {
    if (id === null) builder.appendNull();
    else builder.appendBigInt(id);
  }
  const [column] = sealColumns([builder], rows.length).columns;
  return column ?? columnOf(ROW_ID_FIELD, 0);
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
  const own = rows.some(({ t }) => t !== undefined) ? TEXT_FIELDS : KEY_FIELDS;
  const hasIds = rows.some(({ id = null }) => id !== null);
  const table = own.map((field, index) => ({ ...field, id: index + 1 }));
  const fields = hasIds ? [...table, ROW_ID_FIELD] : table;
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
