/**
 * A table as a reader sees it at one instant: the newest head that a writer of it has seen, and the rows in
 * memory that this head does not have. Each row is in one of the two (SPEC section 7).
 *
 * Which rows those are, the offsets of that very head say, not how far a flush is: a snapshot may be
 * visible before its flush knows that it landed.
 */
import type { Feed, FeedKey } from "#base/offsets.ts";
import type { LentSegment } from "#buffer/lease.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import type { TableWriter } from "#writer/tableWriter.ts";
import type { Sink } from "./sink.ts";

/** What is read. */
export interface HotRead {
  readonly table: LoadedTable;
  /** In the order of their offsets, feed by feed, sink by sink. */
  readonly segments: readonly LentSegment[];
  /** Feeds whose rows are all there, up to what this process has read. */
  readonly partitions: readonly string[];
  /** Columns by which the rows are changes of rows of the table; none: they are rows beside its own. */
  readonly key: readonly string[];
  /** The column that says which of two changes is later; null: they are in order. */
  readonly order: string | null;
  /** Gives the segments back. */
  release(): void;
}

/** What one sink has. */
type Rows = Pick<HotRead, "segments" | "partitions" | "release">;

/** A head that changes more often than this while its offsets are looked up is read without hot rows. */
const ROUNDS_MAX = 20;

/**
 * Reads a table, by all sinks that fill it; null while none is open. Where records change rows, the segments
 * are changes: the latest of each key takes the place of the table's row, unless that is newer by its order
 * (`sql/hotChanges.ts`).
 */
export async function readHot(sinks: readonly Sink[]): Promise<HotRead | null> {
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const writer = newestWriter(sinks);
    if (writer === null) return null;
    const table = writer.lastSeen;
    const offsetOf = await writer.offsetsSeen(table);
    // From here on nothing waits: head, offsets and rows are of one instant.
    const newest = newestWriter(sinks);
    if (newest === null || newest.lastSeen !== table) continue;
    const taken = new Set<FeedKey>();
    return union(
      newest,
      sinks.map((sink) => rowsBehind(sink, offsetOf, taken)),
    );
  }
  const writer = newestWriter(sinks);
  return writer === null ? null : union(writer, []);
}

/**
 * Of writers into one table the one that has seen the newest head; null while none is open. The sequence
 * number of a table's heads never falls, and their time tells those apart that changed no rows.
 */
export function newestWriter(sinks: readonly Sink[]): TableWriter | null {
  let newest: TableWriter | null = null;
  for (const { writer } of sinks) {
    if (writer === null) continue;
    if (newest === null || isNewer(writer.lastSeen, newest.lastSeen)) newest = writer;
  }
  return newest;
}

function isNewer({ metadata: one }: LoadedTable, { metadata: two }: LoadedTable): boolean {
  const sequence = one.lastSequenceNumber - two.lastSequenceNumber;
  return sequence > 0n || (sequence === 0n && one.lastUpdatedMs > two.lastUpdatedMs);
}

/** The rows of one sink behind these offsets, but for feeds whose rows another one has given. */
function rowsBehind(
  sink: Sink,
  offsetOf: (feed: Feed) => bigint | null,
  taken: Set<FeedKey>,
): Rows {
  const from = new Map<FeedKey, bigint>();
  for (const [key, { feed }] of sink.outlets) {
    const committed = offsetOf(feed.feed);
    if (committed !== null && !taken.has(key)) from.set(key, committed);
  }
  const lease = sink.buffer.lease((key, start) => start >= (from.get(key) ?? start + 1n));
  const rows = Map.groupBy(lease.segments, ({ key }) => key);
  const whole = [...from].filter(([key, committed]) => continues(rows.get(key), committed));
  for (const [key] of whole) taken.add(key);
  return {
    segments: whole.flatMap(([key]) => rows.get(key) ?? []),
    partitions: whole.map(([key]) => partitionName(sink, key)),
    release: lease.release,
  };
}

/**
 * What several sinks have of one table.
 * @param writer whose head is read: it alone says what records do to rows, since one of another sink may be closed
 */
function union(writer: TableWriter, reads: readonly Rows[]): HotRead {
  return {
    table: writer.lastSeen,
    segments: reads.flatMap(({ segments }) => segments),
    partitions: reads.flatMap(({ partitions }) => partitions),
    key: writer.key,
    order: writer.order,
    release: () => {
      for (const { release } of reads) release();
    },
  };
}

/**
 * Everything that is in memory of a table, also what is committed already, by all sinks that fill it; null
 * while none is open. Rows of a feed may have gaps here: it is no part of a table.
 */
export function readMemory(sinks: readonly Sink[]): HotRead | null {
  const writer = newestWriter(sinks);
  if (writer === null) return null;
  return union(writer, sinks.map(rowsOf));
}

function rowsOf(sink: Sink): Rows {
  const { segments, release } = sink.buffer.lease((key) => sink.outlets.has(key));
  const partitions = [...sink.outlets.keys()].map((key) => partitionName(sink, key));
  return { segments, partitions, release };
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
