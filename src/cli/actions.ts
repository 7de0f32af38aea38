/**
 * What the command line asks of the rest of the program; `command.ts` passes it in.
 */
import type { ExitCode } from "#base/errors.ts";
import type { PipelineOptions } from "#config/buildPipeline.ts";
import type { AppConfig } from "#config/config.ts";
import type { Environment } from "#config/environment.ts";
import type { ParsedArguments } from "./arguments.ts";

/** The build that is running. */
export interface Build {
  readonly version: string;
  /** Git commit, or `source`. */
  readonly commit: string;
}

/** A topic as Kafka has it now. Offsets are next ones. */
export interface TopicDescription {
  readonly clusterId: string;
  readonly topic: string;
  readonly topicId: string;
  readonly partitions: readonly {
    readonly partition: number;
    readonly logStart: bigint;
    readonly logEnd: bigint;
  }[];
}

/** The parts of the program that the commands need. */
export interface Actions {
  /** Runs all pipelines until stopped, ended, or (`untilEnd`) until everything is committed. */
  run(
    config: AppConfig,
    environment: Environment,
    options: { readonly untilEnd: boolean } & Build,
  ): Promise<ExitCode>;
  /**
   * The topics that a pipeline reads, without joining its group.
   * Throws `kafka_unreachable`, `kafka_refused`, `topic_unreadable`.
   */
  describeTopics(options: PipelineOptions["consumer"]): Promise<readonly TopicDescription[]>;
  /** Runs `load-test` (`loadtest/command.ts`). */
  loadTest(
    parsed: ParsedArguments,
    parts: { readonly terminal: Terminal; readonly build: Build; readonly stop: AbortSignal },
  ): Promise<ExitCode>;
}

/** Where a command's words go. */
export interface Terminal {
  /** Standard output: results. */
  out(text: string): void;
  /** Standard error: problems, one sentence each. */
  err(text: string): void;
}
