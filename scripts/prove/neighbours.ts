/**
 * Proofs about others who touch what is ours: PyIceberg appends to the table and rolls it back, an
 * operator deletes and re-creates topics.
 */
import { join } from "node:path";
import { produceEvents } from "../events/events.ts";
import { createTopic, deleteTopic } from "../events/topics.ts";
import type { Verdict } from "../judge/judge.ts";
import { readersPython } from "../services/cache.ts";
import { run, until } from "../services/process.ts";
import type { Product } from "../services/product.ts";
import { type Course, judge, newCourse, runToEnd, start } from "./course.ts";

/** PyIceberg, as another writer of our table. */
export const NEIGHBOUR: string = join(import.meta.dir, "neighbour.py");

/** Size of {@link proveNeighbour}. */
export interface NeighbourProof {
  readonly bootstrap: string;
  readonly topic: string;
  /** Events a second. */
  readonly rate: number;
  /** Appends and rollbacks. */
  readonly actions: number;
  readonly seed: number;
}

/** What was found. */
export interface NeighbourReport {
  readonly appends: number;
  readonly rollbacks: number;
  /** Actions that lost against a commit of ours. */
  readonly lost: number;
  /** Flushes of ours that were given up because the table had been rolled back. */
  readonly fencedFlushes: number;
  readonly verdict: Verdict;
}

/** PyIceberg writes the same table of an SQL catalog while events flow. */
export async function proveNeighbour(proof: NeighbourProof): Promise<NeighbourReport> {
  const { bootstrap, topic, rate, actions, seed } = proof;
  const sql = { uri: "sqlite:catalog.db", name: "proof" };
  const config = {
    iceberg: { catalog_type: "sql", warehouse_path: "warehouse", sql },
    // PyIceberg computes partition values only with a package of its own that the readers lack.
    partitioning: { partition_strategy: "none" },
  };
  const course = await newCourse({ bootstrap, topic, partitions: 3, config });
  const uri = `sqlite:///${course.folder}/catalog.db`;
  const table = { sql: { uri, name: sql.name, table: `default.${topic}` } };
  await produceEvents({ bootstrap, topic, count: 1000, seed });
  const product = await start(course);
  const committed = (): boolean => product.log().includes("Flush committed");
  await until("a first commit", committed, 30_000);
  let busy = true;
  const catalog = { type: "sql", uri, init_catalog_tables: "false" };
  const named = { catalog, name: sql.name, table: `default.${topic}` };
  const job = { ...named, actions, pause: 0.4, seed };
  const neighbour = run([await readersPython(), NEIGHBOUR], { stdin: JSON.stringify(job) });
  const flow = (async () => {
    for (let more = seed + 1; busy; more++) {
      await produceEvents({ bootstrap, topic, count: rate * 2, rate, seed: more });
    }
  })();
  const tally = JSON.parse(
    await neighbour.finally(() => {
      busy = false;
    }),
  ) as Pick<NeighbourReport, "appends" | "rollbacks" | "lost">;
  await flow;
  await product.terminate();
  await runToEnd(course);
  const fencedFlushes = product
    .logLines()
    .filter((line) => line.message?.startsWith("Rows dropped") === true).length;
  const verdict = await judge(course, { table, foreignWriters: true });
  return { ...tally, fencedFlushes, verdict };
}

/** What {@link proveTopics} found. */
export interface TopicsReport {
  /** State and error of the three tables: topic deleted, re-created, left alone. */
  readonly deleted: TableReport;
  readonly recreated: TableReport;
  readonly untouched: TableReport;
  /** Of the untouched topic's table, events produced afterwards included. */
  readonly verdict: Verdict;
}

interface TableReport {
  readonly state: string;
  readonly lastError: string | null;
}

/** Three topics into three tables: one is deleted, one re-created, one goes on. */
export async function proveTopics(bootstrap: string, prefix: string): Promise<TopicsReport> {
  const topics = ["deleted", "recreated", "untouched"].map((name) => `${prefix}-${name}`);
  const [deleted = "", recreated = "", untouched = ""] = topics;
  for (const topic of topics) {
    await createTopic(bootstrap, { topic, partitions: 2 });
    await produceEvents({ bootstrap, topic, count: 500 });
  }
  const plain = await newCourse({ bootstrap, topic: untouched, partitions: 0 });
  const { topic: _, ...kafka } = plain.config["kafka"] ?? {};
  const course: Course = { ...plain, config: { ...plain.config, kafka: { ...kafka, topics } } };
  const product = await start(course);
  try {
    const all = async (): Promise<boolean> =>
      (await Promise.all(topics.map((topic) => rows(product, topic)))).every((n) => n === 500);
    await until("all committed", all, 30_000);
    await deleteTopic(bootstrap, deleted);
    await deleteTopic(bootstrap, recreated);
    await Bun.sleep(500);
    await createTopic(bootstrap, { topic: recreated, partitions: 2 });
    for (const topic of [recreated, untouched]) {
      await produceEvents({ bootstrap, topic, count: 700, seed: 2 });
    }
    const stopped = async (topic: string): Promise<boolean> =>
      (await table(product, topic)).state === "stopped";
    await until("one stopped", () => stopped(recreated), 60_000);
    await until("the other stopped", () => stopped(deleted), 60_000);
    await until("the third goes on", async () => (await rows(product, untouched)) === 1200, 30_000);
    const report = {
      deleted: await table(product, deleted),
      recreated: await table(product, recreated),
      untouched: await table(product, untouched),
    };
    await product.terminate();
    return { ...report, verdict: await judge(course) };
  } finally {
    await product.kill();
  }
}

interface Status {
  readonly pipelines: readonly {
    readonly tables: readonly (TableReport & {
      readonly table: string;
      readonly rowsCommitted: number;
    })[];
  }[];
}

async function rows(product: Product, topic: string): Promise<number> {
  return (await tableStatus(product, topic))?.rowsCommitted ?? 0;
}

async function table(product: Product, topic: string): Promise<TableReport> {
  const found = await tableStatus(product, topic);
  return { state: found?.state ?? "unknown", lastError: found?.lastError ?? null };
}

async function tableStatus(
  product: Product,
  topic: string,
): Promise<Status["pipelines"][number]["tables"][number] | undefined> {
  const nothing = { pipelines: [] };
  const status = (await product.status().catch(() => nothing)) as Status;
  const tables = status.pipelines.flatMap((each) => each.tables);
  return tables.find((each) => each.table === `default.${topic}`);
}
