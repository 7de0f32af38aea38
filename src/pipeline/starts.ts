/**
 * Bringing feeds to their start: after an assignment, and again whenever they were fenced.
 *
 * A feed is read from the least offset of its tables, once all of them have said theirs: the first
 * one by the policy, a further one where the first stands (SPEC 2.5, 2.8). A table that has stopped
 * does not hold its feeds up.
 */
import { describe, kindOf, policyOf } from "#base/errors.ts";
import {
  type Feed,
  type FeedKey,
  type FeedOffset,
  feedKey,
  NO_LEADER_EPOCH,
} from "#base/offsets.ts";
import { backoffMs } from "#base/retry.ts";
import type { OffsetSet } from "#commit/offsetSet.ts";
import type { TableWriter } from "#writer/tableWriter.ts";
import type { FeedRun, Feeds, Place } from "./feeds.ts";
import { formerSides, own } from "./owners.ts";
import type { PipelineOptions, PipelineParts } from "./pipelineParts.ts";
import { endHome, type FanOut } from "./routes.ts";
import type { Sink } from "./sink.ts";
import { type Sinks, takersOf } from "./sinks.ts";
import { startOffsets } from "./start.ts";
import { takesRows } from "./states.ts";

/** Where tables stand in the feeds of a start, and what of them is for no table any more. */
interface Found {
  readonly positions: Map<Sink, Map<FeedKey, FeedOffset>>;
  readonly taken: Map<Sink, ReadonlyMap<FeedKey, OffsetSet>>;
}

const START_BACKOFF = { retriesMax: 0, baseDelayMs: 100, delayMsMax: 5000 };

/** Starts the feeds of one pipeline. */
export class Starts {
  /** Topics known when the group was joined. */
  initialTopics: ReadonlySet<string> = new Set();
  readonly #parts: PipelineParts;
  readonly #policy: PipelineOptions["start"];
  readonly #feeds: Feeds;
  readonly #sinks: Sinks;
  readonly #signal: AbortSignal;
  readonly #underWay: Set<Promise<void>> = new Set();
  readonly #started: () => void;
  readonly #fanOut: FanOut;

  /**
   * @param signal ends every start under way
   * @param started called before anything is read of feeds that have started
   */
  constructor(
    parts: PipelineParts,
    policy: PipelineOptions["start"],
    feeds: Feeds,
    sinks: Sinks,
    signal: AbortSignal,
    started: () => void,
    fanOut: FanOut,
  ) {
    this.#fanOut = fanOut;
    this.#parts = parts;
    this.#policy = policy;
    this.#feeds = feeds;
    this.#sinks = sinks;
    this.#signal = signal;
    this.#started = started;
  }

  /** Fenced feeds lose their rows in all their tables, and take no more until they have begun anew (SPEC 2.3). */
  fence(fenced: readonly Feed[]): void {
    this.#sinks.drop(this.#halt(fenced), true);
  }

  /** Feeds start again from what their tables say. */
  seekAnew(feeds: readonly Feed[]): void {
    const runs = this.#halt(feeds);
    this.#sinks.drop(runs);
    this.begin(runs);
  }

  /** Nothing more is taken of these feeds, nor from a start under way. */
  #halt(feeds: readonly Feed[]): FeedRun[] {
    const runs = this.#runsOf(feeds);
    for (const run of runs) {
      run.epoch = 0;
      run.starts++;
      this.#feeds.changed.add(run);
    }
    return runs;
  }

  /** Starts feeds; retries for as long as they are ours and nobody starts them anew. */
  begin(runs: readonly FeedRun[]): void {
    for (const group of byKin(runs)) {
      const kept = this.#begin(group).finally(() => this.#underWay.delete(kept));
      this.#underWay.add(kept);
    }
  }

  /** Resolves when no start is under way: soon after the signal. */
  async ended(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
  }

  #runsOf(feeds: readonly Feed[]): FeedRun[] {
    return [...new Set(feeds.flatMap((feed) => this.#feeds.get(feedKey(feed)) ?? []))];
  }

  async #begin(runs: readonly FeedRun[]): Promise<void> {
    const { clock, random } = this.#parts;
    const tickets = runs.map((run) => ({ run, ticket: ++run.starts }));
    const mine = (): FeedRun[] =>
      tickets
        .filter(({ run, ticket }) => this.#feeds.get(run.key) === run && run.starts === ticket)
        .map(({ run }) => run);
    for (let tries = 0; !this.#signal.aborted; tries++) {
      if (takersOf(mine()).length === 0 || (await this.#startOnce(mine))) return;
      await clock.sleep(backoffMs(START_BACKOFF, tries, random), this.#signal);
    }
  }

  /** Finds where the tables of these feeds stand, and lets the consumer read. False: not yet. */
  async #startOnce(mine: () => readonly FeedRun[]): Promise<boolean> {
    const found: Found = { positions: new Map(), taken: new Map() };
    for (const turn of turnsOf(mine())) {
      if (takesRows(turn.sink.state) && !(await this.#place(turn, found))) return false;
    }
    const grown = await this.#findRoutes(mine());
    if (grown !== "none") return grown === "more" && this.#startOnce(mine);
    // A flush that was held says by itself when it has gone through.
    for (const sink of found.positions.keys())
      if (!sink.sealed) sink.apply({ kind: "went_through" });
    this.#read(mine(), found);
    return true;
  }

  /** Finds where one table stands. False: the start is tried again. */
  async #place(turn: Turn, found: Found): Promise<boolean> {
    const { sink } = turn;
    try {
      const offsets = await this.#offsetsOf(turn, found.positions);
      // An earlier process has used the side tables: what they have counts.
      if (offsets.some(({ owner }) => owner !== undefined)) this.#useSides(turn);
      note(found, sink, await this.#owned(turn, found, offsets));
    } catch (error) {
      if (!this.#isFinal(sink, error)) return false;
      // Nothing would tell later where it has to begin.
      for (const run of turn.runs) if (sink.outlets.get(run.key)?.isNew) endHome(run, error);
    }
    return true;
  }

  /**
   * Takes the side tables of a table into use. Its other feeds begin anew: they are read without an owner,
   * and what they put aside from now on would be nobody's.
   */
  #useSides({ sink, runs }: Turn): void {
    if (!this.#sinks.useSides(sink)) return;
    const others = [...sink.outlets.values()].map(({ feed }) => feed);
    this.seekAnew(others.filter((run) => !runs.includes(run)).map(({ feed }) => feed));
  }

  /**
   * Looks for tables that records have named before: after their siblings' offsets were read, since a
   * table is there before any of those passes the record that named it.
   */
  async #findRoutes(runs: readonly FeedRun[]): Promise<"none" | "more" | "later"> {
    try {
      const grown = await this.#fanOut.find(runs.map(({ feed }) => feed.topic));
      return grown.size > 0 ? "more" : "none";
    } catch (error) {
      const sinks = new Set(runs.flatMap(({ outlets }) => outlets[0]?.sink ?? []));
      let isFinal = true;
      for (const sink of sinks) isFinal = this.#isFinal(sink, error) && isFinal;
      return isFinal ? "none" : "later";
    }
  }

  /** Where one table stands; the tables before it have said where they do. */
  async #offsetsOf(
    { sink, runs, isFirst }: Turn,
    positions: ReadonlyMap<Sink, unknown>,
  ): Promise<FeedOffset[]> {
    const { consumer } = this.#parts;
    const writer = await sink.open();
    const elder = isFirst ? null : { writer: elderOf(runs, positions) };
    const policy = { ...this.#policy, initialTopics: this.initialTopics };
    const feeds = runs.map(({ feed }) => feed);
    return await startOffsets(consumer, writer, policy, feeds, elder);
  }

  /** The same offsets, owned by this start where side tables are in use, or were. */
  async #owned(
    { sink, runs }: Turn,
    found: Found,
    offsets: readonly FeedOffset[],
  ): Promise<readonly FeedOffset[]> {
    const tables = new Set(
      runs.flatMap(({ key }) => sink.outlets.get(key)?.sides ?? []).map(({ table }) => table),
    );
    const { writer: main } = sink;
    const sides = [...tables];
    const former = await formerSides(sink, offsets, sides);
    if ((sides.length === 0 && former.length === 0) || main === null) return offsets;
    const feeds = offsets.map(({ feed }) => feed);
    const owned = await own({ main, sides, former }, feeds, this.#parts.random.uuid());
    for (const [table, places] of owned.sides) note(found, table.sink, places);
    found.taken.set(sink, owned.taken);
    return owned.offsets;
  }

  /** True when a table stops for this error; else the start is tried again. */
  #isFinal(sink: Sink, error: unknown): boolean {
    if (policyOf(error).action !== "again") {
      sink.apply({ kind: "unreadable", error });
      return true;
    }
    const isPaused = kindOf(error) === "paused";
    sink.apply(isPaused ? { kind: "paused" } : { kind: "held", cause: error });
    const what = `Table not ready: ${describe(error)}`;
    this.#parts.logger.log("warn", what, { table: sink.name });
    return false;
  }

  /** Reads each feed from the least offset of its tables. */
  #read(runs: readonly FeedRun[], found: Found): void {
    const { consumer } = this.#parts;
    this.#sinks.drop(runs);
    const begin: FeedOffset[] = [];
    for (const run of runs) {
      const least = placeOutlets(run, found);
      if (least === null) continue;
      run.position = least.offset;
      run.leaderEpoch = least.leaderEpoch ?? NO_LEADER_EPOCH;
      run.noted = false;
      begin.push({ ...least, feed: run.feed });
    }
    consumer.start(begin);
    for (const run of this.#runsOf(begin.map(({ feed }) => feed))) {
      run.epoch = consumer.epoch(run.key);
      this.#feeds.changed.add(run);
    }
    this.#started();
  }
}

function note({ positions }: Found, sink: Sink, offsets: readonly FeedOffset[]): void {
  const known = positions.get(sink) ?? new Map<FeedKey, FeedOffset>();
  for (const each of offsets) known.set(feedKey(each.feed), each);
  positions.set(sink, known);
}

/** Puts each outlet of a feed that takes rows where it stands; the least of these offsets. */
function placeOutlets(run: FeedRun, { positions, taken }: Found): FeedOffset | null {
  let least: FeedOffset | null = null;
  for (const outlet of run.outlets) {
    const { sink, sides } = outlet;
    const at = positions.get(sink)?.get(run.key);
    if (at === undefined || !takesRows(sink.state)) continue;
    const offsets = taken.get(sink)?.get(run.key);
    outlet.taken = offsets === undefined ? null : { offsets, end: offsets.end };
    outlet.isNew = false;
    outlet.watermark?.reset();
    for (const place of [outlet, ...sides]) stand(place, positions.get(place.sink)?.get(run.key));
    if (least === null || at.offset < least.offset) least = at;
  }
  return least;
}

/** A table begins where it stands. */
function stand(place: Place, at: FeedOffset | undefined): void {
  if (at === undefined) return;
  place.end = at.offset;
  place.committed = at.offset;
  if (at.owner === undefined) place.sink.owners.delete(place.feed.key);
  else place.sink.owners.set(place.feed.key, at.owner);
}

/** A table with the feeds that have it at one place of their outlets. */
interface Turn {
  readonly sink: Sink;
  readonly runs: FeedRun[];
  readonly isFirst: boolean;
}

/** The tables in the order of the outlets: a further one asks where an earlier one stands. */
function turnsOf(runs: readonly FeedRun[]): Turn[] {
  const turns: Turn[] = [];
  const most = Math.max(0, ...runs.map(({ outlets }) => outlets.length));
  for (let place = 0; place < most; place++) {
    const here = new Map<Sink, Turn>();
    for (const run of runs) {
      const sink = run.outlets[place]?.sink;
      if (sink === undefined) continue;
      const turn = here.get(sink) ?? { sink, runs: [], isFirst: place === 0 };
      turn.runs.push(run);
      here.set(sink, turn);
    }
    turns.push(...here.values());
  }
  return turns;
}

/** The writer of the first table of these feeds that has said where it stands. */
function elderOf(
  runs: readonly FeedRun[],
  positions: ReadonlyMap<Sink, unknown>,
): TableWriter | null {
  const outlets = runs.flatMap((run) => run.outlets);
  return outlets.find(({ sink }) => positions.has(sink))?.sink.writer ?? null;
}

/** Feeds whose tables have to do with each other. */
function byKin(runs: readonly FeedRun[]): FeedRun[][] {
  const groups = new Map<readonly Sink[], FeedRun[]>();
  for (const run of runs) {
    const kin = run.outlets[0]?.sink.kin ?? [];
    const group = groups.get(kin);
    if (group === undefined) groups.set(kin, [run]);
    else group.push(run);
  }
  return [...groups.values()];
}
