/**
 * Documents whose objects hold a key twice: of those the last one counts (SPEC section 5). They are
 * rare, so they are looked for only where an earlier value may have done harm.
 */
import { LIMITS } from "#base/limits.ts";
import { CHAR, skipNumber, skipSpace, skipString, skipWord } from "./scan.ts";
import { textOf } from "./strings.ts";

/**
 * The document without the earlier ones of duplicate keys; null when it has no duplicate keys.
 * Memory: the names of the objects around one place, at most `LIMITS.recordValuesMax` for each (keys
 * behind those are taken as distinct), and a copy of the document.
 * @param start where the document begins in `bytes`; it must be well formed
 */
export function withoutDuplicates(
  bytes: Uint8Array,
  start: number,
  end: number,
): Uint8Array | null {
  keyCount = 0;
  if (distinctAfter(bytes, skipSpace(bytes, start)) !== MAYBE) return null;
  const cuts: Cut[] = [];
  skipDistinct(bytes, skipSpace(bytes, start), cuts);
  if (cuts.length === 0) return null;
  cuts.sort((a, b) => a.start - b.start);
  const kept = new Uint8Array(end - start);
  let size = 0;
  let from = start;
  for (const cut of cuts) {
    // Inside an object that was itself cut out: gone already.
    if (cut.start < from) continue;
    kept.set(bytes.subarray(from, cut.start), size);
    size += cut.start - from;
    from = cut.end;
  }
  kept.set(bytes.subarray(from, end), size);
  return kept.subarray(0, size + end - from);
}

/** A member that a later one replaces, up to the next key. */
interface Cut {
  readonly start: number;
  readonly end: number;
}

/** The position after the value at `at`; adds what is to be cut out of it. */
function skipDistinct(bytes: Uint8Array, at: number, cuts: Cut[]): number {
  switch (bytes[at] as number) {
    case CHAR.open:
      return skipObject(bytes, at + 1, cuts);
    case CHAR.openList:
      return skipList(bytes, at + 1, cuts);
    case CHAR.quote:
      return skipString(bytes, at + 1, bytes.length);
    case CHAR.n:
    case CHAR.t:
    case CHAR.f:
      return skipWord(bytes, at);
    default:
      return skipNumber(bytes, at);
  }
}

function skipObject(bytes: Uint8Array, at: number, cuts: Cut[]): number {
  /** Each name's last member so far. */
  const members = new Map<string, { start: number; end: number }>();
  let i = skipSpace(bytes, at);
  while (bytes[i] === CHAR.quote) {
    const start = i;
    i = skipString(bytes, start + 1, bytes.length);
    const name = textOf(bytes, start + 1, i);
    i = skipSpace(bytes, skipSpace(bytes, i) + 1);
    i = skipSpace(bytes, skipDistinct(bytes, i, cuts));
    if (bytes[i] === CHAR.comma) i = skipSpace(bytes, i + 1);
    const earlier = members.get(name);
    if (earlier !== undefined) cuts.push(earlier);
    if (earlier !== undefined || members.size < LIMITS.recordValuesMax) {
      members.set(name, { start, end: i });
    }
  }
  return i + 1;
}

function skipList(bytes: Uint8Array, at: number, cuts: Cut[]): number {
  let i = skipSpace(bytes, at);
  while (bytes[i] !== CHAR.closeList) {
    i = skipSpace(bytes, skipDistinct(bytes, i, cuts));
    if (bytes[i] === CHAR.comma) i = skipSpace(bytes, i + 1);
  }
  return i + 1;
}

/** An object may have a key twice. */
const MAYBE = -1;
/** Keys of one object that are compared with each other; in a larger one they are looked up by name. */
const COMPARED_KEYS_MAX = 32;
/** Hashes of the keys of the objects around one place, the outermost first. */
const keyHashes = new Int32Array(COMPARED_KEYS_MAX * (LIMITS.jsonDepthMax + 1));
let keyCount = 0;

/**
 * The position after the value at `at`, or `MAYBE`: as `skipDistinct`, without a text for each key. Nearly
 * every refused record ends here.
 */
function distinctAfter(bytes: Uint8Array, at: number): number {
  switch (bytes[at] as number) {
    case CHAR.open:
      return distinctObject(bytes, at + 1);
    case CHAR.openList:
      return distinctList(bytes, at + 1);
    case CHAR.quote:
      return skipString(bytes, at + 1, bytes.length);
    case CHAR.n:
    case CHAR.t:
    case CHAR.f:
      return skipWord(bytes, at);
    default:
      return skipNumber(bytes, at);
  }
}

function distinctObject(bytes: Uint8Array, at: number): number {
  const first = keyCount;
  let i = skipSpace(bytes, at);
  while (bytes[i] === CHAR.quote) {
    const afterKey = skipString(bytes, i + 1, bytes.length);
    if (!addKey(bytes, i + 1, afterKey - 1, first)) return MAYBE;
    i = skipSpace(bytes, skipSpace(bytes, afterKey) + 1);
    i = distinctAfter(bytes, i);
    if (i === MAYBE) return MAYBE;
    i = skipSpace(bytes, i);
    if (bytes[i] === CHAR.comma) i = skipSpace(bytes, i + 1);
  }
  keyCount = first;
  return i + 1;
}

function distinctList(bytes: Uint8Array, at: number): number {
  let i = skipSpace(bytes, at);
  while (bytes[i] !== CHAR.closeList) {
    i = distinctAfter(bytes, i);
    if (i === MAYBE) return MAYBE;
    i = skipSpace(bytes, i);
    if (bytes[i] === CHAR.comma) i = skipSpace(bytes, i + 1);
  }
  return i + 1;
}

/** False when another key since `first` may be the same, or is written in a way of its own. */
function addKey(bytes: Uint8Array, start: number, end: number, first: number): boolean {
  if (keyCount - first >= COMPARED_KEYS_MAX) return false;
  let hash = end - start;
  for (let i = start; i < end; i++) {
    const c = bytes[i] as number;
    if (c === CHAR.backslash) return false;
    hash = (Math.imul(hash, 31) + c) | 0;
  }
  for (let index = first; index < keyCount; index++) if (keyHashes[index] === hash) return false;
  keyHashes[keyCount++] = hash;
  return true;
}
