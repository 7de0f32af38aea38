/**
 * Walks the record batches of one fetched partition by their headers, and decides by header which
 * are visible (SPEC 2.6): the pure half of reading, without I/O and without looking at a record.
 *
 * Nothing of a batch may be trusted before {@link crcMatches}, and a batch that fails takes all batches
 * after it along.
 */
import type { Scratch } from "#consumer/codec/blocks.ts";
import { BATCH_AT, BATCH_HEADER_BYTES } from "#consumer/wire/batchHeader.ts";
import type { AbortedTransaction } from "./fetchRequest.ts";

/** Bytes before `length` starts to count. */
const LENGTH_OVERHEAD = 12;
const ATTRIBUTE = { codec: 7, logAppendTime: 8, transactional: 16, control: 32 } as const;
const ABORT_MARKER = 0;

/** One batch: where it lies, and what its header says. */
export interface BatchView {
  /** The whole batch, header included. */
  readonly bytes: Buffer;
  readonly baseOffset: bigint;
  /** Last offset + 1. */
  readonly nextOffset: bigint;
  /** Not covered by the CRC. */
  readonly leaderEpoch: number;
  readonly recordCount: number;
  /** False for control batches, aborted transactions and batches without records. */
  readonly visible: boolean;
  /** 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd. */
  readonly codec: number;
  readonly baseTimestampMs: number;
  readonly maxTimestampMs: number;
  readonly logAppendTime: boolean;
}

/** The batches found, and what stopped the walk before the end, if anything did. */
export interface Walk {
  readonly batches: readonly BatchView[];
  /** Bytes that cannot be a record batch v2; null when the walk ended cleanly or in a partial batch. */
  readonly malformed: { readonly offset: bigint; readonly reason: string } | null;
}

/**
 * Walks `records` from the fetched offset `position` on. A batch that is cut off at the end is
 * ignored: it comes whole with the next fetch.
 * @param aborted the broker's list; pass none to read uncommitted
 */
export function walkBatches(
  records: Uint8Array,
  position: bigint,
  aborted: readonly AbortedTransaction[],
  readCommitted: boolean,
): Walk {
  const buffer = Buffer.from(records.buffer, records.byteOffset, records.length);
  const filter = new TransactionFilter(readCommitted ? aborted : []);
  const batches: BatchView[] = [];
  let expected = position;
  // What is cut off before its format version is not judged: its length may be any four bytes.
  for (let start = 0; start + BATCH_AT.magic < buffer.length; ) {
    const end = start + LENGTH_OVERHEAD + buffer.readInt32BE(start + BATCH_AT.length);
    const reason = malformation(buffer, start, end);
    if (reason !== null) return { batches, malformed: { offset: expected, reason } };
    if (end > buffer.length) break;
    const batch = viewBatch(buffer.subarray(start, end), filter);
    start = end;
    if (batch.nextOffset <= position) continue;
    if (batches.length > 0 && batch.baseOffset < expected) {
      return { batches, malformed: { offset: expected, reason: "its offset goes back" } };
    }
    expected = batch.nextOffset;
    batches.push(batch);
  }
  return { batches, malformed: null };
}

/** Whether the batch's CRC-32C is what its header says; `scratch` computes it. */
export function crcMatches(batch: Buffer, scratch: Scratch): boolean {
  return scratch.crc32c(batch, BATCH_AT.attributes) === batch.readUInt32BE(BATCH_AT.crc);
}

/** The records of a batch, still compressed. */
export function recordBytes(batch: BatchView): Uint8Array {
  return batch.bytes.subarray(BATCH_HEADER_BYTES);
}

function malformation(buffer: Buffer, start: number, end: number): string | null {
  const magic = buffer.readInt8(start + BATCH_AT.magic);
  if (magic === 0 || magic === 1) {
    return `it is in message format ${magic}, which Kafka replaced in version 0.11; copy the topic with a current producer`;
  }
  if (magic !== 2) return `its format version ${magic} is unknown`;
  if (end - start < BATCH_HEADER_BYTES) return "its length is shorter than its header";
  return null;
}

function viewBatch(bytes: Buffer, filter: TransactionFilter): BatchView {
  const baseOffset = bytes.readBigInt64BE(0);
  const lastOffset = baseOffset + BigInt(bytes.readInt32BE(BATCH_AT.lastOffsetDelta));
  const attributes = bytes.readInt16BE(BATCH_AT.attributes);
  const recordCount = bytes.readInt32BE(BATCH_AT.recordCount);
  const hidden = filter.hides(bytes, attributes, lastOffset);
  return {
    bytes,
    baseOffset,
    nextOffset: lastOffset + 1n,
    leaderEpoch: bytes.readInt32BE(BATCH_AT.leaderEpoch),
    recordCount,
    visible: !hidden && recordCount > 0,
    codec: attributes & ATTRIBUTE.codec,
    baseTimestampMs: Number(bytes.readBigInt64BE(BATCH_AT.baseTimestamp)),
    maxTimestampMs: Number(bytes.readBigInt64BE(BATCH_AT.maxTimestamp)),
    logAppendTime: (attributes & ATTRIBUTE.logAppendTime) !== 0,
  };
}

/**
 * Which batches of one answer belong to aborted transactions, as Java's fetcher decides it: every
 * aborted transaction that begins at or below a batch's last offset is active from that batch on,
 * until a control batch of its producer says ABORT. Nothing else ends it, and no key of a record is
 * looked at outside control batches.
 */
class TransactionFilter {
  private readonly waiting: AbortedTransaction[];
  private readonly active = new Set<bigint>();

  constructor(aborted: readonly AbortedTransaction[]) {
    // Last first, so that the next one to begin can be popped.
    this.waiting = [...aborted].sort((a, b) => (a.firstOffset < b.firstOffset ? 1 : -1));
  }

  hides(batch: Buffer, attributes: number, lastOffset: bigint): boolean {
    for (let next = this.waiting.at(-1); next && next.firstOffset <= lastOffset; ) {
      this.active.add(next.producerId);
      this.waiting.pop();
      next = this.waiting.at(-1);
    }
    const producerId = batch.readBigInt64BE(BATCH_AT.producerId);
    if ((attributes & ATTRIBUTE.control) !== 0) {
      if (controlType(batch) === ABORT_MARKER) this.active.delete(producerId);
      return true;
    }
    return (attributes & ATTRIBUTE.transactional) !== 0 && this.active.has(producerId);
  }
}

/** The type in a control record's key (`version i16 | type i16`); -1 when there is no such key. */
function controlType(batch: Buffer): number {
  let at = BATCH_HEADER_BYTES;
  const skipVarint = (): number => {
    let value = 0;
    for (let shift = 0; at < batch.length; shift += 7) {
      const byte = batch[at++] ?? 0;
      value |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    return (value >>> 1) ^ -(value & 1);
  };
  skipVarint(); // length
  at++; // attributes
  skipVarint(); // timestamp delta
  skipVarint(); // offset delta
  const keyBytes = skipVarint();
  return keyBytes >= 4 && at + 4 <= batch.length ? batch.readInt16BE(at + 2) : -1;
}
