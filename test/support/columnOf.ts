/** Builds Arrow-layout columns from plain values, for tests of partitioning. */
import type { Column, ColumnBatch } from "#columns/batch.ts";
import type { Field, PrimitiveType } from "#columns/schema.ts";
import type { PartitionValue } from "#iceberg/manifest/manifest.ts";
import { encodeSingleValue } from "#iceberg/singleValue.ts";

/** A column of one primitive type; null values are marked in the validity bitmap. */
export function columnOf(
  id: number,
  type: PrimitiveType,
  values: readonly PartitionValue[],
): Column {
  const field: Field = { id, name: `c${id}`, required: false, type };
  const validity = new Uint8Array((values.length + 7) >> 3);
  for (const [row, value] of values.entries()) {
    if (value !== null) validity[row >> 3] = (validity[row >> 3] ?? 0) | (1 << (row & 7));
  }
  const nullCount = values.filter((value) => value === null).length;
  const common = { field, length: values.length, nullCount, validity, children: [] };
  if (type.kind === "boolean") {
    const data = new Uint8Array((values.length + 7) >> 3);
    for (const [row, value] of values.entries()) {
      if (value === true) data[row >> 3] = (data[row >> 3] ?? 0) | (1 << (row & 7));
    }
    return { ...common, offsets: null, data };
  }
  const parts = values.map((value) => bytesOf(type, value));
  const data = new Uint8Array(Buffer.concat(parts));
  if (type.kind !== "string" && type.kind !== "binary") return { ...common, offsets: null, data };
  const offsets = new Int32Array(values.length + 1);
  for (const [row, part] of parts.entries()) offsets[row + 1] = (offsets[row] ?? 0) + part.length;
  return { ...common, offsets, data };
}

/** A batch of one column. */
export function batchOf(...columns: Column[]): ColumnBatch {
  const fields = columns.map((column) => column.field);
  return { fields, rowCount: columns[0]?.length ?? 0, columns, byteCount: 0 };
}

function bytesOf(type: PrimitiveType, value: PartitionValue): Uint8Array {
  if (type.kind === "decimal") {
    const bytes = new Uint8Array(16);
    let rest = typeof value === "bigint" ? value : 0n;
    for (let index = 0; index < 16; index++) {
      bytes[index] = Number(rest & 0xffn);
      rest >>= 8n;
    }
    return bytes;
  }
  if (value !== null) return encodeSingleValue(type, value);
  const widths: Partial<Record<PrimitiveType["kind"], number>> = {
    int: 4,
    date: 4,
    float: 4,
    uuid: 16,
    string: 0,
    binary: 0,
  };
  return new Uint8Array(type.kind === "fixed" ? type.length : (widths[type.kind] ?? 8));
}
