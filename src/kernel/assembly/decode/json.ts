/**
 * JSON documents into columns, by the slots that the schema was compiled to. What is rare, unknown
 * or wrong is given up as a whole record: the host's reader decides about it, so that there is one
 * judge of what is refused.
 *
 * Positions are checked against the document's end where they could run away (strings, skipped
 * values) and once at the end: bytes behind it belong to the next record, and zeros end the last.
 */
import { appendBoolean, appendBytes, appendNull, child, endValue, fill, lengthOf } from "./columns";
import { Call, Column, GIVE_UP, NO_ROOM, Node, Op, Slot } from "./layout";
import { noteMisfit, noteUnknown, resetMisfit } from "./misfit";
import { readDouble, readEpoch, readFloat, readInt, readLong } from "./numbers";
import { resetTyped, skipSpace, skipValue, skipWord, typed } from "./skip";
import { readString, skipString } from "./strings";
import { readText } from "./texts";

const QUOTE: u8 = 0x22;
const COMMA: u8 = 0x2c;
const COLON: u8 = 0x3a;
const OPEN: u8 = 0x7b;
const CLOSE: u8 = 0x7d;
const OPEN_LIST: u8 = 0x5b;
const CLOSE_LIST: u8 = 0x5d;

/** The document's end and the call's settings, for all functions below. */
let end: usize = 0;
let powers: usize = 0;
let ignoreUnknown: bool = false;
let depthMax: i32 = 0;
/** Documents so far: the number of the present one, never 0 in practice. */
let documents: u32 = 0;

/** Takes the settings of a call. */
export function startJson(call: usize): void {
  powers = load<u32>(call, Call.POWERS);
  ignoreUnknown = load<u32>(call, Call.IGNORE_UNKNOWN) != 0;
  depthMax = <i32>load<u32>(call, Call.DEPTH_MAX);
}

/** Appends the document `[at, stop)` as row `row`; 2 when it is taken, else GIVE_UP or NO_ROOM. */
export function readDocument(root: usize, at: usize, stop: usize, row: u32): usize {
  end = stop;
  documents++;
  resetMisfit();
  let i = skipSpace(at);
  if (load<u8>(i) != OPEN) return GIVE_UP;
  i = readObject(<usize>load<u32>(root, Slot.MEMBERS), i + 1, row, 1);
  if (i <= NO_ROOM) return i;
  if (i < stop) i = skipSpace(i);
  return i == stop ? 2 : GIVE_UP;
}

/**
 * Columns that the object read last has filled by its own members, each once. A group's members are
 * not among them: they fill columns of the object around it.
 */
export let columnsFilled: u32 = 0;

/** Reads members from behind the opening brace on; the position after the closing one. */
function readObject(node: usize, at: usize, row: u32, depth: i32): usize {
  let i = skipSpace(at);
  columnsFilled = 0;
  if (load<u8>(i) == CLOSE) return i + 1;
  const slots = <usize>load<u32>(node, Node.SLOTS);
  const follow = <usize>load<u32>(node, Node.FOLLOW);
  let previous: u32 = 0;
  let filled: u32 = 0;
  // From here on `i` is the byte before a key's quote: a brace, a comma or a blank.
  i--;
  while (true) {
    let found = load<u32>(follow + (<usize>previous << 2));
    let slot = slots + <usize>(found - 1) * Slot.SIZE;
    if (found != 0 && textMatches(slot, i)) i += load<u32>(slot, Slot.TEXT_BYTES);
    else {
      i = skipSpace(i + 1);
      if (load<u8>(i) != QUOTE) return GIVE_UP;
      found = findSlot(node, previous, i);
      i = keyEnd;
      if (i == GIVE_UP) return GIVE_UP;
      if (load<u8>(i) != COLON) {
        i = skipSpace(i);
        if (load<u8>(i) != COLON) return GIVE_UP;
      }
      i++;
      slot = slots + <usize>(found - 1) * Slot.SIZE;
    }
    if (load<u8>(i) <= 0x20) i = skipSpace(i);
    if (found == 0) i = skipUnknown(node, i, depth);
    else {
      const op = load<u32>(slot, Slot.OP);
      i = readMember(slot, op, i, row, depth);
      previous = found;
      filled += <u32>(op != Op.GROUP);
    }
    if (i <= NO_ROOM) return i;
    let c = load<u8>(i);
    if (c != COMMA) {
      i = skipSpace(i);
      c = load<u8>(i);
      if (c == CLOSE) {
        columnsFilled = filled;
        return i + 1;
      }
      if (c != COMMA) return GIVE_UP;
    }
    // Many serializers put one blank behind each comma.
    i += <usize>(load<u8>(i, 1) == 0x20);
  }
}

/** True when the slot's key, its quotes and a colon follow the byte at `at`. */
// @ts-ignore: decorator
@inline
function textMatches(slot: usize, at: usize): bool {
  const others = v128.xor(v128.load(at), v128.load(slot, Slot.TEXT));
  if (v128.any_true(v128.and(others, v128.load(slot, Slot.TEXT_MASK)))) return false;
  return load<u32>(slot, Slot.TEXT_BYTES) <= 16 || restMatches(slot, at + 16);
}

/** The same for the second sixteen bytes. */
// @ts-ignore: decorator
@inline
function restMatches(slot: usize, at: usize): bool {
  const rest = <usize>load<u32>(slot, Slot.KEY) - 32;
  const others = v128.xor(v128.load(at), v128.load(rest));
  return !v128.any_true(v128.and(others, v128.load(rest, 16)));
}

/** A duplicate key is given up: of those the last one counts. */
// @ts-ignore: decorator
@inline
function readMember(slot: usize, op: u32, at: usize, row: u32, depth: i32): usize {
  const column = <usize>load<u32>(slot, Slot.COLUMN);
  if (op == Op.GROUP) {
    // It has no column of its own: the document that showed it last is written down.
    if (load<u32>(slot, Slot.PARAMETER) == documents) return GIVE_UP;
    store<u32>(slot, documents, Slot.PARAMETER);
  } else if (lengthOf(column) > row) return GIVE_UP;
  const after = readValue(slot, op, column, at, row, depth);
  if (after == GIVE_UP) noteMisfit(slot, op, at);
  return after;
}

/** A member without a slot; values that have no type yet never matter. */
function skipUnknown(node: usize, at: usize, depth: i32): usize {
  resetTyped();
  const after = skipValue(at, end, depthMax - depth);
  if (!typed || ignoreUnknown || load<u32>(node, Node.OPEN) != 0) return after;
  noteUnknown(node, keyAt);
  return GIVE_UP;
}

/** Where the key found last ends, behind its quote; GIVE_UP when it is for the host. */
let keyEnd: usize = 0;
/** Where the key looked up last begins, at its quote. */
let keyAt: usize = 0;

/** Index + 1 of the slot whose key's quote is at `at`; 0 when there is none. Sets `keyEnd`. */
// @ts-ignore: decorator
@inline
function findSlot(node: usize, previous: u32, at: usize): u32 {
  const slots = <usize>load<u32>(node, Node.SLOTS);
  const follow = <usize>load<u32>(node, Node.FOLLOW) + (<usize>previous << 2);
  const guess = load<u32>(follow);
  if (guess != 0 && keyMatches(slots + <usize>(guess - 1) * Slot.SIZE, at)) return guess;
  return findOther(node, slots, previous, at, guess);
}

/** A key that did not follow the last time: optional members, another order. */
function findOther(node: usize, slots: usize, previous: u32, at: usize, guess: u32): u32 {
  const followBefore = <usize>load<u32>(node, Node.FOLLOW_BEFORE) + (<usize>previous << 2);
  const other = load<u32>(followBefore);
  if (other != 0 && keyMatches(slots + <usize>(other - 1) * Slot.SIZE, at)) return other;
  const found = lookUp(node, slots, at);
  if (found != 0) {
    store<u32>(followBefore, guess);
    store<u32>(<usize>load<u32>(node, Node.FOLLOW) + (<usize>previous << 2), found);
  }
  return found;
}

// @ts-ignore: decorator
@inline
function keyMatches(slot: usize, at: usize): bool {
  const size = load<u32>(slot, Slot.KEY_BYTES);
  const key = <usize>load<u32>(slot, Slot.KEY);
  keyEnd = at + size;
  const same = <u32>i8x16.bitmask(i8x16.eq(v128.load(at), v128.load(key)));
  if (size <= 16) return size != 0 && (~same & ((1 << size) - 1)) == 0;
  return same == 0xffff && memory.compare(at + 16, key + 16, size - 16) == 0;
}

function lookUp(node: usize, slots: usize, at: usize): u32 {
  keyAt = at;
  keyEnd = skipString(at + 1, end);
  if (keyEnd == GIVE_UP) return 0;
  const size = <u32>(keyEnd - at);
  let hash: u32 = 0x811c9dc5;
  for (let i = at + 1; i < keyEnd - 1; i++) {
    const c = <u32>load<u8>(i);
    if (c == 0x5c) {
      keyEnd = GIVE_UP;
      return 0;
    }
    hash = (hash ^ c) * 0x01000193;
  }
  const table = <usize>load<u32>(node, Node.TABLE);
  const mask = load<u32>(node, Node.MASK);
  let probe = hash & mask;
  while (true) {
    const found = load<u32>(table + (<usize>probe << 2));
    if (found == 0) return 0;
    const slot = slots + <usize>(found - 1) * Slot.SIZE;
    const isSize = load<u32>(slot, Slot.KEY_BYTES) == size;
    if (isSize && memory.compare(<usize>load<u32>(slot, Slot.KEY), at, size) == 0) return found;
    probe = (probe + 1) & mask;
  }
}

/** Appends the value at `at`; the position after it, GIVE_UP or NO_ROOM. */
// @ts-ignore: decorator
@inline
function readValue(slot: usize, op: u32, column: usize, at: usize, row: u32, depth: i32): usize {
  const c = load<u8>(at);
  if (c == 0x6e) return readNull(op, column, at);
  switch (op) {
    case Op.STRING:
      return c == QUOTE ? readString(column, at + 1, end) : GIVE_UP;
    case Op.LONG:
      return readLong(column, at);
    case Op.DOUBLE:
      return readDouble(column, at, powers);
    case Op.STRUCT:
      return c == OPEN ? readStruct(slot, column, at + 1, depth + 1) : GIVE_UP;
    case Op.LIST:
      return c == OPEN_LIST ? readList(slot, column, at + 1, depth + 1) : GIVE_UP;
    case Op.BOOLEAN:
      return readBoolean(column, c, at);
    case Op.INT:
      return readInt(column, at);
    case Op.EPOCH:
      return readEpoch(column, at, load<u32>(slot, Slot.PARAMETER));
    case Op.FLOAT:
      return readFloat(column, at, powers);
    case Op.GROUP:
      if (c != OPEN) return GIVE_UP;
      return readObject(<usize>load<u32>(slot, Slot.MEMBERS), at + 1, row, depth + 1);
  }
  if (op >= Op.ROW) return readPart(slot, op, column, at, row, depth);
  return readText(slot, op, column, c, at);
}

/** True when the envelope read last removes its row. */
export let isDelete: bool = false;
/** Parts of the envelope that were there, by bits; of those that are there twice the last one counts. */
let partsSeen: u32 = 0;
/** The first byte of what was done, and where the row before it lies; 0: not seen. */
let operation: u32 = 0;
let imageAt: usize = 0;
let hasRow: bool = false;
let rowFilled: u32 = 0;

/** Appends the row of an envelope, or what is read of the row that it removes. */
export function readEnvelope(root: usize, at: usize, stop: usize, row: u32): usize {
  partsSeen = 0;
  operation = 0;
  imageAt = 0;
  const parameter = load<u32>(root, Slot.PARAMETER);
  hasRow = (parameter & 2) != 0;
  isDelete = false;
  rowFilled = 0;
  const taken = readDocument(root, at, stop, row);
  if (taken <= NO_ROOM) return taken;
  columnsFilled = rowFilled;
  if (operation == 0x63 || operation == 0x72 || operation == 0x75) return hasRow ? taken : GIVE_UP;
  if (operation != 0x64 || hasRow || (parameter & 1) == 0) return GIVE_UP;
  isDelete = true;
  const image = <usize>load<u32>(root, Slot.ELEMENT);
  if (image == 0) return taken;
  if (imageAt == 0) return GIVE_UP;
  const after = readObject(image, imageAt + 1, row, 2);
  return after <= NO_ROOM ? after : taken;
}

function isFirst(part: u32): bool {
  const bit: u32 = 1 << (part - Op.ROW);
  const first = (partsSeen & bit) == 0;
  partsSeen |= bit;
  return first;
}

/** What was done: one letter in quotes, or `false` (not deleted), in quotes or without. */
function readOperation(slot: usize, column: usize, at: usize, quoted: bool): usize {
  // "fals", and the "e" behind it.
  const isFalse = load<u32>(at) == 0x736c6166 && load<u8>(at, 4) == 0x65;
  const size: usize = isFalse ? 5 : 1;
  if (quoted ? load<u8>(at + size) != QUOTE : !isFalse) return GIVE_UP;
  operation = isFalse ? 0x63 : load<u8>(at);
  const after = at + size + <usize>quoted;
  if (load<u32>(slot, Slot.PARAMETER) == 0) return after;
  return appendBytes(column, at, <u32>size) ? after : NO_ROOM;
}

/** One part of an envelope, which is not null. */
function readPart(slot: usize, op: u32, column: usize, at: usize, row: u32, depth: i32): usize {
  if (!isFirst(op)) return GIVE_UP;
  const c = load<u8>(at);
  if (op == Op.OPERATION) return readOperation(slot, column, c == QUOTE ? at + 1 : at, c == QUOTE);
  if (c != OPEN) return GIVE_UP;
  if (op == Op.IMAGE) {
    imageAt = at;
    return skipValue(at, end, depthMax - depth);
  }
  hasRow = true;
  const after = readObject(<usize>load<u32>(slot, Slot.MEMBERS), at + 1, row, depth + 1);
  rowFilled = columnsFilled;
  return after;
}

function readNull(op: u32, column: usize, at: usize): usize {
  const after = skipWord(at);
  if (after == GIVE_UP || op == Op.GROUP) return after;
  if (op >= Op.ROW) return isFirst(op) ? after : GIVE_UP;
  if (load<u32>(column, Column.REQUIRED) != 0) return GIVE_UP;
  appendNull(column);
  return after;
}

function readBoolean(column: usize, c: u8, at: usize): usize {
  if (c != 0x74 && c != 0x66) return GIVE_UP;
  appendBoolean(column, <u32>(c == 0x74));
  return skipWord(at);
}

function readStruct(slot: usize, column: usize, at: usize, depth: i32): usize {
  const row = lengthOf(column);
  const after = readObject(<usize>load<u32>(slot, Slot.MEMBERS), at, row, depth);
  if (after <= NO_ROOM) return after;
  store<u32>(column, row + 1, Column.LENGTH);
  const children = load<u32>(column, Column.CHILD_COUNT);
  if (columnsFilled == children) return after;
  for (let index: u32 = 0; index < children; index++) {
    if (!fill(child(column, index), row)) return GIVE_UP;
  }
  return after;
}

/** Says where the document ends whose members `readElement` is to read. */
export function startDocument(stop: usize): void {
  end = stop;
  resetMisfit();
}

/** The same as a call of its own: a value may hold a list, whose elements are values. */
export function readElement(slot: usize, op: u32, column: usize, at: usize, depth: i32): usize {
  const after = readValue(slot, op, column, at, lengthOf(column), depth);
  if (after == GIVE_UP) noteMisfit(slot, op, at);
  return after;
}

function readList(slot: usize, column: usize, at: usize, depth: i32): usize {
  const element = <usize>load<u32>(slot, Slot.ELEMENT);
  const op = load<u32>(element, Slot.OP);
  const values = <usize>load<u32>(element, Slot.COLUMN);
  const most = load<u32>(values, Column.VALUES_MAX);
  let i = skipSpace(at);
  if (load<u8>(i) != CLOSE_LIST) {
    while (true) {
      if (lengthOf(values) >= most) return NO_ROOM;
      i = readElement(element, op, values, i, depth);
      if (i <= NO_ROOM) return i;
      let c = load<u8>(i);
      if (c != COMMA && c != CLOSE_LIST) {
        i = skipSpace(i);
        c = load<u8>(i);
      }
      if (c == CLOSE_LIST) break;
      if (c != COMMA || i > end) return GIVE_UP;
      i = skipSpace(i + 1);
    }
  }
  endValue(column, lengthOf(values));
  return i + 1;
}
