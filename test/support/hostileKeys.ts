/**
 * Sets of keys that a careless index mixes up, or that somebody chose so that it is slow: for tests and
 * `scripts/prove/keyindex.ts`.
 */
import type { PrimitiveType } from "#columns/schema.ts";
import { type KeyColumn, KeyHasher, type KeySecret } from "#keyindex/keyHasher.ts";
import type { KeySet } from "#keyindex/port.ts";
import { createWasmKeyTable } from "#keyindex/wasmKeyTable.ts";

/** Different keys of one type. */
export interface HostileKeys {
  readonly what: string;
  readonly types: readonly PrimitiveType[];
  readonly count: number;
  readonly columns: readonly KeyColumn[];
}

/** All sets. @param count of keys in each, about */
export function hostileKeys(count: number): HostileKeys[] {
  const all = Array.from({ length: count }, (_, n) => n);
  const prefix = "p".repeat(4096);
  const few = all.slice(0, Math.min(count, 64));
  return [
    textSet(
      "texts that share 4 KiB",
      all.slice(0, 4000).map((n) => `${prefix}${n}`),
    ),
    textSet(
      "texts that differ in their first letter only",
      all.map((n) => `${n}${"s".repeat(20)}`),
    ),
    textSet(
      "texts of zeros of every length",
      few.map((n) => "\0".repeat(n)),
    ),
    textSet("texts around 16 bytes", atBoundary()),
    textSet(
      "texts of a megabyte",
      few.slice(0, 16).map((n) => `${n}${"x".repeat(1 << 20)}${n % 2}`),
    ),
    textSet("texts that are numbers", all.map(String)),
    wordSet("numbers in a row", all.map(BigInt)),
    wordSet(
      "numbers whose low halves are alike",
      all.map((n) => BigInt(n) << 32n),
    ),
    wordSet(
      "numbers whose high halves are alike",
      all.map((n) => -BigInt(n) - 1n),
    ),
    wordSet(
      "single bits",
      Array.from({ length: 64 }, (_, n) => BigInt.asIntN(64, 1n << BigInt(n))),
    ),
    pairSet(
      "16 bytes that differ in the last one",
      few.map((n) => [0n, BigInt(n) << 56n]),
    ),
    pairSet(
      "16 bytes whose halves are alike",
      all.map((n) => [BigInt(n), BigInt(n)]),
    ),
    pairSet(
      "16 bytes whose halves change places",
      all.map((n) => [BigInt(n), BigInt(count - n)]),
    ),
  ];
}

/** Lengths 0 to 40, of the same byte, and with another last one. */
function atBoundary(): string[] {
  const lengths = Array.from({ length: 41 }, (_, n) => n);
  return [...lengths.map((n) => "a".repeat(n)), ...lengths.map((n) => `${"a".repeat(n)}b`)];
}

function textSet(what: string, texts: readonly string[]): HostileKeys {
  const parts = texts.map((text) => Buffer.from(text));
  const offsets = new Int32Array(texts.length + 1);
  for (const [n, part] of parts.entries()) offsets[n + 1] = (offsets[n] ?? 0) + part.length;
  const values = { kind: "bytes", offsets, data: Buffer.concat(parts) } as const;
  const columns = [{ values, nulls: null }];
  return { what, types: [{ kind: "string" }], count: texts.length, columns };
}

function wordSet(what: string, numbers: readonly bigint[]): HostileKeys {
  const values = { kind: "word", words: BigInt64Array.from(numbers) } as const;
  const columns = [{ values, nulls: null }];
  return { what, types: [{ kind: "long" }], count: numbers.length, columns };
}

function pairSet(what: string, pairs: readonly (readonly [bigint, bigint])[]): HostileKeys {
  const words = BigUint64Array.from(pairs.flat());
  const values = { kind: "pair", bytes: new Uint8Array(words.buffer) } as const;
  const columns = [{ values, nulls: null }];
  return { what, types: [{ kind: "uuid" }], count: pairs.length, columns };
}

/** The keys under a secret. */
export function hashed({ types, columns, count }: HostileKeys, secret: KeySecret): KeySet {
  const fields = types.map((type, n) => ({ id: n + 1, name: `c${n}`, type }));
  return new KeyHasher(fields, secret).hashAll(columns, count);
}

/** Everything that is wrong with a table of these keys; empty: each is found, and no other. */
export function troubles(set: HostileKeys, secret: KeySecret): string[] {
  const keys = hashed(set, secret);
  const table = createWasmKeyTable({ slotsFirst: 8 });
  const rows = Uint32Array.from({ length: keys.count }, (_, n) => n);
  table.add(keys, 1, rows);
  const found = table.locate(keys);
  const wrong: string[] = [];
  if (found.rows.length !== keys.count) wrong.push(`${found.rows.length} rows of ${keys.count}`);
  if (found.rows.some((row, n) => row !== n)) wrong.push("a key has another one's row");
  if (!table.isSound()) wrong.push("the table is not sound");
  const half = { count: keys.count >> 1, words: keys.words };
  const gone = table.remove(half);
  if (gone.rows.length !== half.count) wrong.push(`${gone.rows.length} of ${half.count} removed`);
  if (table.locate(half).rows.length > 0) wrong.push("a removed key is found");
  if (table.size !== keys.count - half.count) wrong.push(`${table.size} rows are left`);
  return wrong.map((each) => `${set.what}: ${each}`);
}

/** Of so many parts of a table the one with the most keys, against what it would have if all had as many. */
export function crowding({ count, words }: KeySet, parts: number): number {
  const counts = new Uint32Array(parts);
  const halves = new Uint32Array(words.buffer, words.byteOffset, 4 * count);
  for (let n = 0; n < count; n++) {
    const part = (halves[4 * n + 1] ?? 0) % parts;
    counts[part] = (counts[part] ?? 0) + 1;
  }
  return (Math.max(...counts) * parts) / count;
}
