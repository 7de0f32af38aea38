/**
 * A hash table from keys of 128 bits to words, in one flat region that grows in place.
 *
 * ```text
 * entry   hi u64 | lo u64 | value u64          value 0: the slot is empty
 * home    the upper half of hi, times the capacity, divided by 2^32
 * ```
 * Linear probing, where entries stand in the order of their keys (as homes do): no empty slot lies between
 * an entry and its home. So a miss ends as soon as a hit, a removal shifts back what follows and leaves no
 * mark, a range of hashes is contiguous, and any capacity will do.
 *
 * It grows from the top down, cluster by cluster, and can be used between two steps: entries whose old home
 * is at `bound` or above stand by the larger capacity, the others by the old one.
 */

const STRIDE: usize = 24;
/** Slots behind the last home: a cluster that begins near the end goes on there. */
const SLACK: u32 = 4096;

let base: usize = 0;
let capacity: u32 = 0;
let count: u32 = 0;
/** The same as `capacity` unless the table grows. */
let newCapacity: u32 = 0;
let bound: u32 = 0;

// @ts-ignore: decorator
@inline
function at(slot: u32): usize {
  return base + <usize>slot * STRIDE;
}

// @ts-ignore: decorator
@inline
function hiAt(slot: u32): u64 {
  return load<u64>(at(slot));
}

// @ts-ignore: decorator
@inline
function loAt(slot: u32): u64 {
  return load<u64>(at(slot), 8);
}

// @ts-ignore: decorator
@inline
function valueAt(slot: u32): u64 {
  return load<u64>(at(slot), 16);
}

// @ts-ignore: decorator
@inline
function homeIn(hi: u64, slots: u32): u32 {
  return <u32>(((hi >> 32) * <u64>slots) >> 32);
}

// @ts-ignore: decorator
@inline
function home(hi: u64): u32 {
  const slot = homeIn(hi, capacity);
  return slot < bound ? slot : homeIn(hi, newCapacity);
}

// @ts-ignore: decorator
@inline
function isLess(slot: u32, hi: u64, lo: u64): bool {
  const own = hiAt(slot);
  return own < hi || (own == hi && loAt(slot) < lo);
}

// @ts-ignore: decorator
@inline
function isKey(slot: u32, hi: u64, lo: u64): bool {
  return valueAt(slot) != 0 && hiAt(slot) == hi && loAt(slot) == lo;
}

/** Bytes of a table, its slack included. */
export function tableBytes(slots: u32): usize {
  return (<usize>slots + SLACK) * STRIDE;
}

/** Begins an empty table in memory of zeros. */
export function begin(address: usize, slots: u32): void {
  base = address;
  capacity = slots;
  newCapacity = slots;
  bound = slots;
  count = 0;
}

/** Keys in the table. */
export function size(): u32 {
  return count;
}

/** The first slot that is empty, or holds the key or a larger one. */
// @ts-ignore: decorator
@inline
function seek(hi: u64, lo: u64): u32 {
  let slot = home(hi);
  while (valueAt(slot) != 0 && isLess(slot, hi, lo)) slot++;
  return slot;
}

/** Puts an entry into a slot and shifts what is there; false: no slot is left. */
function insertAt(slot: u32, hi: u64, lo: u64, value: u64): bool {
  let end = slot;
  // The last slot stays empty, so that every walk ends.
  const last = newCapacity + SLACK - 1;
  while (valueAt(end) != 0) end++;
  if (end >= last) return false;
  if (end > slot) memory.copy(at(slot + 1), at(slot), <usize>(end - slot) * STRIDE);
  store<u64>(at(slot), hi);
  store<u64>(at(slot), lo, 8);
  store<u64>(at(slot), value, 16);
  return true;
}

/** Empties a slot; the entries behind it that are not at home move up. */
function removeAt(slot: u32): void {
  let end = slot + 1;
  while (valueAt(end) != 0 && home(hiAt(end)) < end) end++;
  memory.copy(at(slot), at(slot + 1), <usize>(end - slot - 1) * STRIDE);
  store<u64>(at(end - 1), 0, 16);
}

/**
 * Gives keys their values, 0 removes a key; each value is replaced by the one before, 0: there was none.
 * How many keys were taken: fewer than `n` when no slot was left.
 */
export function putMany(keys: usize, values: usize, n: u32): u32 {
  for (let i: u32 = 0; i < n; i++) {
    const hi = load<u64>(keys + ((<usize>i) << 4));
    const lo = load<u64>(keys + ((<usize>i) << 4), 8);
    const place = values + ((<usize>i) << 3);
    const value = load<u64>(place);
    const slot = seek(hi, lo);
    if (isKey(slot, hi, lo)) {
      store<u64>(place, valueAt(slot));
      if (value != 0) {
        store<u64>(at(slot), value, 16);
      } else {
        removeAt(slot);
        count--;
      }
      continue;
    }
    store<u64>(place, 0);
    if (value == 0) continue;
    if (!insertAt(slot, hi, lo, value)) return i;
    count++;
  }
  return n;
}

/** The values of keys; 0: not there. */
export function getMany(keys: usize, values: usize, n: u32): void {
  for (let i: u32 = 0; i < n; i++) {
    const hi = load<u64>(keys + ((<usize>i) << 4));
    const lo = load<u64>(keys + ((<usize>i) << 4), 8);
    const slot = seek(hi, lo);
    store<u64>(values + ((<usize>i) << 3), isKey(slot, hi, lo) ? valueAt(slot) : 0);
  }
}

/** Begins to grow; memory up to `tableBytes(slots)` is there, and zero behind the table. */
export function growBegin(slots: u32): void {
  newCapacity = slots;
}

/** Moves at least `entries` to where they belong by the new capacity, in whole clusters. 0: done; 1: more are left; 2: no slot was left. */
export function growStep(entries: u32): u32 {
  let moved: u32 = 0;
  while (bound > 0 && moved < entries) {
    // The cluster before the bound: its end may have spilled over it.
    let end = bound;
    while (valueAt(end) != 0 && homeIn(hiAt(end), capacity) < bound) end++;
    if (end == bound) {
      while (end > 0 && valueAt(end - 1) == 0) end--;
    }
    let start = end;
    while (start > 0 && valueAt(start - 1) != 0) start--;
    bound = start;
    for (let slot = end; slot > start; ) {
      slot--;
      const hi = hiAt(slot);
      const lo = loAt(slot);
      const value = valueAt(slot);
      removeAt(slot);
      if (!insertAt(seek(hi, lo), hi, lo, value)) return 2;
      moved++;
    }
  }
  if (bound > 0) return 1;
  capacity = newCapacity;
  bound = capacity;
  return 0;
}

/**
 * Copies entries whose file is marked from slot `from` on, `max` at most. A file is the upper half of a
 * value; marks are bits; files beyond them are always taken.
 * @returns the slot to go on from, and how many were copied in the upper half
 */
export function collect(from: u32, marks: usize, files: u32, keys: usize, values: usize, max: u32): u64 {
  let n: u32 = 0;
  let slot = from;
  for (const end = newCapacity + SLACK; slot < end && n < max; slot++) {
    const value = valueAt(slot);
    if (value == 0) continue;
    const file = <u32>(value >> 32);
    if (file < files && ((load<u8>(marks + (file >> 3)) >> (file & 7)) & 1) == 0) continue;
    store<u64>(keys + ((<usize>n) << 4), hiAt(slot));
    store<u64>(keys + ((<usize>n) << 4), loAt(slot), 8);
    store<u64>(values + ((<usize>n) << 3), value);
    n++;
  }
  return ((<u64>n) << 32) | <u64>slot;
}

/** The first slot where entries may stand whose `hi` is at least this. */
export function slotOf(hi: u64): u32 {
  return home(hi);
}

/** The slot behind the last one. */
export function slots(): u32 {
  return newCapacity + SLACK;
}

/** True when every entry stands where it must: for tests. */
export function isSound(): bool {
  let seen: u32 = 0;
  let free: u32 = 0;
  let hi: u64 = 0;
  let lo: u64 = 0;
  for (let slot: u32 = 0; slot < newCapacity + SLACK; slot++) {
    if (valueAt(slot) == 0) {
      free = slot + 1;
      continue;
    }
    if (seen > 0 && !(hi < hiAt(slot) || (hi == hiAt(slot) && lo < loAt(slot)))) return false;
    hi = hiAt(slot);
    lo = loAt(slot);
    if (home(hi) > slot || home(hi) < free) return false;
    seen++;
  }
  return seen == count;
}
