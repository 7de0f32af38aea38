/**
 * Protobuf messages into columns, by the slots that their type was compiled to. What is rare, unknown
 * or wrong is given up as a whole record: the host's reader decides about it. So are groups, and all
 * that comes twice and counts once.
 *
 * A field is found by comparing its tag with that of the field that followed the last time. Reading may
 * run over the end of a message by the bytes of a number; where it ends is checked behind each field.
 */
import { readLength, readVarint, skipField, varint, zigzag } from "../common/varint";
import { append16, append4, append8, appendBoolean, appendBytes,
  appendDefault, endValue, fill, lengthOf } from "./columns";
import { Column, GIVE_UP, Kind, NO_ROOM } from "./layout";
import { hasKey } from "./mapKeys";
import { FieldOp, FieldSlot, Label, Message, Names } from "./protobufLayout";
import { isUtf8 } from "./strings";

const NANOS: i64 = 1_000_000_000;
/** A tag of more bytes is none, whatever its number is. */
const TAG_BYTES: usize = 5;
/** Microseconds beyond are the host's. */
const EPOCH_MAX: i64 = 9_000_000_000_000_000;

/** Messages so far: the number of the present one, never 0 in practice. */
let messages: u32 = 0;
/** Reads the fields of a message; the position of its end, GIVE_UP or NO_ROOM. */
export function readMessage(node: usize, at: usize, stop: usize, row: u32): usize {
  const id = ++messages;
  let link = node + Message.FIRST;
  let slot = <usize>load<u32>(link);
  let filled: u32 = 0;
  let i = at;
  while (i < stop) {
    let isUsual = true;
    if (slot != 0 && textMatches(slot, i)) i += load<u32>(slot, FieldSlot.TEXT_BYTES);
    else {
      const after = readVarint(i);
      if (after == GIVE_UP || after - i > TAG_BYTES || varint > 0xffff_ffff) return GIVE_UP;
      i = after;
      const tag = <u32>varint;
      slot = findSlot(node, tag >>> 3);
      if (slot == 0) {
        i = skipField(i, tag, stop);
        if (i == GIVE_UP) return GIVE_UP;
        slot = <usize>load<u32>(link);
        continue;
      }
      isUsual = tag == load<u32>(slot, FieldSlot.TAG);
      if (!isUsual && tag != load<u32>(slot, FieldSlot.OTHER_TAG)) return GIVE_UP;
      store<u32>(link, <u32>slot);
    }
    if (load<u32>(slot, FieldSlot.LABEL) != Label.SINGLE) i = readRepeated(slot, i, stop, row, isUsual);
    else {
      i = readSingle(slot, i, stop, row, id);
      filled++;
    }
    if (i <= NO_ROOM) return i;
    if (i > stop) return GIVE_UP;
    link = slot + FieldSlot.NEXT;
    slot = <usize>load<u32>(link);
  }
  if (i != stop) return GIVE_UP;
  return endMessage(node, row, filled) ? i : GIVE_UP;
}

/** True when the tag at `at` is the slot's. */
// @ts-ignore: decorator
@inline
function textMatches(slot: usize, at: usize): bool {
  const others = load<u32>(at) ^ load<u32>(slot, FieldSlot.TEXT);
  return (others & load<u32>(slot, FieldSlot.TEXT_MASK)) == 0;
}

/** The slot of a field's number; 0: there is none. */
function findSlot(node: usize, number: u32): usize {
  const table = <usize>load<u32>(node, Message.TABLE);
  const mask = load<u32>(node, Message.MASK);
  let probe = number & mask;
  while (true) {
    const slot = <usize>load<u32>(table + (<usize>probe << 2));
    if (slot == 0 || load<u32>(slot, FieldSlot.NUMBER) == number) return slot;
    probe = (probe + 1) & mask;
  }
}

/** Lists end, and what is missing gets its default, or null; false when the host must. */
function endMessage(node: usize, row: u32, filled: u32): bool {
  const lists = <usize>load<u32>(node, Message.LISTS);
  const listCount = load<u32>(node, Message.LIST_COUNT);
  for (let index: u32 = 0; index < listCount; index++) {
    const list = <usize>load<u32>(lists + (<usize>index << 2));
    endValue(list, lengthOf(<usize>load<u32>(<usize>load<u32>(list, Column.CHILDREN))));
  }
  const columns = <usize>load<u32>(node, Message.COLUMNS);
  const count = load<u32>(node, Message.COLUMN_COUNT);
  if (filled + listCount == count) return true;
  const defaults = <usize>load<u32>(node, Message.DEFAULTS);
  for (let index: u32 = 0; index < count; index++) {
    const column = <usize>load<u32>(columns + (<usize>index << 2));
    if (lengthOf(column) > row) continue;
    const from = <usize>load<u32>(defaults + (<usize>index << 3));
    const isFilled =
      from == 0
        ? fill(column, row)
        : appendDefault(column, from, load<u32>(defaults + (<usize>index << 3), 4));
    if (!isFilled) return false;
  }
  return true;
}

/** A field that is there already, or whose oneof is, is given up: the last one counts. */
// @ts-ignore: decorator
@inline
function readSingle(slot: usize, at: usize, stop: usize, row: u32, id: u32): usize {
  const column = <usize>load<u32>(slot, FieldSlot.COLUMN);
  if (lengthOf(column) > row) return GIVE_UP;
  const oneof = <usize>load<u32>(slot, FieldSlot.ONEOF);
  if (oneof != 0) {
    if (load<u32>(oneof) == id) return GIVE_UP;
    store<u32>(oneof, id);
  }
  return readValue(slot, load<u32>(slot, FieldSlot.OP), column, at, stop);
}

/** Elements of a list, or an entry of a map. @param isUsual the slot's first tag was before it */
function readRepeated(slot: usize, at: usize, stop: usize, row: u32, isUsual: bool): usize {
  const label = load<u32>(slot, FieldSlot.LABEL);
  if (label == Label.MAP) return readEntry(slot, at, stop, row);
  const op = load<u32>(slot, FieldSlot.OP);
  const values = <usize>load<u32>(slot, FieldSlot.COLUMN);
  const most = load<u32>(values, Column.VALUES_MAX);
  let i = at;
  let end = stop;
  const isPacked = isUsual == (label == Label.PACKED);
  if (isPacked) {
    i = readLength(at, stop);
    if (i == GIVE_UP) return GIVE_UP;
    end = i + <usize>varint;
    if (i == end) return i;
  }
  while (true) {
    if (lengthOf(values) >= most) return NO_ROOM;
    i = readValue(slot, op, values, i, end);
    if (i <= NO_ROOM) return i;
    if (i > end) return GIVE_UP;
    if (isPacked) {
      if (i == end) return i;
    } else {
      // The next element often follows.
      if (i == end || label == Label.PACKED || !textMatches(slot, i)) return i;
      i += load<u32>(slot, FieldSlot.TEXT_BYTES);
    }
  }
}

function readEntry(slot: usize, at: usize, stop: usize, row: u32): usize {
  const key = <usize>load<u32>(slot, FieldSlot.KEY);
  const value = <usize>load<u32>(slot, FieldSlot.VALUE);
  const keys = <usize>load<u32>(key, FieldSlot.COLUMN);
  const values = <usize>load<u32>(value, FieldSlot.COLUMN);
  const count = lengthOf(keys);
  if (count >= load<u32>(keys, Column.VALUES_MAX)) return NO_ROOM;
  let i = readLength(at, stop);
  if (i == GIVE_UP) return GIVE_UP;
  const end = i + <usize>varint;
  // Key and value, once each and in this order: other entries are the host's.
  if (i == end || !textMatches(key, i)) return GIVE_UP;
  i = readValue(key, load<u32>(key, FieldSlot.OP), keys, i + 1, end);
  if (i <= NO_ROOM) return i;
  if (i >= end || !textMatches(value, i)) return GIVE_UP;
  i = readValue(value, load<u32>(value, FieldSlot.OP), values, i + 1, end);
  if (i <= NO_ROOM) return i;
  if (i != end) return GIVE_UP;
  return hasKey(<usize>load<u32>(slot, FieldSlot.LIST), keys, row, count) ? GIVE_UP : i;
}

/** Appends the value at `at`; the position after it, GIVE_UP or NO_ROOM. */
function readValue(slot: usize, op: u32, column: usize, at: usize, stop: usize): usize {
  if (load<u32>(slot, FieldSlot.WRAPPED) != 0) return readWrapped(slot, op, column, at, stop);
  return readPlain(slot, op, column, at, stop);
}

// @ts-ignore: decorator
@inline
function readPlain(slot: usize, op: u32, column: usize, at: usize, stop: usize): usize {
  switch (op) {
    case FieldOp.STRING:
      return readText(column, at, stop);
    case FieldOp.INT64:
      return readInteger(slot, column, readVarint(at), <i64>varint, true);
    case FieldOp.INT32: {
      const i = readVarint(at);
      const value = <i64>varint;
      const cut = <i64>(<i32>value);
      // Written as if it had no sign.
      if (value != cut && value >>> 32 != 0) return GIVE_UP;
      return readInteger(slot, column, i, cut, true);
    }
    case FieldOp.DOUBLE:
    case FieldOp.SFIXED64:
      return readInteger(slot, column, at + 8, load<i64>(at), true);
    case FieldOp.ENUM:
      return readEnum(slot, column, at);
    case FieldOp.MESSAGE:
      return readStruct(slot, column, at, stop);
    case FieldOp.TIMESTAMP:
      return readTimestamp(slot, column, at, stop);
    case FieldOp.BOOL: {
      const i = readVarint(at);
      appendBoolean(column, <u32>(varint != 0));
      return i;
    }
    case FieldOp.BYTES: {
      const i = readLength(at, stop);
      if (i == GIVE_UP) return GIVE_UP;
      const size = <u32>varint;
      return appendBytes(column, i, size) ? i + size : NO_ROOM;
    }
    case FieldOp.FLOAT:
      append4(column, load<u32>(at));
      return at + 4;
  }
  return readRare(slot, op, column, at);
}

function readRare(slot: usize, op: u32, column: usize, at: usize): usize {
  switch (op) {
    case FieldOp.UINT32: {
      const i = readVarint(at);
      if (varint > 0xffff_ffff) return GIVE_UP;
      return readInteger(slot, column, i, <i64>varint, false);
    }
    case FieldOp.UINT64:
      return readInteger(slot, column, readVarint(at), <i64>varint, false);
    case FieldOp.SINT32: {
      const i = readVarint(at);
      if (varint > 0xffff_ffff) return GIVE_UP;
      return readInteger(slot, column, i, zigzag(varint), true);
    }
    case FieldOp.SINT64: {
      const i = readVarint(at);
      return readInteger(slot, column, i, zigzag(varint), true);
    }
    case FieldOp.FIXED32:
      return readInteger(slot, column, at + 4, <i64>load<u32>(at), false);
    case FieldOp.SFIXED32:
      return readInteger(slot, column, at + 4, <i64>load<i32>(at), true);
    case FieldOp.FIXED64:
      return readInteger(slot, column, at + 8, load<i64>(at), false);
    case FieldOp.FLOAT_DOUBLE:
      append8(column, reinterpret<u64>(<f64>load<f32>(at)));
      return at + 4;
    case FieldOp.EPOCH: {
      const i = readVarint(at);
      const micros = <i64>load<u32>(slot, FieldSlot.PARAMETER);
      const most = EPOCH_MAX / micros;
      if (<i64>varint > most || <i64>varint < -most) return GIVE_UP;
      append8(column, varint * <u64>micros);
      return i;
    }
  }
  return GIVE_UP;
}

/** Appends a whole number that its column holds, whatever it is. @param after the position after it */
// @ts-ignore: decorator
@inline
function readInteger(slot: usize, column: usize, after: usize, value: i64, isSigned: bool): usize {
  switch (load<u32>(slot, FieldSlot.KIND)) {
    case Kind.WIDTH_4:
      append4(column, <u32>value);
      return after;
    case Kind.WIDTH_8:
      append8(column, <u64>value);
      return after;
  }
  append16(column, <u64>value, isSigned ? <u64>(value >> 63) : 0);
  return after;
}

/** Text, copied while it is looked at: sixteen bytes a step, ASCII mostly. */
function readText(column: usize, at: usize, stop: usize): usize {
  const i = readLength(at, stop);
  if (i == GIVE_UP) return GIVE_UP;
  const size = <usize>varint;
  const used = <usize>load<u32>(column, Column.USED);
  if (used + size > <usize>load<u32>(column, Column.BYTES_MAX)) return NO_ROOM;
  const out = <usize>load<u32>(column, Column.DATA) + used;
  let step: usize = 0;
  let high = i8x16.splat(0);
  for (; step + 16 <= size; step += 16) {
    const bytes = v128.load(i + step);
    v128.store(out + step, bytes);
    high = v128.or(high, bytes);
  }
  if (step < size) {
    // What is behind the text may be anything, and is overwritten by the next value.
    v128.store(out + step, v128.load(i + step));
    const rest = (1 << <u32>(size - step)) - 1;
    if ((i8x16.bitmask(v128.load(i + step)) & rest) != 0) high = i8x16.splat(-1);
  }
  if (i8x16.bitmask(high) != 0 && !isUtf8(i, i + size)) return GIVE_UP;
  store<u32>(column, <u32>(used + size), Column.USED);
  endValue(column, <u32>(used + size));
  return i + size;
}

/** The name of an enum's number. */
function readEnum(slot: usize, column: usize, at: usize): usize {
  const i = readVarint(at);
  if (i == GIVE_UP) return GIVE_UP;
  const names = <usize>load<u32>(slot, FieldSlot.NODE);
  if (varint >= <u64>load<u32>(names, Names.COUNT)) return GIVE_UP;
  const name = names + Names.FIRST + (<usize>varint << 3);
  const from = <usize>load<u32>(name);
  if (from == 0) return GIVE_UP;
  return appendBytes(column, from, load<u32>(name, 4)) ? i : NO_ROOM;
}

function readStruct(slot: usize, column: usize, at: usize, stop: usize): usize {
  const i = readLength(at, stop);
  if (i == GIVE_UP) return GIVE_UP;
  const row = lengthOf(column);
  const end = i + <usize>varint;
  const after = readMessage(<usize>load<u32>(slot, FieldSlot.NODE), i, end, row);
  if (after > NO_ROOM) store<u32>(column, row + 1, Column.LENGTH);
  return after;
}

/** `google.protobuf.Timestamp`: seconds and nanoseconds, each once at most. */
function readTimestamp(slot: usize, column: usize, at: usize, stop: usize): usize {
  let i = readLength(at, stop);
  if (i == GIVE_UP) return GIVE_UP;
  const end = i + <usize>varint;
  let seconds: i64 = 0;
  let nanos: i64 = 0;
  while (i < end) {
    const tag = load<u8>(i);
    if (tag != 0x08 && tag != 0x10) return GIVE_UP;
    i = readVarint(i + 1);
    if (i == GIVE_UP) return GIVE_UP;
    if (tag == 0x08) seconds = <i64>varint;
    else nanos = <i64>varint;
  }
  if (i != end || seconds < -62_135_596_800 || seconds > 253_402_300_799) return GIVE_UP;
  if (nanos < 0 || nanos >= NANOS) return GIVE_UP;
  append8(column, <u64>(seconds * 1_000_000 + nanos / 1000));
  return i;
}

/** A message around one value: nothing in it, or its field 1 once. */
function readWrapped(slot: usize, op: u32, column: usize, at: usize, stop: usize): usize {
  const i = readLength(at, stop);
  if (i == GIVE_UP) return GIVE_UP;
  const end = i + <usize>varint;
  // The message is not the slot's: its own tag says what the value in it has.
  if (i == end || load<u8>(i) != <u8>load<u32>(slot, FieldSlot.PARAMETER)) return GIVE_UP;
  const after = readPlain(slot, op, column, i + 1, end);
  return after <= NO_ROOM || after == end ? after : GIVE_UP;
}
