/**
 * What a new committed offset does to a partition, in numbers, before anybody agrees to it: which
 * offsets are skipped, which are gone from Kafka already, which are read again, and how many rows
 * then stand in the table twice. Pure.
 *
 * A log has holes, so that offsets are at least as many as records. Only rows are counted one by
 * one, and only where the table knows their coordinates; else the offsets bound them.
 */
import { OffsetSet } from "#commit/offsetSet.ts";
import type { PartitionRows } from "./offsetRows.ts";

/** The offsets that Kafka holds of a partition: from `logStart` to before `logEnd`. */
export interface PartitionLog {
  readonly logStart: bigint;
  readonly logEnd: bigint;
}

/** The change of one partition. Offsets are next ones. */
export interface PlannedOffset {
  /** Null: the table has no offset of this partition, or none that can be read. */
  readonly before: bigint | null;
  /** False: the table's offsets cannot be read, so that it may have any row of the log. */
  readonly isReadable: boolean;
  readonly after: bigint;
  /** True: `before` is of a topic of the same name that was deleted since. */
  readonly isNewTopic: boolean;
  /** Null: Kafka does not know the topic. */
  readonly log: PartitionLog | null;
  /** The rows that the table has of the partition, at least those at or past `after`. */
  readonly rows: PartitionRows;
}

/** What the change does. */
export interface OffsetEffect {
  /** Offsets that Kafka holds and that nobody will read. */
  readonly skipped: bigint;
  /** Offsets that the table has not, and that Kafka no longer holds. */
  readonly gone: bigint;
  /**
   * Rows of the table that Kafka's log holds at or past the new offset, so that they are written a
   * second time; also those past the committed offset, as after a rollback and a cherry-pick.
   */
  readonly doubled: bigint;
  /** False: rows cannot be counted, and `doubled` is the number of offsets that they may have. */
  readonly isCounted: boolean;
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

/** Compares the change with the log and the rows. */
export function offsetEffect({
  before,
  after,
  isReadable,
  isNewTopic,
  log,
  rows,
}: PlannedOffset): OffsetEffect {
  const known = isNewTopic ? null : before;
  const start = log?.logStart ?? 0n;
  const end = log?.logEnd ?? null;
  // Without an offset of its own a partition begins at the beginning of its log.
  const readTo = known ?? (log === null ? after : start);
  const skipped = part({ from: readTo, to: after }, start, end);
  const gone = part({ from: readTo, to: after }, 0n, start);
  const again = part({ from: after, to: readTo }, start, end);
  const reused =
    end === null || known === null ? NONE : part({ from: after, to: known }, end, null);
  const possible = isReadable ? again : part({ from: after, to: end ?? after }, start, end);
  const doubles = doubledRows({ after, rows: isNewTopic ? NO_ROWS : rows }, readTo, possible, end);
  const words = [
    known === null ? (isNewTopic ? `begins the new topic at ${after}` : `begins at ${after}`) : "",
    phrase("offsets", gone, "are gone from Kafka"),
    phrase("skips offsets", skipped, ""),
    phrase("reads offsets", again, "again"),
    doubles.sentence,
    phrase("offsets", reused, "will be used again for other records"),
    log === null ? "unchecked: Kafka does not have the topic" : "",
  ].filter((word) => word !== "");
  return {
    skipped: size(skipped),
    gone: size(gone),
    doubled: doubles.count,
    isCounted: rows.kind === "known",
    reused: size(reused),
    sentence: words.join("; ") || "none",
  };
}

/** Rows of a topic that was deleted are other records than those that are read. */
const NO_ROWS: PartitionRows = { kind: "known", offsets: new OffsetSet() };

/**
 * @param readTo the offset before which the log was read
 * @param possible the offsets that may be rows, where nobody can count these
 */
function doubledRows(
  { after, rows }: Pick<PlannedOffset, "after" | "rows">,
  readTo: bigint,
  possible: Range,
  logEnd: bigint | null,
): { readonly count: bigint; readonly sentence: string } {
  if (rows.kind === "unknown") {
    const count = size(possible);
    const sentence = `doubles the rows of at most ${count} offsets: ${rows.reason}`;
    return { count, sentence: count === 0n ? "" : sentence };
  }
  const end = logEnd ?? rows.offsets.end;
  const count = rows.offsets.countIn(after, end);
  const past = rows.offsets.countIn(later(after, readTo), end);
  const more = past === 0n ? "" : `, ${past} of them past the committed offset`;
  return { count, sentence: count === 0n ? "" : `doubles ${count} rows${more}` };
}

/** Why Kafka cannot be read from an offset; null when it can. */
export function outsideLog(where: string, offset: bigint, log: PartitionLog): string | null {
  const { logStart, logEnd } = log;
  if (offset >= logStart && offset <= logEnd) return null;
  return `Kafka holds ${where} from offset ${logStart} to its end at ${logEnd}: reading cannot begin at ${offset}`;
}

const NONE: Range = { from: 0n, to: 0n };

function later(one: bigint, other: bigint): bigint {
  return one > other ? one : other;
}

/** What lies of a range between two bounds; a null bound is none. */
function part({ from, to }: Range, low: bigint, high: bigint | null): Range {
  const first = later(from, low);
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
