/**
 * A table as a reader sees it at one instant: the newest head that its writer has seen, and the rows in
 * memory that this head does not have. Each row is in one of the two (SPEC section 7).
 *
 * Which rows those are, the offsets of that very head say, not how far a flush is: a snapshot may be
 * visible before its flush knows that it landed.
 */
import type { FeedKey } from "#base/offsets.ts";
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
    const from = new Map<FeedKey, bigint>();
    for (const [key, { feed }] of sink.outlets) {
      const committed = offsetOf(feed.feed);
      if (committed !== null) from.set(key, committed);
    }
    const lease = sink.buffer.lease((key, start) => start >= (from.get(key) ?? start + 1n));
    const rows = Map.groupBy(lease.segments, ({ key }) => key);
    const whole = [...from].filter(([key, committed]) => continues(rows.get(key), committed));
    return {
      table,
      segments: whole.flatMap(([key]) => rows.get(key) ?? []),
      partitions: whole.map(([key]) => partitionName(sink, key)),
      release: lease.release,
    };
  }
  return withoutHotRows(writer.lastSeen);
}

function withoutHotRows(table: LoadedTable): HotRead {
  return { table, segments: [], partitions: [], release: () => undefined };
}

/**
 * Everything that is in memory of a table, also what is committed already; null while it is not open. Rows
 * of a feed may have gaps here: it is no part of a table. Of a table that records change nothing is shown,
 * as in `readHot`.
 */
export function readMemory(sink: Sink): HotRead | null {
  if (sink.writer === null) return null;
  if (sink.writer.hasKey) return withoutHotRows(sink.writer.lastSeen);
  const { segments, release } = sink.buffer.lease((key) => sink.outlets.has(key));
  const partitions = [...sink.outlets.keys()].map((key) => partitionName(sink, key));
  return { table: sink.writer.lastSeen, segments, partitions, release };
}

function partitionName(sink: Sink, key: FeedKey): string {
  const feed = sink.outlets.get(key)?.feed.feed;
  return feed === undefined ? key : `${feed.topic}/${feed.partition}`;
}

/**
 * Whether rows go on at an offset. If not there is a gap between (the head was rolled back, or another
 * process has written): rows behind a gap are not shown before those in it.
 */
function continues(segments: readonly LentSegment[] | undefined, committed: bigint): boolean {
  const [first] = segments ?? [];
  return first === undefined || first.start === committed;
}
