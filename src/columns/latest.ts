/**
 * Tables that keep every change as a row (`delete_mode = "append-dedupe"`, SPEC section 6): what says which row of a key
 * is its newest.
 *
 * A property of the table says it, so that whoever reads the table, or puts its files together, judges rows as its
 * writer does, whatever configuration it was started with.
 */
import { type Json, parseJson, writeJson } from "#base/json.ts";
import type { Field } from "./schema.ts";

/** By names of columns, none of which is inside a struct. */
export interface LatestRows {
  readonly key: readonly string[];
  /** The row with the greatest value is the newest, whichever partition it came by; null: the later record is. */
  readonly orderField: string | null;
  /** The record: of equal orders the greater one counts. */
  readonly partition: string;
  readonly offset: string;
  /** True in rows that say that theirs was deleted; null: no row is left out. */
  readonly deleted: string | null;
}

/** The table's property. */
export const LATEST_PROPERTY = "kafka-iceberg.latest";

/** What the view of the newest rows is called behind the name of its table. */
export const LATEST_SUFFIX = "_latest";

/** The columns that order the rows of a key, the first counts most: the greatest is the newest, nothing is oldest. */
export function orderOf({ orderField, partition, offset }: LatestRows): readonly string[] {
  return orderField === null ? [partition, offset] : [orderField, partition, offset];
}

/** The property as a table has it. */
export function writeLatest(latest: LatestRows): string {
  const { key, orderField, partition, offset, deleted } = latest;
  return writeJson({ key, orderField, partition, offset, deleted });
}

/** What a table's properties say; null: nothing, or nothing that can be read. */
export function latestOf(properties: Readonly<Record<string, string>>): LatestRows | null {
  const text = properties[LATEST_PROPERTY];
  if (text === undefined) return null;
  let value: Json;
  try {
    value = parseJson(text);
  } catch {
    return null;
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) return null;
  const { key, orderField = null, partition, offset, deleted = null } = value;
  const names = Array.isArray(key) ? key.filter((each) => typeof each === "string") : [];
  if (!Array.isArray(key) || names.length === 0 || names.length < key.length) return null;
  if (typeof partition !== "string" || typeof offset !== "string") return null;
  const isName = (name: Json): name is string | null => name === null || typeof name === "string";
  return isName(orderField) && isName(deleted)
    ? { key: names, orderField, partition, offset, deleted }
    : null;
}

/** All columns that it names. */
export function namesOf(latest: LatestRows | null): readonly string[] {
  if (latest === null) return [];
  const { key, deleted } = latest;
  return [...key, ...orderOf(latest), ...(deleted === null ? [] : [deleted])];
}

/** The first of them that a table lacks; undefined: it has all. */
export function missingOf(latest: LatestRows, fields: readonly Field[]): string | undefined {
  return namesOf(latest).find((name) => !fields.some((field) => field.name === name));
}
