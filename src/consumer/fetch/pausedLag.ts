/**
 * The lag of paused partitions. Nobody fetches them, so the ends of their logs are asked for, every two
 * seconds for as long as any is paused.
 */
import type { Clock } from "#base/clock.ts";
import type { Observe } from "#base/events.ts";
import type { Feed } from "#base/offsets.ts";
import type { LogBounds } from "#consumer/consumer.ts";
import type { Partition, Partitions } from "./partitions.ts";

const LOOK_MS = 2000;

/** The parts that come in. */
export interface PausedLagParts {
  readonly clock: Clock;
  readonly observe: Observe;
  readonly partitions: Partitions;
}

/** Looks at paused partitions. */
export class PausedLag {
  private readonly parts: PausedLagParts;
  private readonly bounds: (feeds: readonly Feed[]) => Promise<LogBounds[]>;
  private readonly onTrouble: (error: unknown) => void;
  private watching = false;
  private stopped = false;

  /** @param bounds asks the brokers for the bounds of logs */
  constructor(
    parts: PausedLagParts,
    bounds: (feeds: readonly Feed[]) => Promise<LogBounds[]>,
    onTrouble: (error: unknown) => void,
  ) {
    this.parts = parts;
    this.bounds = bounds;
    this.onTrouble = onTrouble;
  }

  /** Begins to look, until no partition is paused any more. */
  watch(): void {
    if (!this.watching) void this.loop();
  }

  /** Looks no more. */
  stop(): void {
    this.stopped = true;
  }

  private async loop(): Promise<void> {
    this.watching = true;
    while (!this.stopped && this.parts.partitions.all().some(({ paused }) => paused)) {
      await this.look().catch((error: unknown) => this.onTrouble(error));
      await this.parts.clock.sleep(LOOK_MS);
    }
    this.watching = false;
  }

  private async look(): Promise<void> {
    const isWaiting = ({ paused, state }: Partition): boolean => paused && state === "reading";
    const waiting = this.parts.partitions.all().filter(isWaiting);
    const bounds = await this.bounds(waiting.map(({ feed }) => feed));
    for (const [index, partition] of waiting.entries()) {
      const found = bounds[index];
      if (found === undefined || !isWaiting(partition)) continue;
      const { highWatermark, lastStableOffset } = found;
      const { position, timestampMs } = partition;
      const { topic, partition: number } = partition.feed;
      const where = { topic, partition: number, position, timestampMs };
      this.parts.observe({ type: "position", ...where, highWatermark, lastStableOffset });
    }
  }
}
