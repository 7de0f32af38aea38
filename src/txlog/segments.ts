/**
 * The segment files of a log folder: `00000001.log`, `00000002.log`, ... A segment is closed once a
 * later one exists: it is never written or shortened again, so it may be mapped. The newest one is
 * live: it is read by positions, because a map does not grow with its file and reading past a
 * truncation would kill the process.
 */
import { type Disk, diskError, systemErrorCode } from "#base/disk.ts";
import {
  checkSegmentHeader,
  type FrameDamage,
  type FrameScan,
  SEGMENT_HEADER_BYTES,
  scanFrames,
} from "./frames.ts";

/** One segment file. */
export interface Segment {
  readonly number: number;
  readonly path: string;
}

/** The path of segment `number`. */
export function segmentPath(dir: string, number: number): string {
  return `${dir}/${String(number).padStart(8, "0")}.log`;
}

/** The segments of a folder, oldest first; none when the folder does not exist. */
export async function listSegments(disk: Disk, dir: string): Promise<Segment[]> {
  const segments: Segment[] = [];
  try {
    for await (const name of disk.list(dir)) {
      const digits = /^(\d{8,15})\.log$/.exec(name)?.[1];
      if (digits !== undefined) segments.push({ number: Number(digits), path: `${dir}/${name}` });
    }
  } catch (error) {
    if (systemErrorCode(error) !== "ENOENT") throw diskError(error, "list", dir);
  }
  return segments.sort((a, b) => a.number - b.number);
}

/**
 * Reads a closed segment through a map. A segment whose header cannot be used is all damage.
 * Throws `state` when a newer release wrote it.
 */
export async function readClosedSegment(disk: Disk, segment: Segment): Promise<FrameScan> {
  const { path } = segment;
  const bytes = (await readAll(disk, path)) ?? new Uint8Array();
  const reason = checkSegmentHeader(bytes, path);
  if (reason !== null) return unusable(bytes.length, reason);
  return scanFrames(bytes.subarray(SEGMENT_HEADER_BYTES), SEGMENT_HEADER_BYTES);
}

/**
 * Reads the newest segment by position, from `from` (0 or the `end` of an earlier scan) to where
 * the file ends now. Throws `state` when a newer release wrote it.
 */
export async function readLiveSegment(
  disk: Disk,
  segment: Segment,
  from: number,
): Promise<FrameScan> {
  const { path } = segment;
  try {
    const file = await disk.open(path, "read");
    try {
      const start = Math.max(from, SEGMENT_HEADER_BYTES);
      if (from === 0) {
        const header = await file.read(0, SEGMENT_HEADER_BYTES);
        const reason = checkSegmentHeader(header, path);
        if (reason !== null) return unusable(await file.size(), reason);
      }
      const bytes = await file.read(start, Math.max(0, (await file.size()) - start));
      return scanFrames(bytes, start);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (systemErrorCode(error) === "") throw error;
    throw diskError(error, "read", path);
  }
}

/** Null when the file was removed meanwhile, or is empty and cannot be mapped. */
async function readAll(disk: Disk, path: string): Promise<Uint8Array | null> {
  try {
    const found = await disk.stat(path);
    return found === null || found.bytes === 0 ? null : disk.map(path);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return null;
    throw diskError(error, "read", path);
  }
}

function unusable(bytes: number, reason: string): FrameScan {
  const damage: FrameDamage = { position: 0, bytes, reason };
  return { entries: [], damages: bytes === 0 ? [] : [damage], end: 0, tail: null };
}
