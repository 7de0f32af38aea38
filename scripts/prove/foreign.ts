/**
 * Proof: other engines do to a live table whatever their users do. A long `rewrite_data_files` of Spark's
 * spans most of the time and commits at its end; meanwhile, in turn, Spark and PyIceberg act (foreignActs.ts).
 * After each act the table goes on, and has each record exactly once but for those that the act removed; in
 * the end it is replaced, dropped and made anew, and each time the sentence on the stop says what to do.
 */
import { Database } from "bun:sqlite";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type SparkSql, startSparkSql } from "../../test/support/sparkSql.ts";
import { produceEvents } from "../events/events.ts";
import { judgeTable, type OffsetRange, readTopic, type Violation } from "../judge/judge.ts";
import { until } from "../services/process.ts";
import { type Product, startProduct } from "../services/product.ts";
import { type Course, newCourse, type Say } from "./course.ts";
import { ACTS, type Act, type Ground, LATER_ACTS } from "./foreignActs.ts";

/** Size of {@link proveForeign}. */
export interface ForeignProof {
  readonly bootstrap: string;
  readonly topic: string;
  /** The long rewrite commits after three quarters of it. */
  readonly minutes: number;
  /** Events a second, one after the other in two partitions. */
  readonly rate: number;
  readonly say: Say;
}

/** What was found. */
export interface ForeignReport {
  /** By act: rows of ours that the readers found in the table afterwards. */
  readonly acts: Readonly<Record<string, number>>;
  readonly rewrite: { readonly seconds: number; readonly files: number };
  /** What the table said when it stopped, by what was done to it. */
  readonly stops: Readonly<Record<string, string>>;
  readonly violations: readonly (Violation & { readonly act: string })[];
  readonly peakMb: number;
  readonly ok: boolean;
}

const PARTITIONS = 2;
const CATALOG = "shared";
/** Fields of the events, but for the one that a replaced table keeps. */
const FIELDS = "user_id event_type ts url amount country device tags referrer".split(" ");
/** What a machine that others want too may take for a step. */
const PATIENCE_MS = 600_000;
/** Of commits before the first act. */
const LEAD_MS = 30_000;
/** What `rewrite_data_files` writes; our names have no running number at their end. */
const SPARK_FILE = /^\d{5}-\d+-[0-9a-f-]{36}-(\d+-)?\d{5}\.parquet$/;

/** Runs the proof: the executable, an SQL catalog on SQLite, two Spark sessions, PyIceberg. */
export async function proveForeign(proof: ForeignProof): Promise<ForeignReport> {
  return live(proof, async (table, course) => {
    const rewriter = await session(course);
    try {
      const rewrite = await table.spanned(rewriter, proof.minutes * 45_000);
      for (const act of LATER_ACTS) await table.act(act);
      await table.replace();
      await table.dropAndCreate();
      return { ...table.found, rewrite };
    } finally {
      await rewriter.stop();
    }
  });
}

/** The end of {@link proveForeign} alone: the table is replaced in place, then dropped and made anew. */
export async function proveForeignEnds(
  proof: Omit<ForeignProof, "minutes">,
): Promise<Omit<ForeignReport, "rewrite">> {
  return live(proof, async (table) => {
    await table.replace();
    await table.dropAndCreate();
    return table.found;
  });
}

/** A table that events flow into, from its first commits on. */
async function live<T>(
  { bootstrap, topic, rate, say }: Omit<ForeignProof, "minutes">,
  act: (table: Live, course: Course) => Promise<T>,
): Promise<T> {
  const course = await sqlCourse(bootstrap, topic);
  let busy = true;
  const flow = (async () => {
    for (let seed = 1; busy; seed++) {
      await produceEvents({ bootstrap, topic, count: rate * 5, rate, seed });
    }
  })();
  const spark = await session(course);
  const table = new Live(course, await startRun(course), spark, say);
  try {
    const lead = (rate * LEAD_MS) / 1000;
    await until("rows", () => table.hasCommitted(lead), 180_000);
    return await act(table, course);
  } finally {
    busy = false;
    await table.product.terminate();
    await flow;
    await spark.stop();
  }
}

async function sqlCourse(bootstrap: string, topic: string): Promise<Course> {
  const sql = { uri: "sqlite:catalog.db", name: CATALOG };
  const config = {
    iceberg: { catalog_type: "sql", warehouse_path: "warehouse", sql },
    "iceberg.commit": { interval_ms: 1000 },
    // Spark compacts here: two compactions of the same files refuse each other.
    maintenance: { compact_enabled: false },
    // PyIceberg computes partition values only with a package of its own that the readers lack.
    partitioning: { partition_strategy: "none" },
  };
  return newCourse({ bootstrap, topic, partitions: PARTITIONS, config });
}

function session({ folder }: Course): Promise<SparkSql> {
  const name = `spark.sql.catalog.${CATALOG}`;
  return startSparkSql({
    [name]: "org.apache.iceberg.spark.SparkCatalog",
    [`${name}.type`]: "jdbc",
    [`${name}.uri`]: `jdbc:sqlite:${folder}/catalog.db`,
    [`${name}.jdbc.schema-version`]: "V1",
    [`${name}.warehouse`]: join(folder, "warehouse"),
    [`${name}.cache-enabled`]: "false",
    // A session that was stopped for 15 minutes must not take itself for dead.
    "spark.network.timeout": "20000s",
    "spark.executor.heartbeatInterval": "10000s",
  });
}

function startRun({ config, folder }: Course): Promise<Product> {
  return startProduct({ config, folder });
}

/** The live table, and what has been found of it. */
class Live {
  readonly acts: Record<string, number> = {};
  readonly stops: Record<string, string> = {};
  readonly violations: (Violation & { act: string })[] = [];
  readonly course: Course;
  readonly spark: SparkSql;
  readonly say: Say;
  product: Product;
  #removed: readonly OffsetRange[] = [];
  #columns: readonly string[] = [];
  #appended = 0;
  #beforeRewriteMs = 0;

  constructor(course: Course, product: Product, spark: SparkSql, say: Say) {
    this.course = course;
    this.product = product;
    this.spark = spark;
    this.say = say;
  }

  get found(): Omit<ForeignReport, "rewrite"> {
    const { acts, stops, violations } = this;
    const peakMb = Math.round(this.product.usage().peakBytes / 1024 ** 2);
    return { acts, stops, violations, peakMb, ok: violations.length === 0 };
  }

  get #name(): string {
    return `default.${this.course.topic}`;
  }

  /** All acts while Spark's rewrite is held between its plan and its commit. */
  async spanned(rewriter: SparkSql, spanMs: number): Promise<ForeignReport["rewrite"]> {
    const began = performance.now();
    this.#beforeRewriteMs = Date.now() - LEAD_MS / 2;
    const options = `map('rewrite-all', 'true', 'max-file-group-size-bytes', '50000',
      'max-concurrent-file-group-rewrites', '1')`;
    const rewriting = rewriter.sql(
      `call ${CATALOG}.system.rewrite_data_files(table => '${this.#name}', options => ${options})`,
    );
    const folder = join(this.course.folder, "warehouse");
    const hasWritten = (): boolean =>
      readdirSync(folder, { recursive: true }).some((path) =>
        SPARK_FILE.test(String(path).split("/").at(-1) ?? ""),
      );
    await until("Spark's first new file", hasWritten, PATIENCE_MS);
    signalAll(rewriter.pid, "SIGSTOP");
    this.say("rewrite_data_files has planned, and is held");
    for (const [n, act] of ACTS.entries()) {
      await Bun.sleep(
        Math.max(0, began + ((n + 1) * spanMs) / (ACTS.length + 1) - performance.now()),
      );
      await this.act(act);
    }
    await Bun.sleep(Math.max(0, began + spanMs - performance.now()));
    signalAll(rewriter.pid, "SIGCONT");
    const [result] = await rewriting;
    const seconds = Math.round((performance.now() - began) / 1000);
    const files = Number(result?.["rewritten_data_files_count"]);
    this.say(`rewrite_data_files of ${files} files commits after ${seconds} s`);
    await this.#check("rewrite_data_files commits");
    return { seconds, files };
  }

  /** One act, and the check after it. */
  async act({ name, run, appends = 0, columns = [] }: Act): Promise<void> {
    this.say(name);
    this.#columns = [...this.#columns, ...columns];
    const ground: Ground = {
      spark: this.spark,
      table: `${CATALOG}.${this.#name}`,
      name: this.#name,
      catalogFile: join(this.course.folder, "catalog.db"),
      warehouse: join(this.course.folder, "warehouse"),
      beforeRewriteMs: this.#beforeRewriteMs,
      committed: () => this.#committed(),
      cli: (command, ...more) => this.#cli(command, this.#name, ...more),
    };
    this.#removed = [...this.#removed, ...((await run(ground)) ?? [])];
    this.#appended += appends;
    await this.#check(name);
  }

  /** `CREATE OR REPLACE TABLE`: stops, names the command; the command begins the new table. */
  async replace(): Promise<void> {
    this.say("replaced in place");
    const offsets = await this.#committedInAll();
    const table = `${CATALOG}.${this.#name}`;
    await this.spark.sql(`create or replace table ${table} (event_id string)`);
    const sentence = await this.#stopped("replaced in place");
    if (!sentence.includes(`kafka-iceberg offsets ${this.#name} --set`)) this.#unsaid("replace");
    const { topic } = this.course;
    const sets = Array.from({ length: PARTITIONS }, (_, p) => ["--set", `${topic}:${p}=0`]).flat();
    await this.#cli("offsets", this.#name, ...sets, "--yes");
    await this.#restart(offsets);
    // Its owner made it without them, and the earlier schemas in its metadata tell that it had them.
    this.#columns = FIELDS;
    await this.#check("filled again after the command");
  }

  /** Dropped: stops, and says what to do; made anew by another engine, a restart fills it. */
  async dropAndCreate(): Promise<void> {
    this.say("dropped and made anew");
    const offsets = await this.#committedInAll();
    const table = `${CATALOG}.${this.#name}`;
    await this.spark.sql(`drop table ${table}`);
    const sentence = await this.#stopped("dropped");
    if (!sentence.includes("restart")) this.#unsaid("drop");
    await this.spark.sql(`create table ${table} (event_id string)`);
    await this.#restart(offsets);
    await this.#check("filled again after the restart");
  }

  /** Whether all partitions together are past an offset. */
  async hasCommitted(offsets: number): Promise<boolean> {
    if (this.product.ended()) throw new Error(this.product.log().slice(-3000));
    return (await this.#committedInAll()) > offsets;
  }

  /** Begins anew, and waits until the new table has come as far as the one before. @param offsets its, in all */
  async #restart(offsets: number): Promise<void> {
    await this.product.terminate();
    this.product = await startRun(this.course);
    await until("all rows again", () => this.hasCommitted(offsets), 180_000);
    this.#removed = [];
    this.#columns = [];
    this.#appended = 0;
  }

  async #committedInAll(): Promise<number> {
    return (await this.#committed()).reduce((sum, offset) => sum + offset, 0);
  }

  async #committed(): Promise<readonly number[]> {
    const { partitions } = await this.#status();
    return partitions
      .toSorted((a, b) => a.partition - b.partition)
      .map((each) => each.committedOffset);
  }

  /** The table goes on, and has each record once. */
  async #check(act: string): Promise<void> {
    const rows = await this.#rowsCommitted();
    const goesOn = async (): Promise<boolean> => {
      if (this.product.ended()) throw new Error(this.product.log().slice(-3000));
      return (await this.#rowsCommitted()) > rows;
    };
    await until(`commits after "${act}"`, goesOn, PATIENCE_MS);
    const metadata = this.#metadataFile();
    const { bootstrap, topic } = this.course;
    const verdict = await judgeTable({
      table: { metadata },
      topics: [await readTopic(bootstrap, topic)],
      readers: ["duckdb"],
      snapshots: "none",
      removed: this.#removed,
      first: { [topic]: Object.fromEntries(Array.from({ length: PARTITIONS }, (_, p) => [p, 0])) },
      foreignWriters: true,
    });
    // What an act gave to a column is its own; the topic does not tell it.
    const found = verdict.violations.filter(
      ({ kind, column }) => !(/values|field/.test(kind) && this.#columns.includes(String(column))),
    );
    const alien = await this.spark.sql(
      `select count(*) n from ${CATALOG}.${this.#name} where _kafka_offset is null`,
    );
    const others = Number(alien[0]?.["n"]);
    if (others !== this.#appended) {
      found.push({ kind: "rows of others", expected: this.#appended, found: others });
    }
    for (const each of found) this.violations.push({ ...each, act });
    this.acts[act] = verdict.readers.duckdb?.rows ?? 0;
    this.say(`  ${this.acts[act]} rows, ${found.length} violations ${JSON.stringify(found)}`);
  }

  #metadataFile(): string {
    const database = new Database(join(this.course.folder, "catalog.db"), { readonly: true });
    try {
      const row = database
        .query<{ at: string }, [string]>(
          "select metadata_location as at from iceberg_tables where table_name = ?",
        )
        .get(this.course.topic);
      return row?.at ?? "";
    } finally {
      database.close();
    }
  }

  /** The process ends when its only table has stopped; what it said last. */
  async #stopped(what: string): Promise<string> {
    await until(`stopped: ${what}`, () => this.product.ended(), PATIENCE_MS);
    const errors = this.product.logLines().filter(({ level }) => level === "error");
    const sentence = errors.at(-1)?.message ?? "";
    this.stops[what] = sentence;
    this.say(`  exit ${await this.product.exited}: ${sentence}`);
    return sentence;
  }

  #unsaid(act: string): void {
    this.violations.push({ kind: "a stop that does not say what to do", act });
  }

  async #cli(...command: string[]): Promise<void> {
    const { config, folder } = this.course;
    const product = await startProduct({ config, folder, command });
    const code = await product.exited;
    if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}: ${product.log()}`);
  }

  async #rowsCommitted(): Promise<number> {
    return (await this.#status()).table?.rowsCommitted ?? 0;
  }

  async #status(): Promise<{ table: TableReport | undefined; partitions: PartitionReport[] }> {
    const nothing: Status = { pipelines: [] };
    const { pipelines } = (await this.product.status().catch(() => nothing)) as Status;
    const [pipeline] = pipelines;
    return { table: pipeline?.tables[0], partitions: pipeline?.partitions ?? [] };
  }
}

interface TableReport {
  readonly rowsCommitted: number;
}

interface PartitionReport {
  readonly partition: number;
  readonly committedOffset: number;
}

interface Status {
  readonly pipelines: readonly {
    readonly tables: TableReport[];
    readonly partitions: PartitionReport[];
  }[];
}

/** A process and all below it. */
function signalAll(pid: number, signal: NodeJS.Signals): void {
  process.kill(pid, signal);
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  for (const child of children.split(" ").filter((text) => text !== "")) {
    signalAll(Number(child), signal);
  }
}
