/**
 * Thrift's binary protocol, as much as the Hive Metastore speaks: calls and replies as bytes, by the tables of
 * `metastoreApi.ts`. Pure.
 *
 * A struct is an object; a field that the tables do not name is kept as its bytes under `#<id>` and written back
 * unchanged, so that a table that a newer metastore or another engine filled loses nothing when it is replaced.
 */
import { notThrift, STOP, VERSION, valueEnd, WIRE } from "./thriftWalk.ts";

/** A type: a word of the interface, or one with types inside. */
export type ThriftType =
  | ThriftWord
  | readonly ["list", ThriftType]
  | readonly ["map", ThriftType, ThriftType]
  | readonly ["struct", string];

type ThriftWord = "bool" | "i32" | "i64" | "string";

/** Fields of a struct by name. */
export type ThriftFields = Readonly<Record<string, readonly [id: number, type: ThriftType]>>;

/** The tables of an interface. */
export type ThriftStructs = Readonly<Record<string, ThriftFields>>;

/** A struct's members by name; unnamed ones as {@link RawField} under `#<id>`. */
export type ThriftStruct = Readonly<Record<string, unknown>>;

/** A field as it came. */
interface RawField {
  readonly wire: number;
  readonly bytes: Buffer;
}

/** What a message is. */
export interface ThriftMessage {
  readonly name: string;
  readonly kind: "call" | "reply" | "exception";
  readonly sequence: number;
}

const KINDS = { call: 1, reply: 2, exception: 3 } as const;
/** A call as bytes. */
export function encodeCall(
  structs: ThriftStructs,
  message: { readonly name: string; readonly sequence: number },
  fields: ThriftFields,
  value: ThriftStruct,
): Buffer {
  const out = new ByteWriter();
  out.int32(VERSION | KINDS.call | 0);
  out.bytes(Buffer.from(message.name));
  out.int32(message.sequence);
  writeStruct(out, structs, fields, value);
  return out.done();
}

/** A message's head and where its struct begins. Throws `catalog_unreachable`. */
export function decodeHead(bytes: Buffer): {
  readonly message: ThriftMessage;
  readonly at: number;
} {
  const reader = new ByteReader(bytes, 0);
  const version = reader.int32();
  const code = version & 0xff;
  const kind = (Object.keys(KINDS) as (keyof typeof KINDS)[]).find((each) => KINDS[each] === code);
  if (version >>> 16 !== VERSION >>> 16 || kind === undefined) throw notThrift();
  const name = reader.text();
  return { message: { name, kind, sequence: reader.int32() }, at: reader.at };
}

/** A struct. Throws `catalog_unreachable`. */
export function decodeStruct(
  structs: ThriftStructs,
  fields: ThriftFields,
  bytes: Buffer,
  at: number,
): ThriftStruct {
  return readStruct(new ByteReader(bytes, at), structs, fields);
}

class ByteReader {
  at: number;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  byte(): number {
    return this.take(1).readUInt8(0);
  }

  int16(): number {
    return this.take(2).readInt16BE(0);
  }

  int32(): number {
    return this.take(4).readInt32BE(0);
  }

  int64(): bigint {
    return this.take(8).readBigInt64BE(0);
  }

  text(): string {
    return this.take(this.int32()).toString("utf8");
  }

  take(count: number): Buffer {
    const end = this.at + count;
    if (count < 0 || end > this.#bytes.length) throw notThrift();
    const taken = this.#bytes.subarray(this.at, end);
    this.at = end;
    return taken;
  }

  /** The bytes of a value, passed over. */
  raw(wire: number): Buffer {
    const end = valueEnd(this.#bytes, this.at, wire);
    return Buffer.from(this.take(end - this.at));
  }
}

function readStruct(
  reader: ByteReader,
  structs: ThriftStructs,
  fields: ThriftFields,
): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  for (let wire = reader.byte(); wire !== STOP; wire = reader.byte()) {
    const id = reader.int16();
    const known = Object.entries(fields).find(([, [own]]) => own === id);
    if (known !== undefined && wireOf(known[1][1]) === wire) {
      value[known[0]] = readValue(reader, structs, known[1][1]);
    } else {
      value[`#${id}`] = { wire, bytes: reader.raw(wire) } satisfies RawField;
    }
  }
  return value;
}

function readValue(reader: ByteReader, structs: ThriftStructs, type: ThriftType): unknown {
  if (typeof type === "string") return readWord(reader, type);
  switch (type[0]) {
    case "struct":
      return readStruct(reader, structs, structs[type[1]] ?? {});
    case "list": {
      reader.byte();
      const count = reader.int32();
      return Array.from({ length: count }, () => readValue(reader, structs, type[1]));
    }
    case "map": {
      reader.int16();
      const map: Record<string, unknown> = {};
      for (let left = reader.int32(); left > 0; left--) {
        const key = String(readValue(reader, structs, type[1]));
        map[key] = readValue(reader, structs, type[2]);
      }
      return map;
    }
  }
}

function readWord(reader: ByteReader, type: ThriftWord): unknown {
  switch (type) {
    case "bool":
      return reader.byte() !== 0;
    case "i32":
      return reader.int32();
    case "i64":
      return reader.int64();
    case "string":
      return reader.text();
  }
}

class ByteWriter {
  readonly #parts: Buffer[] = [];

  byte(value: number): void {
    this.#parts.push(Buffer.from([value]));
  }

  int16(value: number): void {
    const part = Buffer.alloc(2);
    part.writeInt16BE(value);
    this.#parts.push(part);
  }

  int32(value: number): void {
    const part = Buffer.alloc(4);
    part.writeInt32BE(value);
    this.#parts.push(part);
  }

  int64(value: bigint): void {
    const part = Buffer.alloc(8);
    part.writeBigInt64BE(value);
    this.#parts.push(part);
  }

  /** With their length before them. */
  bytes(value: Buffer): void {
    this.int32(value.length);
    this.#parts.push(value);
  }

  raw(value: Buffer): void {
    this.#parts.push(value);
  }

  done(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

function writeStruct(
  out: ByteWriter,
  structs: ThriftStructs,
  fields: ThriftFields,
  value: ThriftStruct,
): void {
  for (const [name, member] of Object.entries(value)) {
    if (member === undefined || member === null) continue;
    const field = fields[name];
    if (field !== undefined) {
      const [id, type] = field;
      out.byte(wireOf(type));
      out.int16(id);
      writeValue(out, structs, type, member);
    } else if (name.startsWith("#")) {
      const { wire, bytes } = member as RawField;
      out.byte(wire);
      out.int16(Number(name.slice(1)));
      out.raw(bytes);
    }
  }
  out.byte(STOP);
}

function writeValue(
  out: ByteWriter,
  structs: ThriftStructs,
  type: ThriftType,
  value: unknown,
): void {
  if (typeof type === "string") {
    writeWord(out, type, value);
    return;
  }
  switch (type[0]) {
    case "struct":
      writeStruct(out, structs, structs[type[1]] ?? {}, value as ThriftStruct);
      return;
    case "list": {
      const elements = value as readonly unknown[];
      out.byte(wireOf(type[1]));
      out.int32(elements.length);
      for (const element of elements) writeValue(out, structs, type[1], element);
      return;
    }
    case "map": {
      const entries = Object.entries(value as ThriftStruct);
      out.byte(wireOf(type[1]));
      out.byte(wireOf(type[2]));
      out.int32(entries.length);
      for (const [key, inner] of entries) {
        writeValue(out, structs, type[1], key);
        writeValue(out, structs, type[2], inner);
      }
    }
  }
}

function writeWord(out: ByteWriter, type: ThriftWord, value: unknown): void {
  switch (type) {
    case "bool":
      out.byte(value === true ? 1 : 0);
      return;
    case "i32":
      out.int32(Number(value));
      return;
    case "i64":
      out.int64(value as bigint);
      return;
    case "string":
      out.bytes(Buffer.from(String(value)));
  }
}

function wireOf(type: ThriftType): number {
  return WIRE[typeof type === "string" ? type : type[0]];
}
