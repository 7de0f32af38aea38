/** A Spark session with Iceberg and SQLite's JDBC driver, asked in SQL. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { spark } from "../../scripts/services/cache.ts";
import { cacheFolder } from "../../scripts/services/install.ts";
import { keep, run } from "../../scripts/services/process.ts";

const SQLITE_JDBC = "3.54.1.0";

/** A running session. */
export interface SparkSql {
  /** Of the Python process, whose child is the JVM. */
  readonly pid: number;
  /** Runs one statement and returns its rows; throws what Spark answers. */
  sql(text: string): Promise<Record<string, unknown>[]>;
  /** Runs a query; what the scan of its table did, by the scan's metrics (`resultDataFiles`, ...). */
  scan(text: string): Promise<Readonly<Record<string, number>>>;
  /** Commits a Parquet file of equality deletes, which Spark applies but never writes. */
  deleteByEquality(deletes: EqualityFile): Promise<void>;
  /** Statistics of a table's snapshot as Iceberg's and DataSketches' own classes read them: columns, then partitions. */
  statistics(table: string): Promise<Record<string, unknown>[]>;
  stop(): Promise<void>;
}

/** A file of equality deletes: how many rows and bytes, and by which columns it deletes. */
export interface EqualityFile {
  readonly table: string;
  readonly path: string;
  readonly ids: readonly number[];
  readonly rows: number;
  readonly bytes: number;
  /** Folder of its partition; empty: it deletes in all of an unpartitioned table. */
  readonly partition: string;
}

/** SQLite's JDBC driver, for Iceberg's JdbcCatalog. */
async function sqliteJdbc(): Promise<string> {
  const folder = join(cacheFolder(), "jars");
  const jar = join(folder, `sqlite-jdbc-${SQLITE_JDBC}.jar`);
  if (!existsSync(jar)) {
    await run([
      "mvn",
      "-q",
      "-B",
      "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy",
      `-Dartifact=org.xerial:sqlite-jdbc:${SQLITE_JDBC}`,
      `-DoutputDirectory=${folder}`,
    ]);
  }
  return jar;
}

/** Settings of a session: the tables below a folder, which a file catalog of ours shares with Spark's `HadoopCatalog`. */
export function hadoopCatalog(name: string, warehouse: string): Record<string, string> {
  const key = `spark.sql.catalog.${name}`;
  return {
    [key]: "org.apache.iceberg.spark.SparkCatalog",
    [`${key}.type`]: "hadoop",
    [`${key}.warehouse`]: warehouse,
    [`${key}.cache-enabled`]: "false",
  };
}

/** Starts a session (about 10 s). @param settings Spark's settings, e.g. catalogs */
export async function startSparkSql(settings: Record<string, string>): Promise<SparkSql> {
  const { python, jar } = await spark();
  const script = join(import.meta.dir, "spark_sql.py");
  const jars = `${jar},${await sqliteJdbc()}`;
  const child = Bun.spawn(["nice", python, script, jars, JSON.stringify(settings)], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "ignore",
  });
  keep(child);
  const lines = answers(child.stdout);
  const ask = async (job: object): Promise<Record<string, unknown>[]> => {
    const text = JSON.stringify(job);
    await child.stdin.write(`${text}\n`);
    await child.stdin.flush();
    const { value, done } = await lines.next();
    if (done === true) throw new Error(`Spark ended at: ${text}`);
    const answer = JSON.parse(value) as { rows?: Record<string, unknown>[]; error?: string };
    if (answer.rows === undefined) throw new Error(`Spark: ${answer.error ?? ""}\n${text}`);
    return answer.rows;
  };
  return {
    pid: child.pid,
    sql: (text) => ask({ sql: text }),
    scan: async (text) => (await ask({ sql: text, scan: true }))[0] as Record<string, number>,
    statistics: (table) => ask({ statistics: table }),
    deleteByEquality: async (equality) => void (await ask({ equality })),
    stop: async () => {
      await child.stdin.end();
      await child.exited;
    },
  };
}

async function* answers(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith("ANSWER ")) yield line.slice("ANSWER ".length);
    }
  }
}
