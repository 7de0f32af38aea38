/**
 * Avro's binary encoding, read at a position that never passes the value's end: `failed` says that what
 * was read is none.
 */
import { LIMITS } from "#base/limits.ts";
import { isUtf8 } from "#decode/json/strings.ts";
import type { RejectReason } from "#decode/rejects.ts";
import type { AvroType } from "./schema.ts";

/** Nesting of one value, beyond what its schema says: types that contain themselves. */
const DEPTH_MAX: number = LIMITS.jsonDepthMax;

/** Bytes of one value. */
export class AvroBytes {
  bytes: Uint8Array = new Uint8Array(0);
  view: DataView = new DataView(this.bytes.buffer);
  at = 0;
  end = 0;
  /** Why the bytes are no value; null: they are one so far. */
  failed: RejectReason | null = null;
  /** The last integer, in two halves. */
  low = 0;
  high = 0;
  /** Elements and entries of the value so far. */
  values = 0;

  /** Begins with a value. */
  start(bytes: Uint8Array, at: number, end: number): void {
    if (this.bytes !== bytes) {
      this.bytes = bytes;
      this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    this.at = at;
    this.end = end;
    this.failed = null;
    this.values = 0;
  }

  /** Refuses the value; the first reason stays. */
  fail(reason: RejectReason): false {
    this.failed ??= reason;
    return false;
  }

  /** Reads an int64 into `low` and `high`. */
  long(): boolean {
    const { bytes, end } = this;
    const first = bytes[this.at] as number;
    if (this.at < end && first < 0x80) {
      this.at++;
      this.low = (first >>> 1) ^ -(first & 1);
      this.high = this.low >> 31;
      return true;
    }
    let low = 0;
    let high = 0;
    for (let index = 0; index < 10 && this.at < end; index++) {
      const byte = bytes[this.at++] as number;
      const part = byte & 0x7f;
      if (index < 4) low |= part << (7 * index);
      else if (index === 4) {
        low |= part << 28;
        high = part >>> 4;
      } else high |= part << (7 * index - 32);
      if (byte >= 0x80) continue;
      if (index === 9 && byte > 1) break;
      const sign = -(low & 1);
      this.low = ((low >>> 1) | (high << 31)) ^ sign;
      this.high = (high >>> 1) ^ sign;
      return true;
    }
    return this.fail("bad_avro");
  }

  /** Reads an int32 into `low`. */
  int(): boolean {
    if (!this.long()) return false;
    return this.high === this.low >> 31 || this.fail("bad_avro");
  }

  /** The last integer as a number, exact below 2^53. */
  get number(): number {
    return this.high * 0x1_0000_0000 + (this.low >>> 0);
  }

  get bigint(): bigint {
    return (BigInt(this.high) << 32n) | BigInt(this.low >>> 0);
  }

  /** Moves behind `size` bytes; false when there are not so many. */
  take(size: number): boolean {
    if (size > this.end - this.at) return this.fail("bad_avro");
    this.at += size;
    return true;
  }

  /** Reads a length, and moves behind so many bytes; the length, or -1. */
  sized(): number {
    if (!this.long()) return -1;
    const size = this.number;
    if (size < 0) return this.fail("bad_avro") ? 0 : -1;
    return this.take(size) ? size : -1;
  }

  /**
   * Reads the count of the next block of elements, and where it ends, if it says so.
   * @param end where the block before it had to end; -1: it is the first, or the one before did not say
   * @returns 0 behind the last one, -1 when it is none
   */
  block(end: number): number {
    this.blockEnd = -1;
    if (end >= 0 && this.at !== end) this.fail("bad_avro");
    if (this.failed !== null || !this.long()) return -1;
    let count = this.number;
    if (count < 0) {
      count = -count;
      if (!this.long()) return -1;
      const size = this.number;
      if (size < 0 || size > this.end - this.at) this.fail("bad_avro");
      this.blockEnd = this.at + size;
    }
    // Elements may have no bytes: it is their number that is bounded.
    if (count > LIMITS.recordValuesMax) this.fail("too_many_values");
    return this.failed === null ? count : -1;
  }

  /** Where the last block ends; -1: it does not say. */
  blockEnd = -1;

  /** Counts elements; false when there are too many. */
  count(weight: number): boolean {
    this.values += weight;
    return this.values <= LIMITS.recordValuesMax || this.fail("too_many_values");
  }

  /** Passes over a value of a type, and checks it as if it were wanted. */
  skip(type: AvroType, depth: number): boolean {
    if (depth > DEPTH_MAX) return this.fail("too_deep");
    switch (type.kind) {
      case "null":
        return true;
      case "boolean":
        return this.take(1) && ((this.bytes[this.at - 1] as number) < 2 || this.fail("bad_avro"));
      case "int":
        return this.int();
      case "long":
        return this.long();
      case "float":
        return this.take(4);
      case "double":
        return this.take(8);
      case "fixed":
        return this.take(type.size);
      case "bytes":
        return this.sized() >= 0;
      case "string": {
        const size = this.sized();
        return size >= 0 && this.utf8(size);
      }
      case "enum":
        return this.int() && (this.isBelow(type.symbols.length) || this.fail("bad_avro"));
      case "record":
        return type.fields.every((field) => this.skip(field.type, depth + 1));
      case "union":
        return (
          this.long() &&
          (this.isBelow(type.branches.length) || this.fail("bad_avro")) &&
          this.skip(type.branches[this.low] as AvroType, depth + 1)
        );
      default:
        return this.skipBlocks(type, depth);
    }
  }

  /** True when the last integer is an index below `count`. */
  isBelow(count: number): boolean {
    return this.high === 0 && this.low >= 0 && this.low < count;
  }

  /** Whether the `size` bytes before the position are text. */
  utf8(size: number): boolean {
    return isUtf8(this.bytes, this.at - size, this.at) || this.fail("bad_utf8");
  }

  private skipBlocks(
    type: Extract<AvroType, { readonly kind: "array" | "map" }>,
    depth: number,
  ): boolean {
    let count = this.block(-1);
    while (count > 0) {
      const { blockEnd } = this;
      for (; count > 0; count--) if (!this.skipElement(type, depth)) return false;
      count = this.block(blockEnd);
    }
    return count === 0;
  }

  private skipElement(
    type: Extract<AvroType, { readonly kind: "array" | "map" }>,
    depth: number,
  ): boolean {
    if (!this.count(1)) return false;
    if (type.kind === "array") return this.skip(type.items, depth + 1);
    const size = this.sized();
    return size >= 0 && this.utf8(size) && this.skip(type.values, depth + 1);
  }
}
