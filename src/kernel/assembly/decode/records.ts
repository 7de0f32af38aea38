/**
 * The records of a record batch, one after the other, each as a row. A record that is not whole, lies
 * about its lengths, or whose value is given up is left to the host, with nothing of it in the columns;
 * so is one without a value, unless it deletes the row of its key.
 */
import { isAvroDelete, readAvro } from "./avro";
import {
  append4,
  append8,
  appendBoolean,
  appendBytes,
  appendNull,
  fill,
  lengthOf,
  truncate,
  truncateValue,
} from "./columns";
import {
  keyBytes,
  keyStart,
  moveTo,
  offsetDelta,
  position,
  readRecord,
  readShort,
  timestampDelta,
  valueBytes,
  valueStart,
} from "./framing";
import {
  columnsFilled,
  isDelete,
  readDocument,
  readEnvelope,
  startJson,
} from "./json";
import { Call, Column, Effect, GIVE_UP, Metadata, NO_ROOM, Op, Slot, Status, Verdict } from "./layout";
import { misfit, misfitKey } from "./misfit";
import { isProtobufDelete, readFramed } from "./protobufFrames";
import { isWhole, readStraight } from "./straight";
import { isUtf8 } from "./strings";
import { hasDistinctKeys, verdictOf } from "./verdict";

/** Timestamps beyond are for the host: their microseconds are no exact double. */
const TIMESTAMP_MAX: i64 = 9_000_000_000_000;

/** Decodes records until none is left or one is not taken, for a reason of `Status`. */
export function decode(call: usize): u32 {
  const end = <usize>load<u32>(call, Call.END);
  const rowsMax = load<u32>(call, Call.ROWS_MAX);
  const wanted = load<i32>(call, Call.WANTED);
  let left = load<u32>(call, Call.LEFT);
  const first = load<u32>(call, Call.ROWS);
  let rows = first;
  let skipped: u32 = 0;
  let latest: i64 = 0;
  let status = Status.DONE;
  moveTo(load<u32>(call, Call.POSITION));
  startJson(call);
  startMetadata(call);
  for (; left > 0; left--) {
    const start = position;
    if (!readShort(end) && !readRecord(end)) status = Status.CUT;
    else if (offsetDelta < wanted) {
      skipped++;
      continue;
    } else if (rows == rowsMax) status = Status.FULL;
    else {
      const taken = appendRow(call, rows);
      if (taken > NO_ROOM) {
        if (timestamp > latest) latest = timestamp;
        rows++;
        continue;
      }
      truncateAll(call, rows);
      status = taken == NO_ROOM ? Status.FULL : Status.HOST;
      if (status == Status.HOST) tellVerdict(call);
    }
    moveTo(start);
    break;
  }
  endMetadata(call, first, rows);
  store<u32>(call, <u32>position, Call.POSITION);
  store<u32>(call, left, Call.LEFT);
  store<u32>(call, rows, Call.ROWS);
  store<u32>(call, skipped, Call.SKIPPED);
  store<i64>(call, latest, Call.TIMESTAMP_MAX);
  return status;
}

/** Says what is wrong with the record that was given up, where nothing but its value can be the cause. */
function tellVerdict(call: usize): void {
  let verdict = Verdict.NONE;
  if (isValues) {
    const isDocument = valueBytes >= 0 && <u32>valueBytes <= load<u32>(call, Call.JUDGED_BYTES);
    const root = <usize>load<u32>(call, Call.ROOT);
    if (valueBytes < 0) verdict = load<u32>(call, Call.REFUSES_NULL) != 0 ? Verdict.NULL_VALUE : verdict;
    else if (isDocument && load<u32>(root, Slot.OP) == Op.STRUCT) {
      const deepest = <i32>load<u32>(call, Call.DEPTH_MAX);
      verdict = verdictOf(valueStart, valueStart + valueBytes, deepest);
      if (verdict == Verdict.NONE && misfit != 0 && hasDistinctKeys()) {
        verdict = misfitKey == 0 ? Verdict.TYPE_CONFLICT : Verdict.UNKNOWN_MEMBER;
      }
    }
  }
  store<u32>(call, verdict, Call.VERDICT);
  store<u32>(call, <u32>misfit, Call.REFUSED_PLACE);
  store<u32>(call, <u32>misfitKey, Call.REFUSED_KEY);
}

/** True when the record at hand was given up, if it was, for its value: its own parts are in order. */
let isValues: bool = false;
/** Milliseconds of the record at hand. */
let timestamp: i64 = 0;
/** What it does to the table. */
let effect: u32 = Effect.PUT;

function appendRow(call: usize, row: u32): usize {
  const appendTimestamp = load<i64>(call, Call.APPEND_TIMESTAMP);
  timestamp = load<i64>(call, Call.BASE_TIMESTAMP) + timestampDelta;
  if (appendTimestamp != i64.MIN_VALUE) timestamp = appendTimestamp;
  // A delta as long as that is for the host as well, since its base may not be exact.
  const isFar = timestampDelta > TIMESTAMP_MAX || timestampDelta < -TIMESTAMP_MAX;
  const isBeyond = timestamp > TIMESTAMP_MAX || timestamp < -TIMESTAMP_MAX;
  isValues = false;
  if (isFar || isBeyond) return GIVE_UP;
  if (keyBytes < 0 && load<u32>(call, Call.NEEDS_KEY) != 0) return GIVE_UP;
  effect = Effect.PUT;
  isValues = true;
  if (valueBytes < 0) return appendTombstone(call, row);
  let root = <usize>load<u32>(call, Call.ROOT);
  let op = load<u32>(root, Slot.OP);
  let at = valueStart;
  if (op == Op.FRAMED_JSON) {
    if (!hasKnownHead(root)) return GIVE_UP;
    root = load<u32>(root, Slot.MEMBERS);
    op = load<u32>(root, Slot.OP);
    at += HEAD_BYTES;
  }
  const taken =
    op == Op.STRUCT
      ? readStraight(call, root, at, valueStart + valueBytes, row)
      : op >= Op.PROTOBUF
        ? readBinary(call, root, op, row)
        : op == Op.ENVELOPE
          ? readEnvelope(root, at, valueStart + valueBytes, row)
          : appendRaw(root, op == Op.RAW_TEXT);
  if (taken <= NO_ROOM) return taken;
  if (op == Op.ENVELOPE ? isDelete : op == Op.AVRO ? isAvroDelete : op == Op.PROTOBUF && isProtobufDelete) {
    return appendDeleted(call, row);
  }
  const columns = <usize>load<u32>(call, Call.COLUMNS);
  const count = load<u32>(call, Call.COLUMN_COUNT);
  const isJson = op == Op.STRUCT || op == Op.ENVELOPE;
  const isFilled = op == Op.STRUCT && isWhole;
  if (!isFilled && (isJson ? columnsFilled != count : op < Op.PROTOBUF)) {
    for (let index: u32 = 0; index < count; index++) {
      if (!fill(<usize>load<u32>(columns + (<usize>index << 2)), row)) return GIVE_UP;
    }
  }
  const metadata = isUsual ? storeMetadata(row) : appendMetadata(call);
  return metadata <= NO_ROOM ? metadata : taken;
}

/** A record without a value as a row of which only the key counts. */
function appendTombstone(call: usize, row: u32): usize {
  if (load<u32>(call, Call.TOMBSTONES) == 0 || keyBytes < 0) return GIVE_UP;
  const root = <usize>load<u32>(call, Call.KEY_ROOT);
  if (root != 0) {
    const taken = readDocument(root, keyStart, keyStart + keyBytes, row);
    if (taken <= NO_ROOM) return taken;
  }
  return appendDeleted(call, row);
}

/** Ends a row that is removed, or marked: what is not known of it is null. */
function appendDeleted(call: usize, row: u32): usize {
  effect = Effect.DELETE;
  const columns = <usize>load<u32>(call, Call.COLUMNS);
  const count = load<u32>(call, Call.COLUMN_COUNT);
  for (let index: u32 = 0; index < count; index++) {
    const column = <usize>load<u32>(columns + (<usize>index << 2));
    if (lengthOf(column) > row) continue;
    if ((load<u32>(column, Column.REQUIRED) | load<u32>(column, Column.FILL)) != 0) return GIVE_UP;
    appendNull(column);
  }
  return isUsual ? storeMetadata(row) : appendMetadata(call);
}

/** A value of a format that fills the columns of a row itself. */
// @ts-ignore: decorator
@inline
function readBinary(call: usize, root: usize, op: u32, row: u32): usize {
  const members = <usize>load<u32>(root, Slot.MEMBERS);
  const stop = valueStart + valueBytes;
  if (op == Op.AVRO) return readAvro(members, call, valueStart, stop, row);
  return readFramed(members, call, valueStart, stop, row);
}

/** Bytes of a head in Confluent's wire format. */
const HEAD_BYTES: usize = 5;

/** True when the value begins with the head of one of the known schemas. */
function hasKnownHead(root: usize): bool {
  if (valueBytes < <i32>HEAD_BYTES || load<u8>(valueStart) != 0) return false;
  const ids = <usize>load<u32>(root, Slot.ELEMENT);
  const count = load<u32>(root, Slot.PARAMETER);
  const id = load<u32>(valueStart, 1);
  for (let index: u32 = 0; index < count; index++) {
    if (load<u32>(ids + (<usize>index << 2)) == id) return true;
  }
  return false;
}

function appendRaw(root: usize, isText: bool): usize {
  if (isText && !isUtf8(valueStart, valueStart + valueBytes)) return GIVE_UP;
  const column = <usize>load<u32>(root, Slot.COLUMN);
  return appendBytes(column, valueStart, valueBytes) ? 2 : NO_ROOM;
}

/**
 * The metadata columns that most tables have, 0 for one that this table has not. Their values are
 * stored where they go; their lengths and the partition, the same for every row, are written once.
 */
let partitionColumn: usize = 0;
let offsetColumn: usize = 0;
let timestampColumn: usize = 0;
let changeColumn: usize = 0;
let changeData: usize = 0;
let offsetData: usize = 0;
let timestampData: usize = 0;
let baseOffset: u64 = 0;
/** True when there are no other metadata columns than these. */
let isUsual: bool = false;

function startMetadata(call: usize): void {
  partitionColumn = 0;
  offsetColumn = 0;
  timestampColumn = 0;
  changeColumn = 0;
  isUsual = true;
  baseOffset = load<u64>(call, Call.BASE_OFFSET);
  const list = <usize>load<u32>(call, Call.METADATA);
  const count = load<u32>(call, Call.METADATA_COUNT);
  for (let index: u32 = 0; index < count; index++) {
    const column = <usize>load<u32>(list + (<usize>index << 3), 4);
    switch (load<u32>(list + (<usize>index << 3))) {
      case Metadata.PARTITION:
        partitionColumn = column;
        break;
      case Metadata.OFFSET:
        offsetColumn = column;
        offsetData = load<u32>(column, Column.DATA);
        break;
      case Metadata.TIMESTAMP:
        timestampColumn = column;
        timestampData = load<u32>(column, Column.DATA);
        break;
      case Metadata.CHANGE:
        changeColumn = column;
        changeData = load<u32>(column, Column.DATA);
        break;
      default:
        isUsual = false;
    }
  }
}

/** Offset and timestamp of a row: 2, or GIVE_UP where one is null that may not be. */
// @ts-ignore: decorator
@inline
function storeMetadata(row: u32): usize {
  if (timestampColumn != 0) {
    if (timestamp == -1) {
      if (load<u32>(timestampColumn, Column.REQUIRED) != 0) return GIVE_UP;
      store<u32>(timestampColumn, row, Column.LENGTH);
      appendNull(timestampColumn);
    } else store<u64>(timestampData + (<usize>row << 3), <u64>(timestamp * 1000));
  }
  if (offsetColumn != 0) store<u64>(offsetData + (<usize>row << 3), baseOffset + <u64>offsetDelta);
  if (changeColumn != 0) store<u32>(changeData + (<usize>row << 2), effect);
  return 2;
}

/** What `storeMetadata` left, from row `first` on. */
function endMetadata(call: usize, first: u32, rows: u32): void {
  if (!isUsual) return;
  if (partitionColumn != 0) {
    const partition = load<u32>(call, Call.PARTITION);
    const data = <usize>load<u32>(partitionColumn, Column.DATA);
    for (let row = first; row < rows; row++) store<u32>(data + (<usize>row << 2), partition);
    store<u32>(partitionColumn, rows, Column.LENGTH);
  }
  if (offsetColumn != 0) store<u32>(offsetColumn, rows, Column.LENGTH);
  if (timestampColumn != 0) store<u32>(timestampColumn, rows, Column.LENGTH);
  if (changeColumn != 0) store<u32>(changeColumn, rows, Column.LENGTH);
}

/** One value to every metadata column: 2, NO_ROOM, or GIVE_UP where one is null that may not be. */
function appendMetadata(call: usize): usize {
  const list = <usize>load<u32>(call, Call.METADATA);
  const count = load<u32>(call, Call.METADATA_COUNT);
  for (let index: u32 = 0; index < count; index++) {
    const column = <usize>load<u32>(list + (<usize>index << 3), 4);
    switch (load<u32>(list + (<usize>index << 3))) {
      case Metadata.PARTITION:
        append4(column, load<u32>(call, Call.PARTITION));
        break;
      case Metadata.OFFSET:
        append8(column, load<u64>(call, Call.BASE_OFFSET) + <u64>offsetDelta);
        break;
      case Metadata.TIMESTAMP:
        // Kafka's -1: the producer gave none. Other negative ones are times before 1970.
        if (timestamp == -1) {
          if (load<u32>(column, Column.REQUIRED) != 0) return GIVE_UP;
          appendNull(column);
        } else append8(column, <u64>(timestamp * 1000));
        break;
      case Metadata.TOPIC:
        if (!appendBytes(column, load<u32>(call, Call.TOPIC), load<u32>(call, Call.TOPIC_BYTES))) {
          return NO_ROOM;
        }
        break;
      case Metadata.KEY:
        if (keyBytes < 0) {
          if (load<u32>(column, Column.REQUIRED) != 0) return GIVE_UP;
          appendNull(column);
        } else if (!appendBytes(column, keyStart, keyBytes)) return NO_ROOM;
        break;
      case Metadata.CHANGE:
        append4(column, effect);
        break;
      case Metadata.DELETED:
        appendBoolean(column, effect);
        break;
    }
  }
  return 2;
}

/** Takes back all rows behind the first `rows`, and one that was begun. */
export function truncateAll(call: usize, rows: u32): void {
  truncateValue(call, rows);
  const list = <usize>load<u32>(call, Call.METADATA);
  const metadata = load<u32>(call, Call.METADATA_COUNT);
  for (let index: u32 = 0; index < metadata; index++) {
    truncate(<usize>load<u32>(list + (<usize>index << 3), 4), rows);
  }
}
