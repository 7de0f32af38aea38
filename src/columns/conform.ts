/**
 * A sealed batch as the table's current fields want it: found by name at every level, in the
 * table's order and with its ids; missing optional columns are all null, values are promoted.
 *
 * Nothing is guessed: a column that the table lacks, a required column with nulls, or a type that
 * does not promote is a `table_schema` error that names the column.
 */
import { fail } from "#base/errors.ts";
import type { Column, ColumnBatch } from "./batch.ts";
import { bitmapBytes, getBit } from "./bitmap.ts";
import { hasOffsets, valueBytes } from "./builder.ts";
import { canPromote, typeName } from "./evolve.ts";
import {
  childFields,
  type Field,
  isPrimitive,
  type PrimitiveType,
  primitiveName,
} from "./schema.ts";

/** Maps a batch onto `targetFields`, sharing the memory of what stays as it is. */
export function conform(batch: ColumnBatch, targetFields: readonly Field[]): ColumnBatch {
  const columns = conformColumns(batch.columns, targetFields, batch.rowCount, "", null);
  const byteCount = Math.max(batch.byteCount, columnsBytes(columns));
  return { fields: targetFields, rowCount: batch.rowCount, columns, byteCount };
}

/** @param parent validity of the struct around: nulls inside its nulls do not count */
function conformColumns(
  columns: readonly Column[],
  fields: readonly Field[],
  length: number,
  path: string,
  parent: Uint8Array | null,
): Column[] {
  const byName = new Map(columns.map((column) => [column.field.name, column]));
  const result = fields.map((field) => {
    const at = path === "" ? field.name : `${path}.${field.name}`;
    const column = byName.get(field.name) ?? nullColumn(field, length);
    byName.delete(field.name);
    return conformColumn(column, field, at, parent);
  });
  for (const name of byName.keys()) {
    const column = path === "" ? name : `${path}.${name}`;
    throw fail("table_schema", `The table has no column "${column}"`, { column });
  }
  return result;
}

function conformColumn(
  column: Column,
  field: Field,
  path: string,
  parent: Uint8Array | null,
): Column {
  if (field.required && hasNulls(column, parent)) {
    throw fail("table_schema", `Column "${path}" is required, but rows have no value for it`, {
      column: path,
    });
  }
  const from = column.field.type;
  const to = field.type;
  if (isPrimitive(from) && isPrimitive(to)) {
    return { ...column, field, data: promote(column, from, to, path) };
  }
  if (from.kind !== to.kind) throw mismatch(column.field, field, path);
  if (to.kind === "struct") {
    const inside = column.validity ?? parent;
    const children = conformColumns(column.children, to.fields, column.length, path, inside);
    return { ...column, field, children };
  }
  const children = childFields(to).map((child, index) =>
    conformColumn(column.children[index] as Column, child, `${path}.${child.name}`, null),
  );
  return { ...column, field, children };
}

function hasNulls(column: Column, parent: Uint8Array | null): boolean {
  const { validity, length } = column;
  if (validity === null || column.nullCount === 0) return false;
  for (let row = 0; row < length; row++) {
    if (!getBit(validity, row) && (parent === null || getBit(parent, row))) return true;
  }
  return false;
}

function promote(
  column: Column,
  from: PrimitiveType,
  to: PrimitiveType,
  path: string,
): Uint8Array | null {
  const { data, length } = column;
  if (primitiveName(from) === primitiveName(to)) return data;
  if (!canPromote(from, to)) throw mismatch(column.field, { ...column.field, type: to }, path);
  if (data === null || from.kind === "decimal") return data;
  if (from.kind === "int") {
    const ints = new Int32Array(data.buffer, data.byteOffset, length);
    const words = new Int32Array(length * 2);
    for (let row = 0; row < length; row++) {
      words[row * 2] = ints[row] as number;
      words[row * 2 + 1] = (ints[row] as number) >> 31;
    }
    return new Uint8Array(words.buffer);
  }
  const doubles = new Float64Array(new Float32Array(data.buffer, data.byteOffset, length));
  return new Uint8Array(doubles.buffer);
}

/** A column of nulls. */
function nullColumn(field: Field, length: number): Column {
  const { type } = field;
  const isStruct = type.kind === "struct";
  const isBytes = type.kind === "string" || type.kind === "binary";
  const size = type.kind === "boolean" ? bitmapBytes(length) : valueBytes(type) * length;
  return {
    field,
    length,
    nullCount: length,
    validity: length === 0 ? null : new Uint8Array(bitmapBytes(length)),
    offsets: hasOffsets(type) ? new Int32Array(length + 1) : null,
    data: isPrimitive(type) ? new Uint8Array(isBytes ? 0 : size) : null,
    children: childFields(type).map((child) => nullColumn(child, isStruct ? length : 0)),
  };
}

function mismatch(have: Field, want: Field, path: string): Error {
  const sentence = `Column "${path}" is ${typeName(want.type)} in the table, but ${typeName(have.type)} in the data`;
  return fail("table_schema", sentence, { column: path });
}

/** Bytes that columns keep in memory, children included. */
function columnsBytes(columns: readonly Column[]): number {
  let total = 0;
  for (const { validity, offsets, data, children } of columns) {
    total += (validity?.length ?? 0) + (offsets?.byteLength ?? 0) + (data?.length ?? 0);
    total += columnsBytes(children);
  }
  return total;
}
