/**
 * Side tables: what takes the records of a table's feeds that its own rows may not be (SPEC 2.8).
 *
 * A side table comes into use with the first record for it, or when the table says that its feed has an
 * owner: an earlier process has used one, and may have put records into it that the table's offset has
 * not passed. Until then it does not exist, and its table is committed as if there were none.
 */
import type { Feed } from "#base/offsets.ts";
import type { Field } from "#columns/schema.ts";
import type { CoordinateColumns } from "#commit/liveRows.ts";
import type { Sink } from "./sink.ts";

/** One side table of a table. */
export interface SideTable {
  readonly kind: "dead_letter" | "late";
  readonly sink: Sink;
  /** Of a late table: the column that its rows have beside those of its table. */
  readonly topicId?: Field;
  /** Columns by which its rows name their records. */
  readonly coordinates: CoordinateColumns;
  /** What the column of the topic holds for a feed; "" without that column. */
  readonly topicOf: (feed: Feed) => string;
  /** Whether it is in use; never taken back. */
  isUsed: boolean;
}
