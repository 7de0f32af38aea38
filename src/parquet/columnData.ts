/**
 * Columns without their fields: what crosses a thread boundary and what the encoder reads.
 *
 * The encoder takes names, types and ids from the table's fields, never from a batch, so the fields
 * of a batch stay behind. `Column` is a `ColumnData`.
 */
import { unreachable } from "#base/assert.ts";
import { childFields, type Field, isPrimitive, type Type } from "#columns/schema.ts";

/** One column, or one child of a nested column; the layout of `Column` in `#columns/batch.ts`. */
export interface ColumnData {
  readonly length: number;
  readonly nullCount: number;
  readonly validity: Uint8Array | null;
  readonly offsets: Int32Array | null;
  readonly data: Uint8Array | null;
  readonly children: readonly ColumnData[];
}

/** A run of rows. `byteCount` only steers how much is handed over at a time. */
export interface BatchData {
  readonly rowCount: number;
  readonly byteCount: number;
  readonly columns: readonly ColumnData[];
}

/** A batch of these fields without rows. */
export function emptyBatch(fields: readonly Field[]): BatchData {
  return { rowCount: 0, byteCount: 0, columns: fields.map(({ type }) => emptyColumn(type)) };
}

function emptyColumn(type: Type): ColumnData {
  const hasOffsets = ["string", "binary", "list", "map"].includes(type.kind);
  return {
    length: 0,
    nullCount: 0,
    validity: null,
    offsets: hasOffsets ? new Int32Array(1) : null,
    data: isPrimitive(type) ? new Uint8Array(0) : null,
    children: childFields(type).map((child) => emptyColumn(child.type)),
  };
}

/** Bytes of `data` that the column's values take; 0 for nested types, which have none. */
export function usedDataBytes(type: Type, column: ColumnData): number {
  switch (type.kind) {
    case "boolean":
      return (column.length + 7) >> 3;
    case "int":
    case "float":
    case "date":
      return 4 * column.length;
    case "long":
    case "double":
    case "time":
    case "timestamp":
    case "timestamp_ns":
      return 8 * column.length;
    case "decimal":
    case "uuid":
      return 16 * column.length;
    case "fixed":
      return type.length * column.length;
    case "string":
    case "binary":
      return column.offsets?.[column.length] ?? 0;
    case "struct":
    case "list":
    case "map":
      return 0;
    default:
      return unreachable(type);
  }
}
