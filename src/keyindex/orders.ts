/**
 * Orders of changes: the value of a row's `source.order_field` column as one number (SPEC section 6). Of two
 * changes of a key the one with the larger number is the later one; of equal ones that which comes later.
 */
import { fail } from "#base/errors.ts";
import { typeName } from "#columns/evolve.ts";
import { type Field, isPrimitive } from "#columns/schema.ts";
import type { KeyColumn, KeyField } from "./keyHasher.ts";

/** The order of a row that has none, such as one of another engine: every change is later. */
const NO_ORDER = -(2n ** 63n);

/**
 * The column of orders among a table's.
 * @throws AppError `table_schema` when it is missing, or of a type that has no order
 */
export function orderFieldOf(fields: readonly Field[], name: string): KeyField {
  const found = fields.find((field) => field.name === name);
  if (found !== undefined && isPrimitive(found.type) && ORDERED.has(found.type.kind)) {
    return { id: found.id, name, type: found.type };
  }
  const what = found === undefined ? "is not there" : `is ${typeName(found.type)}`;
  const sentence =
    `Column ${name} of source.order_field ${what}: changes are ordered by a column of type int, long, ` +
    "date, time or timestamp";
  throw fail("table_schema", sentence, { column: name });
}

/** Types whose values are whole numbers: what an order may be. */
const ORDERED: ReadonlySet<string> = new Set([
  "int",
  "long",
  "date",
  "time",
  "timestamp",
  "timestamp_ns",
]);

/** The orders of rows. @throws for a column of another type */
export function ordersOf({ values, nulls }: KeyColumn): BigInt64Array {
  if (values.kind !== "word") throw new TypeError("an order is a whole number");
  if (nulls === null) return values.words;
  const orders = values.words.slice();
  for (let row = 0; row < nulls.length; row++) if (nulls[row] === 1) orders[row] = NO_ORDER;
  return orders;
}

/** The largest order of a data file, from the bound in its manifest; null: it does not say. */
export function orderBound(bytes: Uint8Array | null = null): bigint | null {
  if (bytes === null) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length === 8) return view.getBigInt64(0, true);
  return bytes.length === 4 ? BigInt(view.getInt32(0, true)) : null;
}
