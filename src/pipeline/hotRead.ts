/**
 * A table as a reader sees it at one instant: the newest head that its writer has seen, and the rows in
 * memory that this head does not have. Each row is in one of the two (SPEC section 7).
 *
 * Which rows those are, the offsets of that very head say, not how far a flush is: a snapshot may be
 * visible before its flush knows that it landed.
 */
import { feedKey } from "#base/offsets.ts";
import type { LentSegment } from "#buffer/lease.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import type { Sink } from "./sink.ts";

/** What is read. */
export interface HotRead {
  readonly table: LoadedTable;
  /** In the order of their offsets, feed by feed. */
  readonly segments: readonly LentSegment[];
  /** Feeds whose rows are all there, up to what this process has read. */
  readonly partitions: readonly string[];
  /** Gives the segments back. */
  release(): void;
}

/** A head that changes more often than this while its offsets are looked up is read without hot rows. */
const ROUNDS_MAX = 20;

/**
 * Reads a table; null while it is not open. Where records change rows, those in memory are left out: the
 * rows of the table whose place they take would have to be hidden.
 */
export async function readHot(sink: Sink): Promise<HotRead | null> {
  const { writer } = sink;
  if (writer === null) return null;
  if (writer.hasKey) return withoutHotRows(writer.lastSeen);
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const table = writer.lastSeen;
    const offsetOf = await writer.offsetsSeen(table);
    // From here on nothing waits: head, offsets and rows are of one instant.
    if (writer.lastSeen !== table) continue;
    const lease = sink.buffer.lease();
    const segments: LentSegment[] = [];
    const partitions: string[] = [];
    for (const { feed } of sink.outlets.values()) {
      const committed = offsetOf(feed.feed);
      const rows = lease.segments.filter(({ key }) => key === feedKey(feed.feed));
      const above = committed === null ? null : continuing(rows, committed);
      if (above === null) continue;
      segments.push(...above);
      partitions.push(`${feed.feed.topic}/${feed.feed.partition}`);
    }
    return { table, segments, partitions, release: lease.release };
  }
  return withoutHotRows(writer.lastSeen);
}

function withoutHotRows(table: LoadedTable): HotRead {
  return { table, segments: [], partitions: [], release: () => undefined };
}

/**
 * The segments from an offset on. Null when there is a gap between (the head was rolled back, or another
 * process has written): rows behind a gap are not shown before those in it.
 */
function continuing(segments: readonly LentSegment[], committed: bigint): LentSegment[] | null {
  const above = segments.filter(({ start }) => start >= committed);
  const [first] = above;
  return first === undefined || first.start === committed ? above : null;
}
