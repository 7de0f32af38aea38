/**
 * The whole product, as an operator runs it: a real topic through the process into a real table, judged
 * against the topic by foreign programs. Each codec, catalog, store and format of this release is in one case.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import {
  abortOpenTransactions,
  type Codec,
  createCompactedTopic,
  freezeWithHoles,
  produceEvents,
  produceTransactions,
} from "../../scripts/events/events.ts";
import { createTopic } from "../../scripts/events/topics.ts";
import { type JudgeJob, judgeTable, readTopic, type Verdict } from "../../scripts/judge/judge.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";
import { run, temporaryFolder } from "../../scripts/services/process.ts";
import type { Config, ProductOptions } from "../../scripts/services/product.ts";
import { type S3Service, startS3 } from "../../scripts/services/versitygw.ts";
import { fileTable, runUntilEnd, tableFolder } from "../support/binary.ts";

let broker: KafkaBroker;
let s3: S3Service;

beforeAll(async () => {
  [broker, s3] = await Promise.all([startKafka(), startS3()]);
}, 600_000);

afterAll(async () => {
  await broker?.stop();
  await s3?.stop();
});

/** Where a table is kept, and how the judge finds it. */
interface Place {
  readonly config: Config;
  readonly judge: Pick<JudgeJob, "table" | "s3">;
}

function local(folder: string, topic: string): Place {
  return {
    config: {},
    judge: { table: { folder: tableFolder(join(folder, "warehouse"), topic) } },
  };
}

function sqlCatalog(folder: string, topic: string, more: Config = {}): Place {
  const sql = { uri: "sqlite:catalog.db", name: "conformance" };
  return {
    config: { ...more, iceberg: { catalog_type: "sql", sql, ...more["iceberg"] } },
    judge: {
      table: {
        sql: { uri: `sqlite:///${folder}/catalog.db`, name: sql.name, table: `default.${topic}` },
      },
    },
  };
}

function sqlCatalogOnS3(folder: string, topic: string): Place {
  const { endpoint, region, accessKey, secretKey } = s3;
  const access = { access_key_id: accessKey, secret_access_key: secretKey };
  const place = sqlCatalog(folder, topic, {
    storage: { s3: { endpoint, region, path_style: true, ...access } },
    iceberg: { warehouse_path: "s3://warehouse/tables" },
  });
  return { ...place, judge: { ...place.judge, s3 } };
}

/** A new folder that holds the executable alone, and files that it must not read. */
async function executableAlone(): Promise<string> {
  const folder = await temporaryFolder("alone");
  const outfile = join(folder, "kafka-iceberg");
  const build = join(import.meta.dir, "..", "..", "scripts", "build.ts");
  await run([process.execPath, build, "--outfile", outfile]);
  await Bun.write(join(folder, "bunfig.toml"), 'preload = ["./foreign.ts"]\n');
  await Bun.write(join(folder, "foreign.ts"), "process.exit(77);\n");
  await Bun.write(join(folder, ".env"), "STATE_DIRECTORY=/proc/foreign\n");
  return folder;
}

async function ingest(
  topic: string,
  place: (folder: string, topic: string) => Place = local,
  judge: Partial<JudgeJob> = {},
  own: Pick<ProductOptions, "folder" | "executable"> = {},
): Promise<Verdict> {
  const { bootstrap } = broker;
  const folder = own.folder ?? (await temporaryFolder("ingest"));
  const { config, judge: where } = place(folder, topic);
  const warehouse = join(folder, "warehouse");
  const { product, exitCode } = await runUntilEnd({
    ...own,
    folder,
    config: fileTable({ bootstrap, topic, warehouse, config }),
  });
  if (exitCode !== 0) throw new Error(`exit ${exitCode}:\n${product.log().slice(-4000)}`);
  const topics = [await readTopic(bootstrap, topic)];
  return judgeTable({ ...where, topics, ...judge });
}

/** Every record up to the last stable offset is committed. */
function expectComplete(verdict: Verdict, rows: number): void {
  expect(verdict.violations).toEqual([]);
  expect(verdict.readers.duckdb?.rows).toBe(rows);
  expect(verdict.readers.pyiceberg?.rows).toBe(rows);
}

describe("run --until-end", () => {
  test.each([
    ["none", "file catalog, local disk", local],
    ["gzip", "file catalog, local disk", local],
    ["snappy", "SQLite catalog, local disk", sqlCatalog],
    ["lz4", "SQLite catalog, S3", sqlCatalogOnS3],
    ["zstd", "file catalog, local disk", local],
  ] as const)(
    "commits every event once: %s, %s",
    async (codec, _, place) => {
      const topic = `events-${codec}`;
      const { bootstrap } = broker;
      await createTopic(bootstrap, { topic, partitions: 3 });
      await produceEvents({ bootstrap, topic, count: 60_000, codec: codec satisfies Codec });
      expectComplete(await ingest(topic, place), 60_000);
    },
    180_000,
  );

  test("commits what is committed of interleaved transactions, and ends before an open one", async () => {
    const { bootstrap } = broker;
    const topic = "transactions";
    await createTopic(bootstrap, { topic, partitions: 3 });
    const done = await produceTransactions({ bootstrap, topic, partitions: 3, count: 40_000 });
    const verdict = await ingest(topic);
    expect(verdict.violations).toEqual([]);
    expect(verdict.readers.duckdb?.rows).toBe(done.committed);
    await abortOpenTransactions(bootstrap, done.openIds);
  }, 180_000);

  test("commits what compaction left of a topic", async () => {
    const { bootstrap } = broker;
    const topic = "compacted";
    await createCompactedTopic(bootstrap, topic, 2);
    await produceEvents({ bootstrap, topic, count: 60_000 });
    await freezeWithHoles(bootstrap, topic);
    const verdict = await ingest(topic);
    expect(verdict.violations).toEqual([]);
    expect(verdict.readers.duckdb?.rows).toBeLessThan(60_000);
  }, 180_000);

  test("by the executable alone: 2,000,000 events as PyIceberg, DuckDB and Spark read them", async () => {
    const { bootstrap } = broker;
    const topic = "two-million";
    await createTopic(bootstrap, { topic, partitions: 6 });
    await produceEvents({ bootstrap, topic, count: 2_000_000, codec: "lz4" });
    const readers = ["duckdb", "pyiceberg", "spark"] as const;
    const folder = await executableAlone();
    const executable = join(folder, "kafka-iceberg");
    const verdict = await ingest(topic, local, { readers }, { folder, executable });
    expectComplete(verdict, 2_000_000);
    expect(verdict.readers.spark?.rows).toBe(2_000_000);
  }, 600_000);
});
