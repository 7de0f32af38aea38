/**
 * Walks the records of a record batch (Kafka protocol, "Record Batch", format v2) without an object
 * per record: `next` moves to a record and leaves where its parts lie in the payload.
 *
 * ```text
 * length varint | attributes int8 | timestampDelta varlong | offsetDelta varint
 * | keyLength varint | key | valueLength varint | value | headerCount varint | headers
 * ```
 *
 * Lengths are checked against the payload: a batch that lies about them is `batch_corrupt`.
 */
import { fail } from "#base/errors.ts";
import type { RecordBytes } from "./decoder.ts";

/** A position in a batch's records. Keys, values: `start` -1 when null. */
export class RecordCursor {
  readonly bytes: Uint8Array;
  timestampDelta = 0;
  offsetDelta = 0;
  keyStart = -1;
  keyEnd = -1;
  valueStart = -1;
  valueEnd = -1;
  headerCount = 0;
  /** First byte of the first header. */
  headersStart = 0;
  private readonly batch: RecordBytes;
  private position = 0;
  private seen = 0;

  constructor(batch: RecordBytes) {
    this.batch = batch;
    this.bytes = batch.payload;
  }

  /** Where the next record begins, and how many there are from it on. */
  get nextPosition(): number {
    return this.position;
  }

  get left(): number {
    return this.batch.recordCount - this.seen;
  }

  /** Goes on at a record whose place is known, with `left` records from it on. */
  seek(position: number, left: number): void {
    this.position = position;
    this.seen = this.batch.recordCount - left;
  }

  /** Moves to the next record; false at the end. Throws `batch_corrupt`. */
  next(): boolean {
    if (this.seen === this.batch.recordCount) return false;
    this.seen++;
    const size = this.varint();
    const end = this.position + size;
    if (size < 0 || end > this.bytes.length) throw this.corrupt("a record's length");
    this.position++; // attributes: unused in v2
    this.timestampDelta = this.varlong();
    this.offsetDelta = this.varint();
    const keyLength = this.varint();
    this.keyStart = keyLength < 0 ? -1 : this.position;
    if (keyLength > 0) this.position += keyLength;
    this.keyEnd = this.position;
    const valueLength = this.varint();
    this.valueStart = valueLength < 0 ? -1 : this.position;
    if (valueLength > 0) this.position += valueLength;
    this.valueEnd = this.position;
    this.headerCount = this.varint();
    this.headersStart = this.position;
    // A key or value that is too long shows here too: each moved the position.
    if (this.headerCount < 0 || this.position > end) throw this.corrupt("a part");
    this.position = end;
    return true;
  }

  /**
   * Calls `visit` for each header of the current record; `valueStart` -1 when its value is null.
   * Throws `batch_corrupt`.
   */
  headers(
    visit: (keyStart: number, keyEnd: number, valueStart: number, valueEnd: number) => void,
  ): void {
    const end = this.position;
    this.position = this.headersStart;
    for (let index = 0; index < this.headerCount; index++) {
      const keyLength = this.varint();
      const keyStart = this.position;
      const keyEnd = keyStart + keyLength;
      if (keyLength < 0 || keyEnd > end) throw this.corrupt("a header's key length");
      this.position = keyEnd;
      const valueLength = this.varint();
      const valueStart = valueLength < 0 ? -1 : this.position;
      if (valueLength > 0) this.position += valueLength;
      if (this.position > end) throw this.corrupt("a header's value length");
      visit(keyStart, keyEnd, valueStart, this.position);
    }
    this.position = end;
  }

  /** A zigzag varint of at most 32 bits. */
  private varint(): number {
    const { bytes } = this;
    let value = 0;
    let shift = 0;
    for (; shift < 35; shift += 7) {
      const byte = bytes[this.position++];
      if (byte === undefined) throw this.corrupt("a truncated number");
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1);
    }
    throw this.corrupt("a number of more than 5 bytes");
  }

  /** A zigzag varint of at most 64 bits, as a number: exact up to 2^53, and beyond it beyond it. */
  private varlong(): number {
    const start = this.position;
    let value = 0;
    let scale = 1;
    // Seven bytes are 49 bits: their sum is exact, so that its last bit tells the sign.
    for (let size = 0; size < 7; size++) {
      const byte = this.bytes[start + size];
      if (byte === undefined) throw this.corrupt("a truncated number");
      value += (byte & 0x7f) * scale;
      scale *= 0x80;
      if (byte < 0x80) {
        this.position = start + size + 1;
        return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
      }
    }
    return this.longVarlong(start);
  }

  private longVarlong(start: number): number {
    let value = 0n;
    for (let size = 0; size < 10; size++) {
      const byte = this.bytes[start + size];
      if (byte === undefined) throw this.corrupt("a truncated number");
      value |= BigInt(byte & 0x7f) << BigInt(7 * size);
      if (byte < 0x80) {
        this.position = start + size + 1;
        const bits = BigInt.asUintN(64, value);
        return Number((bits >> 1n) ^ -(bits & 1n));
      }
    }
    throw this.corrupt("a number of more than 10 bytes");
  }

  private corrupt(what: string): Error {
    const { topic, partition, baseOffset } = this.batch;
    return fail("batch_corrupt", `A record batch holds ${what} that does not fit`, {
      topic,
      partition,
      baseOffset,
    });
  }
}

/** A header of a record, as views. */
export interface RecordHeader {
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
}

/** Headers one after the other, as Kafka encodes them; null when they are damaged. */
export function headersOf(bytes: Uint8Array): RecordHeader[] | null {
  const headers: RecordHeader[] = [];
  let at = 0;
  const varint = (): number | null => {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined) return null;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1);
    }
    return null;
  };
  while (at < bytes.length) {
    const keyLength = varint();
    if (keyLength === null || keyLength < 0) return null;
    const keyStart = at;
    at += keyLength;
    const valueLength = varint();
    if (valueLength === null) return null;
    const valueStart = at;
    if (valueLength > 0) at += valueLength;
    if (at > bytes.length) return null;
    headers.push({
      key: bytes.subarray(keyStart, keyStart + keyLength),
      value: valueLength < 0 ? null : bytes.subarray(valueStart, at),
    });
  }
  return headers;
}

/** Some records of a batch, framed as in the batch. */
export interface RecordShare {
  readonly payload: Uint8Array;
  readonly recordCount: number;
}

/**
 * The records of a batch that are wanted, copied; null: none is. Those below its wanted offset are not
 * asked for and left out.
 */
export function selectRecords(
  batch: RecordBytes,
  isWanted: (offset: bigint) => boolean,
): RecordShare | null {
  const cursor = new RecordCursor(batch);
  const parts: Uint8Array[] = [];
  let recordCount = 0;
  let runStart = -1;
  let start = 0;
  const endRun = (): void => {
    if (runStart >= 0) parts.push(batch.payload.subarray(runStart, start));
    runStart = -1;
  };
  for (; cursor.next(); start = cursor.nextPosition) {
    const offset = batch.baseOffset + BigInt(cursor.offsetDelta);
    if (offset < batch.wantedOffset || !isWanted(offset)) endRun();
    else {
      if (runStart < 0) runStart = start;
      recordCount++;
    }
  }
  endRun();
  return recordCount === 0 ? null : { payload: Buffer.concat(parts), recordCount };
}

/**
 * Cuts a batch's records into shares, one for each number below `count`; null: none has it. Those below
 * the wanted offset are left out. One share of all records is the batch's own bytes.
 * @param numberOf of the record that the cursor is at; below 0: in no share
 */
export function splitRecords(
  batch: RecordBytes,
  count: number,
  numberOf: (cursor: RecordCursor) => number,
): (RecordShare | null)[] {
  const cursor = new RecordCursor(batch);
  const wantedDelta = Number(batch.wantedOffset - batch.baseOffset);
  const parts = Array.from({ length: count }, () => [] as Uint8Array[]);
  const counts = new Uint32Array(count);
  let from = 0;
  let last = -1;
  const endRun = (to: number): void => {
    if (last >= 0) parts[last]?.push(batch.payload.subarray(from, to));
    from = to;
  };
  for (let start = 0; cursor.next(); start = cursor.nextPosition) {
    const number = cursor.offsetDelta < wantedDelta ? -1 : numberOf(cursor);
    if (number !== last) endRun(start);
    last = number;
    if (number >= 0) counts[number] = (counts[number] ?? 0) + 1;
  }
  endRun(cursor.nextPosition);
  return parts.map((own, number) => {
    const recordCount = counts[number] ?? 0;
    if (recordCount === 0) return null;
    const [first = new Uint8Array(0)] = own;
    return { payload: own.length === 1 ? first : Buffer.concat(own), recordCount };
  });
}
