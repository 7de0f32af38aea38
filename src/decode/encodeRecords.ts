/**
 * Records as Kafka frames them in a record batch (protocol, "Record", format v2), for bytes that are to
 * be decoded once more.
 */
import { frameRecord } from "#base/recordFrames.ts";
import type { RecordBytes } from "./decoder.ts";
import type { RecordHeader } from "./records.ts";

/** One record. */
export interface RecordToEncode {
  readonly offset: bigint;
  readonly timestampMs: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly RecordHeader[];
}

/** A batch of records of one partition, ascending by offset, less than 2^31 offsets apart. */
export function encodeRecords(
  topic: string,
  partition: number,
  records: readonly RecordToEncode[],
): RecordBytes {
  const baseOffset = records[0]?.offset ?? 0n;
  return {
    topic,
    partition,
    wantedOffset: baseOffset,
    baseOffset,
    recordCount: records.length,
    payload: Buffer.concat(
      records.map(({ offset, timestampMs, ...record }) =>
        frameRecord({
          ...record,
          offsetDelta: offset - baseOffset,
          timestampDelta: BigInt(timestampMs),
        }),
      ),
    ),
    baseTimestampMs: 0,
    appendTimestampMs: null,
  };
}
