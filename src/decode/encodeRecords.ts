/**
 * Records as Kafka frames them in a record batch (protocol, "Record", format v2), for bytes that are to
 * be decoded once more.
 */
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
    payload: Buffer.concat(records.map((record) => framed(record, baseOffset))),
    baseTimestampMs: 0,
    appendTimestampMs: null,
  };
}

function framed(record: RecordToEncode, baseOffset: bigint): Buffer {
  const body = Buffer.concat([
    Buffer.of(0),
    varint(BigInt(record.timestampMs)),
    varint(record.offset - baseOffset),
    sized(record.key),
    sized(record.value),
    varint(BigInt(record.headers.length)),
    ...record.headers.flatMap(({ key, value }) => [sized(key), sized(value)]),
  ]);
  return Buffer.concat([varint(BigInt(body.length)), body]);
}

function sized(bytes: Uint8Array | null): Buffer {
  return bytes === null ? varint(-1n) : Buffer.concat([varint(BigInt(bytes.length)), bytes]);
}

/** A zigzag varint of up to 64 bits. */
function varint(value: bigint): Buffer {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  const bytes: number[] = [];
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}
