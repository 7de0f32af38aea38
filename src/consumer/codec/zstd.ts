/**
 * Whether zstd data is whole: the runtime's decoder answers what it has when its input ends early.
 * Walks frames and block headers (RFC 8878 section 3.1.1) without decoding them.
 */
import { damaged } from "./output.ts";

const MAGIC = 0xfd2f_b528;
const SKIPPABLE = 0x184d_2a50;
const RAW_RLE = 1;
const RESERVED = 3;

/** Throws `batch_corrupt` unless `bytes` is a sequence of whole zstd frames. */
export function assertZstdComplete(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  do {
    at = frameEnd(view, at);
  } while (at < bytes.length);
}

function frameEnd(view: DataView, start: number): number {
  const magic = uint32(view, start);
  if ((magic & 0xffff_fff0) >>> 0 === SKIPPABLE) {
    return within(view, start + 8 + uint32(view, start + 4));
  }
  if (magic !== MAGIC) throw damaged("zstd");
  const descriptor = uint8(view, start + 4);
  const singleSegment = (descriptor >> 5) & 1;
  const contentSizeFlag = descriptor >> 6;
  const contentSizeBytes = contentSizeFlag === 0 ? singleSegment : 1 << contentSizeFlag;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  let at = start + 5 + (1 - singleSegment) + dictionaryBytes + contentSizeBytes;
  for (let last = false; !last; ) {
    const header = uint8(view, at) | (uint8(view, at + 1) << 8) | (uint8(view, at + 2) << 16);
    last = (header & 1) === 1;
    const type = (header >> 1) & 3;
    if (type === RESERVED) throw damaged("zstd");
    at = within(view, at + 3 + (type === RAW_RLE ? 1 : header >> 3));
  }
  const checksumBytes = ((descriptor >> 2) & 1) * 4;
  return within(view, at + checksumBytes);
}

function within(view: DataView, end: number): number {
  if (end > view.byteLength) throw damaged("zstd");
  return end;
}

function uint8(view: DataView, at: number): number {
  return view.getUint8(within(view, at + 1) - 1);
}

function uint32(view: DataView, at: number): number {
  return view.getUint32(within(view, at + 4) - 4, true);
}
