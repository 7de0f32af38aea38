/**
 * A theta sketch: of all hashes that were offered, the smallest distinct ones, `K` or, while fewer are
 * known, all. Every hash below `theta` that was ever offered is in it, so that `K / theta` estimates how many there are.
 *
 * One sketch at a time. Hashes are 63 bits and never 0, so that 0 marks an empty slot.
 */

/** Hashes that a finished sketch holds at most: Apache DataSketches' default, an error of 1.6 %. */
const K: u32 = 4096;
/** Hashes at which the larger half is dropped. */
const LIMIT: u32 = 2 * K;
/** A power of two, so that the table is at most half full. */
const SLOTS: u32 = 4 * K;
const MASK: u32 = SLOTS - 1;
const NONE_DROPPED: u64 = 0x7fff_ffff_ffff_ffff;

let table: usize = 0;
let count: u32 = 0;
let below: u64 = NONE_DROPPED;

/** Bytes of memory that a sketch needs: the slots, and as many hashes as it may hold. */
export function tableBytes(): u32 {
  return (SLOTS + LIMIT) << 3;
}

/** Begins a sketch. @param at its memory @param from of one that goes on, its theta */
export function begin(at: usize, from: u64): void {
  table = at;
  count = 0;
  below = from;
  memory.fill(at, 0, SLOTS << 3);
}

/** All hashes below it are there. */
export function theta(): u64 {
  return below;
}

/** Offers a hash. */
export function add(hash: u64): void {
  if (hash == 0 || hash >= below) return;
  if (insert(hash) && count == LIMIT) keepSmallest();
}

/** False when it is there. */
// @ts-ignore: decorator
@inline
function insert(hash: u64): bool {
  let slot = <u32>hash & MASK;
  let found = load<u64>(table + ((<usize>slot) << 3));
  while (found != 0) {
    if (found == hash) return false;
    slot = (slot + 1) & MASK;
    found = load<u64>(table + ((<usize>slot) << 3));
  }
  store<u64>(table + ((<usize>slot) << 3), hash);
  count++;
  return true;
}

/** Drops all but the `K` smallest. */
function keepSmallest(): void {
  const list = table + ((<usize>SLOTS) << 3);
  const all = gather(list);
  below = smallest(list, all, K);
  memory.fill(table, 0, SLOTS << 3);
  count = 0;
  for (let n: u32 = 0; n < all; n++) {
    const hash = load<u64>(list + ((<usize>n) << 3));
    if (hash < below) insert(hash);
  }
}

function gather(list: usize): u32 {
  let at: u32 = 0;
  for (let slot: u32 = 0; slot < SLOTS; slot++) {
    const hash = load<u64>(table + ((<usize>slot) << 3));
    if (hash == 0) continue;
    store<u64>(list + ((<usize>at) << 3), hash);
    at++;
  }
  return at;
}

/** The hash that `rank` others are smaller than (Hoare's selection). */
function smallest(list: usize, length: u32, rank: u32): u64 {
  let from: i32 = 0;
  let to: i32 = <i32>length - 1;
  while (from < to) {
    const pivot = load<u64>(list + ((<usize>((from + to) >> 1)) << 3));
    let left = from - 1;
    let right = to + 1;
    for (;;) {
      do left++;
      while (load<u64>(list + ((<usize>left) << 3)) < pivot);
      do right--;
      while (load<u64>(list + ((<usize>right) << 3)) > pivot);
      if (left >= right) break;
      const moved = load<u64>(list + ((<usize>left) << 3));
      store<u64>(list + ((<usize>left) << 3), load<u64>(list + ((<usize>right) << 3)));
      store<u64>(list + ((<usize>right) << 3), moved);
    }
    if (<i32>rank <= right) to = right;
    else from = right + 1;
  }
  return load<u64>(list + ((<usize>rank) << 3));
}

/** Ends a sketch: at most `K` hashes, in no order. @returns how many @param to where they go */
export function finish(to: usize): u32 {
  if (count > K) keepSmallest();
  return gather(to);
}
