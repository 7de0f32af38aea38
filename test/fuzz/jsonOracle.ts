/**
 * What a document must become, told by `JSON.parse` and the listed exceptions alone.
 */

import { LIMITS } from "#base/limits.ts";
import type { Field, Type } from "#columns/schema.ts";
import type { Value } from "../support/columnValues.ts";
import { floatNearestTo } from "./floatOracle.ts";

/** A number as `JSON.parse` sees it, with its text. */
export class NumberText {
  readonly text: string;
  readonly value: number;

  constructor(text: string, value: number) {
    this.text = text;
    this.value = value;
  }
}

/** A value that its column cannot hold. */
export const CONFLICT: unique symbol = Symbol("conflict");

/** Parsed JSON whose numbers keep their text; null when the document is refused as a whole. */
export function parse(bytes: Uint8Array): { readonly [key: string]: unknown } | null {
  let parsed: unknown;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    const reviver = (_key: string, value: unknown, context?: { source?: string }): unknown =>
      typeof value === "number" ? new NumberText(context?.source ?? "", value) : value;
    parsed = JSON.parse(text, reviver as (key: string, value: unknown) => unknown);
  } catch {
    return null;
  }
  return isObject(parsed) ? parsed : null;
}

/** True for JSON objects. */
export function isObject(value: unknown): value is { readonly [key: string]: unknown } {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof NumberText)
  );
}

/**
 * The listed exceptions: documents that `JSON.parse` takes and we refuse whatever the columns.
 * Judged on the text, because of a duplicate key's earlier value `JSON.parse` shows nothing.
 */
export function isException(bytes: Uint8Array): boolean {
  const text = new TextDecoder().decode(bytes);
  return depthOf(text) > LIMITS.jsonDepthMax || hasLoneEscape(text);
}

function depthOf(text: string): number {
  const bare = text.replaceAll(/"(?:[^"\\]|\\.)*"/gs, '""');
  let depth = 0;
  let deepest = 0;
  for (const c of bare) {
    if (c === "{" || c === "[") deepest = Math.max(deepest, ++depth);
    else if (c === "}" || c === "]") depth--;
  }
  return deepest;
}

function hasLoneEscape(text: string): boolean {
  const strings = text.match(/"(?:[^"\\]|\\.)*"/gs) ?? [];
  return strings.some((literal) => !(JSON.parse(literal) as string).isWellFormed());
}

/** The value that a column of `field` must have, or CONFLICT. */
export function expected(field: Field, json: unknown): Value | typeof CONFLICT {
  if (json === null || json === undefined) return field.required ? CONFLICT : null;
  const { type } = field;
  if (type.kind === "struct") return isObject(json) ? structValue(type.fields, json) : CONFLICT;
  if (type.kind === "list") {
    return Array.isArray(json) ? listValue(type.element, json) : CONFLICT;
  }
  if (type.kind === "map") return isObject(json) ? mapValue(type.value, json) : CONFLICT;
  return scalarValue(type, json);
}

function scalarValue(type: Type, json: unknown): Value | typeof CONFLICT {
  if (type.kind === "string" || type.kind === "boolean") {
    return typeof json === type.kind ? (json as Value) : CONFLICT;
  }
  return json instanceof NumberText ? numberValue(type, json) : CONFLICT;
}

function listValue(element: Field, json: readonly unknown[]): Value | typeof CONFLICT {
  const values = json.map((value) => expected(element, value));
  return values.includes(CONFLICT) ? CONFLICT : (values as Value[]);
}

function mapValue(value: Field, json: object): Value | typeof CONFLICT {
  const entries = Object.entries(json).map(([k, v]) => [k, expected(value, v)] as const);
  if (entries.some(([, v]) => v === CONFLICT)) return CONFLICT;
  return new Map(entries as [string, Value][]);
}

function structValue(
  fields: readonly Field[],
  json: { readonly [key: string]: unknown },
): Value | typeof CONFLICT {
  const result: Record<string, Value> = {};
  for (const field of fields) {
    const value = expected(field, Object.hasOwn(json, field.name) ? json[field.name] : null);
    if (value === CONFLICT) return CONFLICT;
    result[field.name] = value;
  }
  return result;
}

function numberValue(type: Type, { text, value }: NumberText): Value | typeof CONFLICT {
  if (type.kind === "float") {
    const nearest = floatNearestTo(text);
    return Number.isFinite(nearest) ? nearest : CONFLICT;
  }
  if (type.kind === "double") return doubleValue(value, text);
  const integer = exactInteger(text);
  if (integer === null) return CONFLICT;
  const bits = type.kind === "int" ? 32 : 64;
  if (BigInt.asIntN(bits, integer) !== integer) return CONFLICT;
  return bits === 32 ? Number(integer) : integer;
}

/** Whole numbers beyond 2^53 keep every digit, or are what a double prints of itself (SPEC section 5). */
function doubleValue(nearest: number, text: string): number | typeof CONFLICT {
  if (!Number.isFinite(nearest)) return CONFLICT;
  const whole = /[.e]/i.test(text) ? 0n : BigInt(text);
  const isLarge = whole > 2n ** 53n || whole < -(2n ** 53n);
  return isLarge && whole !== BigInt(nearest) && text !== String(nearest) ? CONFLICT : nearest;
}

/** The integer that a JSON number's text stands for, null when it is none (or beyond 400 digits). */
function exactInteger(text: string): bigint | null {
  const [mantissa = "", exponent = "0"] = text.toLowerCase().split("e");
  const [whole = "", fraction = ""] = mantissa.split(".");
  const digits = BigInt((whole + fraction).replace("-", "") || "0");
  if (digits === 0n) return 0n;
  const shift = Number(exponent) - fraction.length;
  if (Math.abs(shift) > 400) return null;
  const scaled = shift >= 0 ? digits * 10n ** BigInt(shift) : digits / 10n ** BigInt(-shift);
  if (shift < 0 && scaled * 10n ** BigInt(-shift) !== digits) return null;
  return text.startsWith("-") ? -scaled : scaled;
}

/** True when an object holds a typed value at a name that `fields` do not have. */
export function leftOver(fields: readonly Field[], json: unknown): boolean {
  if (!isObject(json)) return false;
  return Object.entries(json).some(([name, value]) => {
    const known = fields.find((candidate) => candidate.name === name);
    return known === undefined ? hasType(value) : leftOverValue(known.type, value);
  });
}

function leftOverValue(type: Type, value: unknown): boolean {
  if (type.kind === "struct") return leftOver(type.fields, value);
  if (type.kind !== "list" || !Array.isArray(value)) return false;
  return value.some((element) => leftOverValue(type.element.type, element));
}

/** False for null, [] and {}, and lists and objects of nothing else. */
function hasType(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(hasType);
  if (isObject(value)) return Object.values(value).some(hasType);
  return value !== null;
}
