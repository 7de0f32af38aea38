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
import type { Room, RowPart } from "./duckdb/hotScan.ts";
import type { ColumnPlace, PartPlace } from "./lend.ts";

/** A part of a relation whose rows are another process's. */
export function borrowPart(pid: number, fields: readonly Field[], place: PartPlace): RowPart {
  const { rowCount, columns } = place;
  return {
    rowCount,
    read: (wanted, room) =>
      wanted.map((index) => {
        const [field, column] = [fields[index], columns[index]];
        if (field === undefined || column === undefined) throw unreadable();
        return new Reader(pid, room).column(field, column, rowCount);
      }),
  };
}

class Reader {
  readonly #pid: number;
  readonly #room: Room;

  constructor(pid: number, room: Room) {
    this.#pid = pid;
    this.#room = room;
  }

  column(field: Field, place: ColumnPlace, length: number): Column {
    const { type } = field;
    const nulls = place.validity === 0 ? null : this.#bytes(place.validity, bitmapBytes(length));
    const of = { field, length, nullCount: 0, validity: nulls };
    const children = childFields(type);
    if (type.kind === "struct") {
      return {
        ...of,
        offsets: null,
        data: null,
        children: this.#children(children, place, length),
      };
    }
    const isText = type.kind === "string" || type.kind === "binary";
    if (isText || children.length > 0) {
      const offsets = this.#offsets(place.offsets, length);
      const end = offsets[length] ?? 0;
      const data = isText ? this.#bytes(place.data, end) : null;
      return { ...of, offsets, data, children: this.#children(children, place, end) };
    }
    const isBits = type.kind === "boolean";
    const data = this.#bytes(place.data, isBits ? bitmapBytes(length) : length * valueBytes(type));
    return { ...of, offsets: null, data, children: [] };
  }

  #children(fields: readonly Field[], { children }: ColumnPlace, length: number): Column[] {
    return fields.map((field, at) => {
      const place = children[at];
      if (place === undefined) throw unreadable();
      return this.column(field, place, length);
    });
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
