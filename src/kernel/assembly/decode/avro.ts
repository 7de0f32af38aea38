/**
 * Avro records into columns, by the steps that their schema was compiled to. What is rare or wrong is
 * given up as a whole record: the host's reader decides about it.
 *
 * Reading may run over the end of a record by the bytes of a number; a record that does not end where it
 * should is given up, and no length or count goes beyond it.
 */
import { readVarint, varint, zigzag } from "../common/varint";
import { AvroOp, Programs, Step } from "./avroLayout";
import {
  append16,
  append4,
  append8,
  appendBoolean,
  appendBytes,
  appendFill,
  appendNull,
  child,
  endValue,
  fill,
  lengthOf,
  truncate,
} from "./columns";
import { Call, Column, GIVE_UP, NO_ROOM } from "./layout";
import { hasKey } from "./mapKeys";
import { length, readLength, readOperation, skip, skipBlocks, startSkipping } from "./avroSkip";
import { isUtf8 } from "./strings";
import { hexDigit } from "./texts";

const DAY_MICROS: i64 = 86_400_000_000;
const DAYS_MAX: i64 = 89_478_485;
/** Microseconds beyond are the host's. */
const MICROS_MAX: i64 = 7_700_000_000_000_000_000;
const HEAD_BYTES: usize = 5;

/** True when the value read last is a change that removes its row. */
export let isAvroDelete: bool = false;

/** Appends the value `[at, stop)` as row `row`; 2 when it is taken, else GIVE_UP or NO_ROOM. */
export function readAvro(root: usize, call: usize, at: usize, stop: usize, row: u32): usize {
  let i = at;
  isAvroDelete = false;
  startSkipping();
  let program = root + Programs.FIRST;
  if (load<u32>(root, Programs.FRAMED) != 0) {
    if (at + HEAD_BYTES > stop || load<u8>(at) != 0) return GIVE_UP;
    program = findProgram(root, load<u32>(at, 1));
    if (program == 0) return GIVE_UP;
    i += HEAD_BYTES;
  }
  const after = runAll(<usize>load<u32>(program, Programs.STEPS), load<u32>(program, Programs.STEP_COUNT), i, stop);
  if (after == NO_ROOM) return NO_ROOM;
  if (after != stop) return readDelete(program, call, i, stop, row);
  if (load<u32>(program, Programs.WHOLE) != 0) return 2;
  const columns = <usize>load<u32>(call, Call.COLUMNS);
  const count = load<u32>(call, Call.COLUMN_COUNT);
  for (let index: u32 = 0; index < count; index++) {
    if (!fill(<usize>load<u32>(columns + (<usize>index << 2)), row)) return GIVE_UP;
  }
  return 2;
}

/** Reads again, as a change that removes its row, what is none that puts it. */
function readDelete(program: usize, call: usize, at: usize, stop: usize, row: u32): usize {
  const steps = <usize>load<u32>(program, Programs.DELETE_STEPS);
  if (steps == 0) return GIVE_UP;
  const columns = <usize>load<u32>(call, Call.COLUMNS);
  const count = load<u32>(call, Call.COLUMN_COUNT);
  for (let index: u32 = 0; index < count; index++) {
    truncate(<usize>load<u32>(columns + (<usize>index << 2)), row);
  }
  startSkipping();
  const i = runAll(steps, load<u32>(program, Programs.DELETE_COUNT), at, stop);
  if (i <= NO_ROOM) return i;
  if (i != stop) return GIVE_UP;
  isAvroDelete = true;
  return 2;
}

/** The program of a schema's id; 0: there is none. */
function findProgram(root: usize, id: u32): usize {
  const count = load<u32>(root, Programs.COUNT);
  let index = load<u32>(root, Programs.LAST);
  for (let tried: u32 = 0; tried < count; tried++) {
    const program = root + Programs.FIRST + <usize>index * Programs.SIZE;
    if (load<u32>(program, Programs.ID) == id) {
      store<u32>(root, index, Programs.LAST);
      return program;
    }
    index = index + 1 == count ? 0 : index + 1;
  }
  return 0;
}

/** Takes steps one after the other; the position behind them, GIVE_UP or NO_ROOM. */
function runAll(steps: usize, count: u32, at: usize, stop: usize): usize {
  let i = at;
  let step = steps;
  for (let left = count; left > 0; left--) {
    i = run(step, i, stop);
    if (i <= NO_ROOM) return i;
    if (i > stop) return GIVE_UP;
    step += Step.SIZE;
  }
  return i;
}

/** Takes one step. The most frequent ones are here. */
// @ts-ignore: decorator
@inline
function run(step: usize, at: usize, stop: usize): usize {
  let each = step;
  let i = at;
  let op = load<u32>(each, Step.OP);
  if (op == AvroOp.UNION) {
    i = readVarint(i);
    // An index is even as it is written, and half of that.
    if (i == 0 || (varint & 1) != 0 || varint >>> 1 >= <u64>load<u32>(each, Step.COUNT)) return GIVE_UP;
    each = <usize>load<u32>(each, Step.STEPS) + (<usize>(varint >>> 1)) * Step.SIZE;
    op = load<u32>(each, Step.OP);
  }
  const column = <usize>load<u32>(each, Step.COLUMN);
  switch (op) {
    case AvroOp.TEXT:
      return readText(column, i, stop);
    case AvroOp.LONG:
      i = readVarint(i);
      if (i != 0) append8(column, <u64>zigzag(varint));
      return i;
    case AvroOp.INT:
      i = readVarint(i);
      if (i == 0 || varint > 0xffff_ffff) return GIVE_UP;
      append4(column, <u32>zigzag(varint));
      return i;
    case AvroOp.DOUBLE:
      append8(column, load<u64>(i));
      return i + 8;
    case AvroOp.NULL:
      appendNull(column);
      return i;
    case AvroOp.BOOLEAN: {
      const byte = <u32>load<u8>(i);
      if (byte > 1) return GIVE_UP;
      appendBoolean(column, byte);
      return i + 1;
    }
    case AvroOp.TIMESTAMP:
      return readTimestamp(column, load<u32>(each, Step.SIZE_OF), i);
  }
  return runRare(each, op, column, i, stop);
}

/** The same as a call of its own: steps stand in steps. */
export function runInner(step: usize, at: usize, stop: usize): usize {
  return run(step, at, stop);
}

function runRare(step: usize, op: u32, column: usize, at: usize, stop: usize): usize {
  const size = load<u32>(step, Step.SIZE_OF);
  switch (op) {
    case AvroOp.NOTHING:
      return at;
    case AvroOp.INT_TO_LONG: {
      const i = readVarint(at);
      if (i == 0 || varint > 0xffff_ffff) return GIVE_UP;
      append8(column, <u64>zigzag(varint));
      return i;
    }
    case AvroOp.FLOAT:
      append4(column, load<u32>(at));
      return at + 4;
    case AvroOp.FLOAT_TO_DOUBLE:
      append8(column, reinterpret<u64>(<f64>load<f32>(at)));
      return at + 4;
    case AvroOp.BYTES: {
      const i = readLength(at, stop);
      if (i == 0) return GIVE_UP;
      return appendBytes(column, i, <u32>length) ? i + length : NO_ROOM;
    }
    case AvroOp.FIXED_16:
      append16(column, load<u64>(at), load<u64>(at, 8));
      return at + 16;
    case AvroOp.FIXED_BYTES:
      if (<usize>size > stop - at) return GIVE_UP;
      return appendBytes(column, at, size) ? at + size : NO_ROOM;
    case AvroOp.ENUM:
      return readEnum(step, column, at);
    case AvroOp.DATE:
    case AvroOp.TIME_MILLIS:
    case AvroOp.TIME_MICROS:
      return readCalendar(op, column, at);
    case AvroOp.DECIMAL:
      return readDecimal(column, size, at, stop);
    case AvroOp.UUID:
      return readUuid(column, at, stop);
    case AvroOp.FILL:
      return appendFill(column) ? at : GIVE_UP;
    case AvroOp.UNION:
      return runInner(step, at, stop);
    case AvroOp.RECORD:
    case AvroOp.GROUP: {
      const i = runAll(<usize>load<u32>(step, Step.STEPS), load<u32>(step, Step.COUNT), at, stop);
      if (i > NO_ROOM && op == AvroOp.RECORD) {
        store<u32>(column, load<u32>(column, Column.LENGTH) + 1, Column.LENGTH);
      }
      return i;
    }
    case AvroOp.LIST:
    case AvroOp.MAP:
      return readBlocks(step, op == AvroOp.MAP, column, at, stop);
    case AvroOp.SKIP_BLOCKS:
      return skipBlocks(step, size != 0, at, stop);
    case AvroOp.OPERATION:
      return readOperation(column, size, at, stop);
  }
  return skip(op, size, at, stop);
}

function readText(column: usize, at: usize, stop: usize): usize {
  const i = readLength(at, stop);
  if (i == 0 || !isUtf8(i, i + length)) return GIVE_UP;
  return appendBytes(column, i, <u32>length) ? i + length : NO_ROOM;
}

function readTimestamp(column: usize, factor: u32, at: usize): usize {
  const i = readVarint(at);
  if (i == 0) return GIVE_UP;
  const value = zigzag(varint);
  const most = MICROS_MAX / <i64>factor;
  if (value > most || value < -most) return GIVE_UP;
  append8(column, <u64>(value * <i64>factor));
  return i;
}

function readEnum(step: usize, column: usize, at: usize): usize {
  const i = readVarint(at);
  if (i == 0 || (varint & 1) != 0 || varint >>> 1 >= <u64>load<u32>(step, Step.COUNT)) return GIVE_UP;
  const word = <usize>load<u32>(step, Step.WORDS) + (<usize>(varint >>> 1) << 3);
  return appendBytes(column, load<u32>(word), load<u32>(word, 4)) ? i : NO_ROOM;
}

function readCalendar(op: u32, column: usize, at: usize): usize {
  const i = readVarint(at);
  if (i == 0 || (op != AvroOp.TIME_MICROS && varint > 0xffff_ffff)) return GIVE_UP;
  const value = zigzag(varint);
  if (op == AvroOp.DATE) {
    if (value > DAYS_MAX || value < -DAYS_MAX) return GIVE_UP;
    append4(column, <u32>value);
    return i;
  }
  const micros = op == AvroOp.TIME_MILLIS ? value * 1000 : value;
  if (micros < 0 || micros >= DAY_MICROS) return GIVE_UP;
  append8(column, <u64>micros);
  return i;
}

/** A decimal of at most eight bytes. @param bound digits at most; 0: as many as 64 bits have */
function readDecimal(column: usize, bound: u32, at: usize, stop: usize): usize {
  const i = readLength(at, stop);
  if (i == 0 || length == 0 || length > 8) return GIVE_UP;
  let value: i64 = load<i8>(i);
  for (let k: usize = 1; k < length; k++) value = (value << 8) | <i64>load<u8>(i + k);
  if (bound > 0) {
    let most: i64 = 1;
    for (let k: u32 = 0; k < bound; k++) most *= 10;
    if (value >= most || value <= -most) return GIVE_UP;
  }
  append16(column, <u64>value, <u64>(value >> 63));
  return i + length;
}

/** A uuid of 36 characters. */
function readUuid(column: usize, at: usize, stop: usize): usize {
  const i = readLength(at, stop);
  if (i == 0 || length != 36) return GIVE_UP;
  const high = hexHalf(i, 0);
  const low = hexHalf(i, 8);
  if (!isHex) return GIVE_UP;
  append16(column, high, low);
  return i + 36;
}

let isHex: bool = false;

/** Eight bytes of a uuid's text from byte `first` on; the first of them is the lowest here. */
function hexHalf(at: usize, first: usize): u64 {
  if (first == 0) isHex = true;
  let value: u64 = 0;
  for (let byte = first; byte < first + 8; byte++) {
    // Hyphens stand before bytes 4, 6, 8 and 10.
    const hyphens: usize = byte < 4 ? 0 : byte < 6 ? 1 : byte < 8 ? 2 : byte < 10 ? 3 : 4;
    const i = at + (byte << 1) + hyphens;
    const isAfter = byte == 4 || byte == 6 || byte == 8 || byte == 10;
    const high = hexDigit(<u32>load<u8>(i));
    const low = hexDigit(<u32>load<u8>(i, 1));
    if ((high | low) > 15 || (isAfter && load<u8>(i - 1) != 0x2d)) isHex = false;
    value |= <u64>((high << 4) | low) << (<u64>(byte - first) << 3);
  }
  return value;
}

/** The blocks of a list or map. */
function readBlocks(step: usize, isMap: bool, column: usize, at: usize, stop: usize): usize {
  const element = <usize>load<u32>(step, Step.STEPS);
  const values = child(column, isMap ? 1 : 0);
  const first = child(column, 0);
  const most = load<u32>(first, Column.VALUES_MAX);
  let i = at;
  while (true) {
    i = readVarint(i);
    if (i == 0 || i > stop) return GIVE_UP;
    let count = zigzag(varint);
    if (count == 0) break;
    let end: usize = 0;
    if (count < 0) {
      count = -count;
      i = readLength(i, stop);
      if (i == 0) return GIVE_UP;
      end = i + length;
    }
    if (count < 0 || count > <i64>(stop - i)) return GIVE_UP;
    for (; count > 0; count--) {
      if (lengthOf(first) >= most) return NO_ROOM;
      if (isMap) {
        i = readText(first, i, stop);
        if (i <= NO_ROOM) return i;
      }
      i = runInner(element, i, stop);
      if (i <= NO_ROOM) return i;
      if (i > stop) return GIVE_UP;
      if (isMap && hasKey(column, first, lengthOf(column), lengthOf(first) - 1)) return GIVE_UP;
    }
    if (end != 0 && i != end) return GIVE_UP;
  }
  endValue(column, lengthOf(values));
  return i;
}
