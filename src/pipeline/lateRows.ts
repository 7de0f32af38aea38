/**
 * Late rows on their way into the late table beside their table (SPEC 2.8): in the same turn in which the
 * others of their batch become rows, so that both are in one cut.
 *
 * A batch is decoded for its table first; where rows turn out to be late, that is taken back, and each part
 * of the batch is decoded into its table. Most batches have none.
 */
import { assert } from "#base/assert.ts";
import { fail } from "#base/errors.ts";
import type { Feed } from "#base/offsets.ts";
import type { OpenSegment } from "#buffer/hotBuffer.ts";
import type { ColumnBuilder } from "#columns/builder.ts";
import { typeName } from "#columns/evolve.ts";
import type { Field } from "#columns/schema.ts";
import type { DecodeResult, Decoder, RecordBytes, SegmentBuilder } from "#decode/decoder.ts";
import { LateRows } from "#decode/lateRows.ts";
import { selectRecords } from "#decode/records.ts";
import type { Outlet, Side } from "./feeds.ts";
import type { SideTable } from "./sides.ts";
import type { Sink } from "./sink.ts";

/** How the lateness of a table's rows is judged. */
export interface Lateness {
  /** How far behind the watermark a row is not late yet; 0: none is late. */
  readonly thresholdMs: number;
  /** Full path of the column of the event time. */
  readonly timeColumn: string;
  /** Name of the column of Kafka's offset, where there is a late table; null: late rows stay where they are. */
  readonly offsetColumn: string | null;
}

/** The columns of a late table, for its sink: those of its table and the id of the topic. */
export function lateColumns(
  decoder: Decoder,
  topicId: Field,
): Pick<Decoder, "fields" | "declared" | "own" | "adopt"> {
  return {
    get fields() {
      return [...decoder.fields, topicId];
    },
    get declared() {
      return decoder.declared;
    },
    get own() {
      return [...decoder.own, topicId];
    },
    // Its rows have the columns of its table, and bring them (`WriterOptions.columnsBy`).
    adopt: () => undefined,
  };
}

/** The late table of a table, not in use yet. */
export function lateTable(sink: Sink, topicId: Field): SideTable {
  const { coordinates } = sink.options;
  assert(coordinates != null, "the rows of a late table name their records");
  return {
    kind: "late",
    sink,
    topicId,
    coordinates: { ...coordinates, topic: topicId.name },
    topicOf: (feed: Feed) => feed.topicId,
    isUsed: false,
  };
}

/** The late table of an outlet; null: it has none, or none is in use. */
export function lateSide({ sides }: Outlet): Side | null {
  return sides.find(({ table }) => table.kind === "late") ?? null;
}

/**
 * The numbers of the late rows from `first` on in a segment; moves the watermark of its outlet.
 * @throws AppError `table_schema` where the event time's column is none
 */
export function lateRowsOf(
  { watermark, source }: Outlet,
  rows: SegmentBuilder,
  first: number,
  nowMs: number,
): readonly number[] {
  const { lateness } = source;
  if (watermark === null || lateness === null || rows.rowCount === first) return [];
  const times = rows.column(lateness.timeColumn);
  if (times !== null && isTime(times)) return watermark.pass(times, first, nowMs);
  if (lateness.thresholdMs === 0) return [];
  const what = times === null ? "is not there" : `is ${typeName(times.field.type)}`;
  const sentence =
    `Column ${lateness.timeColumn} of the event time ${what}, so that nobody can tell which rows are ` +
    "late. Make it a timestamp, or leave source.late_threshold_seconds out";
  throw fail("table_schema", sentence);
}

function isTime({ field }: ColumnBuilder): boolean {
  return field.type.kind === "timestamp" || field.type.kind === "timestamp_ns";
}

/** A batch whose rows from `first` on are in the segment of its table. */
export interface DecodedBatch {
  readonly segment: OpenSegment<SegmentBuilder>;
  readonly first: number;
  readonly bytes: RecordBytes;
  readonly result: DecodeResult;
}

/** Late rows in a segment of their late table, which does not count them yet. */
export interface PartedRows {
  readonly rows: number;
  /** Counts them. */
  keep(leaderEpoch: number, nextOffset: bigint): void;
  takeBack(): void;
}

/**
 * Moves late rows out of the segment of their table into one of the late table; all or nothing.
 * @param late their numbers in that segment
 */
export function partLateRows(
  { source, sink }: Outlet,
  side: Side,
  { segment, first, bytes, result }: DecodedBatch,
  late: readonly number[],
): PartedRows {
  const offsets = offsetsOf(segment.rows, source.lateness?.offsetColumn ?? "", late);
  const rejected = new Set(result.rejected.map(({ offset }) => offset));
  const lateSegment = openSegment(side, source.decoder);
  const before = lateSegment.rows.rowCount;
  const takeBack = (): void => {
    segment.rows.truncate(first);
    lateSegment.rows.truncate(before);
  };
  segment.rows.truncate(first);
  try {
    const own = selectRecords(bytes, (offset) => !offsets.has(offset) && !rejected.has(offset));
    const aside = selectRecords(bytes, (offset) => offsets.has(offset));
    const kept = own === null ? 0 : segment.rows.decode({ ...bytes, ...own }).rows;
    const { topicId } = side.feed.feed;
    const moved = aside === null ? 0 : lateSegment.rows.append({ ...bytes, ...aside }, topicId);
    const isWhole = moved === late.length && kept + moved === result.rows;
    assert(isWhole, `both parts of a batch of ${sink.name} have all of its rows`);
  } catch (error) {
    takeBack();
    throw error;
  }
  return {
    rows: late.length,
    keep: (leaderEpoch, nextOffset) => {
      if (nextOffset > side.end) side.end = nextOffset;
      side.sink.buffer.advance(lateSegment, side.end, leaderEpoch);
    },
    takeBack,
  };
}

/** The open segment that continues at the end of a late table. */
function openSegment({ sink, feed, end, table }: Side, decoder: Decoder): OpenSegment<LateRows> {
  const { topicId } = table;
  assert(topicId !== undefined, "a late table has a column of the topic's id");
  const begin = (): OpenSegment<LateRows> =>
    sink.buffer.segment(feed.feed, end, (sizes) => new LateRows(decoder, sizes, topicId));
  const segment = begin();
  if (segment.rows.isCurrent) return segment;
  sink.buffer.closeOpen(feed.key);
  return begin();
}

/** Kafka offsets of rows. */
function offsetsOf(rows: SegmentBuilder, column: string, numbers: readonly number[]): Set<bigint> {
  const offsets = rows.column(column);
  assert(offsets !== null, "rows that may be late have their offset");
  const { words } = offsets;
  return new Set(
    numbers.map((row) => {
      const low = BigInt((words[2 * row] as number) >>> 0);
      return (BigInt(words[2 * row + 1] as number) << 32n) | low;
    }),
  );
}
