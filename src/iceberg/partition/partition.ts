/**
 * Splits batches of rows by partition, and names partitions in paths (Iceberg spec, "Partitioning").
 *
 * Rows never become objects: every partition field turns its column into small integer codes
 * (`partitionCodes.ts`), codes of several fields are combined, and rows are sorted by code once.
 */
import { assert } from "#base/assert.ts";
import type { Column, ColumnBatch } from "#columns/batch.ts";
import type { Field } from "#columns/schema.ts";
import type { PartitionValue } from "#iceberg/manifest/manifest.ts";
import type { PartitionSpec } from "#iceberg/metadata/metadata.ts";
import { humanValue } from "./humanValue.ts";
import { type CodedRows, codeNumbers, codeRows, type SourceColumn } from "./partitionCodes.ts";
import { primitiveById } from "./partitionType.ts";
import { parseTransform } from "./transform.ts";

/** The rows of a batch that belong to one partition. */
export interface PartitionedRows {
  /** One value per field of the spec. */
  readonly partition: readonly PartitionValue[];
  /** Row numbers, ascending; null: all rows of the batch. */
  readonly rows: Int32Array | null;
}

/**
 * Splits a batch by the spec's partitions, in order of their first rows; nothing for no rows.
 * Two parts never have the same partition.
 * @param fields the table's schema; the batch's columns are found by field id
 */
export function partitionRows(
  spec: PartitionSpec,
  fields: readonly Field[],
  batch: ColumnBatch,
): PartitionedRows[] {
  if (batch.rowCount === 0) return [];
  let codes: Int32Array | null = null;
  let partitions: PartitionValue[][] = [[]];
  for (const { sourceId, transform: text } of spec.fields) {
    const transform = parseTransform(text);
    if (transform.kind === "void") {
      partitions = partitions.map((values) => [...values, null]);
      continue;
    }
    const coded = codeRows(transform, sourceColumn(fields, batch, sourceId));
    const joined = join(codes, coded);
    const before = partitions;
    partitions = joined.pairs.map(([left, right]) => [
      ...(before[left] ?? []),
      coded.values[right] ?? null,
    ]);
    codes = joined.codes;
  }
  return groupRows(codes, partitions);
}

/** Codes of pairs of codes; `pairs` says which pair a code stands for. */
function join(
  left: Int32Array | null,
  right: CodedRows,
): { readonly codes: Int32Array | null; readonly pairs: readonly (readonly [number, number])[] } {
  const rightPairs = right.values.map((_, code) => [0, code] as const);
  if (left === null) return { codes: right.codes, pairs: rightPairs };
  const width = right.values.length;
  const keys = new Float64Array(left.length);
  for (let row = 0; row < left.length; row++) {
    keys[row] = (left[row] as number) * width + (right.codes?.[row] ?? 0);
  }
  const { codes, distinct } = codeNumbers(keys);
  return { codes, pairs: distinct.map((key) => [Math.floor(key / width), key % width]) };
}

/** Sorts row numbers by code (counting sort: stable, linear). */
function groupRows(
  codes: Int32Array | null,
  partitions: readonly (readonly PartitionValue[])[],
): PartitionedRows[] {
  if (codes === null) return partitions.map((partition) => ({ partition, rows: null }));
  const next = new Int32Array(partitions.length + 1);
  for (let row = 0; row < codes.length; row++) {
    const after = (codes[row] as number) + 1;
    next[after] = (next[after] as number) + 1;
  }
  for (let code = 1; code < next.length; code++) {
    next[code] = (next[code] ?? 0) + (next[code - 1] ?? 0);
  }
  const starts = next.slice();
  const rows = new Int32Array(codes.length);
  for (let row = 0; row < codes.length; row++) {
    const code = codes[row] ?? 0;
    const at = next[code] ?? 0;
    rows[at] = row;
    next[code] = at + 1;
  }
  return partitions.map((partition, code) => ({
    partition,
    rows: rows.subarray(starts[code], starts[code + 1]),
  }));
}

/** A partition's source column, at any depth of structs, with the nulls of the structs around it. */
function sourceColumn(
  fields: readonly Field[],
  batch: ColumnBatch,
  sourceId: number,
): SourceColumn {
  const path = columnPath(batch.columns, sourceId);
  const column = path.at(-1);
  const type = primitiveById(fields, sourceId);
  assert(column !== undefined && type !== null, `the batch has partition column ${sourceId}`);
  return { type, column, nulls: nullsOf(path, batch.rowCount) };
}

/** The column with that field id and the structs around it, outermost first; empty: not found. */
function columnPath(columns: readonly Column[], id: number): Column[] {
  for (const column of columns) {
    if (column.field.id === id) return [column];
    const below = column.field.type.kind === "struct" ? columnPath(column.children, id) : [];
    if (below.length > 0) return [column, ...below];
  }
  return [];
}

/** One byte per row, 1: null at some level; null: no row is. */
function nullsOf(path: readonly Column[], rowCount: number): Uint8Array | null {
  let nulls: Uint8Array | null = null;
  for (const { validity, nullCount } of path) {
    if (validity === null || nullCount === 0) continue;
    nulls ??= new Uint8Array(rowCount);
    for (let row = 0; row < rowCount; row++) {
      if ((((validity[row >> 3] ?? 0) >> (row & 7)) & 1) === 0) nulls[row] = 1;
    }
  }
  return nulls;
}

/**
 * A partition in words, `event_day=2026-01-08/kind=a%2Fb`, as Java's `PartitionSpec.partitionToPath`
 * names it; empty for an unpartitioned table. Different partitions may have the same words (null and
 * the text "null"), so they identify none. Of any length: files go into `partitionFolder`.
 */
export function partitionPath(
  spec: PartitionSpec,
  fields: readonly Field[],
  partition: readonly PartitionValue[],
): string {
  return partitionParts(spec, fields, partition).join("/");
}

/** The parts of `partitionPath`, one for each field of the spec: ASCII without `/` and `~`. */
export function partitionParts(
  spec: PartitionSpec,
  fields: readonly Field[],
  partition: readonly PartitionValue[],
): string[] {
  return spec.fields.map(({ name, transform, sourceId }, index) => {
    const source = primitiveById(fields, sourceId) ?? { kind: "string" };
    const text = humanValue(parseTransform(transform), source, partition[index] ?? null);
    return `${urlEncode(name)}=${urlEncode(text)}`;
  });
}

/** `application/x-www-form-urlencoded`, as Java's `URLEncoder`. */
function urlEncode(text: string): string {
  return encodeURIComponent(text.toWellFormed())
    .replaceAll("%20", "+")
    .replaceAll(/[!'()~]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
