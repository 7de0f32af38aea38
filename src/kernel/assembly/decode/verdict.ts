/**
 * What is wrong with the text of a JSON document that was given up, as the host's reader says it, and whether
 * its objects may have a key twice: of those the last one counts, so that what was met first says nothing.
 */
import { GIVE_UP, Verdict } from "./layout";
import { skipNumber, skipSpace, skipWord } from "./skip";
import { resetTextFault, skipString, textFault } from "./strings";

/** Keys of one object that are compared with each other, as in `decode/json/duplicates.ts`. */
const COMPARED_KEYS_MAX: u32 = 32;
/** Keys of the objects around one place that are compared. */
const KEYS_MAX: u32 = 2048;

/** Hashes of the keys of the objects around one place, the outermost first. */
const keyHashes: usize = memory.data(8192);
let keyCount: u32 = 0;
/** An object of the document may have a key twice. */
let maybeTwice: bool = false;

/** True when no object of the document that was judged last has a key twice. */
export function hasDistinctKeys(): bool {
  return !maybeTwice;
}

let isTooDeep: bool = false;
let end: usize = 0;
let depthMax: i32 = 0;

/**
 * The verdict on the text `[at, stop)`; NONE: it is a document.
 * @param deepest nesting at most
 */
export function verdictOf(at: usize, stop: usize, deepest: i32): u32 {
  depthMax = deepest;
  // A zero ends every token, so that nothing is read of the record behind.
  const behind = load<u8>(stop);
  store<u8>(stop, 0);
  const verdict = judge(at, stop);
  store<u8>(stop, behind);
  return verdict;
}

function judge(at: usize, stop: usize): u32 {
  end = stop;
  keyCount = 0;
  maybeTwice = false;
  isTooDeep = false;
  resetTextFault();
  const start = skipSpace(at);
  let i = scanValue(start, 0);
  if (i == GIVE_UP) {
    if (isTooDeep) return Verdict.TOO_DEEP;
    return textFault != 0 ? textFault : Verdict.BAD_JSON;
  }
  i = skipSpace(i);
  if (i != stop) return Verdict.BAD_JSON;
  return load<u8>(start) == 0x7b ? Verdict.NONE : Verdict.NOT_AN_OBJECT;
}

/** The position after the value at `at`, or GIVE_UP. */
function scanValue(at: usize, depth: i32): usize {
  switch (<u32>load<u8>(at)) {
    case 0x22:
      return skipString(at + 1, end);
    case 0x7b:
    case 0x5b:
      if (depth >= depthMax) {
        isTooDeep = true;
        return GIVE_UP;
      }
      return load<u8>(at) == 0x7b ? scanObject(at + 1, depth + 1) : scanList(at + 1, depth + 1);
    case 0x6e:
    case 0x74:
    case 0x66:
      return skipWord(at);
  }
  return skipNumber(at);
}

function scanObject(at: usize, depth: i32): usize {
  const first = keyCount;
  let i = skipSpace(at);
  if (load<u8>(i) == 0x7d) return i + 1;
  while (true) {
    if (load<u8>(i) != 0x22) return GIVE_UP;
    const key = i + 1;
    i = skipString(key, end);
    if (i == GIVE_UP) return GIVE_UP;
    addKey(key, i - 1, first);
    i = skipSpace(i);
    if (load<u8>(i) != 0x3a) return GIVE_UP;
    i = scanValue(skipSpace(i + 1), depth);
    if (i == GIVE_UP) return GIVE_UP;
    i = skipSpace(i);
    const c = load<u8>(i);
    if (c == 0x7d) break;
    if (c != 0x2c) return GIVE_UP;
    i = skipSpace(i + 1);
  }
  keyCount = first;
  return i + 1;
}

function scanList(at: usize, depth: i32): usize {
  let i = skipSpace(at);
  if (load<u8>(i) == 0x5d) return i + 1;
  while (true) {
    i = scanValue(i, depth);
    if (i == GIVE_UP) return GIVE_UP;
    i = skipSpace(i);
    const c = load<u8>(i);
    if (c == 0x5d) return i + 1;
    if (c != 0x2c) return GIVE_UP;
    i = skipSpace(i + 1);
  }
}

/** Notes a key of the object whose keys begin at `first`; one with escapes may be any other. */
function addKey(start: usize, stop: usize, first: u32): void {
  if (maybeTwice) return;
  let hash = <u32>(stop - start);
  for (let i = start; i < stop; i++) {
    const c = <u32>load<u8>(i);
    if (c == 0x5c) maybeTwice = true;
    hash = hash * 31 + c;
  }
  if (keyCount - first >= COMPARED_KEYS_MAX || keyCount >= KEYS_MAX) maybeTwice = true;
  for (let index = first; index < keyCount; index++) {
    if (load<u32>(keyHashes + (<usize>index << 2)) == hash) maybeTwice = true;
  }
  if (maybeTwice) return;
  store<u32>(keyHashes + (<usize>keyCount << 2), hash);
  keyCount++;
}
