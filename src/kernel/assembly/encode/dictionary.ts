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

/** The high half of a product: only its high bits depend on all bytes, so slots are taken from them. */
// @ts-ignore: decorator
@inline
function hashOf(at: usize, size: u32): u32 {
  let hash = <u64>size * FACTOR;
  let rest = size;
  for (; rest > 8; rest -= 8, at += 8) hash = mix(hash, load<u64>(at));
  return <u32>(((hash ^ lowBytes(at, rest)) * FACTOR) >>> 32);
}

/** The hash of a text of at most eight bytes; `size` with its length. */
// @ts-ignore: decorator
@inline
function hashOfWord(word: u64, size: u32): u32 {
  return <u32>(((word ^ (<u64>size * FACTOR)) * FACTOR) >>> 32);
}

/** True when the entry is the text `word`; `size` with its length. */
// @ts-ignore: decorator
@inline
function isTheWord(entry: usize, word: u64, size: u32): bool {
  return load<u32>(entry) == size - 4 && lowBytes(entry + 4, size - 4) == word;
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
    if (<u64>at + size > <u64>end) return Fault.BAD_OFFSETS;
    // Short texts, most of what repeats: one word behind the length.
    const isWord = width < 0 && size <= 12;
    const word = isWord ? lowBytes(at + 4, size - 4) : 0;
    const hash = isWord ? hashOfWord(word, size) : hashOf(at, size);
    let slot = hash >>> shift;
    let probes: u32 = 0;
    let entry: u32 = 0;
    for (;;) {
      const place = table + (<usize>slot << 3);
      entry = load<u32>(place, 4);
      if (entry == 0) {
        if (entries == countMax || <u64>used + size > bytesMax) return Fault.FULL;
        store<u32>(starts + (<usize>entries << 2), used);
        memory.copy(bytes + used, at, size);
        used += size;
        entry = ++entries;
        store<u32>(place, hash);
        store<u32>(place, entry, 4);
        break;
      }
      if (load<u32>(place) == hash) {
        const start = bytes + load<u32>(starts + (<usize>(entry - 1) << 2));
        // An entry of another length differs in its length bytes; what is read beyond is ours.
        const same = isWord ? isTheWord(start, word, size) : areEqual(start, at, size);
        if (same) break;
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
