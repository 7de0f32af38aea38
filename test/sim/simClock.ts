/**
 * Time that passes only when the schedule says so.
 */
import type { Clock } from "#base/clock.ts";

interface Timer {
  readonly atMs: number;
  readonly fire: () => void;
}

/** A clock with its timers. */
export class SimClock implements Clock {
  #nowMs: number;
  #timers: Timer[] = [];
  readonly onAdvance: (nowMs: number) => void;

  constructor(startMs: number, onAdvance: (nowMs: number) => void) {
    this.#nowMs = startMs;
    this.onAdvance = onAdvance;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  turn(): Promise<void> {
    return Promise.resolve();
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) {
        resolve();
        return;
      }
      const timer = { atMs: this.#nowMs + Math.max(1, ms), fire: resolve };
      this.#timers.push(timer);
      const abort = (): void => {
        this.#timers = this.#timers.filter((each) => each !== timer);
        resolve();
      };
      signal?.addEventListener("abort", abort, { once: true });
    });
  }

  /** Goes to `ms` from now and fires what is due, earliest first. */
  advance(ms: number): void {
    const end = this.#nowMs + ms;
    for (;;) {
      const due = this.#timers.filter((timer) => timer.atMs <= end);
      const first = due.sort((a, b) => a.atMs - b.atMs)[0];
      if (first === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== first);
      this.#nowMs = Math.max(this.#nowMs, first.atMs);
      first.fire();
    }
    this.#nowMs = end;
    this.onAdvance(this.#nowMs);
  }
}
