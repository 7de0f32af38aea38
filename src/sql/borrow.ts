/**
 * Rows that lie in the memory of another process, read from there column by column, those that a statement
 * uses and no others (`process_vm_readv`). Linux only.
 */
import { ptr } from "bun:ffi";
import { fail } from "#base/errors.ts";
import { openLibc } from "#base/libc.ts";
import type { Column } from "#columns/batch.ts";
import { bitmapBytes } from "#columns/bitmap.ts";
import { valueBytes } from "#columns/builder.ts";
import { childFields, type Field } from "#columns/schema.ts";
import type { LentRows } from "./database.ts";
import type { Room, RowPart } from "./duckdb/hotScan.ts";
import { NUMBERS_PER_COLUMN } from "./lend.ts";

/** Parts of a relation whose rows are another process's. */
export function borrowParts({ pid, fields, rowCounts, places }: LentRows): RowPart[] {
  const starts: number[] = [];
  let width = 0;
  for (const field of fields) {
    starts.push(width);
    width += widthOf(field);
  }
  return rowCounts.map((rowCount, part) => ({
    rowCount,
    read: (wanted, room) =>
      wanted.map((index) => {
        const [field, start] = [fields[index], starts[index]];
        if (field === undefined || start === undefined) throw unreadable();
        const own = places.subarray(part * width + start, part * width + start + widthOf(field));
        return new Reader(pid, room, own).column(field, rowCount);
      }),
  }));
}

/** Numbers that stand for a column and its children. */
function widthOf({ type }: Field): number {
  return childFields(type).reduce((sum, child) => sum + widthOf(child), NUMBERS_PER_COLUMN);
}

/** Reads one column with its children, in the order of their places. */
class Reader {
  readonly #pid: number;
  readonly #room: Room;
  readonly #places: Float64Array;
  #at = 0;

  constructor(pid: number, room: Room, places: Float64Array) {
    this.#pid = pid;
    this.#room = room;
    this.#places = places;
  }

  column(field: Field, length: number): Column {
    const { type } = field;
    const [validity = 0, offsetsAt = 0, dataAt = 0] = this.#next();
    const nulls = validity === 0 ? null : this.#bytes(validity, bitmapBytes(length));
    const of = { field, length, nullCount: 0, validity: nulls };
    const children = childFields(type);
    if (type.kind === "struct") {
      return { ...of, offsets: null, data: null, children: this.#children(children, length) };
    }
    const isText = type.kind === "string" || type.kind === "binary";
    if (isText || children.length > 0) {
      const offsets = this.#offsets(offsetsAt, length);
      const end = offsets[length] ?? 0;
      const data = isText ? this.#bytes(dataAt, end) : null;
      return { ...of, offsets, data, children: this.#children(children, end) };
    }
    const isBits = type.kind === "boolean";
    const data = this.#bytes(dataAt, isBits ? bitmapBytes(length) : length * valueBytes(type));
    return { ...of, offsets: null, data, children: [] };
  }

  #next(): Float64Array {
    const at = this.#at;
    this.#at += NUMBERS_PER_COLUMN;
    return this.#places.subarray(at, this.#at);
  }

  #children(fields: readonly Field[], length: number): Column[] {
    return fields.map((field) => this.column(field, length));
  }

  #offsets(address: number, length: number): Int32Array {
    if (address === 0) return new Int32Array(1);
    const bytes = this.#bytes(address, 4 * (length + 1));
    return new Int32Array(bytes.buffer, bytes.byteOffset, length + 1);
  }

  #bytes(address: number, length: number): Uint8Array<ArrayBuffer> {
    const bytes = this.#room.take(length);
    if (length > 0) readMemory(this.#pid, address, bytes);
    return bytes;
  }
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

/** Fills `bytes` from an address of another process. @throws AppError `query_engine` */
function readMemory(pid: number, address: number, bytes: Uint8Array): void {
  calls ??= openLibc<Calls>({
    process_vm_readv: { args: ["i32", "ptr", "u64", "ptr", "u64", "u64"], returns: "i64" },
  });
  const length = BigInt(bytes.byteLength);
  const into = new BigUint64Array([BigInt(ptr(bytes)), length]);
  const from = new BigUint64Array([BigInt(address), length]);
  const read = calls?.process_vm_readv(pid, into, 1n, from, 1n, 0n) ?? -1n;
  if (BigInt(read) !== length) throw unreadable();
}

function unreadable(): Error {
  return fail(
    "query_engine",
    "The system does not let the SQL engine read rows in memory (process_vm_readv): docs/QUERY.md, The engine's process",
  );
}
