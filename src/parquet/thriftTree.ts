/**
 * Thrift's compact protocol as a tree that keeps every type, so that what is decoded and encoded again is the
 * same bytes, also of fields that nobody here knows (Parquet's footer).
 */
import { assert } from "#base/assert.ts";

/** Type numbers of the protocol. */
const TYPE = {
  ...{ stop: 0, true: 1, false: 2, byte: 3, i16: 4, i32: 5, i64: 6 },
  ...{ double: 7, binary: 8, list: 9, set: 10, struct: 12 },
} as const;

/** A value with its type: integers as bigint, doubles and texts as bytes. A boolean is its type. */
export interface ThriftNode {
  readonly type: number;
  readonly value: bigint | Uint8Array | ThriftStruct | ThriftList | null;
}

/** The members of a list, all of one type. */
export interface ThriftList {
  readonly elementType: number;
  readonly items: readonly ThriftNode[];
}

/** Fields by their ids, ascending. */
export type ThriftStruct = ReadonlyMap<number, ThriftNode>;

/** Reads a struct from the start of `bytes`. Throws `internal` for what is no Thrift. */
export function decodeStruct(bytes: Uint8Array): ThriftStruct {
  return new Decoder(bytes).struct();
}

/** The bytes of a struct. */
export function encodeStruct(struct: ThriftStruct): Uint8Array {
  const out: (number | Uint8Array)[] = [];
  putStruct(out, struct);
  const parts = out.map((part) => (typeof part === "number" ? Uint8Array.of(part) : part));
  return Buffer.concat(parts);
}

class Decoder {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  struct(): ThriftStruct {
    const fields = new Map<number, ThriftNode>();
    for (let id = 0; ; ) {
      const header = this.#byte();
      const type = header & 15;
      if (type === TYPE.stop) return fields;
      const delta = header >> 4;
      id = delta === 0 ? Number(this.#integer()) : id + delta;
      // A boolean is told by the header of its field.
      const isBoolean = type === TYPE.true || type === TYPE.false;
      fields.set(id, isBoolean ? { type, value: null } : this.#node(type));
    }
  }

  #node(type: number): ThriftNode {
    switch (type) {
      case TYPE.true:
      case TYPE.false:
        return { type: this.#byte(), value: null };
      case TYPE.byte:
        return { type, value: BigInt(this.#byte()) };
      case TYPE.i16:
      case TYPE.i32:
      case TYPE.i64:
        return { type, value: this.#integer() };
      case TYPE.double:
        return { type, value: this.#take(8) };
      case TYPE.binary:
        return { type, value: this.#take(Number(this.#varint())) };
      case TYPE.list:
      case TYPE.set:
        return { type, value: this.#list() };
      default:
        assert(type === TYPE.struct, "a footer has values of known types");
        return { type, value: this.struct() };
    }
  }

  #list(): ThriftList {
    const header = this.#byte();
    const elementType = header & 15;
    const size = header >> 4 === 15 ? Number(this.#varint()) : header >> 4;
    const items: ThriftNode[] = [];
    for (let item = 0; item < size; item++) items.push(this.#node(elementType));
    return { elementType, items };
  }

  #integer(): bigint {
    const value = this.#varint();
    return (value >> 1n) ^ -(value & 1n);
  }

  #varint(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  }

  #byte(): number {
    return this.#take(1)[0] ?? 0;
  }

  #take(count: number): Uint8Array {
    const end = this.#at + count;
    assert(end <= this.#bytes.length, "a footer is whole");
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}

function putStruct(out: (number | Uint8Array)[], struct: ThriftStruct): void {
  let last = 0;
  for (const [id, node] of struct) {
    const delta = id - last;
    if (delta > 0 && delta < 16) out.push((delta << 4) | node.type);
    else {
      out.push(node.type);
      putInteger(out, BigInt(id));
    }
    last = id;
    if (node.type !== TYPE.true && node.type !== TYPE.false) putNode(out, node);
  }
  out.push(TYPE.stop);
}

function putNode(out: (number | Uint8Array)[], { type, value }: ThriftNode): void {
  if (value === null) out.push(type);
  else if (value instanceof Uint8Array) {
    if (type === TYPE.binary) putVarint(out, BigInt(value.length));
    out.push(value);
  } else if (typeof value === "bigint") {
    if (type === TYPE.byte) out.push(Number(value));
    else putInteger(out, value);
  } else if (value instanceof Map) putStruct(out, value);
  else putList(out, value as ThriftList);
}

function putList(out: (number | Uint8Array)[], { elementType, items }: ThriftList): void {
  if (items.length < 15) out.push((items.length << 4) | elementType);
  else {
    out.push(0xf0 | elementType);
    putVarint(out, BigInt(items.length));
  }
  for (const item of items) putNode(out, item);
}

function putInteger(out: (number | Uint8Array)[], value: bigint): void {
  putVarint(out, value < 0n ? -2n * value - 1n : 2n * value);
}

function putVarint(out: (number | Uint8Array)[], value: bigint): void {
  let rest = value;
  for (; rest > 127n; rest >>= 7n) out.push(Number(rest & 127n) | 128);
  out.push(Number(rest));
}
