/** The engines that write to a table of an SQL catalog beside us, and judge it: PyIceberg (`others.py`) and Spark. */
import { join } from "node:path";
import { type SparkSql, startSparkSql } from "../../test/support/sparkSql.ts";
import { readersPython } from "../services/cache.ts";
import { keep, until } from "../services/process.ts";
import { type Course, type CourseOptions, merge, newCourse } from "./course.ts";

/** Name of the catalog that all share. */
export const CATALOG = "shared";

const DAY_MS = 86_400_000;

/** A course into the SQL catalog that all share, on SQLite: whatever the folder that a process runs in. */
export async function newSharedCourse(options: CourseOptions): Promise<Course> {
  // PyIceberg computes partition values only with a package of its own that the readers lack.
  const partitioning = { partition_strategy: "none" };
  const course = await newCourse({ ...options, config: { partitioning, ...options.config } });
  const sql = { uri: `sqlite:${course.folder}/catalog.db`, name: CATALOG };
  const config = merge(course.config, { iceberg: { catalog_type: "sql", sql } });
  return { ...course, config };
}

/** PyIceberg in a process of its own. */
export class PyIceberg {
  readonly #process: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #answers: string[] = [];

  private constructor(process: Bun.Subprocess<"pipe", "pipe", "inherit">) {
    this.#process = process;
    void this.#listen();
  }

  /** Starts it beside a course of {@link newSharedCourse} whose table is there. */
  static async open({ folder, topic }: Course): Promise<PyIceberg> {
    const script = join(import.meta.dir, "others.py");
    const child = Bun.spawn([await readersPython(), script], {
      ...{ stdin: "pipe", stdout: "pipe", stderr: "inherit" },
    });
    keep(child);
    const uri = `sqlite:///${folder}/catalog.db`;
    const warehouse = `file://${folder}/warehouse`;
    const place = { uri, warehouse, table: `default.${topic}` };
    await child.stdin.write(`${JSON.stringify(place)}\n`);
    return new PyIceberg(child);
  }

  async #listen(): Promise<void> {
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of this.#process.stdout) {
      text += decoder.decode(chunk, { stream: true });
      const lines = text.split("\n");
      text = lines.pop() ?? "";
      this.#answers.push(...lines.filter((line) => line.startsWith("ANSWER ")));
    }
  }

  /** What it sees of the table, by a job of `others.py` that writes nothing. */
  async see<T>(job: object): Promise<T> {
    const answer = await this.#answer(job);
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer as T;
  }

  /**
   * Writes to the table, by another job.
   * @returns false: somebody else's commit came first, or took a file away that it was about to read
   */
  async write(job: object): Promise<boolean> {
    const { error, conflict } = await this.#answer(job);
    if (error !== undefined && !/locked|FileNotFound|No such file/.test(error)) {
      throw new Error(error);
    }
    return error === undefined && conflict === undefined;
  }

  async #answer(job: object): Promise<{ readonly error?: string; readonly conflict?: string }> {
    await this.#process.stdin.write(`${JSON.stringify(job)}\n`);
    await this.#process.stdin.flush();
    await until("PyIceberg's answer", () => this.#answers.length > 0, 600_000, 20);
    return JSON.parse((this.#answers.shift() ?? "").slice("ANSWER ".length));
  }

  /** Ends it. */
  async close(): Promise<void> {
    await this.#process.stdin.end();
    await this.#process.exited;
  }
}

/** What Spark says when somebody else's commit came first, or took away what it was about to read. */
const TOO_LATE = [
  ...["ommit", "BUSY", "locked", "onflicting", "stale", "Missing required files", "NotFound"],
  ...["is not an ancestor", "unknown snapshot id"],
  // Its expiry, where another one took more snapshots meanwhile than it wanted to keep.
  "arraySize cannot be negative",
];

/** Both engines. */
export class Others {
  readonly pyiceberg: PyIceberg;
  readonly #spark: SparkSql;
  /** In the catalog, and as Spark's statements have it. */
  readonly #name: string;
  readonly #table: string;

  private constructor(pyiceberg: PyIceberg, spark: SparkSql, topic: string) {
    this.pyiceberg = pyiceberg;
    this.#spark = spark;
    this.#name = `default.${topic}`;
    this.#table = `${CATALOG}.default.\`${topic}\``;
  }

  /** Starts them beside a course of {@link newSharedCourse} whose table is there. */
  static async open(course: Course): Promise<Others> {
    const { folder, topic } = course;
    const name = `spark.sql.catalog.${CATALOG}`;
    const spark = await startSparkSql({
      [name]: "org.apache.iceberg.spark.SparkCatalog",
      [`${name}.type`]: "jdbc",
      [`${name}.uri`]: `jdbc:sqlite:${folder}/catalog.db`,
      [`${name}.jdbc.schema-version`]: "V1",
      [`${name}.warehouse`]: join(folder, "warehouse"),
      [`${name}.cache-enabled`]: "false",
    });
    return new Others(await PyIceberg.open(course), spark, topic);
  }

  /**
   * A statement of Spark's, in which T is the table, C its catalog, and N its name there as a text.
   * @returns false: somebody else's commit came first, or took a file away that it was about to read
   */
  async bySpark(statement: string): Promise<boolean> {
    const text = statement
      .replaceAll(/\bT\b/g, this.#table)
      .replaceAll(/\bC\b/g, CATALOG)
      .replaceAll(/\bN\b/g, `'${this.#name}'`);
    try {
      await this.#spark.sql(text);
      return true;
    } catch (error) {
      if (TOO_LATE.some((sentence) => String(error).includes(sentence))) return false;
      throw error;
    }
  }

  /** The cells of an answer of Spark's, a row a line; T is the table. */
  async textBySpark(statement: string): Promise<string> {
    const rows = await this.#spark.sql(statement.replaceAll(/\bT\b/g, this.#table));
    return rows.map((row) => Object.values(row).join(" ")).join("\n");
  }

  /** Sets properties of the table: PyIceberg writes nothing to tables of format v3. */
  async set(properties: Readonly<Record<string, string>>): Promise<void> {
    const texts = Object.entries(properties).map(([name, value]) => `'${name}' = '${value}'`);
    await this.#spark.sql(`alter table ${this.#table} set tblproperties (${texts.join(", ")})`);
  }

  /** Rolls the table back to so old an ancestor of its head, by Spark. False: as {@link bySpark}. */
  async rollBack(back: number): Promise<boolean> {
    const ancestors = await this.#spark.sql(
      `select cast(snapshot_id as string) id from ${this.#table}.history where is_current_ancestor ` +
        `order by made_current_at desc limit ${back + 1}`,
    );
    const id = String(ancestors.at(-1)?.["id"]);
    return await this.bySpark(`call C.system.rollback_to_snapshot(N, ${id})`);
  }

  /** Rows of each of these snapshots, as Spark counts them, in one question. */
  async countsBySpark(snapshots: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const of = (id: string): string =>
      `select '${id}' id, count(*) n from ${this.#table} version as of ${id}`;
    if (snapshots.length === 0) return new Map();
    const rows = await this.#spark.sql(snapshots.map(of).join(" union all "));
    return new Map(rows.map(({ id, n }) => [String(id), Number(n)]));
  }

  /**
   * What Spark's own maintenance still finds to do, by procedure; nothing: an empty list.
   * @param olderThanMs snapshots older than this go by our policy, whose `history.expire.*` the table has
   */
  async leftForSpark(olderThanMs: number): Promise<readonly string[]> {
    const call = async (name: string, rest: string): Promise<Record<string, unknown>[]> =>
      await this.#spark.sql(`call ${CATALOG}.system.${name}(table => '${this.#name}'${rest})`);
    const time = (ms: number): string => `, older_than => ${timestampOf(ms)}`;
    const orphans = await call(
      "remove_orphan_files",
      `${time(Date.now() - DAY_MS)}, dry_run => true`,
    );
    const counts = [
      ...(await call("expire_snapshots", time(olderThanMs))),
      ...(await call("rewrite_manifests", "")),
    ].flatMap((row) => Object.entries(row).filter(([, count]) => Number(count) > 0));
    return [
      ...orphans.map((row) => `orphan ${String(Object.values(row)[0])}`),
      ...counts.map(([name, count]) => `${name} ${String(count)}`),
    ];
  }

  /** Ends them. */
  async close(): Promise<void> {
    await this.pyiceberg.close();
    await this.#spark.stop();
  }
}

/** A time as Spark's statements have it. @param ms since epoch */
export function timestampOf(ms: number): string {
  return `timestamp '${new Date(ms).toISOString().replace("T", " ").replace("Z", "")}'`;
}
