/** The engines that write to a table beside us, and judge it: PyIceberg (`cycles.py`) and Spark. */
import { join } from "node:path";
import { type SparkSql, startSparkSql } from "../../test/support/sparkSql.ts";
import { readersPython } from "../services/cache.ts";
import { keep, until } from "../services/process.ts";
import type { Course } from "./course.ts";

/** Name of the catalog that all share. */
export const CATALOG = "shared";

const DAY_MS = 86_400_000;

/** The engines of others. */
export class Others {
  readonly #python: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #spark: SparkSql;
  /** In the catalog, and as Spark's statements have it. */
  readonly #name: string;
  readonly #table: string;
  readonly #answers: string[] = [];

  private constructor(
    python: Bun.Subprocess<"pipe", "pipe", "inherit">,
    spark: SparkSql,
    topic: string,
  ) {
    this.#python = python;
    this.#spark = spark;
    this.#name = `default.${topic}`;
    this.#table = `${CATALOG}.default.\`${topic}\``;
    void this.#listen();
  }

  /** Starts them beside a course whose table is there. */
  static async open({ folder, topic }: Course): Promise<Others> {
    const script = join(import.meta.dir, "cycles.py");
    const python = Bun.spawn([await readersPython(), script], {
      ...{ stdin: "pipe", stdout: "pipe", stderr: "inherit" },
    });
    keep(python);
    const uri = `sqlite:///${folder}/catalog.db`;
    const warehouse = `file://${folder}/warehouse`;
    const place = { uri, warehouse, table: `default.${topic}` };
    await python.stdin.write(`${JSON.stringify(place)}\n`);
    const name = `spark.sql.catalog.${CATALOG}`;
    const spark = await startSparkSql({
      [name]: "org.apache.iceberg.spark.SparkCatalog",
      [`${name}.type`]: "jdbc",
      [`${name}.uri`]: `jdbc:sqlite:${folder}/catalog.db`,
      [`${name}.jdbc.schema-version`]: "V1",
      [`${name}.warehouse`]: join(folder, "warehouse"),
      [`${name}.cache-enabled`]: "false",
    });
    return new Others(python, spark, topic);
  }

  async #listen(): Promise<void> {
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of this.#python.stdout) {
      text += decoder.decode(chunk, { stream: true });
      const lines = text.split("\n");
      text = lines.pop() ?? "";
      this.#answers.push(...lines.filter((line) => line.startsWith("ANSWER ")));
    }
  }

  /** What PyIceberg answers; null: somebody else's commit came first. */
  async ask(job: object): Promise<unknown> {
    await this.#python.stdin.write(`${JSON.stringify(job)}\n`);
    await this.#python.stdin.flush();
    await until("PyIceberg's answer", () => this.#answers.length > 0, 120_000);
    const answer = JSON.parse((this.#answers.shift() ?? "").slice("ANSWER ".length));
    if (answer.error !== undefined && !/locked/.test(answer.error)) throw new Error(answer.error);
    return answer.conflict === undefined && answer.error === undefined ? answer : null;
  }

  /** Sets properties of the table. */
  async set(properties: Readonly<Record<string, string>>): Promise<void> {
    const texts = Object.entries(properties).map(([name, value]) => `'${name}' = '${value}'`);
    await this.#spark.sql(`alter table ${this.#table} set tblproperties (${texts.join(", ")})`);
  }

  /** A row with this id. False: somebody else's commit came first. */
  async append(id: string, isByPython: boolean): Promise<boolean> {
    if (isByPython) return (await this.ask({ do: "append", ids: [id] })) !== null;
    return await this.#bySpark(`insert into ${this.#table} (event_id) values ('${id}')`);
  }

  /** False: somebody else's commit came first. */
  async deleteBySpark(partition: number, from: number, to: number): Promise<boolean> {
    const where = `_kafka_partition = ${partition} and _kafka_offset >= ${from} and _kafka_offset < ${to}`;
    return await this.#bySpark(`delete from ${this.#table} where ${where}`);
  }

  async #bySpark(statement: string): Promise<boolean> {
    try {
      await this.#spark.sql(statement);
      return true;
    } catch (error) {
      if (
        /ommit|BUSY|locked|onflicting|stale|Missing required files|NotFound/.test(String(error))
      ) {
        return false;
      }
      throw error;
    }
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
    const time = (ms: number): string =>
      `, older_than => timestamp '${new Date(ms).toISOString().replace("T", " ").replace("Z", "")}'`;
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
    await this.#python.stdin.end();
    await this.#python.exited;
    await this.#spark.stop();
  }
}
