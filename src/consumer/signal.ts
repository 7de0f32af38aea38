/**
 * Lets loops sleep until something changed or a time has passed.
 */
import type { Clock } from "#base/clock.ts";

/** Long enough to mean "until it fires"; the longest that timers take. */
const FOREVER_MS = 2 ** 31 - 1;

/** Wakes everyone who waits, each time that it fires; a firing nobody waits for is forgotten. */
export class Signal {
  private readonly clock: Clock;
  private current: AbortController | null = null;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  fire(): void {
    const fired = this.current;
    this.current = null;
    fired?.abort();
  }

  /** Resolves at the next firing, or after `ms` when given. */
  wait(ms: number = FOREVER_MS): Promise<void> {
    this.current ??= new AbortController();
    return this.clock.sleep(Math.min(ms, FOREVER_MS), this.current.signal);
  }
}
