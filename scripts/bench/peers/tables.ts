/**
 * The peers' target table, and the outside check of every side's rows (table.py: PyIceberg plans,
 * DuckDB reads).
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { readersPython } from "../../services/cache.ts";
import { run } from "../../services/process.ts";
import type { HeadSource } from "./heads.ts";
import { type Job, type PageCodec, peerFile, ZSTD_LEVEL } from "./side.ts";

/** A table in a JDBC catalog on SQLite, as all peers that write Iceberg use it. */
export interface PeerTable {
  readonly source: Extract<HeadSource, { sqlite: string }>;
  readonly warehouse: string;
  /** For Java's JdbcCatalog. */
  readonly jdbcUri: string;
}

/** First and end offset by partition. */
export type TopicRange = Readonly<Record<number, readonly [start: number, end: number]>>;

/** A job of {@link checkRows}. */
export interface CheckJob {
  /** A table's metadata file, or a plain Parquet file. */
  readonly metadata?: string;
  readonly parquet?: string;
  readonly partitions: TopicRange;
  /** Whether rows have the columns of Kafka's coordinates. */
  readonly coordinates: boolean;
  /** That pages must have. */
  readonly codec: PageCodec;
  /** When each snapshot was first seen; key = sequence number. */
  readonly seen?: Readonly<Record<number, number>>;
  /** Freshness of records from this time on only. */
  readonly sinceMs?: number;
}

/** What an outside reader found. */
export interface Checked {
  readonly rows: number;
  /** Sums over columns; equal for equal contents. */
  readonly sums: readonly string[];
  readonly files: number;
  /** Size of all files. */
  readonly bytes: number;
  /** Empty: exactly the produced offsets, and the codec. */
  readonly violations: readonly string[];
  /** Produce to committed, over all rows; only with `seen`. */
  readonly freshness?: Freshness;
}

/** Milliseconds from a record's timestamp to the first sight of the snapshot that has it. */
export interface Freshness {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly minMs: number;
}

/** Creates the catalog and the table `bench.events` below the job's folder. */
export async function createPeerTable(job: Job, coordinates = true): Promise<PeerTable> {
  const warehouse = join(job.folder, "warehouse");
  mkdirSync(warehouse, { recursive: true });
  const sqlite = join(job.folder, "catalog.db");
  const source = { sqlite, namespace: "bench", name: "events" };
  const properties = codecProperties(job.codec);
  await python({ do: "create", ...source, warehouse, properties, coordinates });
  return { source, warehouse, jdbcUri: `jdbc:sqlite:file:${sqlite}?busy_timeout=20000` };
}

/** Reads a side's rows with other people's programs. */
export async function checkRows(job: CheckJob): Promise<Checked> {
  return (await python({ do: "check", ...job })) as Checked;
}

function codecProperties(codec: PageCodec): Record<string, string> {
  const level = codec === "zstd" ? { "write.parquet.compression-level": String(ZSTD_LEVEL) } : {};
  return { "format-version": "2", "write.parquet.compression-codec": codec, ...level };
}

async function python(job: object): Promise<unknown> {
  const stdin = JSON.stringify(job);
  return JSON.parse(await run([await readersPython(), peerFile("table.py")], { stdin }));
}
