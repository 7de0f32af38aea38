/**
 * What a load test is to do, how far it is, and what it measured: between its command, its run and
 * its report.
 */
import type { Build } from "#cli/actions.ts";

/** What a load test is to do. */
export interface LoadTestJob extends Build {
  /** The scratch topic, to be created. */
  readonly topic: string;
  readonly partitions: number;
  /** Events a second, for so many seconds, of so many bytes each. */
  readonly rate: number;
  readonly seconds: number;
  readonly eventBytes: number;
  /** Leave the topic and its group. */
  readonly keep: boolean;
  /** Called every so many ms while it runs. */
  readonly everyMs: number;
  progress(state: LoadTestState): void;
  /** Gets the pipeline's log lines. */
  log(line: string): void;
}

/** How far a load test is. Rows since its beginning. */
export interface LoadTestState {
  readonly passedMs: number;
  /** Acknowledged by the brokers. */
  readonly produced: number;
  /** How late the producer is. */
  readonly behindMs: number;
  /** Read from Kafka. */
  readonly ingested: number;
  /** In snapshots. */
  readonly committed: number;
  readonly bufferedBytes: number;
}

/** Ages of records; null: none was seen. */
export interface AgePercentiles {
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

/** What a load test measured; rates are what it reached, whatever was asked. */
export interface LoadTestFigures {
  /** `stopped`: by a person, before its time. */
  readonly exit: "done" | "stopped";
  /** Produced: acknowledged by the brokers. */
  readonly rows: number;
  readonly producedMs: number;
  /** Next offset of each partition after what was produced. */
  readonly ends: ReadonlyMap<number, bigint>;
  /** From the beginning of the production until the last row was in the hot buffer. */
  readonly ingestedMs: number;
  readonly commits: number;
  /** Rows a second that commits keep up with. */
  readonly committedRate: number;
  /** From a record's timestamp to the hot buffer, and to its snapshot. */
  readonly queryable: AgePercentiles;
  readonly committed: AgePercentiles;
  /** CPU time of the ingesting process, from the beginning of the production to the last commit. */
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
  /** Most memory that the ingesting process ever had. */
  readonly peakBytes: number;
}
