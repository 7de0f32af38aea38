/**
 * The tables of a pipeline, and what is known of all of them together: kept up to date as they
 * change, so that nobody walks over a thousand of them to find out about one.
 */
import { AppError, policyOf } from "#base/errors.ts";
import type { FeedRun, Feeds, Target } from "./feeds.ts";
import type { SideTable } from "./sides.ts";
import type { Sink } from "./sink.ts";
import { type TableEvent, type TableState, takesRows } from "./states.ts";

/** All tables. */
export class Sinks implements Iterable<Sink> {
  /** Tables whose rows or flush have changed since they were looked at last (`Pipeline.#look`). */
  readonly touched: Set<Sink> = new Set();
  readonly #all = new Set<Sink>();
  /** Topics that feed no table, and why: their partitions are not read. */
  readonly refused: Map<string, AppError> = new Map();
  /** Tables that a second or later topic has come to since {@link takeShared}. */
  readonly #shared = new Set<Sink>();
  readonly #topics = new Map<string, Target[]>();
  /** The table that each side table is beside. */
  readonly #mains = new Map<Sink, Sink>();
  /** The log of a table's changes by the table, and the table by its log. */
  readonly #twins = new Map<Sink, Sink>();
  readonly #targetsOf: (topic: string) => readonly Target[];
  readonly #feeds: Feeds;
  readonly #stopped: (sink: Sink) => void;
  readonly #refuses: (topic: string, error: AppError) => void;
  #running = 0;
  #retrying = 0;
  #flushBytes = 0;

  /**
   * @param targetsOf the tables that a topic fills, in their order; the same objects each time. Where it
   * throws what stops, the topic feeds none
   * @param stopped called after a table has stopped
   * @param refuses called once for each topic that feeds none
   */
  constructor(
    targetsOf: (topic: string) => readonly Target[],
    feeds: Feeds,
    stopped: (sink: Sink) => void,
    refuses: (topic: string, error: AppError) => void,
  ) {
    this.#targetsOf = targetsOf;
    this.#feeds = feeds;
    this.#stopped = stopped;
    this.#refuses = refuses;
  }

  [Symbol.iterator](): Iterator<Sink> {
    return this.#all[Symbol.iterator]();
  }

  get size(): number {
    return this.#all.size;
  }

  /** Tables that have not stopped. */
  get running(): number {
    return this.#running;
  }

  /** Tables whose catalog or store is away. */
  get retrying(): number {
    return this.#retrying;
  }

  /** Bytes at which each table is flushed before its time, of all together. */
  get flushBytes(): number {
    return this.#flushBytes;
  }

  /** The tables that a topic fills; they are taken in at the first question. */
  of(topic: string): readonly Target[] {
    const known = this.#topics.get(topic);
    if (known !== undefined) return known;
    const targets = [...this.#askFor(topic)];
    this.#topics.set(topic, targets);
    this.#takeIn(topic, targets, targets);
    return targets;
  }

  /** A topic fills one table more; false when it does already, or is not known. */
  extend(topic: string, target: Target): boolean {
    const targets = this.#topics.get(topic);
    if (targets === undefined || targets.some(({ sink }) => sink === target.sink)) return false;
    targets.push(target);
    this.#takeIn(topic, [target], targets);
    return true;
  }

  /** @param all the topic's tables */
  #takeIn(topic: string, more: readonly Target[], all: readonly Target[]): void {
    for (const { sink, source } of more) {
      sink.sources.add(source);
      sink.topics.add(topic);
      // Side tables are shared by intention.
      if (sink.topics.size > 1 && sink.rank === "main") this.#shared.add(sink);
      this.#add(sink);
    }
    this.#relate(all.map(({ sink }) => sink));
    this.#pair(all);
    for (const { sink, sides = [] } of more) {
      for (const side of sides) if (side.isUsed) this.#useSide(sink, side);
    }
  }

  /** A log of changes is of the first table of its topic. */
  #pair([first, ...others]: readonly Target[]): void {
    const log = others.find(({ sink }) => sink.rank === "changes");
    if (first === undefined || log === undefined) return;
    this.#twins.set(first.sink, log.sink).set(log.sink, first.sink);
  }

  /** A topic whose table cannot be never stops the others. */
  #askFor(topic: string): readonly Target[] {
    try {
      return this.#targetsOf(topic);
    } catch (error) {
      if (!(error instanceof AppError) || policyOf(error).action !== "stop") throw error;
      this.refused.set(topic, error);
      this.#refuses(topic, error);
      return [];
    }
  }

  /** The tables in which topics have met since the last call; each is answered once per such meeting. */
  takeShared(): readonly Sink[] {
    const shared = [...this.#shared];
    this.#shared.clear();
    return shared;
  }

  /**
   * Drops what the tables of these feeds have not begun to write. What a table at its end has read may
   * exist nowhere else by now, and it takes nothing more: its next commit asks the head about it.
   * @param isFenced the head has answered; default false
   */
  drop(runs: readonly FeedRun[], isFenced = false): void {
    for (const { key, outlets } of runs) {
      for (const { sink, source, sides } of outlets) {
        if (sink.state.kind === "draining" && !isFenced) continue;
        source.drop(key);
        for (const each of [sink, ...sides.map((side) => side.sink)]) {
          each.drop(key);
          this.touched.add(each);
        }
      }
    }
  }

  /**
   * Takes the side tables of a table into use, for each of its feeds; they begin with the next start, so
   * that nothing more may be read of a feed before. False: they have been in use.
   */
  useSides(main: Sink): boolean {
    let isNew = false;
    for (const { target } of main.outlets.values()) {
      for (const table of target.sides ?? []) {
        if (table.isUsed) continue;
        this.#useSide(main, table);
        isNew = true;
      }
    }
    return isNew;
  }

  #useSide(main: Sink, table: SideTable): void {
    table.isUsed = true;
    this.#add(table.sink);
    for (const topic of main.topics) table.sink.topics.add(topic);
    this.#relate([...main.kin, table.sink]);
    for (const outlet of main.outlets.values()) this.#feeds.addSide(outlet, table);
    this.#mains.set(table.sink, main);
  }

  #add(sink: Sink): void {
    if (this.#all.has(sink)) return;
    this.#all.add(sink);
    this.#count(sink, sink.state, 1);
    this.#flushBytes += sink.policy.bytesMax;
    sink.changed = (before, event) => this.#changed(sink, before, event);
  }

  /** Tables of one topic are kin, and so are the kin of each of them. */
  #relate(tables: readonly Sink[]): void {
    if (tables.length === 1) return;
    const kin = [...new Set(tables.flatMap((sink) => sink.kin))];
    for (const sink of kin) sink.kin = kin;
  }

  #changed(sink: Sink, before: TableState, event: TableEvent): void {
    this.#count(sink, before, -1);
    this.#count(sink, sink.state, 1);
    this.touched.add(sink);
    const places = [...sink.outlets.values(), ...sink.sides.values()];
    for (const { feed } of places) this.#feeds.changed.add(feed);
    this.#endTwin(sink, event);
    if (sink.state.kind !== "stopped") return;
    for (const { feed } of places) sink.drop(feed.key);
    // What it lost may not be passed: its records are read again when it can be written again.
    this.#mains.get(sink)?.apply({ kind: "failed", error: sink.state.error });
    this.#stopped(sink);
  }

  /**
   * A table and the log of its changes end together: neither goes on where the other cannot. The log may be ahead of
   * its table, never behind, so that it always writes what it has, and its table only what the log writes too.
   */
  #endTwin(sink: Sink, event: TableEvent): void {
    const twin = this.#twins.get(sink);
    // Who was `drained` had all of it written.
    if (twin === undefined || (event.kind !== "unreadable" && event.kind !== "failed")) return;
    const [main, log] = sink.rank === "changes" ? [twin, sink] : [sink, twin];
    if (event.kind === "unreadable") this.#dropUnlogged(main, log);
    if (sink === log) main.apply(event);
    else log.apply({ kind: "unreadable", error: event.error });
  }

  /** Drops what a table has of feeds of which the log of its changes has less: it is read again, by both. */
  #dropUnlogged(main: Sink, log: Sink): void {
    for (const [key, { source, sides, end }] of main.outlets) {
      const logged = log.outlets.get(key)?.end ?? end;
      if (end <= logged) continue;
      source.drop(key);
      for (const each of [main, ...sides.map((side) => side.sink)]) each.drop(key);
    }
  }

  #count({ rank }: Sink, { kind }: TableState, sign: 1 | -1): void {
    // A side table does not go on without its table; the log of its changes is written to its end.
    const isOwn = rank === "main" || rank === "changes";
    if (kind !== "stopped" && isOwn) this.#running += sign;
    if (kind === "retrying") this.#retrying += sign;
  }
}

/** Tables of these feeds that still take rows. */
export function takersOf(runs: readonly FeedRun[]): Sink[] {
  const sinks = new Set(runs.flatMap(({ outlets }) => outlets.map(({ sink }) => sink)));
  return [...sinks].filter(({ state }) => takesRows(state));
}
