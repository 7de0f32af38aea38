/**
 * Reads a log folder from outside, for the `log` command; works while another process writes.
 *
 * Nothing is changed and no lock is taken. Closed segments are mapped, the newest one is read by
 * positions; what stands after its last whole entry may be an entry that is just being written.
 */
import type { Clock } from "#base/clock.ts";
import { type Disk, onDisk } from "#base/disk.ts";
import type { FrameDamage, FrameScan } from "./frames.ts";
import type { LogEntry, LoggedEntry } from "./log.ts";
import { listSegments, readClosedSegment, readLiveSegment, type Segment } from "./segments.ts";

/** One thing found in the log: an entry, or a stretch of a segment that cannot be used. */
export type LogItem =
  | { readonly kind: "entry"; readonly logged: LoggedEntry }
  | {
      readonly kind: "damage";
      /** Path of the segment. */
      readonly path: string;
      readonly damage: FrameDamage;
      /** At the end of the newest segment: torn, or being written now. */
      readonly isTail: boolean;
    };

/** What to read. */
export interface ReadLogOptions {
  /** Goes on until it aborts; null: ends at the end of the log. Default null. */
  readonly follow?: AbortSignal | null;
  /** Time between two looks at the end while following. Default 200. */
  readonly pollMs?: number;
  /** Entries before this time, ms since epoch, are left out. Default: none. */
  readonly sinceMs?: number;
  /** Only these types. Default: all. */
  readonly types?: ReadonlySet<LogEntry["type"]>;
}

/**
 * All entries, oldest first, with the damage between them. Throws `state` when a newer release
 * wrote the log, and the disk's errors.
 * @param dir absolute path of the log folder; one that does not exist is an empty log
 */
export async function* readTransactionLog(
  dir: string,
  parts: { disk: Disk; clock: Clock },
  options: ReadLogOptions = {},
): AsyncGenerator<LogItem> {
  const { follow = null, pollMs = 200 } = options;
  const place: Place = { number: 0, position: 0, sequence: null };
  for (;;) {
    const isLast = follow === null || follow.aborted;
    for await (const item of readOn(dir, parts.disk, place, options.sinceMs ?? 0, isLast))
      if (isWanted(item, options)) yield item;
    if (isLast) return;
    await parts.clock.sleep(pollMs, follow);
  }
}

/** Where reading stands: bytes before `position` of segment `number` and all before it are read. */
interface Place {
  number: number;
  position: number;
  /** Of the entry before; null when none was read, or damage followed it. */
  sequence: bigint | null;
}

/** Reads from `place` to the end as it is now, and moves `place` there. */
async function* readOn(
  dir: string,
  disk: Disk,
  place: Place,
  sinceMs: number,
  isLast: boolean,
): AsyncGenerator<LogItem> {
  const segments = (await listSegments(disk, dir)).filter(({ number }) => number >= place.number);
  for (const [at, segment] of segments.entries()) {
    const isNewest = at === segments.length - 1;
    if (!isNewest && place.number !== segment.number && (await isOlder(disk, segment, sinceMs)))
      continue;
    const position = place.number === segment.number ? place.position : 0;
    const scan =
      isNewest || position > 0
        ? await readLiveSegment(disk, segment, position)
        : await readClosedSegment(disk, segment);
    // A newest segment without a whole header is just being created.
    const isBeingCreated = isNewest && scan.end === 0 && !isLast;
    if (!isBeingCreated) yield* itemsOf(scan, segment, place, isNewest, isLast);
    place.number = segment.number;
    place.position = scan.end;
  }
}

function* itemsOf(
  scan: FrameScan,
  segment: Segment,
  place: Place,
  isNewest: boolean,
  isLast: boolean,
): Generator<LogItem> {
  const { path } = segment;
  for (const damage of scan.damages) {
    place.sequence = null;
    yield { kind: "damage", path, damage, isTail: false };
  }
  for (const logged of scan.entries) {
    const before = place.sequence;
    if (before !== null && logged.sequence > before + 1n) {
      const reason = `entries ${before + 1n} to ${logged.sequence - 1n} are missing`;
      yield { kind: "damage", path, damage: { position: 0, bytes: 0, reason }, isTail: false };
    }
    // Within a segment holes are damage, which was reported above.
    place.sequence = scan.damages.length === 0 ? logged.sequence : null;
    yield { kind: "entry", logged };
  }
  if (scan.tail === null || (isNewest && !isLast)) return;
  place.sequence = null;
  yield { kind: "damage", path, damage: scan.tail, isTail: isNewest };
}

async function isOlder(disk: Disk, segment: Segment, sinceMs: number): Promise<boolean> {
  if (sinceMs === 0) return false;
  const found = await onDisk("read", segment.path, () => disk.stat(segment.path));
  return found !== null && found.modifiedMs < sinceMs;
}

function isWanted(item: LogItem, options: ReadLogOptions): boolean {
  if (item.kind === "damage") return true;
  const { timeMs, entry } = item.logged;
  return timeMs >= (options.sinceMs ?? 0) && (options.types?.has(entry.type) ?? true);
}
