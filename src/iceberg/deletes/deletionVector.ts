/**
 * Deletion vectors: which rows of one data file are deleted (Iceberg Puffin spec,
 * "deletion-vector-v1"; Roaring format spec, portable form with 64-bit extension).
 *
 * A blob is `length of magic and bitmap: u32 big endian | D1 D3 39 64 | bitmap | CRC-32 of magic and
 * bitmap: u32 big endian`. Nothing of a blob is trusted: what does not hold is one error, and memory does
 * not grow with what a damaged blob claims.
 */
import { crc32 } from "node:zlib";
import { type AppError, fail } from "#base/errors.ts";

/** Where a deletion vector lies, and of what. */
export interface VectorPlace {
  /** Location of the Puffin file, for errors. */
  readonly puffin: string;
  /** Rows of the data file: a position at or beyond it is an error. */
  readonly rows: number;
  /** Deleted rows, as the manifest counts them. */
  readonly deleted: number;
}

/** Takes the deleted rows `32 * word + n` for each bit `n` of `bits`, which is never 0. */
export type VisitWord = (word: number, bits: number) => void;

/** `D1 D3 39 64`, read little endian. */
export const VECTOR_MAGIC = 0x6439_d3d1;
/** Length, magic and checksum around a bitmap. */
export const FRAME_BYTES = 12;
/** Cookie of a bitmap without containers of runs. */
export const WITHOUT_RUNS = 12_346;
/** Cookie of one with some, in its lower half. */
export const WITH_RUNS = 12_347;
/** With fewer containers than this, a bitmap that has runs has no offsets. */
export const OFFSETS_FROM = 4;
/** Rows of a container. */
export const CONTAINER_ROWS = 65_536;
/** The same in words of 32 rows. */
export const CONTAINER_WORDS: number = CONTAINER_ROWS / 32;
/** A container of more values is a plain bitmap. */
export const ARRAY_MAX = 4096;

/**
 * Reads a vector; words come in ascending order.
 * @throws AppError `storage_corrupt` for a blob that is damaged, or is not of this data file
 */
export function readDeletionVector(blob: Uint8Array, place: VectorPlace, visit: VisitWord): void {
  new Reader(blob, place, visit).read();
}

class Reader {
  readonly #view: DataView;
  readonly #blob: Uint8Array;
  readonly #place: VectorPlace;
  readonly #visit: VisitWord;
  readonly #words = new Uint32Array(CONTAINER_WORDS);
  /** The end of the bitmap. */
  readonly #end: number;
  #at = 8;
  #deleted = 0;

  constructor(blob: Uint8Array, place: VectorPlace, visit: VisitWord) {
    this.#blob = blob;
    this.#view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
    this.#place = place;
    this.#visit = visit;
    this.#end = blob.length - 4;
  }

  read(): void {
    const blob = this.#blob;
    this.#require(blob.length >= FRAME_BYTES + 8, "it is too short");
    this.#require(this.#view.getUint32(0) === blob.length - 8, "its length is wrong");
    this.#require(this.#view.getUint32(4, true) === VECTOR_MAGIC, "its magic number is wrong");
    const sum = crc32(blob.subarray(4, this.#end));
    this.#require(this.#view.getUint32(this.#end) === sum, "its checksum is wrong");
    const bitmaps = this.#u32();
    this.#require(this.#u32() === 0, "it has too many bitmaps");
    let last = -1;
    for (let n = 0; n < bitmaps; n++) {
      const key = this.#u32();
      this.#require(key > last, "its bitmaps are out of order");
      last = key;
      this.#bitmap(key * 2 ** 32);
    }
    this.#require(this.#at === this.#end, "bytes follow its end");
    this.#require(
      this.#deleted === this.#place.deleted,
      `it deletes ${this.#deleted} rows, its manifest says ${this.#place.deleted}`,
    );
  }

  /** One 32-bit bitmap, whose row 0 is `base`. Its offsets are passed over: containers follow in order. */
  #bitmap(base: number): void {
    const cookie = this.#u32();
    const hasRuns = (cookie & 0xffff) === WITH_RUNS;
    this.#require(hasRuns || cookie === WITHOUT_RUNS, "it is no Roaring bitmap");
    const count = hasRuns ? (cookie >>> 16) + 1 : this.#u32();
    this.#require(count <= CONTAINER_ROWS, "it has too many containers");
    const flags = this.#take(hasRuns ? (count + 7) >> 3 : 0);
    const heads = this.#take(4 * count);
    this.#take(hasRuns && count < OFFSETS_FROM ? 0 : 4 * count);
    let last = -1;
    for (let n = 0; n < count; n++) {
      const key = this.#view.getUint16(heads + 4 * n, true);
      const size = this.#view.getUint16(heads + 4 * n + 2, true) + 1;
      this.#require(key > last, "its containers are out of order");
      last = key;
      const isRuns = hasRuns && (((this.#blob[flags + (n >> 3)] ?? 0) >> (n & 7)) & 1) === 1;
      this.#container(isRuns, size);
      this.#emit(base + key * CONTAINER_ROWS, size);
    }
  }

  /** Fills the words of one container. */
  #container(isRuns: boolean, size: number): void {
    const words = this.#words.fill(0);
    const view = this.#view;
    if (isRuns) {
      const runs = view.getUint16(this.#take(2), true);
      const at = this.#take(4 * runs);
      for (let run = 0; run < runs; run++) {
        const first = view.getUint16(at + 4 * run, true);
        const last = first + view.getUint16(at + 4 * run + 2, true);
        this.#require(last < CONTAINER_ROWS, "a run goes on past its container");
        setRange(words, first, last);
      }
    } else if (size <= ARRAY_MAX) {
      const at = this.#take(2 * size);
      for (let n = 0; n < size; n++) {
        const row = view.getUint16(at + 2 * n, true);
        words[row >>> 5] = (words[row >>> 5] ?? 0) | (1 << (row & 31));
      }
    } else {
      const at = this.#take(CONTAINER_ROWS / 8);
      for (let word = 0; word < CONTAINER_WORDS; word++) {
        words[word] = view.getUint32(at + 4 * word, true);
      }
    }
  }

  #emit(base: number, size: number): void {
    const first = base / 32;
    let seen = 0;
    for (let index = 0; index < CONTAINER_WORDS; index++) {
      const bits = this.#words[index] as number;
      if (bits === 0) continue;
      const greatest = base + 32 * index + 31 - Math.clz32(bits);
      // No sentence is made for a word that is as it should be: there are as many as rows.
      if (greatest >= this.#place.rows) {
        const { rows } = this.#place;
        throw this.#damaged(`it deletes row ${greatest} of a file that has ${rows}`);
      }
      seen += bitCount(bits);
      this.#visit(first + index, bits);
    }
    this.#require(seen === size, "a container has another number of rows than it says");
    this.#deleted += seen;
  }

  #u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  /** The place of the next bytes, which are there. */
  #take(bytes: number): number {
    const at = this.#at;
    this.#require(at + bytes <= this.#end, "it is cut off");
    this.#at += bytes;
    return at;
  }

  #require(holds: boolean, what: string): void {
    if (!holds) throw this.#damaged(what);
  }

  #damaged(what: string): AppError {
    const { puffin } = this.#place;
    return fail("storage_corrupt", `A deletion vector in ${puffin} is damaged: ${what}`, {
      file: puffin,
    });
  }
}

function setRange(words: Uint32Array, first: number, last: number): void {
  const to = last >>> 5;
  for (let word = first >>> 5; word <= to; word++) {
    const from = word === first >>> 5 ? first & 31 : 0;
    const upTo = word === to ? last & 31 : 31;
    words[word] = (words[word] ?? 0) | ((0xffff_ffff << from) & (0xffff_ffff >>> (31 - upTo)));
  }
}

/** Ones of 32 bits. */
export function bitCount(bits: number): number {
  let sum = bits - ((bits >>> 1) & 0x5555_5555);
  sum = (sum & 0x3333_3333) + ((sum >>> 2) & 0x3333_3333);
  return Math.imul((sum + (sum >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}
