/**
 * The dictionary of a column chunk: PLAIN values in, indexes of their entries out. Open addressing;
 * a probe that grows long ends the dictionary, so that values made to collide cost no more than that.
 */
import { Dictionary, Fault } from "./layout";

const PROBES_MAX: u32 = 128;
const FACTOR: u64 = 0x9fb21c651e98df25;

// @ts-ignore: decorator
@inline
function mix(hash: u64, bytes: u64): u64 {
  const mixed = (hash ^ bytes) * FACTOR;
  return mixed ^ (mixed >>> 32);
}

/** Masks of the lowest bytes of a word, by their number. */
const MASKS: usize = memory.data<u64>([
  0, 0xff, 0xffff, 0xffffff, 0xffffffff, 0xffffffffff, 0xffffffffffff, 0xffffffffffffff, 0xffffffffffffffff,
]);

/** The `size` low bytes of a word, `size` at most 8. */
// @ts-ignore: decorator
@inline
function lowBytes(at: usize, size: u32): u64 {
  return load<u64>(at) & load<u64>(MASKS + (<usize>size << 3));
}

/** Only the high bits of a product depend on all bytes, so slots are taken from them. */
// @ts-ignore: decorator
@inline
function hashOf(at: usize, size: u32): u64 {
  let hash = <u64>size * FACTOR;
  let rest = size;
  for (; rest > 8; rest -= 8, at += 8) hash = mix(hash, load<u64>(at));
  return (hash ^ lowBytes(at, rest)) * FACTOR;
}

/** The hash of at most eight bytes: no two of one size have the same, since the factor is odd. */
// @ts-ignore: decorator
@inline
function hashOfWord(word: u64, size: u32): u64 {
  return (word ^ (<u64>size * FACTOR)) * FACTOR;
}

// @ts-ignore: decorator
@inline
function areEqual(a: usize, b: usize, size: u32): bool {
  let rest = size;
  for (; rest > 8; rest -= 8, a += 8, b += 8) {
    if (load<u64>(a) != load<u64>(b)) return false;
  }
  return lowBytes(a, rest) == lowBytes(b, rest);
}

/**
 * Looks up, and adds, the next `count` values; `count`, or FULL: then the record is as it was, but
 * the table is not, and the dictionary can take no more values.
 * @param end of the values
 * @param to u32 indexes
 */
export function dictionaryBytes(dictionary: usize, end: usize, count: u32, to: usize): i32 {
  return lookUp(dictionary, end, count, to, -1);
}

/** The same for values of `width` bytes, without lengths. */
export function dictionaryFixed(
  dictionary: usize,
  end: usize,
  count: u32,
  to: usize,
  width: i32,
): i32 {
  if (width == 8) return lookUp(dictionary, end, count, to, 8);
  if (width == 4) return lookUp(dictionary, end, count, to, 4);
  return lookUp(dictionary, end, count, to, width);
}

/** `width` below 0: every value stands behind its length. Inlined, so that widths are constants. */
// @ts-ignore: decorator
@inline
function lookUp(dictionary: usize, end: usize, count: u32, to: usize, width: i32): i32 {
  const table = <usize>load<u32>(dictionary, Dictionary.TABLE);
  const mask = load<u32>(dictionary, Dictionary.MASK);
  const shift = clz(mask);
  const starts = <usize>load<u32>(dictionary, Dictionary.STARTS);
  const bytes = <usize>load<u32>(dictionary, Dictionary.BYTES);
  const bytesMax = load<u32>(dictionary, Dictionary.BYTES_MAX);
  const countMax = load<u32>(dictionary, Dictionary.COUNT_MAX);
  let entries = load<u32>(dictionary, Dictionary.COUNT);
  let used = load<u32>(dictionary, Dictionary.USED);
  let at = <usize>load<u32>(dictionary, Dictionary.POSITION);
  for (let index: u32 = 0; index < count; index++) {
    // A value with its length before it is compared, kept and copied as one.
    const size = width < 0 ? 4 + load<u32>(at) : <u32>width;
    // A length that wraps would be a size below its own four bytes.
    if (<u64>at + size > <u64>end || (width < 0 && size < 4)) return Fault.BAD_OFFSETS;
    // Numbers, and short texts, most of what repeats: one word, behind the length.
    const isWord = width < 0 ? size <= 12 : size <= 8;
    const hash = isWord
      ? hashOfWord(width < 0 ? lowBytes(at + 4, size - 4) : lowBytes(at, size), size)
      : hashOf(at, size);
    let slot = <u32>(hash >>> 32) >>> shift;
    let probes: u32 = 0;
    let entry: u32 = 0;
    for (;;) {
      const place = table + (<usize>slot << 4);
      const known = load<u64>(place, 8);
      entry = <u32>known;
      if (entry == 0) {
        if (entries == countMax || <u64>used + size > bytesMax) return Fault.FULL;
        store<u32>(starts + (<usize>entries << 2), used);
        memory.copy(bytes + used, at, size);
        used += size;
        entry = ++entries;
        store<u64>(place, hash);
        store<u64>(place, <u64>entry | (<u64>size << 32), 8);
        break;
      }
      if (load<u64>(place) == hash && <u32>(known >>> 32) == size) {
        if (isWord) break;
        if (areEqual(bytes + load<u32>(starts + (<usize>(entry - 1) << 2)), at, size)) break;
      }
      if (++probes > PROBES_MAX) return Fault.FULL;
      slot = (slot + 1) & mask;
    }
    store<u32>(to + (<usize>index << 2), entry - 1);
    at += size;
  }
  store<u32>(dictionary, entries, Dictionary.COUNT);
  store<u32>(dictionary, used, Dictionary.USED);
  store<u32>(dictionary, <u32>at, Dictionary.POSITION);
  return <i32>count;
}
