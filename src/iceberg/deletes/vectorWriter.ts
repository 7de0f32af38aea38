/**
 * Deletion vectors as bytes (`deletionVector.ts` has the layout and reads them).
 *
 * Each 65,536 rows take the smallest of the three forms, so the bytes are those of CRoaring after
 * `runOptimize`, and of Java's Iceberg.
 */
import { crc32 } from "node:zlib";
import {
  ARRAY_MAX,
  bitCount,
  CONTAINER_ROWS,
  CONTAINER_WORDS,
  FRAME_BYTES,
  OFFSETS_FROM,
  VECTOR_MAGIC,
  WITH_RUNS,
  WITHOUT_RUNS,
} from "./deletionVector.ts";
import { eachRowIn, type RowSet } from "./rowSet.ts";

/** A vector as it lies in a Puffin file. */
export interface EncodedVector {
  readonly blob: Uint8Array;
  /** Deleted rows. */
  readonly deleted: number;
}

/** The rows of one container that has any. */
interface Container {
  readonly key: number;
  readonly words: Uint32Array;
  readonly rows: number;
  readonly runs: number;
  readonly form: "array" | "bitmap" | "runs";
  readonly bytes: number;
}

/** Count of bitmaps and the key of the only one. */
const BITMAPS_BYTES = 8;
const KEY_BYTES = 4;

/** The blob of these rows. */
export function encodeDeletionVector(rows: RowSet): EncodedVector {
  const containers = containersOf(rows.words);
  const deleted = containers.reduce((sum, container) => sum + container.rows, 0);
  const hasRuns = containers.some(({ form }) => form === "runs");
  const head = headBytes(containers.length, hasRuns);
  const body = containers.reduce((sum, container) => sum + container.bytes, 0);
  const bitmap = containers.length === 0 ? 0 : KEY_BYTES + head + body;
  const blob = new Uint8Array(FRAME_BYTES + BITMAPS_BYTES + bitmap);
  const out = new DataView(blob.buffer);
  const end = blob.length - 4;
  out.setUint32(0, blob.length - 8);
  out.setUint32(4, VECTOR_MAGIC, true);
  out.setUint32(8, containers.length === 0 ? 0 : 1, true);
  if (containers.length > 0) {
    const start = FRAME_BYTES - 4 + BITMAPS_BYTES + KEY_BYTES;
    let at = writeHead(out, start, containers, hasRuns);
    for (const container of containers) {
      writeContainer(out, at, container);
      at += container.bytes;
    }
  }
  out.setUint32(end, crc32(blob.subarray(4, end)));
  return { blob, deleted };
}

function containersOf(words: Uint32Array): Container[] {
  const containers: Container[] = [];
  for (let first = 0; first < words.length; first += CONTAINER_WORDS) {
    const part = words.subarray(first, first + CONTAINER_WORDS);
    const { rows, runs } = count(part);
    if (rows === 0) continue;
    const plain = rows <= ARRAY_MAX ? 2 * rows : CONTAINER_ROWS / 8;
    const asRuns = 2 + 4 * runs;
    const plainForm = rows <= ARRAY_MAX ? "array" : "bitmap";
    containers.push({
      key: first / CONTAINER_WORDS,
      words: part,
      rows,
      runs,
      form: asRuns < plain ? "runs" : plainForm,
      bytes: Math.min(plain, asRuns),
    });
  }
  return containers;
}

/** Rows, and runs of rows that follow each other. */
function count(words: Uint32Array): { rows: number; runs: number } {
  let rows = 0;
  let runs = 0;
  let before = 0;
  for (let index = 0; index < words.length; index++) {
    const word = words[index] as number;
    if (word !== 0) {
      rows += bitCount(word);
      // A run begins at each row whose predecessor is not there.
      runs += bitCount(word & ~((word << 1) | before));
    }
    before = word >>> 31;
  }
  return { rows, runs };
}

/** Cookie, flags of runs, keys with sizes, offsets. */
function headBytes(count: number, hasRuns: boolean): number {
  const start = hasRuns ? 4 + ((count + 7) >> 3) : 8;
  return start + 4 * count + (hasOffsets(count, hasRuns) ? 4 * count : 0);
}

function hasOffsets(count: number, hasRuns: boolean): boolean {
  return !hasRuns || count >= OFFSETS_FROM;
}

/** Answers where the first container begins. */
function writeHead(
  out: DataView,
  start: number,
  containers: readonly Container[],
  hasRuns: boolean,
): number {
  const { length } = containers;
  let at = start;
  if (hasRuns) {
    out.setUint32(at, WITH_RUNS | ((length - 1) << 16), true);
    for (const [index, { form }] of containers.entries()) {
      const flags = at + 4 + (index >> 3);
      if (form === "runs") out.setUint8(flags, out.getUint8(flags) | (1 << (index & 7)));
    }
    at += 4 + ((length + 7) >> 3);
  } else {
    out.setUint32(at, WITHOUT_RUNS, true);
    out.setUint32(at + 4, length, true);
    at += 8;
  }
  for (const { key, rows } of containers) {
    out.setUint16(at, key, true);
    out.setUint16(at + 2, rows - 1, true);
    at += 4;
  }
  if (!hasOffsets(length, hasRuns)) return at;
  let offset = headBytes(length, hasRuns);
  for (const { bytes } of containers) {
    out.setUint32(at, offset, true);
    at += 4;
    offset += bytes;
  }
  return at;
}

function writeContainer(out: DataView, start: number, { form, words, runs }: Container): void {
  let at = start;
  switch (form) {
    case "bitmap":
      for (let index = 0; index < words.length; index++) {
        out.setUint32(at + 4 * index, words[index] as number, true);
      }
      return;
    case "array":
      eachRowIn(words, (row) => {
        out.setUint16(at, row, true);
        at += 2;
      });
      return;
    case "runs": {
      out.setUint16(at, runs, true);
      at -= 2;
      let last = -2;
      eachRowIn(words, (row) => {
        if (row === last + 1) {
          out.setUint16(at + 2, out.getUint16(at + 2, true) + 1, true);
        } else {
          at += 4;
          out.setUint16(at, row, true);
        }
        last = row;
      });
    }
  }
}
