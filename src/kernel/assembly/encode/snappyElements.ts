/** The elements of Snappy's raw format (google/snappy `format_description.txt`); each answers the address behind it. */

/** Bytes as they are: tag, length, `[from, end)`. */
// @ts-ignore: decorator
@inline
export function writeLiteral(from: usize, end: usize, to: usize): usize {
  if (from >= end) return to;
  const less = <u32>(end - from - 1);
  let at = to;
  if (less < 60) {
    store<u8>(at++, <u8>(less << 2));
  } else if (less < 256) {
    store<u16>(at, <u16>((60 << 2) | (less << 8)));
    at += 2;
  } else {
    store<u8>(at, 61 << 2);
    store<u16>(at, <u16>less, 1);
    at += 3;
  }
  const stop = at + (end - from);
  do {
    v128.store(at, v128.load(from));
    at += 16;
    from += 16;
  } while (at < stop);
  return stop;
}

/** A match: one or more copies of at most 64 bytes. */
// @ts-ignore: decorator
@inline
export function writeCopy(to: usize, offset: u32, size: u32): usize {
  let at = to;
  let rest = size;
  // Leaves at least four bytes, the least that the short form can say.
  while (rest >= 68) {
    store<u32>(at, (63 << 2) | 2 | (offset << 8));
    at += 3;
    rest -= 64;
  }
  if (rest > 64) {
    store<u32>(at, (59 << 2) | 2 | (offset << 8));
    at += 3;
    rest -= 60;
  }
  const isNear = rest < 12 && offset < 2048;
  const near = ((offset >>> 8) << 5) | ((rest - 4) << 2) | 1 | ((offset & 0xff) << 8);
  const far = ((rest - 1) << 2) | 2 | (offset << 8);
  store<u32>(at, isNear ? near : far);
  return at + 3 - <usize>isNear;
}

/** A copy of 4 to 11 bytes; both forms are made, since which it is cannot be foreseen. */
// @ts-ignore: decorator
@inline
export function writeShortCopy(to: usize, offset: u32, size: u32): usize {
  const isNear = offset < 2048;
  const near = ((offset >>> 8) << 5) | ((size - 4) << 2) | 1 | ((offset & 0xff) << 8);
  const far = ((size - 1) << 2) | 2 | (offset << 8);
  store<u32>(to, isNear ? near : far);
  return to + 3 - <usize>isNear;
}
