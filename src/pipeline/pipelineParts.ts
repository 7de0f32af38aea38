/**
 * What a pipeline is made of: its ports and its settings.
 */
import type { Clock } from "#base/clock.ts";
import type { Observe } from "#base/events.ts";
import type { Logger } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import type { Consumer, RecordBatch } from "#consumer/consumer.ts";
import type { Outlet, Target } from "./feeds.ts";
import type { LetterTopic } from "./letterTopic.ts";
import type { RejectOptions } from "./rejects.ts";
import type { Routing, Shares } from "./routes.ts";
import type { StartPolicy } from "./start.ts";

/** Settings of one pipeline; tables have their own. */
export interface PipelineOptions {
  readonly name: string;
  readonly start: Omit<StartPolicy, "initialTopics">;
  /** Half of Kafka's rebalance timeout: how long a revocation may wait for a flush. */
  readonly revokeFlushMs: number;
  /** As it is now: other parts of the process grow. */
  readonly bufferBytesMax: () => number;
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
  /** The tables that a topic fills, in their order; the same objects for the same topic and table. */
  readonly targetsOf: (topic: string) => readonly Target[];
  /** Which records of a batch each outlet of its feed gets; without it each gets all of them. */
  readonly route?: Route;
  /** In place of `route`: tables that records name. */
  readonly routing?: Routing;
  /** Where rejected records go by `dead_letter.action = "topic"`; the pipeline closes it. */
  readonly letterTopic?: LetterTopic;
  /** True while nothing may be read, since the process has no room on disk. Default: never. */
  readonly isHeld?: () => boolean;
}

/** One share for each outlet, in their order; null: no record of the batch is for it. */
export type Route = (batch: RecordBatch, outlets: readonly Outlet[]) => Shares;

/**
 * When a commit is due, and what becomes of its rows. What is not read-only may change while tables run: it is
 * read each time.
 */
export interface CommitPolicy {
  intervalMs: number;
  /** 0: no bound. */
  rowsMax: number;
  readonly bytesMax: number;
  /** A commit that only moves offsets waits this long. */
  readonly emptyIntervalMs: number;
  /** Tables with a feed in common are committed in one request, where the catalog offers it. Default false. */
  readonly together?: boolean;
  /** Its commits write files anew (`delete_mode = "copy-on-write"`). Default false. */
  readonly copies?: boolean;
  /** How long committed rows stay in memory for readers, where the room is not needed. Default 0: not at all. */
  readonly keepMs?: number;
}

/**
 * In which order the tables of a feed are committed (SPEC 2.8): a record that was put aside is in its
 * side table before the main table's offset passes it, and a change in the log of changes.
 */
export type CommitRank = "dead_letter" | "late" | "changes" | "main";
