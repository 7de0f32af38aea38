/**
 * Avro object container files as Iceberg uses them (Avro spec, "Object Container Files"; Iceberg
 * spec, "Appendix A: Avro").
 *
 * In memory a record is an object keyed by Iceberg field id (`f134`), never by name: the schema is
 * renamed before avsc sees it, for writing and for reading. So files whose writers chose other
 * names (Java, PyIceberg and Spark differ) are read alike, and names that Avro would refuse do no
 * harm. Longs are bigints. Blocks are compressed outside the event loop.
 */

import { createHash } from "node:crypto";
import { deflateRaw, inflateRaw, zstdDecompress } from "node:zlib";
import { Type, types } from "avsc";
import { fail } from "#base/errors.ts";
import { type Json, parseJson, writeJson } from "#base/json.ts";
import { LIMITS } from "#base/limits.ts";
import {
  corrupt,
  headLayout,
  type Layout,
  type LayoutField,
  layoutOf,
  tailLayout,
} from "./avroLayout.ts";

/** A value in memory: int, float and double are numbers, long is bigint, bytes are Buffers. */
export type AvroValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly AvroValue[]
  | AvroRecord;

/** A record by field id: member `f<id>`. */
export interface AvroRecord {
  readonly [member: `f${number}`]: AvroValue;
}

/** A field's value; null when the writer's schema does not have the field. */
export function fieldOf(record: AvroRecord, id: number): AvroValue {
  return record[`f${id}`] ?? null;
}

const MAGIC = Buffer.from("Obj\u0001", "latin1");
const SYNC_BYTES = 16;
/** Records of one block, before compression; also the work between two turns of the event loop. */
const BLOCK_BYTES_TARGET = 64 * 1024;

const scratch = Buffer.alloc(8);
const bigLong = types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    scratch.writeBigInt64LE(value);
    return scratch;
  },
  fromJSON: BigInt,
  toJSON: String,
  isValid: (value: unknown) => typeof value === "bigint",
  compare: (a: bigint, b: bigint) => (a < b ? -1 : Number(a > b)),
});

const headerType = Type.forSchema({
  type: "record",
  name: "Header",
  fields: [
    { name: "magic", type: { type: "fixed", name: "Magic", size: MAGIC.length } },
    { name: "meta", type: { type: "map", values: "bytes" } },
    { name: "sync", type: { type: "fixed", name: "Sync", size: SYNC_BYTES } },
  ],
});
const lengthType = Type.forSchema("long");

/** Looked up at each call, so that a simulation can put one without threads in its place. */
function deflate(block: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    deflateRaw(block, (error, out) => (error ? reject(error) : resolve(out)));
  });
}

/** Writes one container file; blocks are deflated as they fill. */
export interface AvroWriter {
  add(record: AvroRecord): Promise<void>;
  /** Adds a record whose last field is already encoded, by the same layout: {@link SplitRecord}. */
  addSplit(record: Pick<SplitRecord, "head" | "tail">): Promise<void>;
  /** The whole file. */
  finish(): Promise<Uint8Array>;
}

/** A record in two parts: the fields but for the last, and the last one as it is encoded. */
export interface SplitRecord {
  readonly head: AvroRecord;
  readonly tail: Buffer;
  decodeTail(): AvroRecord;
}

/**
 * Starts a container file.
 * @param schema with `field-id` on every field of every record
 * @param metadata further header entries
 */
export function createAvroWriter(
  schema: Json,
  metadata: Readonly<Record<string, string>>,
): AvroWriter {
  const layout = layoutOf(schema);
  const type = typeOf(layout);
  const headType = typeOf(headLayout(layout));
  const blocks: AvroBlock[] = [];
  // Equal content gives equal files: the sync marker is a digest, not random.
  const digest = createHash("sha256").update(writeJson(metadata));
  let pending: Buffer[] = [];
  let pendingCount = 0;
  let pendingBytes = 0;
  const flush = async (): Promise<void> => {
    const block = Buffer.concat(pending);
    const count = pendingCount;
    pending = [];
    pendingCount = 0;
    pendingBytes = 0;
    const bytes = await deflate(block);
    digest.update(bytes);
    blocks.push({ count, bytes });
  };
  const append = async (...parts: Buffer[]): Promise<void> => {
    pending.push(...parts);
    pendingCount++;
    for (const part of parts) pendingBytes += part.length;
    if (pendingBytes >= BLOCK_BYTES_TARGET) await flush();
  };
  return {
    add: (record) => append(type.toBuffer(record)),
    addSplit: ({ head, tail }) => append(headType.toBuffer(head), tail),
    finish: async () => {
      if (pendingCount > 0) await flush();
      const codec = { "avro.schema": writeJson(schema), "avro.codec": "deflate" };
      const sync = digest.digest().subarray(0, SYNC_BYTES);
      return assemble({ ...metadata, ...codec }, sync, blocks);
    },
  };
}

function assemble(
  metadata: Readonly<Record<string, string>>,
  sync: Buffer,
  blocks: readonly AvroBlock[],
): Uint8Array {
  const meta = Object.fromEntries(
    Object.entries(metadata).map(([key, text]) => [key, Buffer.from(text)]),
  );
  const parts: Uint8Array[] = [headerType.toBuffer({ magic: MAGIC, meta, sync })];
  for (const { count, bytes } of blocks) {
    parts.push(lengthType.toBuffer(count), lengthType.toBuffer(bytes.length), bytes, sync);
  }
  return Buffer.concat(parts);
}

/** Reads a container file. Throws `storage_corrupt` when it is none or is damaged. */
export async function readAvro(content: Uint8Array): Promise<AvroRecord[]> {
  const file = openAvro(content);
  const type = typeOf(file.layout);
  const records: AvroRecord[] = [];
  for await (const { count, bytes } of blocksOf(file)) {
    let at = 0;
    for (let index = 0; index < count; index++) {
      const record = decode<AvroRecord>(type, bytes, at);
      records.push(record.value);
      at = record.offset;
    }
    if (at !== bytes.length) throw corrupt("a block is longer than its records");
  }
  return records;
}

/**
 * Reads a file's records in two parts, block by block, so that they can be written again without
 * decoding their last field. Null when that field is laid out otherwise than in `schema`.
 * @param wanted ids of fields inside the last field that are decoded as well, into the head
 */
export function readSplit(
  content: Uint8Array,
  schema: Json,
  wanted: readonly number[],
): AsyncGenerator<readonly SplitRecord[]> | null {
  const file = openAvro(content);
  const tail = tailLayout(file.layout);
  if (writeJson(tail) !== writeJson(tailLayout(layoutOf(schema)))) return null;
  return splitBlocks(file, tail, wanted);
}

/**
 * The records of a file, block by block: all fields but the last, and some of those inside the last,
 * which are the only ones of it that are decoded.
 * @param wanted ids of fields inside the last field
 */
export async function* readPicked(
  content: Uint8Array,
  wanted: readonly number[],
): AsyncGenerator<readonly AvroRecord[]> {
  const file = openAvro(content);
  for await (const block of splitBlocks(file, tailLayout(file.layout), wanted)) {
    yield block.map(({ head }) => head);
  }
}

async function* splitBlocks(
  file: OpenFile,
  last: LayoutField,
  wanted: readonly number[],
): AsyncGenerator<readonly SplitRecord[]> {
  const headType = typeOf(headLayout(file.layout));
  const tailType = typeOf(last.type);
  const names = new Set(wanted.map((id) => `f${id}`));
  const picked = typeOf({
    ...last.type,
    fields: last.type.fields.filter((f) => names.has(f.name)),
  });
  const resolver = picked.createResolver(tailType);
  for await (const { count, bytes } of blocksOf(file)) {
    const records: SplitRecord[] = [];
    let at = 0;
    for (let index = 0; index < count; index++) {
      const head = decode<AvroRecord>(headType, bytes, at);
      const { value, offset } = decode<AvroRecord>(picked, bytes, head.offset, resolver);
      const tail = bytes.subarray(head.offset, offset);
      records.push({
        head: { ...head.value, ...value },
        tail,
        decodeTail: () => decode<AvroRecord>(tailType, tail, 0).value,
      });
      at = offset;
    }
    if (at !== bytes.length) throw corrupt("a block is longer than its records");
    yield records;
  }
}

interface AvroBlock {
  readonly count: number;
  readonly bytes: Buffer;
}

/** A file whose header is read. */
interface OpenFile {
  readonly bytes: Buffer;
  readonly layout: Layout;
  readonly codec: string;
  readonly sync: Buffer;
  /** Where the first block begins. */
  readonly start: number;
}

function openAvro(content: Uint8Array): OpenFile {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw corrupt("it has no Avro header");
  const header = decode<{ meta: Record<string, Buffer>; sync: Buffer }>(headerType, bytes, 0);
  const { meta, sync } = header.value;
  const codec = meta["avro.codec"]?.toString() ?? "null";
  const layout = layoutOf(parseSchema(meta["avro.schema"]?.toString()));
  return { bytes, layout, codec, sync, start: header.offset };
}

async function* blocksOf(file: OpenFile): AsyncGenerator<AvroBlock> {
  const { bytes, sync } = file;
  for (let at = file.start; at < bytes.length; ) {
    const count = decode<number>(lengthType, bytes, at);
    const length = decode<number>(lengthType, bytes, count.offset);
    const end = length.offset + length.value;
    if (length.value < 0 || !bytes.subarray(end, end + SYNC_BYTES).equals(sync)) {
      throw corrupt("a block does not end with its sync marker");
    }
    const block = await decompress(file.codec, bytes.subarray(length.offset, end));
    yield { count: count.value, bytes: block };
    at = end + SYNC_BYTES;
  }
}

/** Decodes one value; avsc answers offset -1 when bytes are missing, and throws on bad ones. */
function decode<T>(
  type: Type,
  bytes: Buffer,
  at: number,
  resolver?: ReturnType<Type["createResolver"]>,
): { value: T; offset: number } {
  let decoded: { value: unknown; offset: number };
  try {
    decoded = type.decode(bytes, at, resolver);
  } catch (error) {
    throw corrupt("a value cannot be decoded", error);
  }
  if (decoded.offset < 0) throw corrupt("it ends in the middle of a value");
  return { value: decoded.value as T, offset: decoded.offset };
}

async function decompress(codec: string, block: Buffer): Promise<Buffer> {
  const options = { maxOutputLength: LIMITS.avroBlockBytesMax };
  try {
    switch (codec) {
      case "null":
        return block;
      case "deflate":
        return await new Promise((resolve, reject) => {
          inflateRaw(block, options, (error, out) => (error ? reject(error) : resolve(out)));
        });
      case "zstandard":
        return await new Promise((resolve, reject) => {
          zstdDecompress(block, options, (error, out) => (error ? reject(error) : resolve(out)));
        });
    }
  } catch (error) {
    throw corrupt(`a block is not valid ${codec}`, error);
  }
  throw fail("table_unsupported", `Avro codec ${codec} is not supported`, { codec });
}

function parseSchema(text: string | undefined): Json {
  try {
    return parseJson(text ?? "");
  } catch (error) {
    throw corrupt("its schema is not JSON", error);
  }
}

const typesByLayout = new Map<string, Type>();
const TYPES_KEPT_MAX = 64;

/** The avsc type of a layout; the last few are kept, because compiling costs a millisecond. */
function typeOf(layout: Layout): Type {
  const key = writeJson(layout);
  const known = typesByLayout.get(key);
  if (known !== undefined) return known;
  const type = compile(layout);
  const oldest = typesByLayout.keys().next();
  if (typesByLayout.size >= TYPES_KEPT_MAX && oldest.done !== true) {
    typesByLayout.delete(oldest.value);
  }
  typesByLayout.set(key, type);
  return type;
}

function compile(layout: Layout): Type {
  try {
    return Type.forSchema(layout as never, {
      registry: { long: bigLong },
      wrapUnions: "never",
      omitRecordMethods: true,
    });
  } catch (error) {
    throw corrupt("its schema is not valid", error);
  }
}
