/**
 * Declared columns: `[schema] fields` and `schema.file` as provisional {@link Field}s (id 0).
 *
 * Types are Iceberg's text forms (`long`, `decimal(10, 2)`, `timestamptz`), nested ones
 * `struct<a: int, b: string>`, `list<double>`, `map<string, long>`, or Iceberg's JSON objects of
 * them (Iceberg spec, "Schemas", JSON serialization).
 */
import { repeatedPath } from "#columns/paths.ts";
import { type Field, parsePrimitive, type Type } from "#columns/schema.ts";
import type { ConfigValue } from "./spec.ts";
import { isTable } from "./value.ts";

/** Fields, or one clause that says what is wrong. */
export type ParsedFields = { readonly fields: readonly Field[] } | { readonly problem: string };

/** Parses declared columns: `{name, type, required, doc}` each. */
export function parseFields(declared: readonly ConfigValue[]): ParsedFields {
  const fields: Field[] = [];
  for (const [index, item] of declared.entries()) {
    const field = parseField(item);
    if (typeof field === "string") return { problem: `${field} (entry ${index + 1})` };
    fields.push(field);
  }
  const repeated = repeatedPath(fields);
  if (repeated !== null) return { problem: `declares ${repeated} twice` };
  return fields.length === 0 ? { problem: "must declare at least one column" } : { fields };
}

/** A field, or a clause that says what is wrong. */
function parseField(item: ConfigValue): Field | string {
  if (!isTable(item)) return "wants {name, type, required, doc}";
  const { name, type, required = false, doc, ...others } = item;
  // Iceberg's own JSON numbers its fields; here ids belong to the table.
  const other = Object.keys(others).find((key) => key !== "id");
  if (other !== undefined) return `has the unknown member ${other}`;
  if (typeof name !== "string" || name === "") return "has no name";
  if (typeof required !== "boolean") return `${name}: required must be true or false`;
  if (doc !== undefined && typeof doc !== "string") return `${name}: doc must be a string`;
  const parsed = type === undefined ? null : parseType(type);
  if (parsed === null) return `${name}: ${JSON.stringify(type ?? "")} is not an Iceberg type`;
  return { id: 0, name, required, type: parsed, ...(doc === undefined ? {} : { doc }) };
}

function parseType(type: ConfigValue): Type | null {
  if (typeof type === "string") return parseTypeText(type);
  if (!isTable(type)) return null;
  const kind = type["type"];
  if (kind === "struct") return structOf(type["fields"]);
  if (kind === "list") return listOf(member(type["element"]), type["element-required"] === true);
  if (kind !== "map") return null;
  return mapOf(member(type["key"]), member(type["value"]), type["value-required"] === true);
}

function member(type: ConfigValue | undefined): Type | null {
  return type === undefined ? null : parseType(type);
}

function structOf(fields: ConfigValue | undefined): Type | null {
  const parsed = Array.isArray(fields) ? parseFields(fields) : null;
  return parsed === null || "problem" in parsed ? null : { kind: "struct", fields: parsed.fields };
}

function listOf(element: Type | null, required: boolean): Type | null {
  if (element === null) return null;
  return { kind: "list", element: { id: 0, name: "element", required, type: element } };
}

function mapOf(key: Type | null, value: Type | null, required: boolean): Type | null {
  if (key === null || value === null) return null;
  return {
    kind: "map",
    key: { id: 0, name: "key", required: true, type: key },
    value: { id: 0, name: "value", required, type: value },
  };
}

/** Parses Iceberg's text form of any type; null when it is none. */
function parseTypeText(text: string): Type | null {
  const nested = /^\s*(struct|list|map)\s*<([\s\S]*)>\s*$/.exec(text);
  if (nested === null) return parsePrimitive(text.trim());
  const parts = splitTop(nested[2] ?? "");
  const kind = nested[1];
  if (kind === "struct") return structOf(parts.map(structMember));
  const [first = "", second = ""] = parts;
  if (kind === "list") return parts.length === 1 ? listOf(parseTypeText(first), false) : null;
  return parts.length === 2 ? mapOf(parseTypeText(first), parseTypeText(second), false) : null;
}

/** `name: type` as a declared field. */
function structMember(text: string): ConfigValue {
  const colon = text.indexOf(":");
  return { name: text.slice(0, colon).trim(), type: text.slice(colon + 1).trim() };
}

/** Splits at commas that stand in no bracket. */
function splitTop(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    const c = text[at] ?? "";
    if ("<([".includes(c)) depth++;
    else if (">)]".includes(c)) depth--;
    else if (c === "," && depth === 0) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  return [...parts, text.slice(start)];
}
