/**
 * Snappy decompression: raw blocks, and xerial framing (what Java clients write): magic
 * `82 53 4e 41 50 50 59 00`, version i32, compatible i32, then chunks of length i32 | raw block.
 */
import { copyLiterals, copyMatch, damaged, type Output, type Scratch, tooLarge } from "./output.ts";

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
  const blocks = XERIAL_MAGIC.every((byte, i) => bytes[i] === byte) ? xerialBlocks(bytes) : [bytes];
  let total = 0;
  const bodies = blocks.map((block) => {
    const { length, bodyAt } = uncompressedLength(block);
    if (length > block.length * RATIO_MAX + 64) throw damaged("snappy");
    total += length;
    return { body: block.subarray(bodyAt), length };
  });
  if (total > bytesMax) {
    throw tooLarge(bytesMax);
  }
  const output: Output = { bytes: scratch.take(total), length: 0 };
  for (const { body, length } of bodies) {
    const end = output.length + length;
    snappyBlock(body, output, output.length, end);
    if (output.length !== end) throw damaged("snappy");
  }
  return output.bytes;
}

function xerialBlocks(bytes: Uint8Array): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const blocks: Uint8Array[] = [];
  if (bytes.length < XERIAL_HEADER_BYTES) throw damaged("snappy");
  for (let at = XERIAL_HEADER_BYTES; at < bytes.length; ) {
    if (at + 4 > bytes.length) throw damaged("snappy");
    const end = at + 4 + view.getUint32(at);
    if (end > bytes.length) throw damaged("snappy");
    blocks.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return blocks;
}

function uncompressedLength(block: Uint8Array): { length: number; bodyAt: number } {
  let length = 0;
  for (let i = 0; i < 5; i++) {
    const byte = block[i];
    if (byte === undefined) break;
    length += (byte & 127) * 2 ** (7 * i);
    if (byte < 128) return { length, bodyAt: i + 1 };
  }
  throw damaged("snappy");
}

/** Decodes the elements of one block; matches may not reach before `blockStart`. */
function snappyBlock(source: Uint8Array, output: Output, blockStart: number, end: number): void {
  let s = 0;
  while (s < source.length) {
    const tag = source[s++] as number;
    if ((tag & 3) === 0) s = snappyLiteral(source, s, tag >>> 2, output, end);
    else s = snappyCopy(source, s, tag, output, blockStart, end);
  }
}

/** Copy elements: offsets of 11, 16 or 32 bits. */
function snappyCopy(
  source: Uint8Array,
  s: number,
  tag: number,
  output: Output,
  blockStart: number,
  end: number,
): number {
  const type = tag & 3;
  const operandBytes = type === 3 ? 4 : type;
  if (s + operandBytes > source.length) throw damaged("snappy");
  let offset = source[s] as number;
  let length = (tag >>> 2) + 1;
  if (type === 1) {
    offset |= (tag & 0xe0) << 3;
    length = ((tag >>> 2) & 7) + 4;
  } else {
    offset |= (source[s + 1] as number) << 8;
    if (type === 3) offset |= ((source[s + 2] as number) << 16) | ((source[s + 3] as number) << 24);
  }
  if (offset <= 0 || offset > output.length - blockStart) throw damaged("snappy");
  if (length > end - output.length) throw damaged("snappy");
  copyMatch(output, offset, length);
  return s + operandBytes;
}

function snappyLiteral(
  source: Uint8Array,
  at: number,
  code: number,
  output: Output,
  end: number,
): number {
  let s = at;
  let length = code + 1;
  if (code >= 60) {
    const lengthBytes = code - 59;
    if (s + lengthBytes > source.length) throw damaged("snappy");
    length = 0;
    for (let i = 0; i < lengthBytes; i++) length |= (source[s + i] as number) << (8 * i);
    length++;
    s += lengthBytes;
  }
  if (length <= 0 || length > source.length - s || length > end - output.length) {
    throw damaged("snappy");
  }
  copyLiterals(source, s, length, output);
  return s + length;
}
