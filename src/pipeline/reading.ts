/**
 * Which partitions are read: one function says it (`wanted`), and the consumer is told what differs
 * from what it was told before. Only feeds that something happened to are looked at, or all of them
 * when the budget or the phase has changed.
 */
import type { Consumer } from "#consumer/consumer.ts";
import { type FeedRun, type Feeds, placesOf } from "./feeds.ts";
import { takesRows } from "./states.ts";

/** What the pipeline as a whole does. `ending`: what is buffered is flushed, nothing more is read. */
export type Phase = "running" | "ending";

/** What decides about reading beside the feed itself. */
export interface Circumstances {
  readonly phase: Phase;
  /** The buffer is full. */
  readonly isFull: boolean;
}

/**
 * Whether a feed is to be read: while there is room, a table takes its rows, what its next records need
 * is not waited for, and no person holds one of its tables, whose rows would otherwise pile up. A table
 * at its end does not stop the others. While a feed begins, what comes of it would be thrown away.
 */
export function wanted(run: FeedRun, { phase, isFull }: Circumstances): boolean {
  if (phase !== "running" || isFull || run.waits || run.epoch === 0) return false;
  const isPaused = placesOf(run).some(({ sink }) => sink.state.kind === "paused");
  return !isPaused && run.outlets.some(({ sink }) => takesRows(sink.state));
}

/** Tells the consumer what to read. */
export class Reading {
  readonly #consumer: Pick<Consumer, "pause" | "resume">;
  readonly #feeds: Feeds;
  #seen: Circumstances = { phase: "running", isFull: false };

  constructor(consumer: Pick<Consumer, "pause" | "resume">, feeds: Feeds) {
    this.#consumer = consumer;
    this.#feeds = feeds;
  }

  /** Compares what is wanted with what the consumer was told. */
  compare(now: Circumstances): void {
    const { changed } = this.#feeds;
    const isOther = now.phase !== this.#seen.phase || now.isFull !== this.#seen.isFull;
    this.#seen = now;
    if (!isOther && changed.size === 0) return;
    const looked = isOther ? this.#feeds.all() : [...changed];
    changed.clear();
    const differing = looked.filter((run) => run.held !== !wanted(run, now));
    for (const run of differing) run.held = !wanted(run, now);
    const keys = (held: boolean) =>
      differing.filter((run) => run.held === held).map(({ key }) => key);
    const [pause, resume] = [keys(true), keys(false)];
    if (pause.length > 0) this.#consumer.pause(pause);
    if (resume.length > 0) this.#consumer.resume(resume);
  }
}
