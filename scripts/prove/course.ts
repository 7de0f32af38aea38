/**
 * A course: one topic on its way into one table, as every proof needs it. Where things lie, how the
 * product is configured, how it is brought to the topic's end, and what foreign readers say then.
 */
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { createTopic } from "../events/topics.ts";
import { type JudgeJob, judgeTable, readTopic, type Verdict } from "../judge/judge.ts";
import { temporaryFolder, until } from "../services/process.ts";
import {
  type Config,
  type PipelineSections,
  type Product,
  startProduct,
} from "../services/product.ts";
import type { S3Service } from "../services/versitygw.ts";

/** Speaks to whoever started the proof. */
export type Say = (line: string) => void;

/** Options of {@link newCourse}. */
export interface CourseOptions {
  readonly bootstrap: string;
  readonly topic: string;
  /** State, configuration file and warehouse; default: a new temporary folder. */
  readonly folder?: string;
  /** Created with so many partitions; 0: the topic is there. */
  readonly partitions: number;
  /** Stronger than the course's own configuration, section by section. */
  readonly config?: Config;
  /** Environment of the product, added to this process's. */
  readonly env?: Readonly<Record<string, string>> | undefined;
}

/** A topic, a table and a configuration. */
export interface Course {
  readonly bootstrap: string;
  readonly topic: string;
  /** State, configuration file, and the local warehouse. */
  readonly folder: string;
  readonly config: Config;
  readonly env: Readonly<Record<string, string>>;
  /** `[[pipelines]]`, default none. */
  readonly pipelines?: readonly PipelineSections[];
  /** Local folder of the table; of an S3 server that keeps objects as files, theirs. */
  readonly tableFolder: string;
  /** What the metadata files are called by readers, without the name. */
  readonly metadataRoot: string;
  readonly s3?: S3Service;
}

/** A course into a file catalog on the local disk; commits are due after 150 ms. */
export async function newCourse(options: CourseOptions): Promise<Course> {
  const { bootstrap, topic, partitions } = options;
  if (partitions > 0) await createTopic(bootstrap, { topic, partitions });
  const folder = options.folder ?? (await temporaryFolder(topic));
  const warehouse = join(folder, "warehouse");
  mkdirSync(warehouse, { recursive: true });
  const tableFolder = join(warehouse, "default", topic);
  const config = merge(base(bootstrap, topic), {
    iceberg: { warehouse_path: warehouse },
    ...options.config,
  });
  return {
    bootstrap,
    topic,
    folder,
    config,
    env: options.env ?? {},
    tableFolder,
    metadataRoot: join(tableFolder, "metadata"),
  };
}

/**
 * A course into a file catalog on an S3 server, reached by the product at `port` (a proxy's).
 * @param objects folder of the server's buckets
 */
export async function newS3Course(
  options: CourseOptions,
  s3: S3Service,
  objects: string,
  port: number,
): Promise<Course> {
  const local = await newCourse(options);
  const { region, accessKey, secretKey } = s3;
  const path = `warehouse/tables-${options.topic}`;
  const config = merge(local.config, {
    iceberg: { warehouse_path: `s3://${path}` },
    storage: {
      base_delay_ms: 50,
      max_delay_ms: 500,
      s3: {
        endpoint: `http://127.0.0.1:${port}`,
        region,
        access_key_id: accessKey,
        secret_access_key: secretKey,
        path_style: true,
      },
    },
    ...options.config,
  });
  return {
    ...local,
    config,
    s3,
    tableFolder: join(objects, path, "default", options.topic),
    metadataRoot: `s3://${path}/default/${options.topic}/metadata`,
  };
}

function base(bootstrap: string, topic: string): Config {
  return {
    kafka: { bootstrap_servers: bootstrap, topic, consumer_group: `group-${topic}` },
    "iceberg.commit": { interval_ms: 150 },
    state: { dir: "state" },
    logging: { format: "json" },
  };
}

/** Sections of `over` put over those of `under`, key by key. */
export function merge(under: Config, over: Config): Config {
  const merged: Record<string, Config[string]> = { ...under };
  for (const [name, section] of Object.entries(over)) {
    merged[name] = { ...merged[name], ...section };
  }
  return merged;
}

/** Starts the product on a course. */
export function start(
  course: Course,
  env: Readonly<Record<string, string>> = {},
): Promise<Product> {
  const { config, folder, pipelines = [] } = course;
  return startProduct({ config, folder, pipelines, env: { ...course.env, ...env } });
}

/** Runs `run --until-end`; throws unless it ends with 0. */
export async function runToEnd(
  course: Course,
  env: Readonly<Record<string, string>> = {},
): Promise<Product> {
  const { config, folder, pipelines = [] } = course;
  const command = ["run", "--until-end"];
  const all = { ...course.env, ...env };
  const product = await startProduct({ config, folder, pipelines, command, env: all });
  const code = await product.exited;
  if (code !== 0) {
    throw new Error(`run --until-end ended with ${code}:\n${product.log().slice(-3000)}`);
  }
  return product;
}

/** Judges a course's table: the law in every retained snapshot, the head's values by the readers. */
export async function judge(course: Course, more: Partial<JudgeJob> = {}): Promise<Verdict> {
  const { s3, bootstrap, topic } = course;
  return judgeTable({
    table: { metadata: `${course.metadataRoot}/v${newestVersion(course)}.metadata.json` },
    topics: [await readTopic(bootstrap, topic)],
    readers: ["duckdb"],
    ...(s3 === undefined ? {} : { s3 }),
    ...more,
  });
}

/** The head's committed offsets by the table's own metadata, and when and how far it came. */
export interface Head {
  readonly version: number;
  readonly snapshots: number;
  readonly timestampMs: number;
  /** Next offset by partition; empty when the table has none. */
  readonly offsets: Readonly<Record<string, number>>;
}

interface MetadataFile {
  readonly properties?: Readonly<Record<string, string>>;
  readonly snapshots?: readonly {
    readonly "sequence-number": number;
    readonly "timestamp-ms": number;
    readonly summary: Readonly<Record<string, string>>;
  }[];
}

/** The head as it is now on disk. */
export async function readHead(course: Course): Promise<Head> {
  const version = newestVersion(course);
  const nothing = { version, snapshots: 0, timestampMs: 0, offsets: {} };
  if (version === 0) return nothing;
  const file = join(course.tableFolder, "metadata", `v${version}.metadata.json`);
  const { snapshots = [], properties = {} } = (await Bun.file(file).json()) as MetadataFile;
  const ours = snapshots.filter((each) => each.summary["kafka-iceberg.offsets"] !== undefined);
  const last = ours.reduce<(typeof ours)[number] | null>(
    (a, b) => (a === null || b["sequence-number"] > a["sequence-number"] ? b : a),
    null,
  );
  if (last === null) return nothing;
  // A summary may hold only what its commit moved; the property holds all.
  const document = JSON.parse(properties["kafka-iceberg.progress.main"] ?? "") as {
    readonly sources: Readonly<Record<string, { readonly p: Record<string, number> }>>;
  };
  const source = Object.entries(document.sources).find(([name]) =>
    name.endsWith(`/${course.topic}`),
  );
  return {
    version,
    snapshots: snapshots.length,
    timestampMs: last["timestamp-ms"],
    offsets: source?.[1].p ?? {},
  };
}

/** Sum of a head's offsets: it grows with every commit that moves one. */
export function total(head: Head): number {
  return Object.values(head.offsets).reduce((sum, offset) => sum + offset, 0);
}

/** Waits until the head has moved past `from`; its head then. */
export async function progressPast(course: Course, from: Head, timeoutMs: number): Promise<Head> {
  let head = from;
  await until(
    `a commit past offset total ${total(from)} of ${course.topic}`,
    async () => {
      if (newestVersion(course) === head.version) return false;
      head = await readHead(course);
      return total(head) > total(from);
    },
    timeoutMs,
  );
  return head;
}

function newestVersion(course: Course): number {
  let newest = 0;
  for (const name of names(join(course.tableFolder, "metadata"))) {
    newest = Math.max(newest, Number(/^v(\d+)\.metadata\.json$/.exec(name)?.[1] ?? 0));
  }
  return newest;
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
