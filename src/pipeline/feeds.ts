/**
 * The partitions that this process reads, each with the tables that it fills.
 *
 * A feed has one outlet for each table that its records are for. Each outlet has an end and a committed
 * offset of its own, because tables commit one after the other: the feed is read from the least of
 * them, and what an outlet has already is dropped for it.
 *
 * Beside an outlet there may be side tables (dead letters, late rows), which take the records that its
 * table does not. Together they are one: a start names itself the owner of the feed in all of them, and
 * what a side table has past the outlet's offset was put there before, and is never judged again
 * (`owners.ts`, SPEC 2.8). So a side table that is behind holds nothing back.
 */
import { type Feed, type FeedKey, feedKey, NO_LEADER_EPOCH } from "#base/offsets.ts";
import type { OffsetSet } from "#commit/offsetSet.ts";
import { Watermark } from "#decode/watermark.ts";
import type { SideTable } from "./sides.ts";
import type { Sink } from "./sink.ts";
import type { Source } from "./source.ts";
import { takesRows } from "./states.ts";

/** A table that a topic fills, what makes rows for it, and the tables beside it. */
export interface Target {
  readonly sink: Sink;
  readonly source: Source;
  /** In the order in which they are owned and committed; default: none. */
  readonly sides?: readonly SideTable[];
}

/** Where one table stands in one feed. */
export interface Place {
  readonly feed: FeedRun;
  readonly sink: Sink;
  /** Next offset that the table neither holds nor has buffered. */
  end: bigint;
  /** Next offset by the table, as last seen. */
  committed: bigint;
}

/** One table that one feed fills. */
export interface Outlet extends Place {
  readonly target: Target;
  readonly source: Source;
  /** The side tables that are in use, in their order. */
  readonly sides: Side[];
  /** Records from here on that a side table has, and their end: they are for nobody else. Null: none are. */
  taken: { readonly offsets: OffsetSet; readonly end: bigint } | null;
  /** How far its event times have come since its feed was started; null: nobody asks. */
  readonly watermark: Watermark | null;
  /** True while a batch for it waits for the table's head. */
  waits: boolean;
  /** A record has named it, and it has no first position yet (`routes.ts`). */
  isNew: boolean;
}

/** One side table of an outlet; its rows may lie below its end. */
export interface Side extends Place {
  readonly table: SideTable;
}

/** One assigned partition. */
export interface FeedRun {
  readonly feed: Feed;
  readonly key: FeedKey;
  /** At least one, in the order of the configuration; a further one begins where the first is. */
  readonly outlets: Outlet[];
  /** Of the consumer; 0 until its start offset is known. */
  epoch: number;
  /** Counts how often a start was begun; only the newest one may take effect. */
  starts: number;
  /** Next offset that comes. */
  position: bigint;
  /** Of the last batch that came: the log's leader epoch at the position. */
  leaderEpoch: number;
  /** Whether its tables have been told that it moved, since one of them was sealed last. */
  noted: boolean;
  /**
   * Whether the consumer was told not to read it (`reading.ts`); null: it has not been told since the
   * partition was assigned, and what it was told of an earlier assignment may have reached this one.
   */
  held: boolean | null;
  /** What its next records need is not to be had now: they are read again later, and none until then. */
  waits: boolean;
  /** How often in a row that was so. */
  waitedTimes: number;
}

/** All places of a feed: each outlet with its sides. */
export function placesOf({ outlets }: FeedRun): Place[] {
  return outlets.flatMap((outlet): Place[] => [...outlet.sides, outlet]);
}

/** Next offset that every table of a feed has; tables at their end do not count, nor side tables. */
export function committedOf(run: FeedRun): bigint {
  let least: bigint | null = null;
  for (const { sink, committed } of run.outlets) {
    if (!takesRows(sink.state) && run.outlets.length > 1) continue;
    if (least === null || committed < least) least = committed;
  }
  return least ?? run.outlets[0]?.committed ?? 0n;
}

/** Whether a feed has passed an outlet's end without a row for it; what is sampled or judged is no such row. */
export function lags({ end, feed, source, waits }: Outlet): boolean {
  return feed.epoch > 0 && end < feed.position && source.sampledSinceMs === null && !waits;
}

/** Assigned partitions by key. */
export class Feeds {
  readonly #byKey = new Map<FeedKey, FeedRun>();
  /** Feeds of which somebody has to look whether they are still to be read. */
  readonly changed: Set<FeedRun> = new Set();

  /** Adds partitions that were assigned. */
  add(feeds: readonly Feed[], targetsOf: (topic: string) => readonly Target[]): FeedRun[] {
    return feeds.map((feed) => {
      const key = feedKey(feed);
      const before = this.#byKey.get(key);
      if (before !== undefined) this.#forget(before);
      const outlets: Outlet[] = [];
      const run = {
        feed,
        key,
        outlets,
        epoch: 0,
        starts: 0,
        position: 0n,
        leaderEpoch: NO_LEADER_EPOCH,
        noted: false,
        held: null,
        waits: false,
        waitedTimes: 0,
      };
      for (const target of targetsOf(feed.topic)) this.addOutlet(run, target, false);
      this.#byKey.set(key, run);
      return run;
    });
  }

  /**
   * Adds a table to a feed, behind those that it fills; it takes nothing before the next start.
   * @param isNew a record has named it
   */
  addOutlet(run: FeedRun, target: Target, isNew: boolean): void {
    const { sink, source } = target;
    const { lateness } = source;
    const watermark = lateness === null ? null : new Watermark(lateness.thresholdMs);
    const more = { sides: [], taken: null, watermark, waits: false, isNew };
    const outlet: Outlet = { target, sink, source, ...nowhere(run), ...more };
    run.outlets.push(outlet);
    sink.outlets.set(run.key, outlet);
    for (const table of target.sides ?? []) if (table.isUsed) this.addSide(outlet, table);
  }

  /** Puts a side table that is in use from now on beside an outlet. */
  addSide(outlet: Outlet, table: SideTable): void {
    const { feed } = outlet;
    if (outlet.sides.some((side) => side.table === table)) return;
    const side = { table, sink: table.sink, ...nowhere(feed) };
    outlet.sides.push(side);
    table.sink.sides.set(feed.key, side);
  }

  get(key: FeedKey): FeedRun | undefined {
    return this.#byKey.get(key);
  }

  /** Forgets partitions; returns those that were known. */
  remove(feeds: readonly Feed[]): FeedRun[] {
    const gone = feeds.flatMap((feed) => this.#byKey.get(feedKey(feed)) ?? []);
    for (const run of gone) this.#forget(run);
    return gone;
  }

  /** All assigned partitions. */
  all(): FeedRun[] {
    return [...this.#byKey.values()];
  }

  #forget(run: FeedRun): void {
    this.#byKey.delete(run.key);
    this.changed.delete(run);
    for (const { sink } of placesOf(run)) {
      sink.outlets.delete(run.key);
      sink.sides.delete(run.key);
    }
  }
}

function nowhere(feed: FeedRun): Pick<Place, "feed" | "end" | "committed"> {
  return { feed, end: 0n, committed: 0n };
}
