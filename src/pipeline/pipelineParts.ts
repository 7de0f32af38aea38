/**
 * What a pipeline is made of: its ports and its settings.
 */
import type { Clock } from "#base/clock.ts";
import type { Observe } from "#base/events.ts";
import type { Logger } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import type { Consumer } from "#consumer/consumer.ts";
import type { RejectOptions } from "./rejects.ts";
import type { StartPolicy } from "./start.ts";
import type { TableRun } from "./tableRun.ts";

/** Settings of one pipeline; tables have their own. */
export interface PipelineOptions {
  readonly name: string;
  readonly start: Omit<StartPolicy, "initialTopics">;
  /** Half of Kafka's rebalance timeout: how long a revocation may wait for a flush. */
  readonly revokeFlushMs: number;
  readonly bufferBytesMax: number;
  readonly inferRows: number;
  readonly inferWaitMs: number;
  readonly rejects: RejectOptions;
  /** Writing the group's offsets to Kafka after commits, for lag tools. */
  readonly acknowledge: { readonly enabled: boolean; readonly intervalMs: number };
}

/** The ports of a pipeline. */
export interface PipelineParts {
  readonly consumer: Consumer;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly observe: Observe;
  /** The table that a topic feeds; the same object for the same table. */
  readonly tableOf: (topic: string) => TableRun;
}
