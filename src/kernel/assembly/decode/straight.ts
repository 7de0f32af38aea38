/**
 * Documents by a straight reader: a function that the host generates for one program (decision 0411,
 * `decode/kernel/straight.ts`), with keys and addresses as constants and members in the order in which
 * they are expected. It takes a document or leaves it; what it leaves is read as every document can be.
 */
import { truncateValue } from "./columns";
import { readDocument, readElement, startDocument } from "./json";
import { Call, Slot } from "./layout";
import { skipSpace } from "./skip";

/** True when the document read last has given every column its value. */
export let isWhole: bool = false;

/** As `readDocument`. */
// @ts-ignore: decorator
@inline
export function readStraight(call: usize, root: usize, at: usize, stop: usize, row: u32): usize {
  const reader = load<u32>(call, Call.STRAIGHT);
  isWhole = false;
  if (reader == 0) return readDocument(root, at, stop, row);
  startDocument(stop);
  isWhole = call_indirect<u32>(reader, at, stop, row) != 0;
  return isWhole ? 2 : readLeft(call, root, at, stop, row);
}

/** Reads a document that was left, whose columns may hold parts of it. */
function readLeft(call: usize, root: usize, at: usize, stop: usize, row: u32): usize {
  store<u32>(call, load<u32>(call, Call.LEFT_STRAIGHT) + 1, Call.LEFT_STRAIGHT);
  truncateValue(call, row);
  return readDocument(root, at, stop, row);
}

/**
 * Reads a value that the straight reader does not: appends it to the slot's column, whose length is that
 * of the row or element; the position after it, GIVE_UP or NO_ROOM.
 */
export function readSlot(slot: usize, at: usize, depth: i32): usize {
  const column = <usize>load<u32>(slot, Slot.COLUMN);
  return readElement(slot, load<u32>(slot, Slot.OP), column, skipSpace(at), depth);
}
