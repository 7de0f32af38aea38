/**
 * Elements of a Snappy block (snappy `format_description.txt`): literals, and copies with offsets of
 * 11, 16 or 32 bits. The length in front of them and xerial framing are the host's.
 */
import { copyLiterals, copyMatch, Fault } from "./copy";

/** A tag and the longest literal that is copied in one step. */
const SHORT_INPUT: usize = 17;
/** The longest copy. */
const SHORT_OUTPUT: usize = 64;

/**
 * Decompresses the elements at `[from, end)` to `to`; the bytes made, or a fault. Short literals and
 * copies from at least sixteen bytes back come first, and are copied sixteen bytes at a time while
 * there is room for more than is wanted.
 * @param room nothing is written from here on; copies reach back to `to`
 */
export function snappyBlock(from: usize, end: usize, to: usize, room: usize): i32 {
  let s = from;
  let o = to;
  while (s < end) {
    const tag = <usize>load<u8>(s);
    const type = tag & 3;
    if (end - s >= SHORT_INPUT && room - o >= SHORT_OUTPUT) {
      if (type === 0) {
        if (tag < 16 << 2) {
          v128.store(o, v128.load(s, 1));
          s += (tag >> 2) + 2;
          o += (tag >> 2) + 1;
          continue;
        }
      } else if (type !== 3) {
        const near = type === 1;
        const low = <usize>load<u8>(s, 1);
        const high = select<usize>((tag & 0xe0) << 3, <usize>load<u8>(s, 2) << 8, near);
        const offset = low | high;
        if (offset >= 16 && offset <= o - to) {
          const at = o - offset;
          v128.store(o, v128.load(at));
          v128.store(o, v128.load(at, 16), 16);
          const length = select<usize>(((tag >> 2) & 7) + 4, (tag >> 2) + 1, near);
          if (length > 32) {
            v128.store(o, v128.load(at, 32), 32);
            v128.store(o, v128.load(at, 48), 48);
          }
          s += type + 1;
          o += length;
          continue;
        }
      }
    }
    s++;
    if (type === 0) {
      let length = (tag >> 2) + 1;
      if (length > 60) {
        const bytes = length - 60;
        if (bytes > end - s) return Fault.DAMAGED;
        length = literalLength(s, bytes);
        s += bytes;
      }
      // Zero: a length of 2^32.
      if (length === 0 || length > end - s || length > room - o) return Fault.DAMAGED;
      copyLiterals(o, s, length, end, room);
      s += length;
      o += length;
      continue;
    }
    const operand: usize = type === 3 ? 4 : type;
    if (operand > end - s) return Fault.DAMAGED;
    let length = (tag >> 2) + 1;
    let offset: usize;
    if (type === 1) {
      offset = <usize>load<u8>(s) | ((tag & 0xe0) << 3);
      length = ((tag >> 2) & 7) + 4;
    } else if (type === 2) {
      offset = <usize>load<u16>(s);
    } else {
      offset = <usize>load<u32>(s);
    }
    s += operand;
    if (offset === 0 || offset > o - to || length > room - o) return Fault.DAMAGED;
    copyMatch(o, offset, length, room);
    o += length;
  }
  return <i32>(o - to);
}

/** One to four bytes, little endian, plus one. */
function literalLength(at: usize, bytes: usize): usize {
  let length: usize = 0;
  for (let i: usize = 0; i < bytes; i++) length |= <usize>load<u8>(at + i) << (i << 3);
  return length + 1;
}
