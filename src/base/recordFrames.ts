/**
 * Records as Kafka frames them in a record batch (protocol, "Record", format v2).
 */

/** A header. */
export interface FramedHeader {
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
}

/** One record of a batch. */
export interface RecordToFrame {
  /** Behind the batch's first offset. */
  readonly offsetDelta: bigint;
  /** Behind the batch's time, ms. */
  readonly timestampDelta: bigint;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly FramedHeader[];
}

/** The bytes of a record, its length in front. */
export function frameRecord(record: RecordToFrame): Buffer {
  const { offsetDelta, timestampDelta, key, value, headers } = record;
  const body = Buffer.concat([
    Buffer.of(0),
    varint(timestampDelta),
    varint(offsetDelta),
    sized(key),
    sized(value),
    varint(BigInt(headers.length)),
    ...headers.flatMap((header) => [sized(header.key), sized(header.value)]),
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
