/**
 * What is compared: a program that reads a topic and keeps rows, ours or a peer.
 *
 * A side only says how its process is started and where its result will be; everything about it is
 * measured in the same way by the same code, from outside.
 */
import type { Apicurio } from "../../services/apicurio.ts";
import type { HeadSource } from "./heads.ts";

/** Names on the command line (`--only ours,floor`) and in docs/benchmarks.json. */
export type SideName =
  | "ours"
  | "before"
  | "connect"
  | "connect-tuned"
  | "connect-plain"
  | "flink"
  | "python-loop"
  | "floor";

/** Parquet codecs that every side writes. */
export type PageCodec = "snappy" | "zstd";

/** One start of a side. */
export interface Job {
  readonly bootstrap: string;
  readonly topic: string;
  readonly codec: PageCodec;
  /** A new folder for everything that the side writes. */
  readonly folder: string;
  /** Commit, checkpoint or append interval. */
  readonly intervalMs: number;
  /** False: it keeps running at the topic's end, as in production. */
  readonly untilEnd: boolean;
  /** dist/kafka-iceberg or another executable. */
  readonly executable: string;
  /** The values are Avro with schemas of this registry, Apicurio's; default: they are JSON. */
  readonly registry?: Pick<Apicurio, "url" | "nativeUrl">;
  /** Ours: `hot_buffer.max_size_mb`; default: the product's. */
  readonly bufferMb?: number;
}

/** A command, and where to look for what it did. */
export interface Launch {
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The Iceberg table; null for a side that writes plain Parquet. */
  readonly table: HeadSource | null;
  /** Plain Parquet file, when there is no table. */
  readonly parquet?: string;
  /** True: the process ends by itself when all is committed. */
  readonly ends: boolean;
  /** Prometheus metrics, where the side has them. */
  readonly metricsUrl?: string;
}

/** A program that is measured. */
export interface Side {
  readonly name: SideName;
  /** For people, with versions. */
  readonly title: string;
  /** Installs and creates what is needed before the clock starts (also the target table). */
  prepare(job: Job): Promise<Launch>;
}

/** zstd level on every side: the default of ours, and the cheapest. */
export const ZSTD_LEVEL = 1;

/** Path of a file beside this one. */
export function peerFile(name: string): string {
  return `${import.meta.dir}/${name}`;
}
