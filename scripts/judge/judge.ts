/**
 * Foreign programs judge our tables: an independent topic reader, PyIceberg, DuckDB, Spark.
 *
 * The work is done by the Python scripts beside this file; nothing of `src/` is used, so that a fault of ours cannot
 * hide itself.
 */
import { join } from "node:path";
import {
  hiveClient,
  motoPackages,
  postgresDriver,
  readersPython,
  spark,
} from "../services/cache.ts";
import { run, temporaryFolder } from "../services/process.ts";

/** Readers of the table's head. */
export type Reader = "duckdb" | "pyiceberg" | "spark";

/** Where the table is. */
export type TableSource =
  /** A file catalog's table folder, local or in the store that is given. */
  | { readonly folder: string }
  /** One metadata file. */
  | { readonly metadata: string }
  /** PyIceberg's `SqlCatalog`; uri as SQLAlchemy wants it (`sqlite:////path`, `postgresql+psycopg2://...`). */
  | { readonly sql: { readonly uri: string; readonly name: string; readonly table: string } }
  /** Another catalog of PyIceberg's, its `type` (`glue`, `hive`) among the properties. */
  | {
      readonly catalog: {
        readonly table: string;
        readonly properties: Readonly<Record<string, string>>;
      };
    }
  /** PyIceberg's `RestCatalog` with these properties (`uri`, `credential`, ...), table `ns.name`. */
  | {
      readonly rest: {
        readonly table: string;
        readonly properties: Readonly<Record<string, string>>;
      };
    };

/** Access to a store; {@link S3Service} of versitygw.ts fits. */
export type StoreAccess =
  | {
      readonly endpoint: string;
      readonly region: string;
      readonly accessKey: string;
      readonly secretKey: string;
    }
  /** Google Cloud Storage (an emulator), or Azure. */
  | { readonly kind: "gcs"; readonly endpoint: string }
  | {
      readonly kind: "azure";
      readonly endpoint: string;
      readonly account: string;
      readonly key: string;
    };

/** What an independent read_committed reader found in a topic. */
export interface TopicCopy {
  readonly topic: string;
  /** Parquet: partition, offset, timestamp, key, value. */
  readonly file: string;
  readonly partitions: Readonly<
    Record<string, { readonly start: number; readonly end: number; readonly count: number }>
  >;
}

/** Offsets of a partition from `from` up to, not including, `to`. */
export interface OffsetRange {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

/** A job of {@link judgeTable}. */
export interface JudgeJob {
  readonly table: TableSource;
  readonly topics: readonly TopicCopy[];
  readonly s3?: StoreAccess;
  /** Default: DuckDB and PyIceberg. */
  readonly readers?: readonly Reader[];
  /**
   * Snapshots in which the law is checked by their data files, default `all` retained. `none`: the readers alone judge
   * the head, which may then have delete files, and files that other engines have rewritten.
   */
  readonly snapshots?: "all" | "head" | "none";
  /** Records whose rows somebody removed from the table on purpose; `to` is not among them. */
  readonly removed?: readonly OffsetRange[];
  /** Compare the head's values with the topic's, default true. */
  readonly values?: boolean;
  /** Default `json`. */
  readonly format?: "json" | "string" | "bytes";
  /** `source.metadata_prefix`, default `_kafka_`. */
  readonly prefix?: string;
  /** First positions, where the retained snapshots no longer tell: topic -> partition -> offset. */
  readonly first?: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Others appended too: files without our footer, rows without an offset, are left out. */
  readonly foreignWriters?: boolean;
}

/** Something that must not be. */
export interface Violation {
  readonly kind: string;
  /** Where the law is broken; absent for the head's values. */
  readonly snapshot?: string;
  readonly [fact: string]: unknown;
}

/** What the judges say. */
export interface Verdict {
  readonly ok: boolean;
  /** The first twenty. */
  readonly violations: readonly Violation[];
  readonly violationCount: number;
  readonly metadata: string;
  /** Retained snapshots. */
  readonly snapshots: number;
  /** Snapshots in which the law was checked. */
  readonly judged: number;
  readonly files: number;
  readonly foreignFiles: number;
  readonly head: string;
  /** The head's committed offsets: topic -> partition -> next offset. */
  readonly committed: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly readers: Readonly<
    Partial<Record<Reader, { readonly rows: number; readonly columns: readonly string[] }>>
  >;
  readonly seconds: number;
}

/** Reads a topic to its last stable offset with librdkafka. */
export async function readTopic(bootstrap: string, topic: string): Promise<TopicCopy> {
  const file = join(await temporaryFolder("topic"), "records.parquet");
  const answer = await python("reader.py", { bootstrap, topic, out: file });
  return { topic, file, ...(answer as Pick<TopicCopy, "partitions">) };
}

/** Sum of `user_id * device.width` from an offset up to an end, when the first `gone` of some ranges were removed. */
export type SumAnswer = readonly [
  partition: number,
  from: number,
  end: number,
  sum: number,
  gone: number,
];

/**
 * Compares sums of computed values with those of a topic that was read; those that are wrong.
 * @param removed rows that somebody removed on purpose, in this order
 */
export async function judgeSums(
  topic: TopicCopy,
  answers: readonly SumAnswer[],
  removed: readonly OffsetRange[] = [],
): Promise<readonly unknown[]> {
  const found = await python("answers.py", { file: topic.file, answers, removed });
  return (found as { readonly wrong: readonly unknown[] }).wrong;
}

/** The columns' types and the rows of an Arrow stream in a file, as pyarrow and DuckDB read it. */
export async function readArrow(
  file: string,
): Promise<{ readonly columns: readonly string[]; readonly rows: readonly object[] }> {
  return (await python("arrow.py", { file })) as Awaited<ReturnType<typeof readArrow>>;
}

/** Judges a table against its topics: the law in each snapshot, the values in the head. */
export async function judgeTable(job: JudgeJob): Promise<Verdict> {
  const readers = job.readers ?? ["duckdb", "pyiceberg"];
  const wanted = { readers, snapshots: "all", values: true, format: "json", prefix: "_kafka_" };
  const [sparkRows] = readers.includes("spark") ? await sparkCopies([job]) : [];
  return (await python("judge.py", { ...wanted, ...job, sparkRows })) as Verdict;
}

/** What {@link showTable} found; cells as text or numbers. */
export interface Shown {
  readonly metadata: string;
  readonly partitions: readonly Record<string, number | null>[];
  /** The first five. */
  readonly rows: readonly Record<string, string>[];
  readonly snapshots: readonly Record<string, string>[];
}

/** A table as DuckDB reads it, for people. */
export async function showTable(table: TableSource, s3?: StoreAccess): Promise<Shown> {
  return (await python("show.py", { table, s3 })) as Shown;
}

/** A job of {@link askSpark}: the table `t` of one metadata file, and metadata tables by name. */
export interface SparkJob {
  readonly metadata: string;
  /** e.g. `files`, `snapshots`, `partitions`: made available under these names. */
  readonly metadataTables?: readonly string[];
  readonly sql: readonly string[];
}

/** Runs SQL in Spark over a table; every cell as text. */
export async function askSpark(job: SparkJob): Promise<string[][][]> {
  return (await sparkRun({ ...job })).sql;
}

/** The heads of tables as Parquet, as one session of Spark reads them; folders in the tables' order. */
export async function sparkCopies(
  jobs: readonly Pick<JudgeJob, "table" | "s3">[],
): Promise<readonly string[]> {
  const folder = await temporaryFolder("spark");
  const copies = await Promise.all(
    jobs.map(async ({ table, s3 }, index) => {
      const { metadata } = (await python("locate.py", { table, s3 })) as { metadata: string };
      return { metadata, out: join(folder, `rows-${index}`) };
    }),
  );
  await sparkRun({ copies });
  return copies.map(({ out }) => out);
}

/** Values of a column, as Spark reads them. */
export interface SparkValues {
  /** A metadata file. */
  readonly metadata: string;
  readonly column: string;
  /** Ids as text. */
  readonly snapshots: readonly string[];
}

/** Reads a column in several snapshots, all in one session; a JSON file of the values by snapshot. */
export async function sparkValues(values: SparkValues): Promise<string> {
  const out = join(await temporaryFolder("spark"), "values.json");
  await sparkRun({ values: { ...values, out } });
  return out;
}

async function sparkRun(job: Readonly<Record<string, unknown>>): Promise<{ sql: string[][][] }> {
  const { python: interpreter, jar } = await spark();
  const stdin = JSON.stringify({ ...job, jar });
  const text = await run([interpreter, judgeScript("spark.py"), "-"], { stdin });
  return JSON.parse(text.trimEnd().split("\n").at(-1) ?? "") as { sql: string[][][] };
}

async function python(script: string, job: unknown): Promise<unknown> {
  const interpreter = await readersPython();
  const stdin = JSON.stringify(job);
  const env = await pythonPath(stdin);
  return JSON.parse(await run([interpreter, judgeScript(script), "-"], { stdin, env }));
}

/** Packages beside the readers, for the catalogs that need them. */
async function pythonPath(job: string): Promise<Record<string, string>> {
  if (job.includes("postgresql+psycopg2:")) return { PYTHONPATH: await postgresDriver() };
  if (job.includes('"type":"hive"')) return { PYTHONPATH: await hiveClient() };
  return job.includes('"type":"glue"') ? { PYTHONPATH: await motoPackages() } : {};
}

function judgeScript(name: string): string {
  return join(import.meta.dir, name);
}
