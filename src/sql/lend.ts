/**
 * Where lent rows lie in this process's memory, so that another process can read them there
 * (`borrow.ts`). Nothing is looked at, and nothing copied.
 */
import { ptr } from "bun:ffi";
import type { LiveColumn } from "#columns/live.ts";

/**
 * Numbers of one column: the addresses of its validity, offsets and data; 0: there is none, or nothing in it. Those of its
 * children follow, one after the other.
 */
export const NUMBERS_PER_COLUMN = 3;

/** Of a sealed segment's columns, which are the same from its seal on: hundreds are asked for again and again. */
const known = new WeakMap<readonly LiveColumn[], Float64Array>();

/** Where these columns lie, {@link NUMBERS_PER_COLUMN} each. To be kept lent for as long as it is read. */
export function placesOf(columns: readonly LiveColumn[]): Float64Array {
  const found = known.get(columns);
  if (found !== undefined) return found;
  const places = Float64Array.from(columns.flatMap(numbersOf));
  known.set(columns, places);
  return places;
}

const sizes = new WeakMap<readonly LiveColumn[], number>();

/** Memory of these columns, bytes: what one that grows has room for. */
export function bytesOf(columns: readonly LiveColumn[]): number {
  const found = sizes.get(columns);
  if (found !== undefined) return found;
  const bytes = columns.reduce((sum, { validity, offsets, data, children }) => {
    const own = [validity, offsets, data].reduce((all, each) => all + (each?.byteLength ?? 0), 0);
    return sum + own + bytesOf(children);
  }, 0);
  sizes.set(columns, bytes);
  return bytes;
}

function numbersOf({ validity, offsets, data, children }: LiveColumn): number[] {
  const own = [addressOf(validity), addressOf(offsets), addressOf(data)];
  return [...own, ...children.flatMap(numbersOf)];
}

function addressOf(memory: NodeJS.TypedArray | null): number {
  // Its buffer is asked for first: the memory of a small array moves when it is.
  if (memory === null || memory.buffer.byteLength === 0 || memory.byteLength === 0) return 0;
  return Number(ptr(memory));
}
