/** Bodies of data pages of which no value is read: nulls, counters, constants, values in the place of indexes. */
import { LIMITS } from "#base/limits.ts";
import type { LeafColumn } from "#parquet/kernel/leaves.ts";
import { unfit } from "./source.ts";

type Levels = Pick<LeafColumn, "repetitionMax" | "definitionMax">;

/** The levels of rows that have no value. */
export function nullLevels(rows: number, { repetitionMax, definitionMax }: Levels): Uint8Array {
  return concat([levelRun(rows, 0, repetitionMax), levelRun(rows, 0, definitionMax)]);
}

/** The levels of rows that have one value each. */
export function fullLevels(rows: number, { definitionMax }: Levels): Uint8Array {
  return levelRun(rows, definitionMax, definitionMax);
}

/** A run of one value of `width` bits, as the hybrid of RLE and bit-packing has it. */
export function runOf(count: number, value: number, width: number): Uint8Array {
  const bytes: number[] = [];
  let rest = count * 2;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  bytes.push(rest);
  for (let bits = 0; bits < width; bits += 8) bytes.push((value >>> bits) & 255);
  return Uint8Array.from(bytes);
}

function levelRun(count: number, level: number, levelMax: number): Uint8Array {
  if (levelMax === 0) return new Uint8Array(0);
  const run = runOf(count, level, 32 - Math.clz32(levelMax));
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, run.length, true);
  return concat([length, run]);
}

/** Longs from `first` on, PLAIN. */
export function countedLongs(first: bigint, count: number): Uint8Array {
  const longs = new BigInt64Array(count);
  for (let at = 0; at < count; at++) longs[at] = first + BigInt(at);
  return new Uint8Array(longs.buffer);
}

/**
 * The values that indexes stand for, PLAIN.
 * @param dictionary PLAIN
 * @param width bytes of a value; 0: each is behind its length
 */
export function unrolled(dictionary: Uint8Array, width: number, indexes: Int32Array): Uint8Array {
  const starts = startsOf(dictionary, width);
  let bytes = 0;
  for (const index of indexes) {
    const [start, end] = [starts[index], starts[index + 1]];
    if (start === undefined || end === undefined) throw unfit("an index is beyond its dictionary");
    bytes += end - start;
  }
  if (bytes > LIMITS.unrolledPageBytesMax) throw unfit("the values of a page take too much memory");
  const values = new Uint8Array(bytes);
  let at = 0;
  for (const index of indexes) {
    const [start = 0, end = 0] = [starts[index], starts[index + 1]];
    values.set(dictionary.subarray(start, end), at);
    at += end - start;
  }
  return values;
}

/**
 * Where each PLAIN value of a dictionary begins, and where the last one ends.
 * @param width bytes of a value; 0: each is behind its length
 * @throws AppError `table_unsupported` when the last one is cut
 */
export function startsOf(dictionary: Uint8Array, width: number): number[] {
  const view = new DataView(dictionary.buffer, dictionary.byteOffset, dictionary.byteLength);
  const starts = [0];
  for (let at = 0; at < dictionary.length; ) {
    const isCut = width === 0 && at + 4 > dictionary.length;
    at += width === 0 ? 4 + (isCut ? 0 : view.getUint32(at, true)) : width;
    if (at > dictionary.length) throw unfit("a dictionary ends within a value");
    starts.push(at);
  }
  return starts;
}

/** Bytes one behind the other. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}
