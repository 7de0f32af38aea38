/**
 * A record batch that is built once and sent often: parts of its records are written anew in place, then it
 * is sealed with its time and its CRC-32C (https://kafka.apache.org/documentation/#recordbatch, format v2).
 * It is uncompressed, and of no transactional or idempotent producer.
 */
import type { Scratch } from "#consumer/codec/blocks.ts";
import { Writer } from "#consumer/wire/wire.ts";

/** A record as it is built; null: it has none. */
export interface BuiltRecord {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
}

/** Where a record's bytes begin in the batch; null: it has none. */
export interface RecordPlace {
  readonly keyAt: number | null;
  readonly valueAt: number | null;
}

const HEADER_BYTES = 61;
const AT = { length: 8, magic: 16, crc: 17, attributes: 21, lastOffsetDelta: 23 } as const;
const TIMES_AT = { base: 27, max: 35 } as const;
const PRODUCER_AT = { id: 43, epoch: 51, sequence: 53, records: 57 } as const;

/** One batch, and where its records stand. */
export class BuiltBatch {
  readonly bytes: Buffer;
  readonly view: DataView;
  /** In order. */
  readonly places: readonly RecordPlace[];

  constructor(records: readonly BuiltRecord[]) {
    const writer = new Writer().raw(header(records.length));
    this.places = records.map((record, index) => writeRecord(writer, index, record));
    this.bytes = Buffer.from(writer.finish());
    this.bytes.writeInt32BE(this.bytes.length - AT.length - 4, AT.length);
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length);
  }

  /** Makes it whole again after a change. */
  seal(timestampMs: number, scratch: Scratch): void {
    this.view.setBigInt64(TIMES_AT.base, BigInt(timestampMs));
    this.view.setBigInt64(TIMES_AT.max, BigInt(timestampMs));
    this.view.setUint32(AT.crc, scratch.crc32c(this.bytes, AT.attributes));
  }
}

function header(rows: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.writeInt32BE(-1, AT.length + 4);
  bytes.writeInt8(2, AT.magic);
  bytes.writeInt32BE(rows - 1, AT.lastOffsetDelta);
  bytes.writeBigInt64BE(-1n, PRODUCER_AT.id);
  bytes.writeInt16BE(-1, PRODUCER_AT.epoch);
  bytes.writeInt32BE(-1, PRODUCER_AT.sequence);
  bytes.writeInt32BE(rows, PRODUCER_AT.records);
  return bytes;
}

/** Length | attributes | timestamp delta 0 | offset delta | key | value | headers 0. */
function writeRecord(
  writer: Writer,
  offsetDelta: number,
  { key, value }: BuiltRecord,
): RecordPlace {
  const head = new Writer().int8(0).uvarint(0).uvarint(zigzag(offsetDelta));
  const [beforeKey, beforeValue] = [head.uvarint(sizeOf(key)), new Writer().uvarint(sizeOf(value))];
  const parts = [beforeKey.finish(), key, beforeValue.finish(), value];
  const bytes = parts.reduce((sum, part) => sum + (part?.length ?? 0), 0);
  writer.uvarint(zigzag(bytes + 1));
  const [, keyAt = null, , valueAt = null] = parts.map((part) => {
    if (part === null) return null;
    const at = writer.finish().length;
    writer.raw(part);
    return at;
  });
  writer.uvarint(0);
  return { keyAt, valueAt };
}

/** As a varint: -1 for nothing. */
function sizeOf(bytes: Uint8Array | null): number {
  return zigzag(bytes?.length ?? -1);
}

function zigzag(value: number): number {
  return (value << 1) ^ (value >> 31);
}
