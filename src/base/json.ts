/**
 * The one door for JSON that holds 64-bit integers: no digit is lost on the way in or out.
 *
 * Integers outside +-(2^53 - 1) become `bigint`, all others stay numbers. What we read ourselves
 * (table metadata, the log) is written with plain digits, as its formats want; what other programs
 * read has such integers as strings.
 */

/** Any parsed JSON value. */
export type Json = string | number | bigint | boolean | null | Json[] | { [key: string]: Json };

/** Parses JSON text. Throws SyntaxError on malformed text. */
export function parseJson(text: string): Json {
  const reviver = (_key: string, value: unknown, context?: { source?: string }): unknown => {
    if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
    const source = context?.source;
    return source !== undefined && /^-?\d+$/.test(source) ? BigInt(source) : value;
  };
  return JSON.parse(text, reviver as (key: string, value: unknown) => unknown) as Json;
}

/** `JSON.rawJSON` is standard, but not yet in TypeScript's library. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };

/**
 * Writes JSON text; bigints as plain digits, undefined members left out.
 * @param indent spaces per level; default 0 (one line)
 */
export function writeJson(value: unknown, indent = 0): string {
  const replacer = (_key: string, v: unknown): unknown =>
    typeof v === "bigint" ? rawJSON(v.toString()) : v;
  return JSON.stringify(value, replacer, indent);
}

/** A number of more digits than a double has, as both writers write it: `0.10`. */
export function exactNumber(text: string): unknown {
  return rawJSON(text);
}

/**
 * Writes JSON text for other programs, most of which read numbers as doubles: a bigint that a double
 * cannot hold is a string, any other one a number (the rule of all that is printed or served).
 * @param indent spaces per level; default 0 (one line)
 */
export function writePortableJson(value: unknown, indent = 0): string {
  const replacer = (_key: string, v: unknown): unknown => {
    if (typeof v !== "bigint") return v;
    const number = Number(v);
    return Number.isSafeInteger(number) ? number : v.toString();
  };
  return JSON.stringify(value, replacer, indent);
}
