/**
 * The newest position observations of the consumer, for lag and status.
 */
import type { Observation } from "#base/events.ts";

/** What is known of one partition's log. */
export type KnownPosition = Extract<Observation, { type: "position" }>;

/** Keeps the newest position of each partition. */
export class Positions {
  readonly #known = new Map<string, KnownPosition>();

  /** Takes an observation; others than positions are ignored. */
  observe(observation: Observation): void {
    if (observation.type === "position") {
      this.#known.set(`${observation.topic}/${observation.partition}`, observation);
    } else if (observation.type === "revoked") {
      this.#known.delete(`${observation.topic}/${observation.partition}`);
    }
  }

  of(topic: string, partition: number): KnownPosition | undefined {
    return this.#known.get(`${topic}/${partition}`);
  }
}
