/**
 * Snappy decompression: raw blocks, and xerial framing (what Java clients write): magic
 * `82 53 4e 41 50 50 59 00`, version i32, compatible i32, then chunks of length i32 | raw block.
 */
import type { Scratch } from "./blocks.ts";
import { damaged, tooLarge } from "./output.ts";

const XERIAL_MAGIC = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00];
const XERIAL_HEADER_BYTES = 16;
/** A copy element of three bytes makes at most 64; more output than this cannot be meant. */
const RATIO_MAX = 22;

/** Decompresses raw or xerial-framed snappy. Throws `batch_corrupt`. */
export function snappyDecompress(
  bytes: Uint8Array,
  bytesMax: number,
  scratch: Scratch,
): Uint8Array {
  const chunks = XERIAL_MAGIC.every((byte, i) => bytes[i] === byte)
    ? xerialChunks(bytes)
    : [{ start: 0, end: bytes.length }];
  let total = 0;
  const bodies = chunks.map(({ start, end }) => {
    const { length, bodyAt } = uncompressedLength(bytes, start, end);
    if (length > (end - start) * RATIO_MAX + 64) throw damaged("snappy");
    total += length;
    return { start: bodyAt, end, length };
  });
  if (total > bytesMax) throw tooLarge(bytesMax);
  const blocks = scratch.begin(bytes, total);
  let at = 0;
  for (const { start, end, length } of bodies) {
    if (blocks.snappy(start, end, at, at + length) !== length) throw damaged("snappy");
    at += length;
  }
  return blocks.output;
}

interface Chunk {
  readonly start: number;
  readonly end: number;
}

function xerialChunks(bytes: Uint8Array): Chunk[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const chunks: Chunk[] = [];
  if (bytes.length < XERIAL_HEADER_BYTES) throw damaged("snappy");
  for (let at = XERIAL_HEADER_BYTES; at < bytes.length; ) {
    if (at + 4 > bytes.length) throw damaged("snappy");
    const end = at + 4 + view.getUint32(at);
    if (end > bytes.length) throw damaged("snappy");
    chunks.push({ start: at + 4, end });
    at = end;
  }
  return chunks;
}

/** The varint in front of a block, and where its elements begin. */
function uncompressedLength(
  bytes: Uint8Array,
  start: number,
  end: number,
): { length: number; bodyAt: number } {
  let length = 0;
  for (let i = 0; i < 5 && start + i < end; i++) {
    const byte = bytes[start + i] as number;
    length += (byte & 127) * 2 ** (7 * i);
    if (byte < 128) return { length, bodyAt: start + i + 1 };
  }
  throw damaged("snappy");
}
