/**
 * Definition and repetition levels (Parquet format, "Nested Encoding") of a leaf, from validity
 * bitmaps and offsets on its path: level by level, not row by row.
 *
 * Every entry carries its level and, below a list, the slot that it stands for. An entry whose
 * definition level fell behind the depth reached is null or empty there, and ends.
 */
import { Fault, Levels, Node } from "./layout";

/** No node. */
const NONE: u32 = 0xffffffff;

/** Levels that are written at once. */
const LANES: u32 = 16;

/**
 * Computes the levels of `rows` rows; 0 or a fault. A flat column without nulls is one fill, and the
 * elements of a list without nulls are known by their number.
 * @param call a `Levels` record
 * @param nodes records from the column to the leaf
 */
export function levels(call: usize, nodes: usize, nodeCount: u32, rows: u32): i32 {
  if (rows > load<u32>(call, Levels.ROOM)) return Fault.NO_ROOM;
  if (isWhole(nodes, nodeCount, rows)) return fillLevels(call, nodes, nodeCount, rows);
  const list = onlyList(nodes, nodeCount, rows);
  if (list != NONE && listLevels(call, nodes, nodeCount, list)) return 0;
  memory.fill(load<u32>(call, Levels.DEFINITIONS), 0, rows);
  store<u32>(call, rows, Levels.ENTRIES);
  let length = rows;
  let depth: u32 = 0;
  let lists: u32 = 0;
  for (let index: u32 = 0; index < nodeCount; index++) {
    const node = nodes + <usize>index * Node.SIZE;
    const isList = load<u32>(node, Node.LIST) != 0;
    if (load<u32>(node, Node.LENGTH) != length) return Fault.BAD_OFFSETS;
    if (load<u32>(node, Node.OPTIONAL) != 0) {
      define(call, node, depth, lists);
      depth++;
    } else if (load<u32>(node, Node.VALIDITY) != 0 && hasNull(call, node, depth, lists)) {
      return Fault.NULL_IN_REQUIRED;
    }
    if (!isList) continue;
    if (index + 1 == nodeCount) return Fault.BAD_OFFSETS;
    length = load<u32>(node, Node.SIZE + Node.LENGTH);
    if (lists++ == 0) numberRows(call, rows);
    const fault = expand(call, node, length, depth, lists);
    if (fault != 0) return fault;
    depth++;
  }
  select(call, depth, length, lists);
  return 0;
}

/** True when there is neither a list nor a null on the way to the leaf. */
function isWhole(nodes: usize, nodeCount: u32, rows: u32): bool {
  for (let index: u32 = 0; index < nodeCount; index++) {
    const node = nodes + <usize>index * Node.SIZE;
    if (load<u32>(node, Node.LIST) != 0 || load<u32>(node, Node.VALIDITY) != 0) return false;
    if (load<u32>(node, Node.LENGTH) != rows) return false;
  }
  return true;
}

/** The same level for every row. */
function fillLevels(call: usize, nodes: usize, nodeCount: u32, rows: u32): i32 {
  let depth: u32 = 0;
  for (let index: u32 = 0; index < nodeCount; index++) {
    depth += load<u32>(nodes + <usize>index * Node.SIZE, Node.OPTIONAL);
  }
  memory.fill(load<u32>(call, Levels.DEFINITIONS), <u8>depth, rows);
  store<u32>(call, rows, Levels.ENTRIES);
  store<u32>(call, rows, Levels.PRESENT);
  store<u32>(call, 1, Levels.CONTIGUOUS);
  return 0;
}

/** The number of the one list on the way to the leaf, where nothing there is null; else `NONE`. */
function onlyList(nodes: usize, nodeCount: u32, rows: u32): u32 {
  let list: u32 = NONE;
  let length = rows;
  for (let index: u32 = 0; index < nodeCount; index++) {
    const node = nodes + <usize>index * Node.SIZE;
    if (load<u32>(node, Node.VALIDITY) != 0 || load<u32>(node, Node.LENGTH) != length) return NONE;
    if (load<u32>(node, Node.LIST) == 0) continue;
    if (list != NONE || index + 1 == nodeCount) return NONE;
    list = index;
    length = load<u32>(node, Node.SIZE + Node.LENGTH);
  }
  return list;
}

/**
 * The levels of a leaf below one list, both without nulls; false where offsets are not what they should be,
 * or there is no room: the general way says so.
 */
function listLevels(call: usize, nodes: usize, nodeCount: u32, list: u32): bool {
  const node = nodes + <usize>list * Node.SIZE;
  let empty: u32 = 0;
  let full: u32 = 1;
  for (let index: u32 = 0; index < nodeCount; index++) {
    const optional = load<u32>(nodes + <usize>index * Node.SIZE, Node.OPTIONAL);
    full += optional;
    if (index <= list) empty += optional;
  }
  const definitions = <usize>load<u32>(call, Levels.DEFINITIONS);
  const repetitions = <usize>load<u32>(call, Levels.REPETITIONS);
  const offsets = <usize>load<u32>(node, Node.OFFSETS);
  const rows = load<u32>(node, Node.LENGTH);
  const length = load<u32>(node, Node.SIZE + Node.LENGTH);
  const base = load<u32>(node, Node.BASE);
  const room = load<u32>(call, Levels.ROOM);
  const present = i8x16.splat(<i8>full);
  const more = i8x16.splat(1);
  let count: u32 = 0;
  let start = load<u32>(offsets) - base;
  if (start != 0) return false;
  for (let row: u32 = 0; row < rows; row++) {
    const end = load<u32>(offsets + (<usize>row << 2), 4) - base;
    if (end < start || end > length) return false;
    const size = max<u32>(end - start, 1);
    if (size > room - count) return false;
    const first = count;
    const stop = count + size;
    // Those behind the list's end are written again.
    do {
      v128.store(definitions + count, present);
      v128.store(repetitions + count, more);
      count += LANES;
    } while (count < stop);
    count = stop;
    store<u8>(repetitions + first, 0);
    if (end == start) store<u8>(definitions + first, <u8>empty);
    start = end;
  }
  if (start != length) return false;
  store<u32>(call, count, Levels.ENTRIES);
  store<u32>(call, length, Levels.PRESENT);
  store<u32>(call, 1, Levels.CONTIGUOUS);
  return true;
}

/** Bit `at` of the node's validity. */
// @ts-ignore: decorator
@inline
function isValid(validity: usize, at: u32): bool {
  return ((<u32>load<u8>(validity + (at >> 3)) >> (at & 7)) & 1) != 0;
}

/** Raises the definition level of the entries that reached `depth` and are not null here. */
function define(call: usize, node: usize, depth: u32, lists: u32): void {
  const definitions = <usize>load<u32>(call, Levels.DEFINITIONS);
  const entries = load<u32>(call, Levels.ENTRIES);
  const validity = <usize>load<u32>(node, Node.VALIDITY);
  const bit = load<u32>(node, Node.BIT);
  if (validity != 0 && lists != 0) {
    const slots = <usize>load<u32>(call, Levels.SLOTS);
    for (let entry: u32 = 0; entry < entries; entry++) {
      if (load<u8>(definitions + entry) != depth) continue;
      const slot = load<u32>(slots + (<usize>entry << 2));
      if (isValid(validity, bit + slot)) store<u8>(definitions + entry, <u8>(depth + 1));
    }
    return;
  }
  const reached = i8x16.splat(<i8>depth);
  const spread = i8x16(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
  const bits = i8x16(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
  for (let entry: u32 = 0; entry < entries; entry += 16) {
    const at = definitions + entry;
    const before = v128.load(at);
    let raised = i8x16.eq(before, reached);
    if (validity != 0) {
      const first = bit + entry;
      const word = load<u32>(validity + (first >> 3)) >> (first & 7);
      const lanes = v128.and(i8x16.swizzle(i32x4.splat(word), spread), bits);
      raised = v128.and(raised, i8x16.eq(lanes, bits));
    }
    v128.store(at, i8x16.sub(before, raised));
  }
}

/** True when an entry that reached `depth` is null in a node that may hold none. */
function hasNull(call: usize, node: usize, depth: u32, lists: u32): bool {
  const definitions = <usize>load<u32>(call, Levels.DEFINITIONS);
  const slots = <usize>load<u32>(call, Levels.SLOTS);
  const entries = load<u32>(call, Levels.ENTRIES);
  const validity = <usize>load<u32>(node, Node.VALIDITY);
  const bit = load<u32>(node, Node.BIT);
  for (let entry: u32 = 0; entry < entries; entry++) {
    if (load<u8>(definitions + entry) != depth) continue;
    const slot = lists == 0 ? entry : load<u32>(slots + (<usize>entry << 2));
    if (!isValid(validity, bit + slot)) return true;
  }
  return false;
}

/** Before the first list: every row is its own slot, at repetition level 0. */
function numberRows(call: usize, rows: u32): void {
  const slots = <usize>load<u32>(call, Levels.SLOTS);
  memory.fill(load<u32>(call, Levels.REPETITIONS), 0, rows);
  for (let row: u32 = 0; row < rows; row++) store<u32>(slots + (<usize>row << 2), row);
}

/** Replaces every list that is there by its elements; an empty one stays one entry. */
function expand(call: usize, node: usize, length: u32, depth: u32, repetition: u32): i32 {
  const definitions = <usize>load<u32>(call, Levels.DEFINITIONS);
  const repetitions = <usize>load<u32>(call, Levels.REPETITIONS);
  const slots = <usize>load<u32>(call, Levels.SLOTS);
  const room = load<u32>(call, Levels.ROOM);
  const newDefinitions = <usize>load<u32>(call, Levels.SCRATCH);
  const newRepetitions = newDefinitions + room;
  const newSlots = (newRepetitions + room + 3) & ~3;
  const entries = load<u32>(call, Levels.ENTRIES);
  const offsets = <usize>load<u32>(node, Node.OFFSETS);
  const base = load<u32>(node, Node.BASE);
  let count: u32 = 0;
  for (let entry: u32 = 0; entry < entries; entry++) {
    const definition = load<u8>(definitions + entry);
    let start: u32 = 0;
    let size: u32 = 0;
    if (definition == depth) {
      const slot = <usize>load<u32>(slots + (<usize>entry << 2)) << 2;
      start = load<u32>(offsets + slot) - base;
      const end = load<u32>(offsets + slot, 4) - base;
      if (start > end || end > length) return Fault.BAD_OFFSETS;
      size = end - start;
    }
    if (max<u32>(size, 1) > room - count) return Fault.NO_ROOM;
    store<u8>(newRepetitions + count, load<u8>(repetitions + entry));
    if (size == 0) {
      store<u8>(newDefinitions + count, definition);
      store<u32>(newSlots + (<usize>count << 2), 0);
      count++;
      continue;
    }
    for (let element: u32 = 0; element < size; element++, count++) {
      if (element != 0) store<u8>(newRepetitions + count, <u8>repetition);
      store<u8>(newDefinitions + count, <u8>(depth + 1));
      store<u32>(newSlots + (<usize>count << 2), start + element);
    }
  }
  memory.copy(definitions, newDefinitions, count);
  memory.copy(repetitions, newRepetitions, count);
  memory.copy(slots, newSlots, <usize>count << 2);
  store<u32>(call, count, Levels.ENTRIES);
  return 0;
}

/** Counts the entries that reached the leaf, and lists their slots when some of these are missing. */
function select(call: usize, depth: u32, length: u32, lists: u32): void {
  const definitions = <usize>load<u32>(call, Levels.DEFINITIONS);
  const slots = <usize>load<u32>(call, Levels.SLOTS);
  const entries = load<u32>(call, Levels.ENTRIES);
  const reached = i8x16.splat(<i8>depth);
  let present: u32 = 0;
  let entry: u32 = 0;
  for (; entry + 16 <= entries; entry += 16) {
    const equal = i8x16.eq(v128.load(definitions + entry), reached);
    present += popcnt<u32>(i8x16.bitmask(equal));
  }
  for (; entry < entries; entry++) present += u32(load<u8>(definitions + entry) == depth);
  // Slots are ascending, so that as many as there are can only be all of them.
  const contiguous = present == length;
  store<u32>(call, present, Levels.PRESENT);
  store<u32>(call, u32(contiguous), Levels.CONTIGUOUS);
  if (contiguous) return;
  let to = slots;
  for (entry = 0; entry < entries; entry++) {
    const slot = lists == 0 ? entry : load<u32>(slots + (<usize>entry << 2));
    store<u32>(to, slot);
    to += <usize>u32(load<u8>(definitions + entry) == depth) << 2;
  }
}
