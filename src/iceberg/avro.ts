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
import { promisify } from "node:util";
import { deflateRaw, inflateRaw, zstdDecompress } from "node:zlib";
import { Type, types } from "avsc";
import { fail } from "#base/errors.ts";
import { type Json, parseJson, writeJson } from "#base/json.ts";

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

/** A container file's content. */
export interface AvroFile {
  /** The header's key-value metadata as text, without `avro.*`. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly records: readonly AvroRecord[];
}

const MAGIC = Buffer.from("Obj\u0001", "latin1");
const SYNC_BYTES = 16;
/** Records of one block, before compression; also the work between two turns of the event loop. */
const BLOCK_BYTES_TARGET = 64 * 1024;
/** A block that inflates beyond this is corrupt, or an attack. */
const BLOCK_BYTES_MAX = 256 * 1024 * 1024;

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

const deflate = promisify<Uint8Array, Buffer>(deflateRaw);

/**
 * Writes a container file, deflated.
 * @param schema with `field-id` on every field of every record
 * @param metadata further header entries
 */
export async function writeAvro(
  schema: Json,
  metadata: Readonly<Record<string, string>>,
  records: Iterable<AvroRecord>,
): Promise<Uint8Array> {
  const type = typeById(schema);
  const blocks: { count: number; bytes: Uint8Array }[] = [];
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  const flush = async (): Promise<void> => {
    blocks.push({ count: pending.length, bytes: await deflate(Buffer.concat(pending)) });
    pending = [];
    pendingBytes = 0;
  };
  for (const record of records) {
    const bytes = type.toBuffer(record);
    pending.push(bytes);
    pendingBytes += bytes.length;
    if (pendingBytes >= BLOCK_BYTES_TARGET) await flush();
  }
  if (pending.length > 0) await flush();
  const meta = { ...metadata, "avro.schema": writeJson(schema), "avro.codec": "deflate" };
  return assemble(meta, blocks);
}

/** The sync marker is a digest of the content, so that equal content is equal bytes. */
function assemble(
  metadata: Readonly<Record<string, string>>,
  blocks: readonly { count: number; bytes: Uint8Array }[],
): Uint8Array {
  const digest = createHash("sha256").update(writeJson(metadata));
  for (const block of blocks) digest.update(block.bytes);
  const sync = digest.digest().subarray(0, SYNC_BYTES);
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
export async function readAvro(content: Uint8Array): Promise<AvroFile> {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  const header = decode<{ meta: Record<string, Buffer>; sync: Buffer }>(headerType, bytes, 0);
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw corrupt("it has no Avro header");
  const metadata: Record<string, string> = {};
  for (const [key, value] of Object.entries(header.value.meta)) metadata[key] = value.toString();
  const type = typeById(parseSchema(metadata["avro.schema"]));
  const codec = metadata["avro.codec"] ?? "null";
  const records: AvroRecord[] = [];
  for (let at = header.offset; at < bytes.length; ) {
    const count = decode<number>(lengthType, bytes, at);
    const length = decode<number>(lengthType, bytes, count.offset);
    const end = length.offset + length.value;
    if (length.value < 0 || !bytes.subarray(end, end + SYNC_BYTES).equals(header.value.sync)) {
      throw corrupt("a block does not end with its sync marker");
    }
    const block = await decompress(codec, bytes.subarray(length.offset, end));
    decodeBlock(type, block, count.value, records);
    at = end + SYNC_BYTES;
  }
  delete metadata["avro.schema"];
  delete metadata["avro.codec"];
  return { metadata, records };
}

function decodeBlock(type: Type, block: Buffer, count: number, into: AvroRecord[]): void {
  let at = 0;
  for (let index = 0; index < count; index++) {
    const record = decode<AvroRecord>(type, block, at);
    into.push(record.value);
    at = record.offset;
  }
  if (at !== block.length) throw corrupt("a block is longer than its records");
}

/** Decodes one value; avsc answers offset -1 when bytes are missing, and throws on bad ones. */
function decode<T>(type: Type, bytes: Buffer, at: number): { value: T; offset: number } {
  let decoded: { value: unknown; offset: number };
  try {
    decoded = type.decode(bytes, at);
  } catch (error) {
    throw corrupt("a value cannot be decoded", error);
  }
  if (decoded.offset < 0) throw corrupt("it ends in the middle of a value");
  return { value: decoded.value as T, offset: decoded.offset };
}

async function decompress(codec: string, block: Buffer): Promise<Buffer> {
  const options = { maxOutputLength: BLOCK_BYTES_MAX };
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

const typesBySchema = new Map<string, Type>();
const TYPES_KEPT_MAX = 64;

/** The avsc type of a schema; the last few are kept, because compiling costs a millisecond. */
function typeById(schema: Json): Type {
  const key = writeJson(schema);
  const known = typesBySchema.get(key);
  if (known !== undefined) return known;
  const renamed = new Renamer().rename(schema);
  const type = Type.forSchema(renamed as string, {
    registry: { long: bigLong },
    wrapUnions: "never",
    omitRecordMethods: true,
  });
  const oldest = typesBySchema.keys().next();
  if (typesBySchema.size >= TYPES_KEPT_MAX && oldest.done !== true) {
    typesBySchema.delete(oldest.value);
  }
  typesBySchema.set(key, type);
  return type;
}

/** Rewrites a schema: fields named by id, named types unique and spelled out, no logical types. */
class Renamer {
  private readonly named = new Map<string, Json>();
  private count = 0;

  rename(schema: Json): Json {
    if (typeof schema === "string") {
      const target = this.named.get(schema);
      return target === undefined ? schema : this.rename(target);
    }
    if (Array.isArray(schema)) return schema.map((branch) => this.rename(branch));
    if (typeof schema !== "object" || schema === null) throw corrupt("its schema has no type");
    const { type, name } = schema;
    if (typeof name === "string") this.named.set(name, schema);
    switch (type) {
      case "record":
        return { type, name: this.unique(), fields: this.fields(schema["fields"] ?? []) };
      case "array":
        return { type, items: this.rename(schema["items"] ?? null) };
      case "map":
        return { type, values: this.rename(schema["values"] ?? null) };
      case "fixed":
        return { type, name: this.unique(), size: schema["size"] ?? 0 };
      case "enum":
        return { type, name: this.unique(), symbols: schema["symbols"] ?? [] };
      default:
        return this.rename(type ?? null);
    }
  }

  private fields(fields: Json): Json {
    if (!Array.isArray(fields)) throw corrupt("a record of its schema has no fields");
    return fields.map((field) => {
      if (typeof field !== "object" || field === null || Array.isArray(field)) {
        throw corrupt("a field of its schema is malformed");
      }
      const id = field["field-id"];
      return {
        name: typeof id === "number" ? `f${id}` : this.unique(),
        type: this.rename(field["type"] ?? null),
      };
    });
  }

  private unique(): string {
    this.count++;
    return `t${this.count}`;
  }
}

function corrupt(why: string, cause?: unknown): Error {
  return fail("storage_corrupt", `An Avro file cannot be read: ${why}`, {}, cause);
}
