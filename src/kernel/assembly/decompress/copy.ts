/**
 * Copies of the decompressors: sixteen bytes a step where both sides have room for more than is
 * wanted, exact ones near an end. Nothing is read or written at or behind the ends that are passed.
 */

/** What goes wrong: the block is damaged, or makes more than there is room for. */
export namespace Fault {
  export const DAMAGED: i32 = -1;
  export const NO_ROOM: i32 = -2;
}

/** Longest copy that is not left to the runtime. */
const STEPS_MAX: usize = 256;

/** For every offset below 16: which bytes of one period fill sixteen, as shuffle masks. */
const PERIODS: usize = memory.data<u8>([
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1,
  0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0,
  0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3,
  0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0,
  0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3,
  0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6, 0, 1,
  0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3, 4, 5, 6,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 1, 2, 3, 4,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0, 1, 2, 3,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 1, 2,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0, 1,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0,
]);

/**
 * Copies `length` bytes that do not overlap; the caller has checked that both sides have them.
 * @param sourceEnd nothing is read from here on
 * @param room nothing is written from here on
 */
// @ts-ignore: decorator
@inline
export function copyLiterals(
  to: usize,
  from: usize,
  length: usize,
  sourceEnd: usize,
  room: usize,
): void {
  const end = to + length;
  if (length > STEPS_MAX || from + length + 16 > sourceEnd || end + 16 > room) {
    memory.copy(to, from, length);
    return;
  }
  for (; to < end; to += 16, from += 16) v128.store(to, v128.load(from));
}

/**
 * Copies `length` bytes that begin `offset` bytes before `to`; the two may overlap, which repeats a
 * pattern. The caller has checked that they fit before `room`.
 */
// @ts-ignore: decorator
@inline
export function copyMatch(to: usize, offset: usize, length: usize, room: usize): void {
  const end = to + length;
  let from = to - offset;
  if (end + 16 > room) {
    while (to < end) store<u8>(to++, load<u8>(from++));
    return;
  }
  if (offset >= 16) {
    for (; to < end; to += 16, from += 16) v128.store(to, v128.load(from));
    return;
  }
  const pattern = v128.swizzle(v128.load(from), v128.load(PERIODS + (offset << 4)));
  const step: usize = 16 - (16 % offset);
  for (; to < end; to += step) v128.store(to, pattern);
}
