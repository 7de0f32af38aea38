/** Avro values that become nothing, or say what a change does. */
import { readVarint, varint, zigzag } from "../common/varint";
import { runInner } from "./avro";
import { AvroOp, Step } from "./avroLayout";
import { appendBytes } from "./columns";
import { GIVE_UP, NO_ROOM } from "./layout";
import { isUtf8 } from "./strings";

/** Elements that one record passes over at most. */
const SKIPPED_MAX: i64 = 65_536;

/** Passes over a value without members. */
export function skip(op: u32, size: u32, at: usize, stop: usize): usize {
  switch (op) {
    case AvroOp.SKIP_NUMBER:
      return readVarint(at);
    case AvroOp.SKIP_TEXT:
    case AvroOp.SKIP_BYTES: {
      const i = readLength(at, stop);
      if (i == 0) return GIVE_UP;
      return op == AvroOp.SKIP_BYTES || isUtf8(i, i + length) ? i + length : GIVE_UP;
    }
    case AvroOp.SKIP_FIXED:
      return <usize>size > stop - at ? GIVE_UP : at + size;
    case AvroOp.SKIP_BOOLEAN:
      return load<u8>(at) > 1 ? GIVE_UP : at + 1;
    case AvroOp.SKIP_INT:
    case AvroOp.SKIP_ENUM: {
      const i = readVarint(at);
      if (i == 0 || varint > 0xffff_ffff) return GIVE_UP;
      const isIndex = (varint & 1) == 0 && varint >>> 1 < <u64>size;
      return op == AvroOp.SKIP_INT || isIndex ? i : GIVE_UP;
    }
  }
  return GIVE_UP;
}

/** Elements that the record at hand has passed over. */
let elementsSkipped: i64 = 0;

/** Begins with a record. */
export function startSkipping(): void {
  elementsSkipped = 0;
}

/** Passes over the blocks of a list or map. */
export function skipBlocks(step: usize, isMap: bool, at: usize, stop: usize): usize {
  const element = <usize>load<u32>(step, Step.STEPS);
  let i = at;
  while (true) {
    i = readVarint(i);
    if (i == 0 || i > stop) return GIVE_UP;
    let count = zigzag(varint);
    if (count == 0) return i;
    let end: usize = 0;
    if (count < 0) {
      count = -count;
      i = readLength(i, stop);
      if (i == 0) return GIVE_UP;
      end = i + length;
    }
    if (count < 0 || count > SKIPPED_MAX) return GIVE_UP;
    elementsSkipped += count;
    if (elementsSkipped > SKIPPED_MAX) return GIVE_UP;
    for (; count > 0; count--) {
      if (isMap) {
        i = skip(AvroOp.SKIP_TEXT, 0, i, stop);
        if (i <= NO_ROOM) return i;
      }
      i = runInner(element, i, stop);
      if (i <= NO_ROOM) return i;
      if (i > stop) return GIVE_UP;
    }
    if (end != 0 && i != end) return GIVE_UP;
  }
}

/** What a change does: one letter, or `false` and `true`, which say whether its row is deleted. */
export function readOperation(column: usize, isDelete: u32, at: usize, stop: usize): usize {
  const i = readLength(at, stop);
  if (i == 0 || (length != 1 && length != 4 && length != 5)) return GIVE_UP;
  const c = load<u8>(i);
  let fits = length == 1 && (isDelete != 0 ? c == 0x64 : c == 0x63 || c == 0x72 || c == 0x75);
  // "true"; "fals", and the "e" behind it.
  if (length == 4) fits = isDelete != 0 && load<u32>(i) == 0x65757274;
  if (length == 5) fits = isDelete == 0 && load<u32>(i) == 0x736c6166 && load<u8>(i, 4) == 0x65;
  if (!fits) return GIVE_UP;
  if (column == 0) return i + length;
  const size = length;
  return appendBytes(column, i, <u32>size) ? i + size : NO_ROOM;
}

/** The length that was read last. */
export let length: usize = 0;

/** Reads a length, behind which so many bytes are before `stop`; the position behind it, or GIVE_UP. */
// @ts-ignore: decorator
@inline
export function readLength(at: usize, stop: usize): usize {
  const i = readVarint(at);
  // Lengths are not negative: they are even as they are written.
  if (i == 0 || i > stop || (varint & 1) != 0 || varint >>> 1 > <u64>(stop - i)) return GIVE_UP;
  length = <usize>(varint >>> 1);
  return i;
}
