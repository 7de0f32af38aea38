/**
 * Rows of a file in the order of a table (Iceberg spec, "Sorting"): texts by their UTF-8 bytes, uuid,
 * fixed and binary by theirs, floats in IEEE's total order, so that -0 comes before 0 and NaN behind all.
 *
 * It runs where files are encoded, in a Worker. All rows of the file are there before the first one is
 * written: a copy of them, and four bytes a row.
 */
import { assert } from "#base/assert.ts";
import { fail } from "#base/errors.ts";
import { getBit } from "#columns/bitmap.ts";
import { childFields, type Field, type Type } from "#columns/schema.ts";
import type { BatchData, BatchSource, ColumnData } from "./columnData.ts";
import type { SortKey } from "./encoder.ts";
import { gather } from "./gather.ts";
import { picked } from "./handover.ts";

/** Below 0: the first row's value comes first. Never asked about nulls. */
type Compare = (a: number, b: number) => number;

/** The rows of all batches, sorted; rows that compare equal stay in the order in which they came. */
export async function* sorted(
  fields: readonly Field[],
  batches: BatchSource,
  keys: readonly SortKey[],
): AsyncGenerator<BatchData> {
  const whole = await gathered(fields, batches);
  if (whole === null) return;
  const compares = keys.map((key) => compareBy(fields, whole.columns, key));
  const rows = Int32Array.from({ length: whole.rowCount }, (_, row) => row);
  rows.sort((a, b) => {
    for (const compare of compares) {
      const order = compare(a, b);
      if (order !== 0) return order;
    }
    return a - b;
  });
  yield* picked(fields, whole, rows);
}

/** All rows as one batch; null: there are none. */
async function gathered(fields: readonly Field[], batches: BatchSource): Promise<BatchData | null> {
  const all: BatchData[] = [];
  for await (const batch of batches) if (batch.rowCount > 0) all.push(batch);
  const runs = all.map(({ columns, rowCount }) => ({
    columns,
    rows: null,
    start: 0,
    end: rowCount,
  }));
  const bytes = all.reduce((sum, { byteCount }) => sum + byteCount, 0);
  return runs.length === 0 ? null : gather(fields, runs, bytes).batch;
}

/** Compares rows by one key, nulls and direction included. */
function compareBy(
  fields: readonly Field[],
  columns: readonly ColumnData[],
  { path, isDescending, hasNullsFirst }: SortKey,
): Compare {
  const { column, type, validities } = columnAt(fields, columns, path);
  const compare = compareValues(type, column);
  const isNull = (row: number): boolean => validities.some((bits) => !getBit(bits, row));
  const sign = isDescending ? -1 : 1;
  if (validities.length === 0) return (a, b) => sign * compare(a, b);
  const nullOrder = hasNullsFirst ? -1 : 1;
  return (a, b) => {
    const nullA = isNull(a);
    const nullB = isNull(b);
    if (nullA && nullB) return 0;
    if (nullA) return nullOrder;
    return nullB ? -nullOrder : sign * compare(a, b);
  };
}

/** A column, inside structs perhaps, with the bitmaps of all that may be null on the way to it. */
function columnAt(
  fields: readonly Field[],
  columns: readonly ColumnData[],
  [index = -1, ...below]: readonly number[],
): { readonly column: ColumnData; readonly type: Type; readonly validities: Uint8Array[] } {
  const field = fields[index];
  const column = columns[index];
  assert(field !== undefined && column !== undefined, "rows are sorted by a column that they have");
  const own = column.validity === null ? [] : [column.validity];
  if (below.length === 0) return { column, type: field.type, validities: own };
  const found = columnAt(childFields(field.type), column.children, below);
  return { ...found, validities: [...own, ...found.validities] };
}

/** Compares values that are there. Bits and words are those of `columns/batch.ts`. */
function compareValues(type: Type, column: ColumnData): Compare {
  const data = column.data ?? new Uint8Array(0);
  switch (type.kind) {
    case "boolean":
      return (a, b) => Number(getBit(data, a)) - Number(getBit(data, b));
    case "int":
    case "date": {
      const words = wordsOf(data);
      return (a, b) => compareNumbers(words[a] as number, words[b] as number);
    }
    case "float": {
      const words = wordsOf(data);
      return (a, b) => compareNumbers(ordered(words[a] as number), ordered(words[b] as number));
    }
    case "double":
      return compareDoubles(data);
    case "long":
    case "time":
    case "timestamp":
    case "timestamp_ns":
      return compareIntegers(data, 2);
    case "decimal":
      return compareIntegers(data, 4);
    case "uuid":
    case "fixed": {
      const width = type.kind === "uuid" ? 16 : type.length;
      return (a, b) => compareBytes(data, a * width, (a + 1) * width, b * width, (b + 1) * width);
    }
    case "string":
    case "binary": {
      const { offsets } = column;
      assert(offsets !== null, "a column of variable length has offsets");
      const at = (row: number): number => offsets[row] as number;
      return (a, b) => compareBytes(data, at(a), at(a + 1), at(b), at(b + 1));
    }
    case "struct":
    case "list":
    case "map":
      throw fail("internal", `Rows are not sorted by a ${type.kind}`);
  }
}

/** The bits of a float, or the upper ones of a double, as a number in IEEE's total order. */
function ordered(bits: number): number {
  return bits < 0 ? bits ^ 0x7fff_ffff : bits;
}

function compareDoubles(data: Uint8Array): Compare {
  const words = wordsOf(data);
  return (a, b) => {
    const highA = words[2 * a + 1] as number;
    const highB = words[2 * b + 1] as number;
    if (highA !== highB) return compareNumbers(ordered(highA), ordered(highB));
    const order = compareNumbers((words[2 * a] as number) >>> 0, (words[2 * b] as number) >>> 0);
    return highA < 0 ? -order : order;
  };
}

/** Two's complement of some words, little-endian: a BigInt for each would be garbage. */
function compareIntegers(data: Uint8Array, width: number): Compare {
  const words = wordsOf(data);
  return (a, b) => {
    for (let word = width - 1; word >= 0; word--) {
      const x = words[width * a + word] as number;
      const y = words[width * b + word] as number;
      if (x === y) continue;
      return word === width - 1 ? compareNumbers(x, y) : compareNumbers(x >>> 0, y >>> 0);
    }
    return 0;
  };
}

/** Unsigned, the shorter first where one begins with the other: UTF-8 bytes are in code point order. */
function compareBytes(data: Uint8Array, a: number, endA: number, b: number, endB: number): number {
  const shared = Math.min(endA - a, endB - b);
  for (let at = 0; at < shared; at++) {
    const order = (data[a + at] as number) - (data[b + at] as number);
    if (order !== 0) return order;
  }
  return endA - a - (endB - b);
}

function compareNumbers(a: number, b: number): number {
  return a < b ? -1 : Number(a > b);
}

/** A gathered column begins at a multiple of eight. */
function wordsOf(data: Uint8Array): Int32Array {
  return new Int32Array(data.buffer, data.byteOffset, data.byteLength >> 2);
}
