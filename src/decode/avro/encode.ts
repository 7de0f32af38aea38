/**
 * Defaults of a schema as the bytes of a value (Avro 1.12, "Complex Types", default values, and "Binary
 * encoding"): they are read then like any other.
 */
import type { AvroType } from "./schema.ts";

/** The bytes of a default; null: it is no value of its type. */
export function encodeDefault(type: AvroType, json: unknown): Uint8Array | null {
  const bytes: number[] = [];
  return encode(type, json, bytes) ? new Uint8Array(bytes) : null;
}

function encode(type: AvroType, json: unknown, out: number[]): boolean {
  switch (type.kind) {
    case "null":
      return json === null;
    case "boolean":
      return typeof json === "boolean" && out.push(json ? 1 : 0) > 0;
    case "int":
    case "long":
      return encodeInteger(json, type.kind === "int" ? 32 : 64, out);
    case "float":
    case "double":
      return encodeFloat(json, type.kind === "float" ? 4 : 8, out);
    case "string":
      return typeof json === "string" && pushSized(new TextEncoder().encode(json), out);
    case "bytes":
      return typeof json === "string" && pushSized(Buffer.from(json, "latin1"), out);
    case "fixed":
      return typeof json === "string" && json.length === type.size && pushLatin(json, out);
    case "enum":
      return type.symbols.includes(String(json)) && pushIndex(type.symbols, String(json), out);
    case "union":
      return encodeUnion(type.branches, json, out);
    default:
      return encodeMembers(type, json, out);
  }
}

/** Arrays, maps and records. */
function encodeMembers(
  type: Extract<AvroType, { kind: "array" | "map" | "record" }>,
  json: unknown,
  out: number[],
): boolean {
  if (type.kind === "array") {
    if (!Array.isArray(json)) return false;
    if (json.length > 0) pushLong(BigInt(json.length), out);
    const isWhole = json.every((each) => encode(type.items, each, out));
    out.push(0);
    return isWhole;
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) return false;
  const members = json as Readonly<Record<string, unknown>>;
  if (type.kind === "record") {
    return type.fields.every(({ name, type: inner, fallback }) =>
      encode(inner, members[name] === undefined ? fallback : members[name], out),
    );
  }
  const entries = Object.entries(members);
  if (entries.length > 0) pushLong(BigInt(entries.length), out);
  const isWhole = entries.every(
    ([key, value]) =>
      pushSized(new TextEncoder().encode(key), out) && encode(type.values, value, out),
  );
  out.push(0);
  return isWhole;
}

/** A default is of the first branch; since Avro 1.12 of any. */
function encodeUnion(branches: readonly AvroType[], json: unknown, out: number[]): boolean {
  for (const [index, branch] of branches.entries()) {
    const tried: number[] = [];
    if (!encode(branch, json, tried)) continue;
    pushLong(BigInt(index), out);
    out.push(...tried);
    return true;
  }
  return false;
}

function encodeInteger(json: unknown, bits: number, out: number[]): boolean {
  if (typeof json !== "bigint" && !Number.isSafeInteger(json)) return false;
  const value = BigInt(json as number | bigint);
  if (BigInt.asIntN(bits, value) !== value) return false;
  pushLong(value, out);
  return true;
}

function encodeFloat(json: unknown, size: 4 | 8, out: number[]): boolean {
  if (typeof json !== "number" && typeof json !== "bigint") return false;
  const bytes = Buffer.alloc(size);
  if (size === 4) bytes.writeFloatLE(Number(json));
  else bytes.writeDoubleLE(Number(json));
  out.push(...bytes);
  return true;
}

function pushIndex(symbols: readonly string[], symbol: string, out: number[]): true {
  pushLong(BigInt(symbols.indexOf(symbol)), out);
  return true;
}

function pushLatin(text: string, out: number[]): true {
  out.push(...Buffer.from(text, "latin1"));
  return true;
}

function pushSized(bytes: Uint8Array, out: number[]): boolean {
  pushLong(BigInt(bytes.length), out);
  for (const byte of bytes) out.push(byte);
  return true;
}

function pushLong(value: bigint, out: number[]): void {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  for (; rest > 0x7fn; rest >>= 7n) out.push(Number(rest & 0x7fn) | 0x80);
  out.push(Number(rest));
}
