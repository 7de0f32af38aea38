/**
 * A record batch as a producer without transactions and without sequence numbers makes it (protocol,
 * "Record Batch", format v2), uncompressed.
 */
import { crc32c } from "#base/crc32c.ts";
import { type FramedHeader, frameRecord } from "#base/recordFrames.ts";

/** A record to be produced. */
export interface ProducedRecord {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly FramedHeader[];
}

const HEADER_BYTES = 61;
const AT = {
  length: 8,
  leaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  sequence: 53,
  records: 57,
} as const;

/** The bytes of a batch, all of its records of one time. */
export function encodeBatch(records: readonly ProducedRecord[], timestampMs: number): Uint8Array {
  const framed = records.map((record, index) =>
    frameRecord({ ...record, offsetDelta: BigInt(index), timestampDelta: 0n }),
  );
  const bytes = Buffer.concat([Buffer.alloc(HEADER_BYTES), ...framed]);
  bytes.writeInt32BE(bytes.length - AT.leaderEpoch, AT.length);
  bytes.writeInt32BE(-1, AT.leaderEpoch);
  bytes.writeInt8(2, AT.magic);
  bytes.writeInt32BE(records.length - 1, AT.lastOffsetDelta);
  bytes.writeBigInt64BE(BigInt(timestampMs), AT.baseTimestamp);
  bytes.writeBigInt64BE(BigInt(timestampMs), AT.maxTimestamp);
  bytes.writeBigInt64BE(-1n, AT.producerId);
  bytes.writeInt16BE(-1, AT.producerEpoch);
  bytes.writeInt32BE(-1, AT.sequence);
  bytes.writeInt32BE(records.length, AT.records);
  bytes.writeUInt32BE(crc32c(bytes, AT.attributes), AT.crc);
  return bytes;
}
