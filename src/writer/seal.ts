/**
 * Sealed segments -> what a flush is to write: per feed one contiguous offset range with its rows.
 */
import { assert } from "#base/assert.ts";
import { feedKey } from "#base/offsets.ts";
import type { FeedFlush, SealedSegment } from "./parts.ts";

/** Joins segments by feed, in the order in which they were sealed. */
export function joinSegments(segments: readonly SealedSegment[]): FeedFlush[] {
  const byFeed = new Map<string, SealedSegment[]>();
  for (const segment of segments) {
    const key = feedKey(segment.range.feed);
    const run = byFeed.get(key) ?? [];
    const last = run.at(-1);
    assert(
      segment.range.end >= segment.range.start,
      "an offset range does not end before it starts",
    );
    assert(
      last === undefined || last.range.end === segment.range.start,
      "segments of one feed follow each other without a gap",
    );
    run.push(segment);
    byFeed.set(key, run);
  }
  const flushes: FeedFlush[] = [];
  for (const run of byFeed.values()) {
    const first = run[0];
    const last = run.at(-1);
    if (first === undefined || last === undefined) continue;
    const batches = run.flatMap(({ batch }) =>
      batch === null || batch.rowCount === 0 ? [] : [batch],
    );
    flushes.push({
      feed: first.range.feed,
      start: first.range.start,
      end: last.range.end,
      leaderEpoch: last.range.leaderEpoch,
      batches,
    });
  }
  return flushes;
}
