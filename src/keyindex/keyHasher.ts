/**
 * Keys of rows as 128 bits under the secret of the state directory (`KeySet`): equal for equal keys, also
 * across the type promotions that Iceberg allows, and never equal for two keys of up to 16 bytes.
 *
 * ```text
 * one column of 8 bytes: boolean, integers, times              a permutation of the 8 bytes
 * one of 16 bytes (decimal, uuid, short fixed), or two of 8    a permutation of the 16 bytes
 * anything else, and every key that holds a null               SipHash-1-3 of 128 bits
 * ```
 * Two hashed keys of a table of n are the same with a probability of n^2 / 2^129: 10^-24 for ten million;
 * without the secret nobody can make such keys. A null equals a null.
 */
import { assert } from "#base/assert.ts";
import { fail } from "#base/errors.ts";
import { type Field, isPrimitive, type PrimitiveType, primitiveName } from "#columns/schema.ts";
import { growMemory, type Kernel, loadKernel } from "#kernel/load.ts";
import type { KeySet } from "./port.ts";

/** A column of a table's key. */
export interface KeyField {
  readonly id: number;
  readonly name: string;
  readonly type: PrimitiveType;
}

/** The secret of a state directory. */
export interface KeySecret {
  readonly k0: bigint;
  readonly k1: bigint;
}

/** Values of one key column, row by row; a null has any value. */
export type KeyValues =
  /** Integers, sign-extended: one word a row. */
  | { readonly kind: "word"; readonly words: BigInt64Array }
  /** 16 bytes a row, in one byte order for the type. */
  | { readonly kind: "pair"; readonly bytes: Uint8Array }
  /** Row n is `data[offsets[n], offsets[n + 1])`. */
  | { readonly kind: "bytes"; readonly offsets: Int32Array; readonly data: Uint8Array };

/** One column of some rows. */
export interface KeyColumn {
  readonly values: KeyValues;
  /** A byte a row, not 0: null. Null: no row is. */
  readonly nulls: Uint8Array | null;
}

/** How the values of a type are kept; null: the type cannot be part of a key. */
export function keyKindOf(type: PrimitiveType): KeyValues["kind"] | null {
  switch (type.kind) {
    case "boolean":
    case "int":
    case "long":
    case "date":
    case "time":
    case "timestamp":
    case "timestamp_ns":
      return "word";
    case "decimal":
    case "uuid":
      return "pair";
    case "fixed":
      return type.length <= PAIR_BYTES ? "pair" : "bytes";
    case "string":
    case "binary":
      return "bytes";
    case "float":
    case "double":
      return null;
  }
}

/**
 * The key columns of a table by their field ids, in the order of the ids.
 * @throws AppError `table_unsupported` for a column that is not there, is nested or a floating-point number
 */
export function keyFieldsOf(fields: readonly Field[], ids: readonly number[]): KeyField[] {
  return [...ids]
    .sort((a, b) => a - b)
    .map((id) => {
      const field = fields.find((each) => each.id === id);
      const { name = `with id ${id}`, type } = field ?? {};
      if (type !== undefined && isPrimitive(type) && keyKindOf(type) !== null) {
        return { id, name, type };
      }
      const what = type === undefined ? "not at the top of the schema" : typeText(type);
      const sentence = `Column ${name} cannot be part of a key: it is ${what}`;
      throw fail("table_unsupported", sentence, { column: name });
    });
}

function typeText(type: Field["type"]): string {
  return `a ${isPrimitive(type) ? primitiveName(type) : type.kind}`;
}

/** Bytes of the longest key that goes through a permutation. */
const PAIR_BYTES = 16;
/** Rows that one call of the kernel takes: well below a millisecond. */
const ROWS_PER_CALL = 8192;
/** Rounds of SipHash-1-3. */
const COMPRESS_ROUNDS = 1;
const FINISH_ROUNDS = 3;
/** Sets keys that are written out part by part apart from texts of the same bytes. */
const PARTS_DOMAIN = 0xff51_afd7_ed55_8ccdn;
/** Before each part of a key that is hashed: 1 for a value, 0 for a null, then the length. */
const PART_HEAD_BYTES = 5;

type HashFixed = (from: number, count: number, to: number, k0: bigint, k1: bigint) => void;

/** Functions of the kernel that hash (`kernel/assembly/keys/hash.ts`). */
interface HashFunctions {
  readonly hashWords: HashFixed;
  readonly hashPairs: HashFixed;
  readonly hashBytes: (
    offsets: number,
    data: number,
    count: number,
    to: number,
    k0: bigint,
    k1: bigint,
    compress: number,
    finish: number,
  ) => void;
}

let kernel: Kernel<HashFunctions> | null = null;

/** Hashes keys of one table under one secret. */
export class KeyHasher {
  readonly fields: readonly KeyField[];
  readonly secret: KeySecret;
  readonly #kernel: Kernel<HashFunctions>;

  constructor(fields: readonly KeyField[], secret: KeySecret) {
    assert(fields.length > 0, "a key has columns");
    this.fields = fields;
    this.secret = secret;
    kernel ??= loadKernel<HashFunctions>("keys");
    this.#kernel = kernel;
  }

  /** Writes the keys of rows `[from, to)` into `words`, as its keys number `at` and on. */
  hash(
    columns: readonly KeyColumn[],
    from: number,
    to: number,
    words: BigUint64Array,
    at: number = from,
  ): void {
    for (let start = from; start < to; start += ROWS_PER_CALL) {
      const end = Math.min(to, start + ROWS_PER_CALL);
      const keys = words.subarray(2 * (at + start - from), 2 * (at + end - from));
      this.#hashRun(columns, start, end, keys);
    }
  }

  /** The keys of all rows. */
  hashAll(columns: readonly KeyColumn[], count: number): KeySet {
    const words = new BigUint64Array(2 * count);
    this.hash(columns, 0, count, words);
    return { count, words };
  }

  #hashRun(columns: readonly KeyColumn[], from: number, to: number, keys: BigUint64Array): void {
    const [first, second] = columns;
    assert(first !== undefined && columns.length === this.fields.length, "a row has its key");
    const one = columns.length === 1 ? first.values : null;
    const two = columns.length === 2 ? second?.values : null;
    if (one?.kind === "word") {
      this.#hashFixed("hashWords", bytesOf(one.words.subarray(from, to)), keys);
    } else if (one?.kind === "pair") {
      this.#hashFixed("hashPairs", one.bytes.subarray(16 * from, 16 * to), keys);
    } else if (one?.kind === "bytes") {
      this.#hashBytes(one.offsets.subarray(from, to + 1), one.data, keys);
    } else if (first.values.kind === "word" && two?.kind === "word") {
      const pairs = interleaved(first.values.words, two.words, from, to);
      this.#hashFixed("hashPairs", bytesOf(pairs), keys);
    } else {
      this.#hashParts(columns, from, to, keys);
      return;
    }
    for (let row = from; row < to; row++) {
      if (!columns.some(({ nulls }) => nulls !== null && nulls[row] !== 0)) continue;
      this.#hashParts(columns, row, row + 1, keys.subarray(2 * (row - from)));
    }
  }

  #hashFixed(name: "hashWords" | "hashPairs", input: Uint8Array, keys: BigUint64Array): void {
    const count = keys.length / 2;
    const from = this.#room(input.length, keys.byteLength);
    const to = from + aligned(input.length);
    new Uint8Array(this.#kernel.memory.buffer).set(input, from);
    this.#kernel.functions[name](from, count, to, this.secret.k0, this.secret.k1);
    keys.set(new BigUint64Array(this.#kernel.memory.buffer, to, keys.length));
  }

  #hashBytes(offsets: Int32Array, data: Uint8Array, keys: BigUint64Array, domain = 0n): void {
    const count = offsets.length - 1;
    const first = offsets[0] ?? 0;
    const last = offsets[count] ?? 0;
    const heads = this.#room(aligned(offsets.byteLength) + aligned(last - first), 16 * count);
    const input = heads + aligned(offsets.byteLength);
    const to = input + aligned(last - first);
    const { buffer } = this.#kernel.memory;
    const relative = new Uint32Array(buffer, heads, count + 1);
    for (let row = 0; row <= count; row++) relative[row] = (offsets[row] ?? 0) - first;
    new Uint8Array(buffer).set(data.subarray(first, last), input);
    const { k0, k1 } = this.secret;
    const { hashBytes } = this.#kernel.functions;
    hashBytes(heads, input, count, to, k0, k1 ^ domain, COMPRESS_ROUNDS, FINISH_ROUNDS);
    keys.set(new BigUint64Array(buffer, to, 2 * count));
  }

  /** Keys written out part by part: of several columns, or with a null. */
  #hashParts(columns: readonly KeyColumn[], from: number, to: number, keys: BigUint64Array): void {
    const offsets = new Int32Array(to - from + 1);
    for (let row = from; row < to; row++) {
      const bytes = columns.reduce(
        (sum, column) => sum + PART_HEAD_BYTES + partBytes(column, row),
        0,
      );
      offsets[row - from + 1] = (offsets[row - from] ?? 0) + bytes;
    }
    const data = new Uint8Array(offsets[to - from] ?? 0);
    const view = new DataView(data.buffer);
    let at = 0;
    for (let row = from; row < to; row++) {
      for (const column of columns) {
        const length = partBytes(column, row);
        data[at] = isNull(column, row) ? 0 : 1;
        view.setUint32(at + 1, length, true);
        if (length > 0) data.set(partOf(column.values, row), at + PART_HEAD_BYTES);
        at += PART_HEAD_BYTES + length;
      }
    }
    this.#hashBytes(offsets, data, keys.subarray(0, 2 * (to - from)), PARTS_DOMAIN);
  }

  /** An aligned address behind which input and output fit. */
  #room(input: number, output: number): number {
    const from = aligned(this.#kernel.heapBase);
    growMemory(this.#kernel.memory, from + aligned(input) + output + 16);
    return from;
  }
}

function isNull({ nulls }: KeyColumn, row: number): boolean {
  return nulls !== null && nulls[row] !== 0;
}

function partBytes(column: KeyColumn, row: number): number {
  if (isNull(column, row)) return 0;
  const { values } = column;
  if (values.kind === "bytes") return (values.offsets[row + 1] ?? 0) - (values.offsets[row] ?? 0);
  return values.kind === "word" ? 8 : PAIR_BYTES;
}

function partOf(values: KeyValues, row: number): Uint8Array {
  switch (values.kind) {
    case "word":
      return bytesOf(values.words.subarray(row, row + 1));
    case "pair":
      return values.bytes.subarray(PAIR_BYTES * row, PAIR_BYTES * (row + 1));
    case "bytes":
      return values.data.subarray(values.offsets[row], values.offsets[row + 1]);
  }
}

function interleaved(
  left: BigInt64Array,
  right: BigInt64Array,
  from: number,
  to: number,
): BigInt64Array {
  const pairs = new BigInt64Array(2 * (to - from));
  for (let row = from; row < to; row++) {
    pairs[2 * (row - from)] = left[row] ?? 0n;
    pairs[2 * (row - from) + 1] = right[row] ?? 0n;
  }
  return pairs;
}

function bytesOf({ buffer, byteOffset, byteLength }: BigInt64Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / 16) * 16;
}
