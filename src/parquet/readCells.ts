/**
 * Whole columns of any type, of single rows of Parquet files of any engine: for rows that take values over
 * from others. Of each row group the pages of rows that lie close together are read, where the file has an index of
 * its pages, else the columns' chunks up to the last one.
 *
 * hyparquet makes an object of each row between those that are asked for at once, and of each nested value: far
 * apart, rows are asked for one after the other. Values are read as Parquet stores them: texts and
 * identifiers are bytes, times are integers.
 */
import {
  type FileMetaData,
  parquetMetadataAsync,
  parquetRead,
  parquetSchema,
  type RowGroup,
  type SchemaElement,
  type SchemaTree,
} from "hyparquet";
import { fail } from "#base/errors.ts";
import type { ColumnBuilder } from "#columns/builder.ts";
import type { Field } from "#columns/schema.ts";
import { DECOMPRESSORS } from "./decompress.ts";
import { guarded, type ParquetBytes, unitOf, type WantedColumn } from "./readColumns.ts";

/** Where the values of a column go. */
export interface CellSink extends WantedColumn {
  readonly builder: ColumnBuilder;
}

/**
 * Appends the values of these rows to columns, and stops after each row.
 * @param rows ascending, each once
 * @param onMissing is told before the first row of each field, nested ones too, that the file does not
 *   have: it is null in all rows, unless this throws
 * @throws AppError `storage_corrupt` for a file that is no Parquet; `table_unsupported` for a value in a
 *   form that no engine uses for the type of its column
 */
export async function* readCells(
  file: ParquetBytes,
  sinks: readonly CellSink[],
  rows: Uint32Array,
  onMissing: (field: Field) => void,
): AsyncGenerator<number> {
  const stored = await guarded(() => parquetMetadataAsync(file));
  const metadata = { ...stored, schema: stored.schema.map(asStored) };
  const columns = sinks.map((sink) => ({ sink, element: columnOf(stored, sink) }));
  for (const { sink, element } of columns) tellMissing(sink.builder, element, onMissing);
  const names = columns.flatMap(({ element }) => element?.element.name ?? []);
  for (const { bytes, wanted } of partsOf(file, stored, rows, columns)) {
    const rowStart = wanted[0] ?? 0;
    const range = { rowStart, rowEnd: (wanted.at(-1) ?? 0) + 1 };
    const found = names.length === 0 ? [] : await readRange(bytes, metadata, names, range);
    for (let n = 0; n < wanted.length; n++) {
      const row = wanted[n] as number;
      const values = found[row - rowStart] ?? {};
      for (const { sink, element } of columns) appendMember(sink.builder, element, values);
      yield row;
    }
  }
}

/** A column as a file has it; null: it does not. */
interface StoredColumn {
  readonly element: SchemaTree | null;
}

/** Rows that are asked for at once, each part within a row group, and of what bytes. */
function* partsOf(
  file: ParquetBytes,
  stored: FileMetaData,
  rows: Uint32Array,
  columns: readonly StoredColumn[],
): Generator<{ readonly bytes: ParquetBytes; readonly wanted: Uint32Array }> {
  for (const { group, wanted: all } of byRowGroup(stored, rows)) {
    const bytes = heldBytes(file);
    for (const wanted of isDivisible(group, columns) ? byRange(all) : [all])
      yield { bytes, wanted };
  }
}

/** Rows of a row group. */
interface GroupRows {
  readonly group: RowGroup;
  readonly wanted: Uint32Array;
}

/** The rows of each row group that has some. */
function* byRowGroup(
  { row_groups: groups }: FileMetaData,
  rows: Uint32Array,
): Generator<GroupRows> {
  let end = 0;
  let at = 0;
  for (const group of groups) {
    end += Number(group.num_rows);
    const from = at;
    while (at < rows.length && (rows[at] ?? 0) < end) at++;
    if (at > from) yield { group, wanted: rows.subarray(from, at) };
  }
}

/** Rows between two wanted ones that are cheaper passed over, and rows that are asked for at once: about a page. */
const GAP_ROWS = 8192;
const RANGE_ROWS = 16_384;

/** Ascending rows, those together that lie close together. */
function* byRange(rows: Uint32Array): Generator<Uint32Array> {
  let from = 0;
  for (let at = 1; at < rows.length; at++) {
    const first = rows[from] ?? 0;
    const before = rows[at - 1] ?? 0;
    const row = rows[at] ?? 0;
    if (row - before < GAP_ROWS && row - first < RANGE_ROWS) continue;
    yield rows.subarray(from, at);
    from = at;
  }
  yield rows.subarray(from);
}

/**
 * Whether the pages before a row are passed over without being read: where there is an index of them, and of
 * columns that are not nested. Else each range would cost as much as all of them.
 */
function isDivisible({ columns: chunks }: RowGroup, columns: readonly StoredColumn[]): boolean {
  return columns.every(({ element }) => {
    if (element === null || element.children.length === 0) return true;
    const { name } = element.element;
    const own = chunks.filter(({ meta_data: meta }) => meta?.path_in_schema[0] === name);
    return own.every(({ offset_index_offset: index }) => (index ?? 0n) > 0n);
  });
}

/** A file of which no range is fetched twice: chunks without an index are asked for whole, for each range of rows. */
function heldBytes(file: ParquetBytes): ParquetBytes {
  const held = new Map<string, Promise<ArrayBuffer>>();
  return {
    byteLength: file.byteLength,
    slice: async (start, end) => {
      const key = `${start} ${end}`;
      const bytes = held.get(key) ?? file.slice(start, end);
      held.set(key, bytes);
      return await bytes;
    },
  };
}

/** Rows by column names. */
type Rows = readonly Readonly<Record<string, unknown>>[];

async function readRange(
  file: ParquetBytes,
  metadata: FileMetaData,
  columns: string[],
  range: { readonly rowStart: number; readonly rowEnd: number },
): Promise<Rows> {
  let found: Rows = [];
  await guarded(() =>
    parquetRead({
      ...{ file, metadata, columns, ...range, compressors: DECOMPRESSORS },
      useOffsetIndex: true,
      utf8: false,
      rowFormat: "object",
      onComplete: (all) => {
        found = all;
      },
    }),
  );
  return found;
}

/** Without what would turn values into others, which loses digits; lists are said to be some. */
function asStored({
  converted_type: type,
  logical_type,
  ...element
}: SchemaElement): SchemaElement {
  return type === "LIST" ? { ...element, converted_type: type } : element;
}

/** The top-level column in the file; null: it has none. A file has ids for all columns, or for none. */
function columnOf({ schema }: FileMetaData, { id, names }: WantedColumn): SchemaTree | null {
  const hasIds = schema.some((element) => element.field_id !== undefined);
  const { children } = parquetSchema({ schema } as FileMetaData);
  const found = children.find(({ element }) =>
    hasIds ? element.field_id === id : names.includes(element.name),
  );
  return found ?? null;
}

/** Appends a value. @param tree what the file says of the column */
function appendStored(builder: ColumnBuilder, tree: SchemaTree, value: unknown): void {
  if (value === null || value === undefined) {
    builder.appendNull();
    return;
  }
  const { type } = builder.field;
  switch (type.kind) {
    case "struct":
      appendMembers(builder, tree, value);
      builder.endStruct();
      break;
    case "list": {
      const [elements] = builder.children;
      const [element] = elementOf(tree);
      for (const each of value as readonly unknown[]) {
        if (elements !== undefined && element !== undefined) appendStored(elements, element, each);
      }
      builder.endList();
      break;
    }
    case "map": {
      const [repeated] = tree.children;
      const name = repeated?.element.name ?? "";
      const entries = (value as Record<string, readonly unknown[]>)[name] ?? [];
      for (const entry of entries) appendEntry(builder, repeated, entry);
      builder.endList();
      break;
    }
    default:
      appendPrimitive(builder, tree, value);
  }
}

function appendMembers(builder: ColumnBuilder, tree: SchemaTree, value: unknown): void {
  for (const child of builder.children) appendMember(child, memberOf(tree, child), value);
}

/** A member of a struct; undefined: the file does not have it. */
function memberOf({ children }: SchemaTree, { field }: ColumnBuilder): SchemaTree | undefined {
  return children.find(({ element: { field_id: own, name: called } }) =>
    own === undefined ? called === field.name : own === field.id,
  );
}

function appendEntry(
  { children: [key, value] }: ColumnBuilder,
  repeated: SchemaTree | undefined,
  entry: unknown,
): void {
  if (key !== undefined) appendMember(key, repeated?.children[0], entry);
  if (value !== undefined) appendMember(value, repeated?.children[1], entry);
}

/** Tells of the fields below a column, or of itself, that the file does not have. */
function tellMissing(
  builder: ColumnBuilder,
  tree: SchemaTree | null | undefined,
  onMissing: (field: Field) => void,
): void {
  const { field, children } = builder;
  if (tree === null || tree === undefined) onMissing(field);
  else if (field.type.kind === "struct") {
    for (const child of children) tellMissing(child, memberOf(tree, child), onMissing);
  } else if (field.type.kind === "list" || field.type.kind === "map") {
    const below = field.type.kind === "list" ? elementOf(tree) : (tree.children[0]?.children ?? []);
    for (const [at, child] of children.entries()) tellMissing(child, below[at], onMissing);
  }
}

/** Appends a member of a row or struct; a tree that is missing: the file does not have it. */
function appendMember(
  builder: ColumnBuilder,
  tree: SchemaTree | null | undefined,
  parent: unknown,
): void {
  if (tree === null || tree === undefined) builder.appendNull();
  else appendStored(builder, tree, (parent as Record<string, unknown>)[tree.element.name]);
}

/** The element of a list: three levels deep, or, as old writers have it, two. */
function elementOf(tree: SchemaTree): readonly SchemaTree[] {
  const [repeated] = tree.children;
  if (repeated === undefined) return [];
  return repeated.children.length === 1 ? repeated.children : [repeated];
}

function appendPrimitive(builder: ColumnBuilder, { element }: SchemaTree, value: unknown): void {
  const { kind } = builder.field.type;
  if (typeof value === "boolean" && kind === "boolean") builder.appendBoolean(value);
  else if (typeof value === "number" && (kind === "float" || kind === "double")) {
    builder.appendFloat(value);
  } else if (kind === "decimal" && (isInteger(value) || value instanceof Uint8Array)) {
    builder.appendBigInt(unscaled(value));
  } else if (value instanceof Uint8Array && BYTES.has(kind)) {
    builder.appendBytes(value, 0, value.length);
  } else if (isInteger(value) && (NUMBERS.has(kind) || isMicros(kind, element))) {
    builder.appendBigInt(BigInt(value));
  } else throw unreadable(builder);
}

/** Types that are stored as bytes, and as whole numbers of one unit. */
const BYTES: ReadonlySet<string> = new Set(["string", "binary", "uuid", "fixed"]);
const NUMBERS: ReadonlySet<string> = new Set(["int", "long", "date", "timestamp_ns"]);

function isInteger(value: unknown): value is number | bigint {
  return typeof value === "bigint" || Number.isInteger(value);
}

function isMicros(kind: string, element: SchemaElement): boolean {
  return (kind === "timestamp" || kind === "time") && unitOf(element) === "MICROS";
}

/** A decimal's digits: a number, or its bytes, the most significant one first. */
function unscaled(value: number | bigint | Uint8Array): bigint {
  if (!(value instanceof Uint8Array)) return BigInt(value);
  if (value.length === 0) return 0n;
  const hex = Buffer.from(value).toString("hex");
  return BigInt.asIntN(8 * value.length, BigInt(`0x${hex}`));
}

function unreadable({ field: { name } }: ColumnBuilder): Error {
  const sentence = `A value of column ${name} is stored in a form that cannot be read: rewrite the table's files with another engine`;
  return fail("table_unsupported", sentence, { column: name });
}
