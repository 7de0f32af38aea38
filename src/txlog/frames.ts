/**
 * The log's bytes: a segment's header and its frames, written and read back (SPEC section 8).
 *
 * Segment header, 24 bytes, little-endian like everything here:
 *
 *     0 "kiceblog" | 8 u32 format version | 12 u64 first sequence number | 20 u32 CRC32C of 0..20
 *
 * Frame, 28 bytes and the payload:
 *
 *     0 u32 payload bytes | 4 u32 CRC32C of all but itself | 8 u64 sequence number
 *     16 i64 time, UTC ms | 24 u32 type | 28 payload, JSON
 *
 * A frame is used only when its checksum holds. After one that fails, the next frame is looked for
 * byte by byte; what lies between is damage, reported with its place and never used.
 */
import { crc32c } from "#base/crc32c.ts";
import { describe, fail } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import { decodeEntry, type EncodedEntry } from "./entries.ts";
import type { LoggedEntry } from "./log.ts";

/** The format version that this release writes; it reads this one and older ones. */
export const LOG_FORMAT_VERSION = 1;
/** Bytes of a segment's header. */
export const SEGMENT_HEADER_BYTES = 24;

const FRAME_HEADER_BYTES = 28;
/** Types are numbered from 1; this bound makes the search for the next frame cheap. */
const TYPE_CODE_MAX = 255;
const MAGIC = new TextEncoder().encode("kiceblog");

/** A stretch of bytes that is not used. Positions in bytes from the start of the segment. */
export interface FrameDamage {
  readonly position: number;
  readonly bytes: number;
  readonly reason: string;
}

/** What a run of bytes holds. */
export interface FrameScan {
  readonly entries: readonly LoggedEntry[];
  readonly damages: readonly FrameDamage[];
  /** Position after the last frame whose checksum holds. */
  readonly end: number;
  /** Bytes after `end` that are no frame: a torn tail, or a frame that is just being written. */
  readonly tail: FrameDamage | null;
}

/** The header of a new segment. */
export function encodeSegmentHeader(firstSequence: bigint): Uint8Array {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  const view = viewOf(bytes);
  bytes.set(MAGIC);
  view.setUint32(8, LOG_FORMAT_VERSION, true);
  view.setBigUint64(12, firstSequence, true);
  view.setUint32(20, crc32c(bytes, 0, 20), true);
  return bytes;
}

/**
 * Checks a segment's header; the reason when it is damaged, else null. Throws `state` when a newer
 * release wrote it.
 * @param path named in the error
 */
export function checkSegmentHeader(bytes: Uint8Array, path: string): string | null {
  if (bytes.length < SEGMENT_HEADER_BYTES) return "the header is cut short";
  const view = viewOf(bytes);
  if (view.getUint32(20, true) !== crc32c(bytes, 0, 20)) return "the header's checksum";
  if (!MAGIC.every((byte, at) => bytes[at] === byte)) return "it is not a transaction log";
  const version = view.getUint32(8, true);
  if (version <= LOG_FORMAT_VERSION) return null;
  const sentence = `${path} has log format ${version}; this release reads up to ${LOG_FORMAT_VERSION}`;
  throw fail("state", `${sentence}: run the newer release`, { path, version });
}

/** One entry as a frame. */
export function encodeFrame(entry: EncodedEntry, sequence: bigint, timeMs: number): Uint8Array {
  const { code, payload } = entry;
  const bytes = new Uint8Array(FRAME_HEADER_BYTES + payload.length);
  const view = viewOf(bytes);
  view.setUint32(0, payload.length, true);
  view.setBigUint64(8, sequence, true);
  view.setBigInt64(16, BigInt(Math.trunc(timeMs)), true);
  view.setUint32(24, code, true);
  bytes.set(payload, FRAME_HEADER_BYTES);
  view.setUint32(4, checksum(bytes), true);
  return bytes;
}

/**
 * Reads all frames of `bytes`.
 * @param start the position of `bytes` in its segment; must be the end of a header or frame
 */
export function scanFrames(bytes: Uint8Array, start: number): FrameScan {
  const entries: LoggedEntry[] = [];
  const damages: FrameDamage[] = [];
  let at = 0;
  while (at < bytes.length) {
    const found = findFrame(bytes, at);
    if (found === null) {
      const rest = bytes.length - at;
      const tail = { position: start + at, bytes: rest, reason: "no whole frame" };
      return { entries, damages, end: start + at, tail };
    }
    if (found > at)
      damages.push({ position: start + at, bytes: found - at, reason: "a frame's checksum" });
    const size = frameBytes(bytes, found);
    try {
      entries.push(decodeFrame(bytes.subarray(found, found + size)));
    } catch (error) {
      damages.push({ position: start + found, bytes: size, reason: describe(error) });
    }
    at = found + size;
  }
  return { entries, damages, end: start + at, tail: null };
}

/** Where the first whole frame at or after `from` begins; null when there is none. */
function findFrame(bytes: Uint8Array, from: number): number | null {
  const view = viewOf(bytes);
  for (let at = from; at + FRAME_HEADER_BYTES <= bytes.length; at++) {
    const payloadBytes = view.getUint32(at, true);
    if (payloadBytes > LIMITS.logFrameBytesMax) continue;
    const size = FRAME_HEADER_BYTES + payloadBytes;
    const code = view.getUint32(at + 24, true);
    if (code === 0 || code > TYPE_CODE_MAX || at + size > bytes.length) continue;
    if (view.getUint32(at + 4, true) === checksum(bytes.subarray(at, at + size))) return at;
  }
  return null;
}

function decodeFrame(frame: Uint8Array): LoggedEntry {
  const view = viewOf(frame);
  const entry = decodeEntry(view.getUint32(24, true), frame.subarray(FRAME_HEADER_BYTES));
  const timeMs = Number(view.getBigInt64(16, true));
  return { sequence: view.getBigUint64(8, true), timeMs, entry };
}

function frameBytes(bytes: Uint8Array, at: number): number {
  return FRAME_HEADER_BYTES + viewOf(bytes).getUint32(at, true);
}

/** The checksum covers the length too, so that a wrong length is never believed. */
function checksum(frame: Uint8Array): number {
  return crc32c(frame, 8, frame.length, crc32c(frame, 0, 4));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
