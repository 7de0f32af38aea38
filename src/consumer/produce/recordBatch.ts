/**
 * A record batch as a producer without transactions and without sequence numbers makes it (protocol,
 * "Record Batch", format v2), uncompressed.
 */
import { crc32c } from "#base/crc32c.ts";
import { type FramedHeader, frameRecord } from "#base/recordFrames.ts";
import { BATCH_AT, BATCH_HEADER_BYTES } from "#consumer/wire/batchHeader.ts";

/** A record to be produced. */
export interface ProducedRecord {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly FramedHeader[];
}

/** The bytes of a batch, all of its records of one time. */
export function encodeBatch(records: readonly ProducedRecord[], timestampMs: number): Uint8Array {
  const framed = records.map((record, index) =>
    frameRecord({ ...record, offsetDelta: BigInt(index), timestampDelta: 0n }),
  );
  const bytes = Buffer.concat([Buffer.alloc(BATCH_HEADER_BYTES), ...framed]);
  bytes.writeInt32BE(bytes.length - BATCH_AT.leaderEpoch, BATCH_AT.length);
  bytes.writeInt32BE(-1, BATCH_AT.leaderEpoch);
  bytes.writeInt8(2, BATCH_AT.magic);
  bytes.writeInt32BE(records.length - 1, BATCH_AT.lastOffsetDelta);
  bytes.writeBigInt64BE(BigInt(timestampMs), BATCH_AT.baseTimestamp);
  bytes.writeBigInt64BE(BigInt(timestampMs), BATCH_AT.maxTimestamp);
  bytes.writeBigInt64BE(-1n, BATCH_AT.producerId);
  bytes.writeInt16BE(-1, BATCH_AT.producerEpoch);
  bytes.writeInt32BE(-1, BATCH_AT.baseSequence);
  bytes.writeInt32BE(records.length, BATCH_AT.recordCount);
  bytes.writeUInt32BE(crc32c(bytes, BATCH_AT.attributes), BATCH_AT.crc);
  return bytes;
}
