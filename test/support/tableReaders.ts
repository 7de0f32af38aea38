/** What PyIceberg, DuckDB and Spark find in a table, column by column, in one form of text for all. */
import { join } from "node:path";
import type { StoreAccess, TableSource } from "../../scripts/judge/judge.ts";
import { readersPython } from "../../scripts/services/cache.ts";
import { run } from "../../scripts/services/process.ts";

/** A column's values in order; or why the reader cannot read it. */
export type ColumnAnswer = readonly (string | null)[] | { readonly error: string };

/** A job of {@link readColumns}. */
export interface ReadJob {
  readonly table: TableSource;
  readonly s3?: StoreAccess;
  readonly columns: readonly string[];
  /** Column that gives the order, default `_kafka_offset`. */
  readonly order?: string;
  /** Default PyIceberg and DuckDB. */
  readonly readers?: readonly ("pyiceberg" | "duckdb" | "spark")[];
  /** What Spark has read: a folder of `sparkCopies`. */
  readonly sparkRows?: string;
  /** A relation in place of the table, for DuckDB: `{table}` in it is the table. */
  readonly view?: string;
  /** Row filters: how many files does PyIceberg plan for each? */
  readonly planned?: readonly string[];
}

/** Answers by reader and column. */
export interface ReadAnswer {
  readonly readers: Readonly<Record<string, Readonly<Record<string, ColumnAnswer>>>>;
  readonly planned: readonly number[];
}

/** Reads columns of a table's head with each reader. */
export async function readColumns(job: ReadJob): Promise<ReadAnswer> {
  const script = join(import.meta.dir, "table_readers.py");
  const stdin = JSON.stringify({ readers: ["pyiceberg", "duckdb"], ...job });
  return JSON.parse(await run([await readersPython(), script], { stdin })) as ReadAnswer;
}
