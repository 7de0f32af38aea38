/**
 * LZ4 blocks (lz4 `doc/lz4_Block_format.md`): sequences of literals and a match, the last one of
 * literals only. Headers of frames are the host's.
 */
import { copyLiterals, copyMatch, Fault } from "./copy";

/** A token, 14 literals, an offset and one byte of a match's length; sixteen are read at the literals. */
const SHORT_INPUT: usize = 18;
/** 14 literals and a match of 15 + 4 + 254 bytes, written sixteen bytes at a time. */
const SHORT_OUTPUT: usize = 304;
/** The same with 15 + 254 literals, behind one byte of their length. */
const LONG_INPUT: usize = 290;
const LONG_OUTPUT: usize = 573;

/** More than any room. */
const LENGTH_MAX: u64 = 0x7fffffff;

/** Where the input stands behind the length, or the sequence, that was read last. */
let source: usize = 0;
/** Where the output stands behind that sequence. */
let target: usize = 0;

/**
 * Decompresses the block at `[from, end)` to `to`; the bytes made, or a fault.
 * Nearly all sequences need at most one more byte for each of their lengths, and reach back sixteen bytes or more:
 * those are copied sixteen bytes at a time while there is room for more than is wanted. Others are
 * copied elsewhere, so that this loop keeps its registers.
 * @param window matches may reach back to here: the frame's first byte when blocks are linked
 * @param room nothing is written from here on
 */
export function lz4Block(from: usize, end: usize, to: usize, window: usize, room: usize): i32 {
  let s = from;
  let o = to;
  const inputEnd = end - from > SHORT_INPUT ? end - SHORT_INPUT : from;
  const outputEnd = room - to > SHORT_OUTPUT ? room - SHORT_OUTPUT : to;
  while (s < end) {
    while (s < inputEnd && o < outputEnd) {
      const token = <usize>load<u8>(s);
      let next = s + (token >> 4);
      let begin = o + (token >> 4);
      v128.store(o, v128.load(s, 1));
      if (token >= 0xf0) {
        const rest = <usize>load<u8>(s, 1);
        if (rest === 255 || end - s < LONG_INPUT || room - o < LONG_OUTPUT) break;
        v128.store(o, v128.load(s, 2));
        next += rest + 1;
        begin += rest;
        for (let read = s + 18, copied = o + 16; copied < begin; copied += 16, read += 16) {
          v128.store(copied, v128.load(read));
        }
      }
      const offset = <usize>load<u16>(next, 1);
      if (offset < 16 || offset > begin - window) break;
      const at = begin - offset;
      v128.store(begin, v128.load(at));
      const match = token & 15;
      if (match < 15) {
        store<u16>(begin, load<u16>(at, 16), 16);
        s = next + 3;
        o = begin + match + 4;
        continue;
      }
      const rest = <usize>load<u8>(next, 3);
      if (rest === 255) break;
      v128.store(begin, v128.load(at, 16), 16);
      v128.store(begin, v128.load(at, 32), 32);
      s = next + 4;
      o = begin + rest + 19;
      for (let copied = begin + 48; copied < o; copied += 16) {
        v128.store(copied, v128.load(copied - offset));
      }
    }
    const fault = copySequence(s, end, o, window, room);
    if (fault < 0) return fault;
    s = source;
    o = target;
    if (fault === LAST) return <i32>(o - to);
  }
  return Fault.DAMAGED;
}

/** The block ended with a sequence. */
const LAST: i32 = 1;

/** Copies any sequence: 0, `LAST` or a fault. `source` and `target` are behind it. */
function copySequence(from: usize, end: usize, to: usize, window: usize, room: usize): i32 {
  let s = from;
  let o = to;
  const token = <usize>load<u8>(s++);
  let literals = token >> 4;
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
  source = s;
  target = o;
  if (s === end) return LAST;
  if (end - s < 2) return Fault.DAMAGED;
  const offset = <usize>load<u16>(s);
  s += 2;
  let match = (token & 15) + 4;
  if (match === 19) {
    const rest = readRest(s, end);
    if (rest === u64.MAX_VALUE) return Fault.DAMAGED;
    s = source;
    match += <usize>min<u64>(rest, LENGTH_MAX);
  }
  if (offset === 0 || offset > o - window) return Fault.DAMAGED;
  if (match > room - o) return Fault.NO_ROOM;
  copyMatch(o, offset, match, room);
  source = s;
  target = o + match;
  return 0;
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
