/**
 * Protobuf values: messages behind their heads, and changes, whose parts are messages in a message. What
 * is rare or wrong is given up as a whole record, as in `protobuf.ts`.
 */
import { readLength, readVarint, skipField, varint } from "../common/varint";
import { appendBytes, fill } from "./columns";
import { Call, GIVE_UP, NO_ROOM } from "./layout";
import { readMessage } from "./protobuf";
import { Change, Frame } from "./protobufLayout";

/** True when the value read last is a change that removes its row. */
export let isProtobufDelete: bool = false;

/** Appends the value `[at, stop)` as row `row`; 2 when it is taken, else GIVE_UP or NO_ROOM. */
export function readFramed(frames: usize, call: usize, at: usize, stop: usize, row: u32): usize {
  isProtobufDelete = false;
  const count = load<u32>(frames, Frame.COUNT);
  let index = load<u32>(frames, Frame.LAST);
  for (let tried: u32 = 0; tried < count; tried++) {
    const frame = frames + Frame.FIRST + <usize>index * Frame.SIZE;
    const size = load<u32>(frame, Frame.HEAD_BYTES);
    const head = <usize>load<u32>(frame, Frame.HEAD);
    if (at + size <= stop && (size == 0 || memory.compare(at, head, size) == 0)) {
      store<u32>(frames, index, Frame.LAST);
      const node = <usize>load<u32>(frame, Frame.NODE);
      const change = <usize>load<u32>(frame, Frame.CHANGE);
      if (change != 0) return readChange(change, node, call, at + size, stop, row);
      const after = readMessage(node, at + size, stop, row);
      return after > NO_ROOM ? 2 : after;
    }
    index = index + 1 == count ? 0 : index + 1;
  }
  return GIVE_UP;
}

/** Where the parts of the change at hand lie; 0: not seen. */
let beforeAt: usize = 0;
let beforeEnd: usize = 0;
let afterAt: usize = 0;
let afterEnd: usize = 0;
let sourceAt: usize = 0;
let sourceEnd: usize = 0;
let wordAt: usize = 0;
let wordBytes: u32 = 0;

/** Appends the row of a change, or what is read of the row that it removes. */
function readChange(change: usize, node: usize, call: usize, at: usize, stop: usize, row: u32): usize {
  if (!findParts(change, at, stop)) return GIVE_UP;
  const flags = load<u32>(change, Change.FLAGS);
  if ((flags & 2) != 0) {
    beforeAt = afterAt = at;
    beforeEnd = afterEnd = stop;
  }
  const word = operationOf();
  if (word == 0) return GIVE_UP;
  const isDelete = word == 0x64;
  const image = <usize>load<u32>(change, Change.IMAGE_NODE);
  if (isDelete) {
    if ((flags & 1) == 0 || ((flags & 2) == 0 && afterAt != 0)) return GIVE_UP;
    if (image != 0) {
      if (beforeAt == 0) return GIVE_UP;
      const i = readMessage(image, beforeAt, beforeEnd, row);
      if (i <= NO_ROOM) return i;
    }
  } else {
    if (afterAt == 0) return GIVE_UP;
    const i = readMessage(node, afterAt, afterEnd, row);
    if (i <= NO_ROOM) return i;
  }
  const source = <usize>load<u32>(change, Change.SOURCE_NODE);
  if (source != 0 && sourceAt != 0) {
    const i = readMessage(source, sourceAt, sourceEnd, row);
    if (i <= NO_ROOM) return i;
  }
  const column = <usize>load<u32>(change, Change.COLUMN);
  if (column != 0 && !appendBytes(column, wordAt, wordBytes)) return NO_ROOM;
  isProtobufDelete = isDelete;
  return isDelete ? 2 : fillRow(call, row);
}

/** Finds the parts of a change, each once; false when the host must. */
function findParts(change: usize, at: usize, stop: usize): bool {
  beforeAt = 0;
  afterAt = 0;
  sourceAt = 0;
  wordAt = 0;
  const before = load<u32>(change, Change.BEFORE);
  const after = load<u32>(change, Change.AFTER);
  const source = load<u32>(change, Change.SOURCE);
  const word = load<u32>(change, Change.OPERATION);
  let i = at;
  while (i < stop) {
    i = readVarint(i);
    if (i == GIVE_UP || varint > 0xffff_ffff) return false;
    const tag = <u32>varint;
    if (tag != before && tag != after && tag != source && tag != word) {
      // A part that is written in another way.
      const number = tag >>> 3;
      if (number == before >>> 3 || number == after >>> 3 || number == source >>> 3) return false;
      if (number == word >>> 3) return false;
      i = skipField(i, tag, stop);
      if (i == GIVE_UP) return false;
      continue;
    }
    i = readLength(i, stop);
    if (i == GIVE_UP) return false;
    const end = i + <usize>varint;
    if (tag == after) {
      if (afterAt != 0) return false;
      afterAt = i;
      afterEnd = end;
    } else if (tag == before) {
      if (beforeAt != 0) return false;
      beforeAt = i;
      beforeEnd = end;
    } else if (tag == source) {
      if (sourceAt != 0) return false;
      sourceAt = i;
      sourceEnd = end;
    } else {
      if (wordAt != 0) return false;
      wordAt = i;
      wordBytes = <u32>varint;
    }
    i = end;
  }
  return i == stop && wordAt != 0;
}

/** What was done, as one letter: `c` for all that puts the row, `d` for what removes it; 0: the host decides. */
function operationOf(): u32 {
  const c = <u32>load<u8>(wordAt);
  if (wordBytes == 1) return c == 0x64 ? c : c == 0x63 || c == 0x72 || c == 0x75 ? 0x63 : 0;
  // "true"; "fals", and the "e" behind it.
  if (wordBytes == 4) return load<u32>(wordAt) == 0x65757274 ? 0x64 : 0;
  const isFalse = load<u32>(wordAt) == 0x736c6166 && load<u8>(wordAt, 4) == 0x65;
  return wordBytes == 5 && isFalse ? 0x63 : 0;
}

function fillRow(call: usize, row: u32): usize {
  const columns = <usize>load<u32>(call, Call.COLUMNS);
  const count = load<u32>(call, Call.COLUMN_COUNT);
  for (let index: u32 = 0; index < count; index++) {
    if (!fill(<usize>load<u32>(columns + (<usize>index << 2)), row)) return GIVE_UP;
  }
  return 2;
}
