/**
 * LZ4 decompression: the frame format, with independent or linked blocks.
 * Content checksums are not looked at: the record batch's CRC covers the compressed bytes.
 */

import { FAULT } from "#base/blockOutput.ts";
import type { Scratch } from "./blocks.ts";
import { damaged, tooLarge } from "./output.ts";

const MAGIC = 0x184d_2204;
const FLAG = { blockChecksum: 0x10, contentSize: 0x08, contentChecksum: 0x04, dictionary: 0x01 };
const STORED = 0x8000_0000;
/** The longest match or literal run that one byte of input can ask for. */
const RATIO_MAX = 255;

/** Decompresses a sequence of LZ4 frames. Throws `batch_corrupt`. */
export function lz4Decompress(bytes: Uint8Array, bytesMax: number, scratch: Scratch): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const capacity = Math.min(bytesMax, outputMax(new Frames(view)));
  const blocks = scratch.begin(bytes, capacity);
  const frames = new Frames(view);
  let length = 0;
  let window = 0;
  while (frames.next()) {
    const { start, end } = frames;
    if (frames.isFirst) window = length;
    const made = frames.isStored
      ? copyStored(bytes.subarray(start, end), blocks.output, length)
      : blocks.lz4(start, end, length, window);
    if (made === FAULT.noRoom && capacity === bytesMax) throw tooLarge(bytesMax);
    if (made < 0) throw damaged("lz4");
    length += made;
  }
  return blocks.output.subarray(0, length);
}

function copyStored(bytes: Uint8Array, output: Uint8Array, at: number): number {
  if (bytes.length > output.length - at) return FAULT.noRoom;
  output.set(bytes, at);
  return bytes.length;
}

function outputMax(frames: Frames): number {
  let sum = 0;
  while (frames.next()) {
    const size = frames.end - frames.start;
    sum += frames.isStored ? size : Math.min(frames.blockBytesMax, size * RATIO_MAX);
  }
  return sum;
}

/** Walks the blocks of frames that follow each other, without an object for each: every batch has some. */
class Frames {
  /** The block at hand. */
  start = 0;
  end = 0;
  isStored = false;
  /** It is the first one of its frame: no match reaches back behind it. */
  isFirst = false;
  blockBytesMax = 0;
  readonly #view: DataView;
  /** Where the next size of a block, or the next frame, is. */
  #at = 0;
  #flags = 0;
  #isInFrame = false;

  constructor(view: DataView) {
    this.#view = view;
  }

  /** Goes to the next block; false behind the last frame, of which there is at least one. Throws `batch_corrupt`. */
  next(): boolean {
    this.isFirst = false;
    for (;;) {
      if (!this.#isInFrame) {
        if (this.#at > 0 && this.#at >= this.#view.byteLength) return false;
        this.#beginFrame();
      }
      const size = uint32(this.#view, this.#at);
      this.#at += 4;
      if (size !== 0) {
        this.#take(size);
        return true;
      }
      this.#at += (this.#flags & FLAG.contentChecksum) === 0 ? 0 : 4;
      need(this.#view, this.#at);
      this.#isInFrame = false;
    }
  }

  #beginFrame(): void {
    const start = this.#at;
    if (uint32(this.#view, start) !== MAGIC) throw damaged("lz4");
    need(this.#view, start + 7);
    const flags = this.#view.getUint8(start + 4);
    const sizeCode = (this.#view.getUint8(start + 5) >> 4) & 7;
    if (flags >> 6 !== 1 || sizeCode < 4 || (flags & FLAG.dictionary) !== 0) throw damaged("lz4");
    this.blockBytesMax = 1 << (8 + 2 * sizeCode);
    this.#flags = flags;
    this.#at = start + ((flags & FLAG.contentSize) === 0 ? 7 : 15);
    this.#isInFrame = true;
    this.isFirst = true;
  }

  #take(size: number): void {
    this.isStored = size >= STORED;
    this.start = this.#at;
    this.end = this.#at + (this.isStored ? size - STORED : size);
    need(this.#view, this.end);
    this.#at = this.end + ((this.#flags & FLAG.blockChecksum) === 0 ? 0 : 4);
  }
}

function need(view: DataView, end: number): void {
  if (end > view.byteLength) throw damaged("lz4");
}

function uint32(view: DataView, at: number): number {
  need(view, at + 4);
  return view.getUint32(at, true);
}
