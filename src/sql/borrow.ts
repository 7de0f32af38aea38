/**
 * Rows that lie in the memory of another process, read from there column by column, those that a statement
 * uses and no others (`process_vm_readv`). Linux only.
 *
 * Segments that follow each other are read as one part, a column of all of them by one call: each part, call and chunk
 * costs as much as a thousand values.
 */
import { ptr } from "bun:ffi";
import { fail } from "#base/errors.ts";
import { openLibc } from "#base/libc.ts";
import type { Column } from "#columns/batch.ts";
import { appendBits, bitmapBytes } from "#columns/bitmap.ts";
import { valueBytes } from "#columns/builder.ts";
import { childFields, type Field } from "#columns/schema.ts";
import type { LentRows } from "./database.ts";
import type { Room, RowPart } from "./duckdb/hotScan.ts";
import { NUMBERS_PER_COLUMN } from "./lend.ts";

/** Rows, bytes of all columns and segments of a part, unless a segment is larger. */
const PART_ROWS = 8192;
const PART_BYTES = 4 * 1024 * 1024;
const PART_SEGMENTS = 500;

/** Parts of a relation whose rows are another process's. */
export function borrowParts({ pid, fields, rowCounts, byteCounts, places }: LentRows): RowPart[] {
  const starts: number[] = [];
  let width = 0;
  for (const field of fields) {
    starts.push(width);
    width += widthOf(field);
  }
  return partsOf(rowCounts, byteCounts).map((segments) => {
    const lengths = segments.map((segment) => rowCounts[segment] ?? 0);
    return {
      rowCount: sumOf(lengths),
      read: (wanted, room) =>
        wanted.map((index) => {
          const field = fields[index];
          const start = starts[index];
          if (field === undefined || start === undefined) throw unreadable();
          const at = segments.map((segment) => segment * width + start);
          return new Reader(pid, room, places, at).column(field, lengths);
        }),
    };
  });
}

/** Numbers of the segments of each part; those without rows are left out. */
function partsOf(rowCounts: readonly number[], byteCounts: readonly number[]): number[][] {
  const parts: number[][] = [];
  let [rows, bytes] = [0, 0];
  for (const [segment, count] of rowCounts.entries()) {
    if (count === 0) continue;
    const size = byteCounts[segment] ?? 0;
    const hasRoom = rows + count <= PART_ROWS && bytes + size <= PART_BYTES;
    const last = parts.at(-1);
    if (last !== undefined && hasRoom && last.length < PART_SEGMENTS) {
      last.push(segment);
      [rows, bytes] = [rows + count, bytes + size];
    } else {
      parts.push([segment]);
      [rows, bytes] = [count, size];
    }
  }
  return parts;
}

/** Numbers that stand for a column and its children. */
function widthOf({ type }: Field): number {
  return childFields(type).reduce((sum, child) => sum + widthOf(child), NUMBERS_PER_COLUMN);
}

/** Bytes that lie somewhere. */
interface Place {
  readonly address: number;
  readonly bytes: number;
}

/** Reads one column of some segments with its children, in the order of their places. */
class Reader {
  readonly #pid: number;
  readonly #room: Room;
  readonly #places: Float64Array;
  /** Where the numbers of the next column begin, by segment. */
  #at: readonly number[];

  constructor(pid: number, room: Room, places: Float64Array, at: readonly number[]) {
    this.#pid = pid;
    this.#room = room;
    this.#places = places;
    this.#at = at;
  }

  /** @param lengths of the column, by segment */
  column(field: Field, lengths: readonly number[]): Column {
    const { type } = field;
    const [validityAt, offsetsAt, dataAt] = [0, 1, 2].map((nth) => this.#addresses(nth));
    this.#at = this.#at.map((at) => at + NUMBERS_PER_COLUMN);
    const length = sumOf(lengths);
    const validity = this.#validity(validityAt ?? [], lengths);
    const of = { field, length, nullCount: 0, validity };
    const children = childFields(type);
    if (type.kind === "struct") {
      return { ...of, offsets: null, data: null, children: this.#children(children, lengths) };
    }
    const isText = type.kind === "string" || type.kind === "binary";
    if (isText || children.length > 0) {
      const { offsets, ends } = this.#offsets(offsetsAt ?? [], lengths);
      const data = isText ? this.#bytes(placesOf(dataAt ?? [], ends)) : null;
      return { ...of, offsets, data, children: this.#children(children, ends) };
    }
    if (type.kind === "boolean") {
      return { ...of, offsets: null, data: this.#bits(dataAt ?? [], lengths), children: [] };
    }
    const sizes = lengths.map((rows) => rows * valueBytes(type));
    return { ...of, offsets: null, data: this.#bytes(placesOf(dataAt ?? [], sizes)), children: [] };
  }

  #addresses(nth: number): number[] {
    return this.#at.map((at) => this.#places[at + nth] ?? 0);
  }

  #children(fields: readonly Field[], lengths: readonly number[]): Column[] {
    return fields.map((field) => this.column(field, lengths));
  }

  /** Null where no segment has one. */
  #validity(addresses: readonly number[], lengths: readonly number[]): Uint8Array | null {
    return addresses.every((address) => address === 0) ? null : this.#bits(addresses, lengths);
  }

  /** Bits one behind the other; ones for a segment that has none. */
  #bits(addresses: readonly number[], lengths: readonly number[]): Uint8Array {
    const sizes = lengths.map(bitmapBytes);
    const own = this.#bytes(placesOf(addresses, sizes));
    if (lengths.length === 1) return own;
    const joined = this.#room.take(bitmapBytes(sumOf(lengths))).fill(0);
    let [row, at] = [0, 0];
    for (const [nth, length] of lengths.entries()) {
      const size = sizes[nth] ?? 0;
      const hasBits = addresses[nth] !== 0;
      appendBits(joined, row, length, hasBits ? own.subarray(at, at + size) : null);
      if (hasBits) at += size;
      row += length;
    }
    return joined;
  }

  /** Offsets as those of one column, and where each segment's values end. */
  #offsets(
    addresses: readonly number[],
    lengths: readonly number[],
  ): { readonly offsets: Int32Array; readonly ends: readonly number[] } {
    const sizes = lengths.map((rows) => 4 * (rows + 1));
    const bytes = this.#bytes(placesOf(addresses, sizes));
    const own = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    if (lengths.length === 1) {
      const [length = 0] = lengths;
      // A column without values may have no offsets.
      return own.length === 0 ? NO_VALUES(length) : { offsets: own, ends: [own[length] ?? 0] };
    }
    const room = this.#room.take(4 * (sumOf(lengths) + 1));
    const offsets = new Int32Array(room.buffer, room.byteOffset, room.length / 4);
    const ends: number[] = [];
    let [row, at, base] = [0, 0, 0];
    offsets[0] = 0;
    for (const [nth, length] of lengths.entries()) {
      const hasOffsets = addresses[nth] !== 0;
      for (let each = 1; each <= length; each++) {
        offsets[row + each] = base + (hasOffsets ? (own[at + each] as number) : 0);
      }
      row += length;
      const end = (offsets[row] ?? 0) - base;
      ends.push(end);
      base += end;
      if (hasOffsets) at += length + 1;
    }
    return { offsets, ends };
  }

  /** One place behind the other. */
  #bytes(places: readonly Place[]): Uint8Array<ArrayBuffer> {
    const bytes = this.#room.take(places.reduce((sum, place) => sum + place.bytes, 0));
    if (bytes.length > 0) readMemory(this.#pid, places, bytes);
    return bytes;
  }
}

const NO_VALUES = (length: number): { offsets: Int32Array; ends: number[] } => ({
  offsets: new Int32Array(length + 1),
  ends: [0],
});

/** Those that are somewhere. */
function placesOf(addresses: readonly number[], sizes: readonly number[]): Place[] {
  return addresses.flatMap((address, at) => {
    const bytes = sizes[at] ?? 0;
    return address === 0 || bytes === 0 ? [] : [{ address, bytes }];
  });
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, each) => sum + each, 0);
}

type Calls = {
  readonly process_vm_readv: (
    pid: number,
    into: BigUint64Array,
    intoCount: bigint,
    from: BigUint64Array,
    fromCount: bigint,
    flags: bigint,
  ) => bigint;
};

let calls: Calls | null = null;

/** Fills `bytes` from places of another process, at most `PART_SEGMENTS`. @throws AppError `query_engine` */
function readMemory(pid: number, places: readonly Place[], bytes: Uint8Array): void {
  calls ??= openLibc<Calls>({
    process_vm_readv: { args: ["i32", "ptr", "u64", "ptr", "u64", "u64"], returns: "i64" },
  });
  const length = BigInt(bytes.byteLength);
  const into = new BigUint64Array([BigInt(ptr(bytes)), length]);
  const from = new BigUint64Array(2 * places.length);
  for (const [at, place] of places.entries()) {
    from[2 * at] = BigInt(place.address);
    from[2 * at + 1] = BigInt(place.bytes);
  }
  const read = calls?.process_vm_readv(pid, into, 1n, from, BigInt(places.length), 0n) ?? -1n;
  if (BigInt(read) !== length) throw unreadable();
}

function unreadable(): Error {
  return fail(
    "query_engine",
    "The system does not let the SQL engine read rows in memory (process_vm_readv): docs/QUERY.md, The engine's process",
  );
}
