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

interface Block {
  readonly start: number;
  readonly end: number;
  readonly stored: boolean;
}

interface Frame {
  readonly blocks: readonly Block[];
  readonly blockBytesMax: number;
  readonly end: number;
}

/** Decompresses a sequence of LZ4 frames. Throws `batch_corrupt`. */
export function lz4Decompress(bytes: Uint8Array, bytesMax: number, scratch: Scratch): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const frames: Frame[] = [];
  let at = 0;
  do {
    const frame = readFrame(view, at);
    frames.push(frame);
    at = frame.end;
  } while (at < bytes.length);
  const capacity = Math.min(
    bytesMax,
    frames.reduce((sum, frame) => sum + outputMax(frame), 0),
  );
  const blocks = scratch.begin(bytes, capacity);
  let length = 0;
  for (const frame of frames) {
    const window = length;
    for (const { start, end, stored } of frame.blocks) {
      const made = stored
        ? copyStored(bytes.subarray(start, end), blocks.output, length)
        : blocks.lz4(start, end, length, window);
      if (made === FAULT.noRoom && capacity === bytesMax) throw tooLarge(bytesMax);
      if (made < 0) throw damaged("lz4");
      length += made;
    }
  }
  return blocks.output.subarray(0, length);
}

function copyStored(bytes: Uint8Array, output: Uint8Array, at: number): number {
  if (bytes.length > output.length - at) return FAULT.noRoom;
  output.set(bytes, at);
  return bytes.length;
}

function outputMax({ blocks, blockBytesMax }: Frame): number {
  return blocks.reduce((sum, { start, end, stored }) => {
    const made = stored ? end - start : Math.min(blockBytesMax, (end - start) * RATIO_MAX);
    return sum + made;
  }, 0);
}

function readFrame(view: DataView, start: number): Frame {
  if (uint32(view, start) !== MAGIC) throw damaged("lz4");
  need(view, start + 7);
  const flags = view.getUint8(start + 4);
  const sizeCode = (view.getUint8(start + 5) >> 4) & 7;
  if (flags >> 6 !== 1 || sizeCode < 4 || (flags & FLAG.dictionary) !== 0) throw damaged("lz4");
  const blockBytesMax = 1 << (8 + 2 * sizeCode);
  let at = start + ((flags & FLAG.contentSize) === 0 ? 7 : 15);
  const blocks: Block[] = [];
  for (;;) {
    const size = uint32(view, at);
    at += 4;
    if (size === 0) break;
    const stored = size >= STORED;
    const end = at + (stored ? size - STORED : size);
    need(view, end);
    blocks.push({ start: at, end, stored });
    at = end + ((flags & FLAG.blockChecksum) === 0 ? 0 : 4);
  }
  const end = at + ((flags & FLAG.contentChecksum) === 0 ? 0 : 4);
  need(view, end);
  return { blocks, blockBytesMax, end };
}

function need(view: DataView, end: number): void {
  if (end > view.byteLength) throw damaged("lz4");
}

function uint32(view: DataView, at: number): number {
  need(view, at + 4);
  return view.getUint32(at, true);
}
