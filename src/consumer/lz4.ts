/**
 * LZ4 decompression: the frame format (independent or linked blocks) and its block format.
 * Content checksums are not looked at: the record batch's CRC covers the compressed bytes.
 */
import { copyLiterals, copyMatch, damaged, type Output, type Scratch, tooLarge } from "./output.ts";

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
  const output: Output = { bytes: scratch.take(capacity), length: 0 };
  for (const frame of frames) {
    const frameStart = output.length;
    for (const block of frame.blocks) decodeBlock(bytes, block, output, frameStart, bytesMax);
  }
  return output.bytes.subarray(0, output.length);
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

function decodeBlock(
  bytes: Uint8Array,
  block: Block,
  output: Output,
  frameStart: number,
  bytesMax: number,
): void {
  if (!block.stored) {
    lz4Block(bytes.subarray(block.start, block.end), output, frameStart, bytesMax);
    return;
  }
  const length = block.end - block.start;
  assertRoom(output, length, bytesMax);
  output.bytes.set(bytes.subarray(block.start, block.end), output.length);
  output.length += length;
}

/** Sequences of literals and matches; matches may reach back to `frameStart`. */
function lz4Block(source: Uint8Array, output: Output, frameStart: number, bytesMax: number): void {
  let s = 0;
  const more = (nibble: number): number => {
    let length = nibble;
    if (nibble === 15) {
      let byte: number;
      do {
        if (s >= source.length) throw damaged("lz4");
        byte = source[s++] as number;
        length += byte;
      } while (byte === 255);
    }
    return length;
  };
  for (;;) {
    if (s >= source.length) throw damaged("lz4");
    const token = source[s++] as number;
    const literals = more(token >>> 4);
    if (literals > source.length - s) throw damaged("lz4");
    assertRoom(output, literals, bytesMax);
    copyLiterals(source, s, literals, output);
    s += literals;
    if (s === source.length) return;
    if (s + 2 > source.length) throw damaged("lz4");
    const offset = (source[s] as number) | ((source[s + 1] as number) << 8);
    s += 2;
    const length = more(token & 15) + 4;
    if (offset === 0 || offset > output.length - frameStart) throw damaged("lz4");
    assertRoom(output, length, bytesMax);
    copyMatch(output, offset, length);
  }
}

function assertRoom(output: Output, length: number, bytesMax: number): void {
  if (length <= output.bytes.length - output.length) return;
  if (output.length + length > bytesMax) {
    throw tooLarge(bytesMax);
  }
  throw damaged("lz4");
}

function need(view: DataView, end: number): void {
  if (end > view.byteLength) throw damaged("lz4");
}

function uint32(view: DataView, at: number): number {
  need(view, at + 4);
  return view.getUint32(at, true);
}
