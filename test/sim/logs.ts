/**
 * What the simulation's broker has of a partition: the topic's log, whose leader moves every so many
 * offsets, or, when that was lost, another one under a later leader that is longer than it.
 */
import { NO_LEADER_EPOCH } from "#base/offsets.ts";
import type { Topic } from "./rows.ts";
import { rowNumber } from "./rows.ts";
import type { World } from "./world.ts";

/** Offsets under one leader. */
const LEADER_OFFSETS = 16n;
const NEW_LEADER = 100;
const NEW_LOG_END = 60;
/** Distance of a new record's number from that of the old one at its offset. */
const NEW_RECORDS = 500;

/** A partition's log as it is served. */
export class ServedLog {
  readonly #world: World;
  readonly #topic: Topic;
  readonly #partition: number;

  constructor(world: World, topic: Topic, partition: number) {
    this.#world = world;
    this.#topic = topic;
    this.#partition = partition;
  }

  get #isNew(): boolean {
    return this.#world.lost === this.#partition && this.#topic === this.#world.topic;
  }

  get end(): bigint {
    if (this.#isNew) return BigInt(NEW_LOG_END);
    return this.#world.logEnd(this.#partition, this.#topic);
  }

  /** Offsets that hold a record. */
  get offsets(): readonly number[] {
    if (this.#isNew) return [...Array(NEW_LOG_END).keys()];
    return this.#topic.records[this.#partition] ?? [];
  }

  /** The number of the record at an offset. */
  numberAt(offset: number): number {
    return rowNumber(this.#topic, offset) + (this.#isNew ? NEW_RECORDS : 0);
  }

  /** Leader epoch of the record below a position; some are unknown where that does no harm. */
  epochBelow(position: bigint): number {
    if (this.#isNew) return NEW_LEADER;
    if (!this.#world.mayLoseLogs && position % 9n === 4n) return NO_LEADER_EPOCH;
    return Number((position - 1n) / LEADER_OFFSETS);
  }

  /** Where the log parts from one that was read up to `position`; null: it does not, or nothing is known. */
  divergesAt(position: bigint, leaderEpoch: number): bigint | null {
    if (leaderEpoch === NO_LEADER_EPOCH || position === 0n) return null;
    const isOld = leaderEpoch < NEW_LEADER;
    if (this.#isNew) return isOld ? 0n : null;
    const end = BigInt(leaderEpoch + 1) * LEADER_OFFSETS;
    return end < position ? end : null;
  }
}
