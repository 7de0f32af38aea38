/**
 * Spark's maintenance at night, while no process of ours runs: rewritten data files and manifests, all
 * snapshots but the newest expired. The next start goes on by itself, exactly once.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "#base/clock.ts";
import { silentLogger } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import type { Catalog } from "#catalog/catalog.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import type { WriterOptions, WriterParts } from "#writer/parts.ts";
import { TableWriter } from "#writer/tableWriter.ts";
import { temporaryFolder } from "../../scripts/services/process.ts";
import { columns, FIELDS } from "../sim/rows.ts";
import { realCatalog } from "../support/realCatalogs.ts";
import { hadoopCatalog, type SparkSql, startSparkSql } from "../support/sparkSql.ts";
import { WRITER_OPTIONS } from "../support/writerOptions.ts";

const OPTIONS: WriterOptions = {
  ...WRITER_OPTIONS,
  coordinates: { topic: null, partition: "partition", offset: "offset" },
  codec: "zstd",
};
const feed = (partition: number) => ({ clusterId: "c", topic: "t", topicId: "1", partition });

let root: string;
let spark: SparkSql;
let catalog: Catalog;

beforeAll(async () => {
  root = await temporaryFolder("overnight");
  catalog = await realCatalog({ type: "file", warehouse: join(root, "files"), readOnly: false });
  spark = await startSparkSql(hadoopCatalog("files", join(root, "files")));
}, 600_000);

afterAll(async () => {
  await spark?.stop();
  await catalog?.close();
  await rm(root, { recursive: true, force: true });
}, 60_000);

function writer(): Promise<TableWriter> {
  const parts: WriterParts = {
    catalog,
    random: seededRandom(Date.now()),
    txlog: { recovered: [], append: async () => undefined, close: async () => undefined },
    clock: systemClock,
    encoder: createInlineEncoder(),
    logger: silentLogger,
    observe: () => undefined,
  };
  return TableWriter.open(parts, OPTIONS, FIELDS);
}

/** Every second offset of a partition from `start` to `end`. */
async function flush(
  table: TableWriter,
  partition: number,
  start: number,
  end: number,
): Promise<void> {
  const offsets = Array.from({ length: (end - start) / 2 }, (_, row) => start + 2 * row);
  const range = { feed: feed(partition), start: BigInt(start), end: BigInt(end) };
  const pending = table.newFlush([{ range, batch: columns(partition, offsets) }]);
  expect((await table.flush(pending)).kind).toBe("committed");
}

async function night(): Promise<void> {
  await spark.sql(
    "call files.system.rewrite_data_files(table => 'db.t', options => map('rewrite-all', 'true'))",
  );
  await spark.sql("call files.system.rewrite_manifests('db.t')");
  await spark.sql(
    "call files.system.expire_snapshots(table => 'db.t', retain_last => 1, older_than => timestamp '2099-01-01 00:00:00')",
  );
  const snapshots = await spark.sql("select snapshot_id from files.db.t.snapshots");
  expect(snapshots.length).toBe(1);
}

async function counts(): Promise<Record<string, unknown>[]> {
  return await spark.sql(
    "select partition, count(*) rows, count(distinct offset) offsets, max(offset) last " +
      "from files.db.t group by partition order by partition",
  );
}

test("after a rewrite of data and manifests and expiry to one snapshot the next start goes on exactly once, two nights long", async () => {
  const before = await writer();
  await before.claim([
    { feed: feed(0), offset: 0n },
    { feed: feed(1), offset: 0n },
  ]);
  for (let n = 0; n < 3; n++) {
    await flush(before, 0, n * 100, n * 100 + 100);
    await flush(before, 1, n * 60, n * 60 + 60);
  }
  await night();
  const first = await writer();
  expect(await first.positions([feed(0), feed(1)])).toEqual([300n, 180n]);
  await flush(first, 0, 300, 400);
  await night();
  // The second night orphan removal has taken the earlier metadata files, too.
  const { metadata, storage } = first.lastSeen;
  await storage.remove(metadata.metadataLog.map((entry) => entry.metadataFile));
  const newest = await catalog.load(OPTIONS.name);
  await storage.remove((newest?.metadata.metadataLog ?? []).map((entry) => entry.metadataFile));
  const second = await writer();
  expect(await second.positions([feed(0), feed(1)])).toEqual([400n, 180n]);
  await flush(second, 1, 180, 200);
  expect(await counts()).toEqual([
    { partition: 0, rows: 200, offsets: 200, last: 398 },
    { partition: 1, rows: 100, offsets: 100, last: 198 },
  ]);
}, 600_000);
