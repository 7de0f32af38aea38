/**
 * LZ4 blocks (lz4 `doc/lz4_Block_format.md`): sequences of literals and a match, the last one of
 * literals only. Headers of frames are the host's.
 */
import { copyLiterals, copyMatch, Fault } from "./copy";

/** Token, 14 literals, offset and one byte of a match's length; sixteen are read at the literals. */
const SHORT_INPUT: usize = 18;
/** 14 literals and a match of 14 + 4 + 254 bytes, written sixteen bytes at a time. */
const SHORT_OUTPUT: usize = 304;

/** More than any room. */
const LENGTH_MAX: u64 = 0x7fffffff;

/** Where the input stands behind the length that was read last. */
let source: usize = 0;

/**
 * Decompresses the block at `[from, end)` to `to`; the bytes made, or a fault.
 * Most sequences have few literals and a match that needs at most one more byte of length: those come
 * first, and are copied sixteen bytes at a time while there is room for more than is wanted.
 * @param window matches may reach back to here: the frame's first byte when blocks are linked
 * @param room nothing is written from here on
 */
export function lz4Block(from: usize, end: usize, to: usize, window: usize, room: usize): i32 {
  let s = from;
  let o = to;
  while (s < end) {
    const token = <usize>load<u8>(s++);
    let literals = token >> 4;
    let match = token & 15;
    if (literals < 15 && end - s >= SHORT_INPUT && room - o >= SHORT_OUTPUT) {
      v128.store(o, v128.load(s));
      s += literals;
      o += literals;
      const offset = <usize>load<u16>(s);
      if (offset >= 16 && offset <= o - window) {
        const at = o - offset;
        if (match < 15) {
          v128.store(o, v128.load(at));
          store<u16>(o, load<u16>(at, 16), 16);
          s += 2;
          o += match + 4;
          continue;
        }
        const rest = <usize>load<u8>(s, 2);
        if (rest < 255) {
          v128.store(o, v128.load(at));
          v128.store(o, v128.load(at, 16), 16);
          const stop = o + rest + 19;
          for (let next = o + 32; next < stop; next += 16) {
            v128.store(next, v128.load(next - offset));
          }
          s += 3;
          o = stop;
          continue;
        }
      }
    } else {
      if (literals === 15) {
        const rest = readRest(s, end);
        if (rest > <u64>(end - s)) return Fault.DAMAGED;
        s = source;
        literals += <usize>rest;
      }
      if (literals > end - s) return Fault.DAMAGED;
      if (literals > room - o) return Fault.NO_ROOM;
      copyLiterals(o, s, literals, end, room);
      s += literals;
      o += literals;
      if (s === end) return <i32>(o - to);
      if (end - s < 2) return Fault.DAMAGED;
    }
    const offset = <usize>load<u16>(s);
    s += 2;
    if (match === 15) {
      const rest = readRest(s, end);
      if (rest === u64.MAX_VALUE) return Fault.DAMAGED;
      s = source;
      match += <usize>min<u64>(rest, LENGTH_MAX);
    }
    if (offset === 0 || offset > o - window) return Fault.DAMAGED;
    if (match + 4 > room - o) return Fault.NO_ROOM;
    copyMatch(o, offset, match + 4, room);
    o += match + 4;
  }
  return Fault.DAMAGED;
}

/** What a length has beyond its token; `source` is behind it. The largest number: no end in sight. */
function readRest(at: usize, end: usize): u64 {
  let rest: u64 = 0;
  for (; at < end; at++) {
    const byte = load<u8>(at);
    rest += byte;
    if (byte === 255) continue;
    source = at + 1;
    return rest;
  }
  return u64.MAX_VALUE;
}
