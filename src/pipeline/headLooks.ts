/**
 * Looks at the heads of tables without a commit of late: an own empty snapshot goes on a foreign head
 * (SPEC 2.2), and offsets that a person has set are read on from. About once a minute a table; with
 * many tables as often as `LIMITS.headLooksPerSecond` allows, one after the other.
 */
import type { Clock } from "#base/clock.ts";
import { policyOf } from "#base/errors.ts";
import { Heap } from "#base/heap.ts";
import { LIMITS } from "#base/limits.ts";
import type { Feed } from "#base/offsets.ts";
import type { Sink } from "./sink.ts";
import { takesRows } from "./states.ts";

const LOOK_MS = 60_000;

/** Whose turn it is. */
export class HeadLooks {
  readonly #clock: Clock;
  readonly #seekAnew: (feeds: readonly Feed[]) => void;
  readonly #next = new Heap<Sink>();
  #lookedMs = Number.NEGATIVE_INFINITY;

  /** @param seekAnew for feeds whose offsets in the table are not where they were */
  constructor(clock: Clock, seekAnew: (feeds: readonly Feed[]) => void) {
    this.#clock = clock;
    this.#seekAnew = seekAnew;
  }

  /** Takes a table in; its first look comes in a minute. */
  add(sink: Sink): void {
    if (this.#next.keyOf(sink) === undefined) {
      this.#next.set(sink, this.#clock.monotonicMs() + LOOK_MS);
    }
  }

  /** Looks at the table whose turn it is, if it is any's; null: at none. */
  look(): Promise<void> | null {
    const now = this.#clock.monotonicMs();
    const top = this.#next.peek();
    if (top === undefined || top.key > now) return null;
    if (now - this.#lookedMs < 1000 / LIMITS.headLooksPerSecond) return null;
    this.#lookedMs = now;
    this.#next.set(top.item, now + LOOK_MS);
    const sink = top.item;
    if (!takesRows(sink.state)) this.#next.delete(sink);
    if (sink.state.kind !== "running" || sink.pending || sink.writer === null) return null;
    return this.#lookAt(sink).catch((error: unknown) => {
      if (policyOf(error).action !== "again") sink.apply({ kind: "failed", error });
    });
  }

  async #lookAt(sink: Sink): Promise<void> {
    const { writer } = sink;
    if (writer === null) return;
    await writer.refresh();
    const places = [...sink.outlets.values(), ...sink.sides.values()];
    const outlets = places.filter(({ feed }) => feed.epoch > 0);
    const seen = outlets.map(({ committed }) => committed);
    const offsets = await writer.positions(outlets.map(({ feed }) => feed.feed));
    // A commit under way finds out by itself, and a new start has read the table since.
    if (sink.pending) return;
    const moved = outlets.filter(
      ({ committed }, index) => committed === seen[index] && committed !== offsets[index],
    );
    if (moved.length > 0) this.#seekAnew(moved.map(({ feed }) => feed.feed));
  }
}
