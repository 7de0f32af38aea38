/**
 * Record batches v2 made by hand, for tests: any header may be set, also to what no broker writes.
 */
import { gzipSync, zstdCompressSync } from "node:zlib";
import { crc32c } from "#base/crc32c.ts";

/** A record: text, bytes, or null. */
export interface FakeRecord {
  readonly key?: string | Uint8Array | null;
  readonly value?: string | Uint8Array | null;
  /** Distance from the batch's base offset; default: the running number. */
  readonly offsetDelta?: number;
}

/** A batch. */
export interface FakeBatch {
  readonly baseOffset: number;
  readonly records?: readonly FakeRecord[];
  /** Default: the last record's. */
  readonly lastOffsetDelta?: number;
  readonly codec?: "none" | "gzip" | "zstd" | "snappy" | "lz4";
  readonly producerId?: number;
  readonly transactional?: boolean;
  /** A control batch with this marker. */
  readonly control?: "abort" | "commit";
  readonly logAppendTime?: boolean;
  /** Default -1, as producers write it; a broker's log has the leader's. */
  readonly leaderEpoch?: number;
  readonly baseTimestampMs?: number;
  readonly maxTimestampMs?: number;
}

const CODECS = ["none", "gzip", "snappy", "lz4", "zstd"] as const;

/** Encodes a batch. */
export function buildBatch(batch: FakeBatch): Buffer {
  const control = batch.control === undefined ? undefined : marker(batch.control);
  const records = control === undefined ? (batch.records ?? []) : [control];
  const encoded = Buffer.concat(records.map((record, i) => encodeRecord(record, i)));
  const codec = batch.codec ?? "none";
  const body = compressBody(encoded, codec);
  const out = Buffer.alloc(61 + body.length);
  const last = records.at(-1)?.offsetDelta ?? records.length - 1;
  const transactional = batch.transactional ?? batch.control !== undefined;
  out.writeBigInt64BE(BigInt(batch.baseOffset), 0);
  out.writeInt32BE(out.length - 12, 8);
  out.writeInt32BE(batch.leaderEpoch ?? -1, 12);
  out.writeInt8(2, 16);
  out.writeInt16BE(
    CODECS.indexOf(codec) |
      (batch.logAppendTime === true ? 8 : 0) |
      (transactional ? 16 : 0) |
      (batch.control === undefined ? 0 : 32),
    21,
  );
  out.writeInt32BE(batch.lastOffsetDelta ?? Math.max(0, last), 23);
  out.writeBigInt64BE(BigInt(batch.baseTimestampMs ?? 1000), 27);
  out.writeBigInt64BE(BigInt(batch.maxTimestampMs ?? 2000), 35);
  out.writeBigInt64BE(BigInt(batch.producerId ?? -1), 43);
  out.writeInt16BE(0, 51);
  out.writeInt32BE(-1, 53);
  out.writeInt32BE(records.length, 57);
  body.copy(out, 61);
  return sealed(out);
}

/** Writes the right CRC into a batch that was changed. */
export function sealed(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch, 21), 17);
  return batch;
}

function marker(type: "abort" | "commit"): FakeRecord {
  return { key: new Uint8Array([0, 0, 0, type === "abort" ? 0 : 1]), value: "\0\0\0\0\0\0" };
}

function encodeRecord(record: FakeRecord, index: number): Buffer {
  const field = (value: string | Uint8Array | null | undefined): Buffer => {
    if (value === null || value === undefined) return varint(-1);
    const bytes = Buffer.from(value as string);
    return Buffer.concat([varint(bytes.length), bytes]);
  };
  const body = Buffer.concat([
    Buffer.from([0]),
    varint(0),
    varint(record.offsetDelta ?? index),
    field(record.key),
    field(record.value),
    varint(0),
  ]);
  return Buffer.concat([varint(body.length), body]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = ((value << 1) ^ (value >> 31)) >>> 0;
  for (; rest > 127; rest >>>= 7) bytes.push((rest & 127) | 128);
  bytes.push(rest);
  return Buffer.from(bytes);
}

function compressBody(bytes: Buffer, codec: (typeof CODECS)[number]): Buffer {
  switch (codec) {
    case "none":
      return bytes;
    case "gzip":
      return Buffer.from(gzipSync(bytes));
    case "zstd":
      return Buffer.from(zstdCompressSync(bytes));
    case "snappy":
      return snappyLiterals(bytes);
    case "lz4":
      return lz4Stored(bytes);
  }
}

/** A snappy block of literals alone. */
export function snappyLiterals(bytes: Uint8Array): Buffer {
  const length: number[] = [];
  let rest = bytes.length;
  for (; rest > 127; rest >>>= 7) length.push((rest & 127) | 128);
  length.push(rest);
  const parts: Buffer[] = [Buffer.from(length)];
  for (let at = 0; at < bytes.length; at += 60) {
    const piece = bytes.subarray(at, at + 60);
    parts.push(Buffer.from([(piece.length - 1) << 2]), Buffer.from(piece));
  }
  return Buffer.concat(parts);
}

/** An LZ4 frame of one stored block. */
export function lz4Stored(bytes: Uint8Array): Buffer {
  return lz4Frame([{ stored: true, bytes }]);
}

/** An LZ4 frame of these blocks (64 KiB size class, no checksums). */
export function lz4Frame(blocks: readonly { stored: boolean; bytes: Uint8Array }[]): Buffer {
  const parts: Buffer[] = [Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82])];
  for (const { stored, bytes } of blocks) {
    const size = Buffer.alloc(4);
    size.writeUInt32LE(stored ? bytes.length + 0x8000_0000 : bytes.length);
    parts.push(size, Buffer.from(bytes));
  }
  return Buffer.concat([...parts, Buffer.alloc(4)]);
}
