/**
 * What a new committed offset does to a partition, in numbers, before anybody agrees to it: which
 * offsets are skipped, which are gone from Kafka already, and which are read again, so that their
 * rows stand in the table twice. Pure.
 *
 * Numbers are of offsets: a log has holes, so that records and rows are at most that many.
 */

/** The offsets that Kafka holds of a partition: from `logStart` to before `logEnd`. */
export interface PartitionLog {
  readonly logStart: bigint;
  readonly logEnd: bigint;
}

/** The change of one partition. Offsets are next ones. */
export interface PlannedOffset {
  /** Null: the table has no offset of this partition. */
  readonly before: bigint | null;
  readonly after: bigint;
  /** True: `before` is of a topic of the same name that was deleted since. */
  readonly isNewTopic: boolean;
  /** Null: Kafka does not know the topic. */
  readonly log: PartitionLog | null;
}

/** What the change does. */
export interface OffsetEffect {
  /** Offsets that Kafka holds and that nobody will read. */
  readonly skipped: bigint;
  /** Offsets that the table has not, and that Kafka no longer holds. */
  readonly gone: bigint;
  /** Offsets that are read a second time: the table then has their rows twice. */
  readonly doubled: bigint;
  /** Offsets of the table that the log, which ends before them, will give to other records. */
  readonly reused: bigint;
  /** All of it in words. */
  readonly sentence: string;
}

/** From one offset to before another. */
interface Range {
  readonly from: bigint;
  readonly to: bigint;
}

/** Compares the change with the log. */
export function offsetEffect({ before, after, isNewTopic, log }: PlannedOffset): OffsetEffect {
  const known = isNewTopic ? null : before;
  const start = log?.logStart ?? 0n;
  const end = log?.logEnd ?? null;
  // Without an offset of its own a partition begins at the beginning of its log.
  const readTo = known ?? (log === null ? after : start);
  const skipped = part({ from: readTo, to: after }, start, end);
  const gone = part({ from: readTo, to: after }, 0n, start);
  const doubled = part({ from: after, to: readTo }, start, end);
  const reused =
    end === null || known === null ? NONE : part({ from: after, to: known }, end, null);
  const words = [
    known === null ? (isNewTopic ? `begins the new topic at ${after}` : `begins at ${after}`) : "",
    phrase("offsets", gone, "are gone from Kafka"),
    phrase("skips offsets", skipped, ""),
    phrase("reads offsets", doubled, "again, their rows are doubled"),
    phrase("offsets", reused, "will be used again for other records"),
    log === null ? "unchecked: Kafka does not have the topic" : "",
  ].filter((word) => word !== "");
  return {
    skipped: size(skipped),
    gone: size(gone),
    doubled: size(doubled),
    reused: size(reused),
    sentence: words.join("; ") || "none",
  };
}

/** Why Kafka cannot be read from an offset; null when it can. */
export function outsideLog(where: string, offset: bigint, log: PartitionLog): string | null {
  const { logStart, logEnd } = log;
  if (offset >= logStart && offset <= logEnd) return null;
  return `Kafka holds ${where} from offset ${logStart} to its end at ${logEnd}: reading cannot begin at ${offset}`;
}

const NONE: Range = { from: 0n, to: 0n };

/** What lies of a range between two bounds; a null bound is none. */
function part({ from, to }: Range, low: bigint, high: bigint | null): Range {
  const first = from > low ? from : low;
  const end = high !== null && to > high ? high : to;
  return end > first ? { from: first, to: end } : NONE;
}

function size({ from, to }: Range): bigint {
  return to - from;
}

function phrase(subject: string, range: Range, predicate: string): string {
  const count = size(range);
  if (count === 0n) return "";
  const last = range.to - 1n;
  const offsets = count === 1n ? `${last} (1)` : `${range.from} to ${last} (${count})`;
  return [subject, offsets, predicate].join(" ").trim();
}
