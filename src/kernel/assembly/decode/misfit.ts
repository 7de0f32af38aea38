/**
 * What a JSON document was given up for, where that is one member of it and how its value begins tells enough:
 * a slot whose value is of another kind than all that its column holds, or a node that has no slot for a member.
 */
import { Op } from "./layout";

/** The slot or the node of the document read last; 0: it was given up for something else, if it was. */
export let misfit: usize = 0;
/** Where the key of a member without a slot begins, at its quote; 0: it is a slot. */
export let misfitKey: usize = 0;

/** Begins with another document. */
// @ts-ignore: decorator
@inline
export function resetMisfit(): void {
  misfit = 0;
  misfitKey = 0;
}

/** Notes a slot whose value was given up. Where that came from inside the value, its kind is right, and what is inside was first. */
export function noteMisfit(slot: usize, op: u32, at: usize): void {
  if (misfit == 0 && !isOfKind(op, load<u8>(at))) misfit = slot;
}

/** Notes a member without a slot, whose value has a type. */
export function noteUnknown(node: usize, keyAt: usize): void {
  if (misfit != 0) return;
  misfit = node;
  misfitKey = keyAt;
}

/** True unless no value that begins with `c` fits a slot; what begins no value is for who reads the whole document. */
function isOfKind(op: u32, c: u8): bool {
  // Null fits by its column.
  if (c == 0x6e) return true;
  switch (op) {
    case Op.STRING:
      return c == 0x22;
    case Op.BOOLEAN:
      return c == 0x74 || c == 0x66;
    case Op.INT:
    case Op.LONG:
    case Op.FLOAT:
    case Op.DOUBLE:
      return c == 0x2d || (c >= 0x30 && c <= 0x39);
    case Op.STRUCT:
    case Op.GROUP:
      return c == 0x7b;
    case Op.LIST:
      return c == 0x5b;
  }
  return true;
}
