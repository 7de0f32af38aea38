/**
 * Opens the transaction log: finds what is there, cuts a torn tail, and appends (SPEC section 8).
 *
 * One writer loop takes what is queued, numbers it, writes it with one call and syncs once for all
 * (group commit). Sequence numbers are given when written, so a failed write leaves no gap. After
 * every `checkpointIntervalEntries` or `checkpointIntervalMs` a Checkpoint with the open flushes
 * follows; then segments before it go that are older than `retentionMs`, or too many by `bytesMax`.
 * A log of large entries checkpoints after an eighth of `bytesMax` too, or none could go in time.
 *
 * Damage elsewhere than at the end is reported and skipped, and opening goes on: the log is not the
 * truth for offsets, so what is lost here makes a restart leave files to the orphan cleaner, no more
 * (decision 0062).
 */
import type { Clock } from "#base/clock.ts";
import { type Disk, type DiskLock, onDisk } from "#base/disk.ts";
import { describe, fail } from "#base/errors.ts";
import { createFolders } from "#base/folders.ts";
import { LIMITS } from "#base/limits.ts";
import type { Logger } from "#base/log.ts";
import { Appender } from "./appender.ts";
import { type EncodedEntry, encodeEntry } from "./entries.ts";
import { encodeFrame, type FrameScan } from "./frames.ts";
import type { LogEntry, LoggedEntry, LogSync, TransactionLog } from "./log.ts";
import { OpenFlushes } from "./recover.ts";
import { listSegments, readClosedSegment, readLiveSegment, type Segment } from "./segments.ts";

/** Settings of the log; `[transaction_log]` of SPEC section 4. */
export interface TransactionLogOptions {
  /** Absolute path; created when missing. */
  readonly dir: string;
  readonly sync: LogSync;
  /** A segment that has reached this size is followed by a new one. Default: 8 MiB. */
  readonly segmentBytes?: number;
  readonly checkpointIntervalEntries: number;
  readonly checkpointIntervalMs: number;
  /** Closed segments stay this long, unless they grow beyond `bytesMax`. */
  readonly retentionMs: number;
  /** Bytes of all segments; older ones before the last checkpoint go first. */
  readonly bytesMax: number;
}

/** Checkpoints in a log of `bytesMax`, at least. */
const CHECKPOINTS_IN_LOG = 8;

/** What the log is built from. */
export interface TransactionLogParts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Opens the log of a folder and locks it until `close`, since the folder need not be in the locked
 * state directory. Throws `state` when another process has it open or a newer release wrote it, and
 * the disk's errors.
 */
export async function openTransactionLog(
  options: TransactionLogOptions,
  parts: TransactionLogParts,
): Promise<TransactionLog> {
  const { dir, segmentBytes = LIMITS.logSegmentBytes } = options;
  const { disk } = parts;
  await createFolders(disk).make(dir);
  const lock = await onDisk("lock", `${dir}/lock`, () => disk.lock(`${dir}/lock`));
  if (lock === null) {
    const sentence = `The transaction log ${dir} is in use by another process; give each its own`;
    throw fail("state", `${sentence} (transaction_log.log_dir)`, { dir });
  }
  try {
    const found = await readBack(dir, parts);
    const position = await cutTail(found, parts);
    const appender = await Appender.open(
      disk,
      { dir, segmentBytes, syncs: options.sync !== "never" },
      found.last ?? { number: 0, path: dir },
      position,
    );
    return createLog({ ...options, segmentBytes }, parts, appender, lock, found.entries);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

interface Found {
  /** From the last checkpoint on. */
  readonly entries: readonly LoggedEntry[];
  readonly last: Segment | null;
  readonly lastScan: FrameScan | null;
}

/** Reads segments from the newest back to one that holds a checkpoint. */
async function readBack(dir: string, parts: TransactionLogParts): Promise<Found> {
  const segments = await listSegments(parts.disk, dir);
  const last = segments.at(-1) ?? null;
  const scans: FrameScan[] = [];
  for (const segment of segments.reverse()) {
    const scan =
      segment === last
        ? await readLiveSegment(parts.disk, segment, 0)
        : await readClosedSegment(parts.disk, segment);
    report(scan, segment, segment === last, parts.log);
    scans.unshift(scan);
    if (scan.entries.some(({ entry }) => entry.type === "Checkpoint")) break;
  }
  const all = scans.flatMap((scan) => scan.entries);
  const start = all.findLastIndex(({ entry }) => entry.type === "Checkpoint");
  return { entries: all.slice(Math.max(0, start)), last, lastScan: scans.at(-1) ?? null };
}

function report(scan: FrameScan, segment: Segment, isLast: boolean, log: Logger): void {
  const tail = scan.tail === null || isLast ? [] : [scan.tail];
  for (const damage of [...scan.damages, ...tail])
    log.log("error", "The transaction log is damaged; this part of it is not used", {
      path: segment.path,
      ...damage,
    });
}

/** Where to append in the newest segment; null when a new one must begin. */
async function cutTail(found: Found, parts: TransactionLogParts): Promise<number | null> {
  const { last, lastScan } = found;
  if (last === null || lastScan === null || lastScan.end === 0) return null;
  const { tail, end } = lastScan;
  if (tail === null) return end;
  parts.log.log("warn", "The transaction log ends in a torn entry, which is cut off", {
    path: last.path,
    ...tail,
  });
  await onDisk("repair", last.path, async () => {
    const file = await parts.disk.open(last.path, "write");
    try {
      await file.truncate(end);
      await file.sync();
    } finally {
      await file.close();
    }
  });
  return end;
}

interface Queued {
  readonly entry: LogEntry;
  readonly encoded: EncodedEntry;
  readonly timeMs: number;
  readonly sync: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

function createLog(
  options: Required<TransactionLogOptions>,
  parts: TransactionLogParts,
  appender: Appender,
  lock: DiskLock,
  recovered: readonly LoggedEntry[],
): TransactionLog {
  const open = new OpenFlushes();
  for (const { entry } of recovered) open.apply(entry);
  let nextSequence = (recovered.at(-1)?.sequence ?? 0n) + 1n;
  const since = sinceCheckpoint(options, parts.clock, recovered.length);
  const queue: Queued[] = [];
  let pump: Promise<void> | null = null;
  let isClosed = false;

  const write = async (encoded: readonly EncodedEntry[], times: number[], sync: boolean) => {
    const first = nextSequence;
    const frames = encoded.map((entry, at) =>
      encodeFrame(entry, first + BigInt(at), times[at] ?? 0),
    );
    const bytes = Buffer.concat(frames);
    await appender.append(bytes, first, sync);
    since.add(encoded.length, bytes.length);
    nextSequence = first + BigInt(encoded.length);
  };

  const writeBatch = async (batch: readonly Queued[]): Promise<void> => {
    const wanted = batch.some((item) => item.sync);
    const sync = options.sync === "always" || (options.sync === "commit" && wanted);
    try {
      await write(
        batch.map((item) => item.encoded),
        batch.map((item) => item.timeMs),
        sync,
      );
    } catch (error) {
      for (const item of batch) item.reject(error);
      return;
    }
    for (const item of batch) open.apply(item.entry);
    for (const item of batch) item.resolve();
  };

  const checkpointIfDue = async (): Promise<void> => {
    if (!since.isDue()) return;
    since.reset();
    try {
      const checkpoint = encodeEntry({ type: "Checkpoint", open: open.entries });
      await write([checkpoint], [parts.clock.nowMs()], options.sync !== "never");
      since.reset();
      await dropOldSegments(options, parts, appender.segment);
    } catch (error) {
      parts.log.log("warn", "No checkpoint of the transaction log; it is tried again later", {
        reason: describe(error),
      });
    }
  };

  const drain = async (): Promise<void> => {
    while (queue.length > 0) {
      const batch = queue.splice(0, batchLength(queue, options.segmentBytes));
      await writeBatch(batch);
      await checkpointIfDue();
    }
    pump = null;
  };

  return {
    recovered,
    append: async (entry, sync = false) => {
      if (isClosed) throw fail("state", "The transaction log is closed");
      const encoded = encodeEntry(entry);
      const timeMs = parts.clock.nowMs();
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      queue.push({ entry, encoded, timeMs, sync, resolve, reject });
      pump ??= drain();
      await promise;
    },
    close: async () => {
      isClosed = true;
      await pump;
      try {
        await appender.close();
      } finally {
        await lock.release();
      }
    },
  };
}

/** What was logged since the last checkpoint, and whether the next one is due. */
interface SinceCheckpoint {
  add(entries: number, bytes: number): void;
  isDue(): boolean;
  reset(): void;
}

function sinceCheckpoint(
  options: Required<TransactionLogOptions>,
  clock: Clock,
  found: number,
): SinceCheckpoint {
  let entries = found;
  let bytes = 0;
  let resetMs = clock.monotonicMs();
  return {
    add: (moreEntries, moreBytes) => {
      entries += moreEntries;
      bytes += moreBytes;
    },
    isDue: () =>
      entries >= options.checkpointIntervalEntries ||
      bytes >= options.bytesMax / CHECKPOINTS_IN_LOG ||
      (entries > 0 && clock.monotonicMs() - resetMs >= options.checkpointIntervalMs),
    reset: () => {
      entries = 0;
      bytes = 0;
      resetMs = clock.monotonicMs();
    },
  };
}

/** How many entries to write at once: as many as fit into a segment, and at least one. */
function batchLength(queue: readonly Queued[], bytesMax: number): number {
  let bytes = 0;
  const end = queue.findIndex(({ encoded }) => {
    bytes += encoded.payload.length;
    return bytes > bytesMax;
  });
  return end === -1 ? queue.length : Math.max(1, end);
}

/** Removes segments before `current`, which holds a checkpoint, that are old or too many. */
async function dropOldSegments(
  options: TransactionLogOptions,
  parts: TransactionLogParts,
  current: Segment,
): Promise<void> {
  const oldestMs = parts.clock.nowMs() - options.retentionMs;
  const found: { readonly segment: Segment; readonly bytes: number; readonly isOld: boolean }[] =
    [];
  for (const segment of await listSegments(parts.disk, options.dir)) {
    const info = await onDisk("read", segment.path, () => parts.disk.stat(segment.path));
    if (info === null) continue;
    found.push({ segment, bytes: info.bytes, isOld: info.modifiedMs < oldestMs });
  }
  let bytes = found.reduce((sum, each) => sum + each.bytes, 0);
  for (const { segment, bytes: own, isOld } of found) {
    if (segment.number >= current.number) return;
    if (!isOld && bytes <= options.bytesMax) continue;
    await onDisk("remove", segment.path, () => parts.disk.unlink(segment.path));
    bytes -= own;
  }
}
