/**
 * Protobuf's wire format, read step by step: tags, varints, fixed numbers, lengths, and fields that are
 * passed over (Protobuf encoding). Nothing is read behind the end, and no length is believed.
 *
 * A step that fails says false, and leaves the reason.
 */
import { LIMITS } from "#base/limits.ts";
import { WIRE } from "./model.ts";

/** Why bytes are no message. */
export type WireFault = "bad_protobuf" | "too_deep";

const VARINT_BYTES = 10;
const TAG_BYTES = 5;

/** A position in bytes, and the number read last. */
export class WireReader {
  bytes: Uint8Array = new Uint8Array(0);
  at = 0;
  /** Where the message, packed list or entry that is being read ends. */
  end = 0;
  fault: WireFault = "bad_protobuf";
  /** The halves of the number read last, both signed. */
  low = 0;
  high = 0;
  /** The tag read last, and where it began. */
  tagAt = 0;
  number = 0;
  wire = 0;
  /** The length read last; it is within `end`. */
  size = 0;
  bodyAt = 0;

  start(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
    this.fault = "bad_protobuf";
  }

  /** Reads a tag; its number is at least 1. */
  tag(): boolean {
    const first = this.bytes[this.at] as number;
    this.tagAt = this.at;
    if (this.at < this.end && first < 0x80) {
      this.at++;
      this.number = first >>> 3;
      this.wire = first & 7;
      return this.number > 0 && this.wire <= WIRE.fixed32;
    }
    if (!this.varint() || this.high !== 0 || this.at - this.tagAt > TAG_BYTES) return false;
    this.number = this.low >>> 3;
    this.wire = this.low & 7;
    return this.number > 0 && this.wire <= WIRE.fixed32;
  }

  /** Reads a varint of at most 64 bits. */
  varint(): boolean {
    const { bytes } = this;
    const stop = Math.min(this.end, this.at + VARINT_BYTES);
    let low = 0;
    let high = 0;
    for (let i = this.at, shift = 0; i < stop; i++, shift += 7) {
      const byte = bytes[i] as number;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte >= 0x80) continue;
      // The tenth byte has room for the last bit only.
      if (shift === 63 && byte > 1) return false;
      this.at = i + 1;
      this.low = low;
      this.high = high;
      return true;
    }
    return false;
  }

  /** Reads four bytes as `low`; `high` is zero. */
  fixed32(): boolean {
    if (this.at + 4 > this.end) return false;
    this.low = this.word(this.at);
    this.high = 0;
    this.at += 4;
    return true;
  }

  /** Reads eight bytes. */
  fixed64(): boolean {
    if (this.at + 8 > this.end) return false;
    this.low = this.word(this.at);
    this.high = this.word(this.at + 4);
    this.at += 8;
    return true;
  }

  private word(at: number): number {
    const { bytes } = this;
    const a = bytes[at] ?? 0;
    const b = bytes[at + 1] ?? 0;
    const c = bytes[at + 2] ?? 0;
    const d = bytes[at + 3] ?? 0;
    return a | (b << 8) | (c << 16) | (d << 24);
  }

  /** Reads a length, behind which so many bytes are. */
  length(): boolean {
    if (!this.varint() || this.high !== 0 || this.low < 0) return false;
    this.size = this.low;
    return this.size <= this.end - this.at;
  }

  /**
   * Moves behind a message, and leaves where its own bytes are: `size` of them from `bodyAt` on.
   * @param isGroup it ends with a tag instead of beginning with its length
   */
  body(isGroup: boolean, depth: number): boolean {
    if (isGroup) {
      this.bodyAt = this.at;
      if (!this.skipGroup(this.number, depth + 1)) return false;
      this.size = this.tagAt - this.bodyAt;
      return true;
    }
    if (!this.length()) return false;
    this.bodyAt = this.at;
    this.at += this.size;
    return true;
  }

  /** Goes into the body that was found last; `leave` goes back to where the reader was. */
  enter(): void {
    this.at = this.bodyAt;
    this.end = this.bodyAt + this.size;
  }

  leave(at: number, end: number): void {
    this.at = at;
    this.end = end;
  }

  /** Passes over the value of the tag read last. @param depth of the message that it is in */
  skip(depth: number): boolean {
    switch (this.wire) {
      case WIRE.varint:
        return this.varint();
      case WIRE.fixed64:
        return this.fixed64();
      case WIRE.fixed32:
        return this.fixed32();
      case WIRE.bytes:
        if (!this.length()) return false;
        this.at += this.size;
        return true;
      case WIRE.group:
        return this.skipGroup(this.number, depth + 1);
      default:
        return false;
    }
  }

  private skipGroup(number: number, depth: number): boolean {
    if (depth > LIMITS.jsonDepthMax) {
      this.fault = "too_deep";
      return false;
    }
    while (this.tag()) {
      if (this.wire === WIRE.groupEnd) return this.number === number;
      if (!this.skip(depth)) return false;
    }
    return false;
  }
}
