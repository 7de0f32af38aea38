/**
 * Builds record batches as bytes (Kafka protocol, "Record Batch", format v2) for decoder tests.
 */
import type { RecordBytes } from "#decode/decoder.ts";

/** One record to build. */
export interface RecordInput {
  readonly value: string | Uint8Array | null;
  readonly key?: string | Uint8Array | null;
  readonly headers?: readonly (readonly [key: string, value: string | null])[];
  readonly timestampDelta?: number;
  readonly offsetDelta?: number;
}

const encoder = new TextEncoder();

/** A batch of records; plain strings are values. Offsets and timestamps count up by one. */
export function recordBatch(
  records: readonly (RecordInput | string | Uint8Array | null)[],
  overrides: Partial<RecordBytes> = {},
): RecordBytes {
  const parts = records.map((record, index) => {
    const input =
      record === null || typeof record === "string" || record instanceof Uint8Array
        ? { value: record }
        : record;
    return recordBytes(input, index);
  });
  return {
    topic: "events",
    partition: 3,
    wantedOffset: overrides.baseOffset ?? 0n,
    baseOffset: 0n,
    recordCount: records.length,
    payload: new Uint8Array(Buffer.concat(parts)),
    baseTimestampMs: 1_760_000_000_000,
    appendTimestampMs: null,
    ...overrides,
  };
}

function recordBytes(record: RecordInput, index: number): Buffer {
  const headers = record.headers ?? [];
  const body = Buffer.concat([
    Buffer.of(0),
    varint(record.timestampDelta ?? index),
    varint(record.offsetDelta ?? index),
    sized(record.key ?? null),
    sized(record.value),
    varint(headers.length),
    ...headers.flatMap(([key, value]) => [sized(key), sized(value)]),
  ]);
  return Buffer.concat([varint(body.length), body]);
}

function sized(value: string | Uint8Array | null): Buffer {
  if (value === null) return varint(-1);
  const bytes = typeof value === "string" ? encoder.encode(value) : value;
  return Buffer.concat([varint(bytes.length), bytes]);
}

/** A zigzag varint of up to 64 bits. */
export function varint(value: number | bigint): Buffer {
  let rest = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n));
  const bytes: number[] = [];
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}
