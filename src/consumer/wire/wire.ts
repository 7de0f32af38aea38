/**
 * Kafka's primitive types on the wire: a growing writer and a bounds-checked reader.
 *
 * Classic and flexible ("compact") forms, as in https://kafka.apache.org/protocol#protocol_types.
 * Reading past the end throws `batch_corrupt`: a short answer is never read as zeros.
 */
import { fail } from "#base/errors.ts";

const EMPTY = new Uint8Array(0);

/** Appends Kafka primitives to a buffer that grows. */
export class Writer {
  private buffer: Buffer = Buffer.allocUnsafe(256);
  private length = 0;

  private room(bytes: number): number {
    const at = this.length;
    this.length += bytes;
    if (this.length > this.buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.length, this.buffer.length * 2));
      this.buffer.copy(grown, 0, 0, at);
      this.buffer = grown;
    }
    return at;
  }

  int8(value: number): this {
    const at = this.room(1);
    this.buffer.writeInt8(value, at);
    return this;
  }

  int16(value: number): this {
    const at = this.room(2);
    this.buffer.writeInt16BE(value, at);
    return this;
  }

  int32(value: number): this {
    const at = this.room(4);
    this.buffer.writeInt32BE(value, at);
    return this;
  }

  int64(value: bigint): this {
    const at = this.room(8);
    this.buffer.writeBigInt64BE(value, at);
    return this;
  }

  uvarint(value: number): this {
    let rest = value >>> 0;
    while (rest > 127) {
      const at = this.room(1);
      this.buffer[at] = (rest & 127) | 128;
      rest >>>= 7;
    }
    const at = this.room(1);
    this.buffer[at] = rest;
    return this;
  }

  raw(bytes: Uint8Array): this {
    const at = this.room(bytes.length);
    this.buffer.set(bytes, at);
    return this;
  }

  /** STRING, or NULLABLE_STRING for null. */
  string(value: string | null): this {
    if (value === null) return this.int16(-1);
    const bytes = Buffer.from(value, "utf8");
    return this.int16(bytes.length).raw(bytes);
  }

  bytes(value: Uint8Array): this {
    return this.int32(value.length).raw(value);
  }

  array<T>(items: readonly T[], write: (item: T) => void): this {
    this.int32(items.length);
    items.forEach(write);
    return this;
  }

  compactString(value: string): this {
    const bytes = Buffer.from(value, "utf8");
    return this.uvarint(bytes.length + 1).raw(bytes);
  }

  compactArray<T>(items: readonly T[], write: (item: T) => void): this {
    this.uvarint(items.length + 1);
    items.forEach(write);
    return this;
  }

  /** UUID given in its text form, as Kafka's sixteen bytes. */
  uuid(value: string): this {
    return this.raw(Buffer.from(value.replaceAll("-", ""), "hex"));
  }

  /** An empty set of tagged fields, which ends every flexible structure. */
  noTags(): this {
    return this.int8(0);
  }

  /** The bytes written so far. */
  finish(): Uint8Array {
    return this.buffer.subarray(0, this.length);
  }
}

/** Reads Kafka primitives from a buffer, front to back. */
export class Reader {
  private readonly buffer: Buffer;
  private at = 0;

  /** @param bytes every view that is read shares their memory */
  constructor(bytes: Uint8Array) {
    this.buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** All of it, read or not. */
  get whole(): Uint8Array {
    return this.buffer;
  }

  private take(bytes: number): number {
    const from = this.at;
    if (bytes < 0 || bytes > this.buffer.length - from) {
      throw fail("batch_corrupt", "A broker's answer ends before its fields do", {
        position: from,
        length: this.buffer.length,
      });
    }
    this.at += bytes;
    return from;
  }

  int8(): number {
    return this.buffer.readInt8(this.take(1));
  }

  int16(): number {
    return this.buffer.readInt16BE(this.take(2));
  }

  int32(): number {
    return this.buffer.readInt32BE(this.take(4));
  }

  int64(): bigint {
    return this.buffer.readBigInt64BE(this.take(8));
  }

  uvarint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.buffer[this.take(1)] ?? 0;
      value |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    return value >>> 0;
  }

  /** The next `length` bytes, as a view. */
  view(length: number): Uint8Array {
    const from = this.take(length);
    return this.buffer.subarray(from, from + length);
  }

  /** STRING or NULLABLE_STRING. */
  string(): string | null {
    const length = this.int16();
    return length < 0 ? null : Buffer.from(this.view(length)).toString("utf8");
  }

  /** BYTES or NULLABLE_BYTES; null reads as empty. */
  bytes(): Uint8Array {
    const length = this.int32();
    return length < 0 ? EMPTY : this.view(length);
  }

  array<T>(read: () => T): T[] {
    return this.times(this.int32(), read);
  }

  compactString(): string | null {
    const length = this.uvarint() - 1;
    return length < 0 ? null : Buffer.from(this.view(length)).toString("utf8");
  }

  /** COMPACT_NULLABLE_BYTES or COMPACT_RECORDS; null reads as empty. */
  compactBytes(): Uint8Array {
    const length = this.uvarint() - 1;
    return length < 0 ? EMPTY : this.view(length);
  }

  compactArray<T>(read: () => T): T[] {
    return this.times(this.uvarint() - 1, read);
  }

  /** Sixteen bytes as a UUID in lower case. */
  uuid(): string {
    const hex = Buffer.from(this.view(16)).toString("hex");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  }

  /** Skips the tagged fields that end a flexible structure. */
  skipTags(): void {
    this.tags(() => undefined);
  }

  /** Reads tagged fields: `read` is called at the first byte of each, and may leave the rest of it. */
  tags(read: (tag: number) => void): void {
    for (let count = this.uvarint(); count > 0; count--) {
      const tag = this.uvarint();
      const size = this.uvarint();
      const end = this.at + size;
      read(tag);
      this.view(end - this.at);
    }
  }

  private times<T>(count: number, read: () => T): T[] {
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(read());
    return items;
  }
}
