/**
 * A Kafka Connect configuration as it lies on disk: JSON as the REST API takes and gives it, or Java
 * properties. Nothing of it is in a message but the names of its keys: values may be secrets.
 */
import { fail } from "#base/errors.ts";

/** Keys and values of a connector, in their order. `name` may stand among them or around them. */
export type ConnectorKeys = ReadonlyMap<string, string>;

/** Reads the text of a file. Throws `usage` for a text that is neither form. */
export function readConnector(text: string, file: string): ConnectorKeys {
  const keys = text.trimStart().startsWith("{") ? fromJson(text, file) : fromProperties(text);
  if (keys.size === 0) throw fail("usage", `${file} holds no key of a connector`);
  return keys;
}

function fromJson(text: string, file: string): Map<string, string> {
  const whole = parsed(text);
  if (!isObject(whole)) throw fail("usage", `${file} begins as JSON and is no object of it`);
  const keys = new Map<string, string>();
  if (typeof whole["name"] === "string") keys.set("name", whole["name"]);
  const own = isObject(whole["config"]) ? whole["config"] : whole;
  for (const [key, value] of Object.entries(own)) {
    if (value === null) continue;
    if (typeof value === "object") throw fail("usage", `${file}: ${key} is no plain value`);
    keys.set(key, String(value));
  }
  return keys;
}

/** Null for what is no JSON: the parser's message may quote a secret. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `java.util.Properties`: comments, continued lines, `=`, `:` or a blank between key and value, escapes. */
function fromProperties(text: string): Map<string, string> {
  const keys = new Map<string, string>();
  const joined = text.replace(/((?:^|[^\\])(?:\\\\)*)\\\r?\n[ \t\f]*/g, "$1");
  for (const line of joined.split(/\r\n|\r|\n/)) {
    const entry = line.replace(/^[ \t\f]+/, "");
    if (entry === "" || entry.startsWith("#") || entry.startsWith("!")) continue;
    const [key = ""] = /^(?:\\.|[^\\=: \t\f])*/.exec(entry) ?? [];
    const value = entry.slice(key.length).replace(/^[ \t\f]*[=:]?[ \t\f]*/, "");
    keys.set(unescaped(key), unescaped(value));
  }
  return keys;
}

const ESCAPES: Readonly<Record<string, string>> = { t: "\t", n: "\n", r: "\r", f: "\f" };

function unescaped(text: string): string {
  return text.replace(
    /\\(?:u([0-9a-fA-F]{4})|(.))/gs,
    (_, code: string | undefined, one: string) =>
      code === undefined ? (ESCAPES[one] ?? one) : String.fromCharCode(Number.parseInt(code, 16)),
  );
}
