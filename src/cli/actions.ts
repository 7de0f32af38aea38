/**
 * What the command line asks of the rest of the program; `command.ts` passes it in.
 */
import type { ExitCode } from "#base/errors.ts";
import type { Type } from "#columns/schema.ts";
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

/** A column that a topic's records suggest. */
export interface SuggestedColumn {
  readonly name: string;
  /** Null: no value that tells was seen. */
  readonly type: Type | null;
  /** Records with a value, and those among them whose value is not of that type. */
  readonly seen: number;
  readonly misfits: number;
  /** Its whole numbers are times by this `source.event_time_format`; null: they are not. */
  readonly epoch: string | null;
}

/** What a sample of a topic's newest records suggests. */
export interface TopicSuggestion {
  readonly topic: string;
  /** Records that were looked at; tombstones are left out. */
  readonly records: number;
  /** Records among them that were no JSON object. */
  readonly unreadable: number;
  readonly columns: readonly SuggestedColumn[];
}

/** The parts of the program that the commands need. */
export interface Actions {
  /** Runs all pipelines until stopped, ended, or (`untilEnd`) until everything is committed. */
  run(
    config: AppConfig,
    environment: Environment,
    options: { readonly untilEnd: boolean; readonly reload: () => Promise<AppConfig> } & Build,
  ): Promise<ExitCode>;
  /**
   * The topics that a pipeline reads, without joining its group.
   * Throws `kafka_unreachable`, `kafka_refused`, `topic_unreadable`.
   */
  describeTopics(options: PipelineOptions["consumer"]): Promise<readonly TopicDescription[]>;
  /**
   * Columns for the topics that a pipeline reads, from a bounded sample of each, without joining its
   * group. Throws as `describeTopics` does, and `usage` for a format whose records name no fields.
   */
  suggest(options: PipelineOptions): Promise<readonly TopicSuggestion[]>;
  /** Runs `dead-letter` (`letters/command.ts`). */
  deadLetter(parsed: ParsedArguments, parts: { readonly terminal: Terminal }): Promise<ExitCode>;
  /** Runs `replay` (`replay/command.ts`). */
  replay(parsed: ParsedArguments, parts: { readonly terminal: Terminal }): Promise<ExitCode>;
  /** Runs `load-test` (`loadtest/command.ts`). */
  loadTest(
    parsed: ParsedArguments,
    parts: { readonly terminal: Terminal; readonly build: Build; readonly stop: AbortSignal },
  ): Promise<ExitCode>;
}

/** Where a command's words go. */
export interface Terminal {
  /** Standard output: results; bytes for programs. */
  out(text: string | Uint8Array): void;
  /** Standard error: problems, one sentence each. */
  err(text: string): void;
  /** A line that the next one replaces, and an empty one takes away. Absent off a terminal. */
  progress?(line: string): void;
}
