/**
 * One value against its key's declaration: type, words, bounds.
 */
import type { ConfigValue, KeySpec, KeyType } from "./spec.ts";

/** A value of the declared type, or one clause that says why it is none. */
export type Checked = { readonly value: ConfigValue } | { readonly problem: string };

const TYPE_NAMES: Readonly<Record<KeyType, string>> = {
  string: "a string",
  integer: "an integer",
  number: "a number",
  boolean: "true or false",
  strings: "an array of strings",
  integers: "an array of integers",
  map: "a table of strings",
  tables: "an array of tables",
  auto_or_integer: 'an integer or "auto"',
};

/**
 * Checks `value` against `spec`.
 * @param foreign the value came from `${...}` or a flag: text is taken as a number or boolean where
 *   one is wanted; never quoted in the problem
 */
export function checkValue(spec: KeySpec, value: ConfigValue, foreign: boolean): Checked {
  const typed = typeof value === "string" && foreign ? fromText(spec.type, value) : value;
  const hidden = foreign || spec.secret === true;
  if (!IS_TYPE[spec.type](typed)) {
    return { problem: `must be ${TYPE_NAMES[spec.type]}, is ${typeName(typed)}` };
  }
  if (typed === "" && needsText(spec)) {
    return { problem: "must not be empty: leave the key out for its default" };
  }
  const items = (Array.isArray(typed) ? typed : [typed]).map((item) => wordOf(spec, item));
  for (const item of items) {
    const problem = itemProblem(spec, item, hidden);
    if (problem !== null) return { problem };
  }
  return { value: Array.isArray(typed) ? items : (items[0] as ConfigValue) };
}

/** Names, paths and separators: nobody means the empty one, and much would take it for another. */
function needsText({ type, default: usual, values, mayBeEmpty }: KeySpec): boolean {
  const isText = type === "string" && values === undefined;
  return isText && usual !== null && usual !== "" && mayBeEmpty !== true;
}

/** Words are taken in any case, as other programs write them: `SCRAM-SHA-512`, `ZSTD`. */
function wordOf(spec: KeySpec, item: ConfigValue): ConfigValue {
  if (typeof item !== "string") return item;
  return spec.values?.find((word) => word.toLowerCase() === item.toLowerCase()) ?? item;
}

function itemProblem(spec: KeySpec, item: ConfigValue, hidden: boolean): string | null {
  const shown = hidden ? "another value" : JSON.stringify(item);
  if (typeof item === "number") {
    if (spec.min !== undefined && item < spec.min)
      return `must be at least ${spec.min}, is ${shown}`;
    if (spec.max !== undefined && item > spec.max)
      return `must be at most ${spec.max}, is ${shown}`;
  }
  if (typeof item === "string" && spec.values !== undefined && !spec.values.includes(item)) {
    return `must be one of ${spec.values.join(", ")}, is ${shown}`;
  }
  return null;
}

function fromText(type: KeyType, text: string): ConfigValue {
  if (type === "boolean" && (text === "true" || text === "false")) return text === "true";
  const wantsNumber = type === "integer" || type === "number" || type === "auto_or_integer";
  return wantsNumber && /^[+-]?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}

const isString = (value: unknown): boolean => typeof value === "string";

const IS_TYPE: Readonly<Record<KeyType, (value: ConfigValue) => boolean>> = {
  string: isString,
  integer: Number.isSafeInteger,
  number: Number.isFinite,
  boolean: (value) => typeof value === "boolean",
  strings: (value) => Array.isArray(value) && value.every(isString),
  integers: (value) =>
    Array.isArray(value) && value.length > 0 && value.every(Number.isSafeInteger),
  map: (value) => isTable(value) && Object.values(value).every(isString),
  tables: (value) => Array.isArray(value) && value.every(isTable),
  auto_or_integer: (value) => value === "auto" || Number.isSafeInteger(value),
};

/** True for TOML tables. */
export function isTable(value: unknown): value is { readonly [key: string]: ConfigValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function typeName(value: ConfigValue): string {
  if (Array.isArray(value)) return "an array";
  if (typeof value === "string") return "a string";
  if (typeof value === "boolean") return "a boolean";
  if (typeof value === "number") return numberName(value);
  return "a table";
}

function numberName(value: number): string {
  if (!Number.isFinite(value)) return "not a finite one";
  if (!Number.isInteger(value)) return "a fraction";
  return Number.isSafeInteger(value) ? "an integer" : "beyond 2^53";
}
