/**
 * Tables that records themselves name (`iceberg.route_field`): one feed, a table for each value of a field.
 *
 * The first outlet of such a feed is the topic's own table. It takes the records that name none, and it is
 * the memory of the others: a new table begins where it stands (SPEC 2.8). A record that names a table
 * which the feed does not fill yet is not passed: the feed begins anew, with that table, before
 * anything behind the record is read. So a table is there, with its first positions, before a sibling's offset passes
 * the record that named it; a later process finds it in the catalog, by its name and its offsets.
 */
import { describe, policyOf } from "#base/errors.ts";
import type { Feed } from "#base/offsets.ts";
import type { RecordBatch } from "#consumer/consumer.ts";
import type { RecordShare } from "#decode/records.ts";
import type { FeedRun, Feeds, Outlet, Target } from "./feeds.ts";
import type { PipelineParts } from "./pipelineParts.ts";
import type { Sink } from "./sink.ts";
import type { Sinks } from "./sinks.ts";
import { takesRows } from "./states.ts";

/** What each outlet of a feed gets of a batch; null: none of its records. */
export type Shares = readonly (RecordShare | null)[];

/** Records name tables, by what they are called here, that the feed does not fill yet. */
export interface MissingRoutes {
  readonly missing: readonly string[];
}

/** Fans the records of topics out. */
export interface Routing {
  /**
   * As `Decoder.prepare`: what records need before they can say where they go, such as a schema of a
   * registry; null: nothing.
   */
  prepare(batch: RecordBatch): Promise<void> | null;
  /**
   * One share for each outlet, in their order, or what is missing. Throws `batch_corrupt`.
   * @param isClosed the feed takes no further table: records that name one are for nobody
   */
  split(batch: RecordBatch, outlets: readonly Outlet[], isClosed: boolean): Shares | MissingRoutes;
  /**
   * The table of one more route of a topic; the same objects each time.
   * @throws AppError `usage` when it would be one too many
   */
  targetOf(topic: string, route: string): Target;
  /** Routes of a topic that are known without a record. Throws what a catalog throws. */
  find(topic: string): Promise<readonly FoundRoute[]>;
}

/** A route of a topic. */
export interface FoundRoute {
  readonly route: string;
  /** Its table is in the catalog, with offsets of the topic. */
  readonly isThere: boolean;
}

/** Takes new tables into the feeds of a pipeline. */
export class FanOut {
  readonly #parts: Pick<PipelineParts, "route" | "routing" | "logger">;
  readonly #feeds: Feeds;
  readonly #sinks: Sinks;
  readonly #added: (sink: Sink) => void;

  /** @param added told of each table that was taken in */
  constructor(
    parts: Pick<PipelineParts, "route" | "routing" | "logger">,
    feeds: Feeds,
    sinks: Sinks,
    added: (sink: Sink) => void,
  ) {
    this.#parts = parts;
    this.#feeds = feeds;
    this.#sinks = sinks;
    this.#added = added;
  }

  /** Whether records name tables at all. */
  get isOn(): boolean {
    return this.#parts.routing !== undefined;
  }

  /** What a batch needs before it is split; null: nothing. */
  prepare(batch: RecordBatch): Promise<void> | null {
    return this.#parts.routing?.prepare(batch) ?? null;
  }

  /** What each outlet gets of a batch; null where nobody routes. One that cannot be taken apart ends its tables. */
  split(batch: RecordBatch, outlets: readonly Outlet[]): Shares | MissingRoutes | null {
    const { route, routing } = this.#parts;
    const [home] = outlets;
    if (batch.payload === null || home === undefined) return null;
    if (routing === undefined) return route?.(batch, outlets) ?? null;
    try {
      return routing.split(batch, outlets, !takesRows(home.sink.state));
    } catch (error) {
      for (const { sink } of outlets) sink.apply({ kind: "unreadable", error });
      return outlets.map(() => null);
    }
  }

  /**
   * Adds tables that records have named. One that cannot be had ends the reading of the topic's own table, whose
   * offset then stays in front of those records: nothing would tell later where such a table has to begin.
   * @returns feeds that are to be read again
   */
  add(topic: string, routes: readonly string[]): readonly Feed[] {
    for (const route of routes) {
      try {
        this.#take(topic, route, true);
      } catch (error) {
        if (policyOf(error).action !== "stop") throw error;
        for (const run of this.#runsOf(topic)) endHome(run, error);
      }
    }
    return this.#runsOf(topic).map(({ feed }) => feed);
  }

  /**
   * Adds tables of these topics that the catalog has and nobody here knows; the topics that have more now.
   * Throws what a catalog throws.
   */
  async find(topics: Iterable<string>): Promise<ReadonlySet<string>> {
    const grown = new Set<string>();
    const { routing } = this.#parts;
    if (routing === undefined) return grown;
    for (const topic of new Set(topics)) {
      for (const found of await routing.find(topic)) {
        if (this.#takeFound(topic, found)) grown.add(topic);
      }
    }
    return grown;
  }

  #takeFound(topic: string, { route, isThere }: FoundRoute): boolean {
    try {
      return this.#take(topic, route, !isThere);
    } catch (error) {
      if (policyOf(error).action !== "stop") throw error;
      // It has offsets of its own, and is read from them once there is room for it.
      this.#parts.logger.log("error", `Table not read: ${describe(error)}`, { topic });
      return false;
    }
  }

  /** True when the topic fills one more table. */
  #take(topic: string, route: string, isNew: boolean): boolean {
    const target = this.#parts.routing?.targetOf(topic, route);
    if (target === undefined || !this.#sinks.extend(topic, target)) return false;
    for (const run of this.#runsOf(topic)) this.#feeds.addOutlet(run, target, isNew);
    this.#added(target.sink);
    return true;
  }

  #runsOf(topic: string): FeedRun[] {
    return this.#feeds.all().filter(({ feed }) => feed.topic === topic);
  }
}

/** Ends the reading of a feed's first table: what it has is written, its offset stays there. */
export function endHome({ outlets }: FeedRun, error: unknown): void {
  outlets[0]?.sink.apply({ kind: "unreadable", error });
}

/** A batch, or a share of it, for one table. */
export interface Offer {
  readonly outlet: Outlet;
  readonly batch: RecordBatch;
}

/**
 * What the tables of a feed are offered of a batch. Logs of changes are asked before the others: a table must not
 * take what its log refuses, or it would be ahead of it.
 */
export function offersOf(
  batch: RecordBatch,
  shares: Shares | null,
  outlets: readonly Outlet[],
): { readonly logs: readonly Offer[]; readonly others: readonly Offer[] } {
  const logs: Offer[] = [];
  const others: Offer[] = [];
  for (const [index, outlet] of outlets.entries()) {
    const own = shareOf(batch, shares, index);
    if (own === null) continue;
    const offers = outlet.sink.rank === "changes" ? logs : others;
    offers.push({ outlet, batch: own });
  }
  return { logs, others };
}

/** One outlet's share of a batch, the whole of it where nobody routes; null: none of its records. */
function shareOf(batch: RecordBatch, shares: Shares | null, index: number): RecordBatch | null {
  if (shares === null) return batch.payload === null ? null : batch;
  const share = shares[index] ?? null;
  return share === null ? null : { ...batch, ...share };
}
