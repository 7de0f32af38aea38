/**
 * Columns that a table has before any record was read, beside the declared ones: that of the event time, and
 * those of masked fields.
 */
import { fail } from "#base/errors.ts";
import { overlayFields } from "#columns/evolve.ts";
import { isReservedName } from "#columns/names.ts";
import { joinPath, repeatedPath } from "#columns/paths.ts";
import type { Field, Type } from "#columns/schema.ts";

/** The type of the event time's column, where nothing else is declared. */
export const EVENT_TIME: Type = { kind: "timestamp", zone: true };

/** A field with the column at `wanted` made a timestamptz, where it is a plain number or text. */
export function asEventTime(field: Field, path: string, wanted: string): Field {
  const { type } = field;
  if (type.kind === "struct") {
    const fields = type.fields.map((each) => asEventTime(each, joinPath(path, each.name), wanted));
    return { ...field, type: { kind: "struct", fields } };
  }
  const isPlain = ["int", "long", "double", "string"].includes(type.kind);
  return path === wanted && isPlain ? { ...field, type: EVENT_TIME } : field;
}

/** Fields with a further column: in the struct that is there, or in front of all. */
export function withColumn(fields: readonly Field[], column: Field): readonly Field[] {
  const isInStruct = fields.some((field) => field.name === column.name);
  return isInStruct ? overlayFields(fields, [column]) : [column, ...fields];
}

/** A new column inside a struct for each name but the last. */
export function nested([name = "", ...below]: readonly string[], type: Type): Field {
  const whole: Type = below.length === 0 ? type : { kind: "struct", fields: [nested(below, type)] };
  return { id: 0, name, required: false, type: whole };
}

/** True for a path that may lead into a list or a map: only a record or a schema can say what is around it. */
export function maybeRepeated(path: string): boolean {
  return /\.(element|value)(\.|$)/.test(path);
}

/** @throws AppError `usage` for names that cannot stand in one table */
export function refuseNames(fields: readonly Field[]): void {
  for (const { name } of fields) {
    if (!isReservedName(name)) continue;
    const sentence = `No column can be called "${name}": Iceberg keeps that name for itself`;
    throw fail("usage", `${sentence}. Rename it, or choose another source.metadata_prefix`);
  }
  const path = repeatedPath(fields);
  if (path === null) return;
  throw fail("usage", `Two columns are called "${path}" (upper and lower case count as one)`);
}
