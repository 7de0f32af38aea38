/**
 * Finds the slot of each key. A record's keys nearly always come in the order of the record before, so
 * the two slots that followed last are compared byte by byte; only other keys become text.
 */
import type { Slot, StructNode } from "./program.ts";
import { skipString } from "./scan.ts";
import { textOf } from "./strings.ts";

/** No slot has that key. */
export const UNKNOWN = -1;

/** Finds one key after the other. */
export class KeyFinder {
  /** Where the key found last ends, behind its quote; negative when it is no JSON string. */
  end = 0;
  /** Where the unknown key found last begins. */
  unknownAt = 0;

  /**
   * The index of the slot of the key whose quote is at `at`, or `UNKNOWN`; sets `end`.
   * @param previous index + 1 of the key before, 0 for the first
   * @param end of the document
   */
  find(node: StructNode, previous: number, bytes: Uint8Array, at: number, end: number): number {
    const guess = node.follow[previous] as number;
    if (guess >= 0 && this.matches((node.slots[guess] as Slot).key, bytes, at)) return guess;
    const other = node.followBefore[previous] as number;
    if (other >= 0 && this.matches((node.slots[other] as Slot).key, bytes, at)) return other;
    const after = skipString(bytes, at + 1, end);
    this.end = after;
    if (after < 0) return UNKNOWN;
    const name = textOf(bytes, at + 1, after);
    const exact = node.byName.get(name);
    const index = exact ?? node.byLower?.get(name.toLowerCase()) ?? UNKNOWN;
    if (exact !== undefined) {
      node.followBefore[previous] = guess;
      node.follow[previous] = index;
    } else if (index === UNKNOWN) this.unknownAt = at;
    return index;
  }

  private matches(key: Uint8Array, bytes: Uint8Array, at: number): boolean {
    const size = key.length;
    for (let k = 1; k < size; k++) if (bytes[at + k] !== key[k]) return false;
    this.end = at + size;
    return true;
  }
}
