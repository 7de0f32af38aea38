/**
 * Rejected records on their way into the dead-letter table beside theirs (SPEC 2.8, section 10): in the
 * same turn in which the good ones of their batch become rows, so that both are in one cut.
 */
import type { Feed } from "#base/offsets.ts";
import type { RecordBatch } from "#consumer/consumer.ts";
import type { Decoder, Rejected } from "#decode/decoder.ts";
import { LETTER_COORDINATES, LETTER_FIELDS, LetterRows } from "#decode/letters.ts";
import type { Outlet, Side } from "./feeds.ts";
import type { SideTable } from "./sides.ts";
import type { Sink } from "./sink.ts";

/** Encoded texts by table: its segments share them. */
const texts = new WeakMap<Sink, Map<string, Uint8Array>>();

/** The columns of a dead-letter table, for its sink: what its owner adds is null in new rows. */
export const LETTER_COLUMNS: Pick<Decoder, "fields" | "declared" | "own" | "adopt"> = {
  fields: LETTER_FIELDS,
  declared: [],
  own: LETTER_FIELDS,
  adopt: () => undefined,
};

/** The dead-letter table of a table, not in use yet. */
export function deadLetters(sink: Sink): SideTable {
  return {
    kind: "dead_letter",
    sink,
    coordinates: LETTER_COORDINATES,
    topicOf: ({ topicId }: Feed) => topicId,
    isUsed: false,
  };
}

/** The dead-letter table of an outlet; null: it has none, or none is in use. */
export function letterSide({ sides }: Outlet): Side | null {
  return sides.find(({ table }) => table.kind === "dead_letter") ?? null;
}

/** Appends the rejected records of a batch, all or none, whose place may lie below where the table stands. */
export function putAside(
  side: Side,
  { feed, nextOffset, leaderEpoch }: Pick<RecordBatch, "feed" | "nextOffset" | "leaderEpoch">,
  rejected: readonly Rejected[],
  nowMs: number,
): void {
  const { sink } = side;
  const known = texts.get(sink) ?? new Map<string, Uint8Array>();
  texts.set(sink, known);
  const segment = sink.buffer.segment(
    feed,
    side.end,
    (expected) => new LetterRows(expected, known),
  );
  const before = segment.rows.rowCount;
  try {
    for (const each of rejected) segment.rows.append(each, feed.topicId, nowMs);
  } catch (error) {
    segment.rows.truncate(before);
    throw error;
  }
  side.end = nextOffset > side.end ? nextOffset : side.end;
  sink.buffer.advance(segment, side.end, leaderEpoch);
}
