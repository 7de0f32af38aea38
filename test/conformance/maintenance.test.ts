/** Maintenance of a table that Spark wrote, judged by Spark: it reads every snapshot and ref that is left, and finds nothing left to do. And updates of ours of what it compacted. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "#base/clock.ts";
import { ignoreObservations } from "#base/events.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import type { Catalog } from "#catalog/catalog.ts";
import { CommitTable } from "#commit/commitTable.ts";
import { expireSnapshots } from "#maintenance/expire.ts";
import { rewriteManifests } from "#maintenance/manifests.ts";
import { removeOrphans } from "#maintenance/orphans.ts";
import type { RunOptions } from "#maintenance/run.ts";
import { temporaryFolder } from "../../scripts/services/process.ts";
import { ChangedTable } from "../support/changedTable.ts";
import { realCatalog } from "../support/realCatalogs.ts";
import { hadoopCatalog, type SparkSql, startSparkSql } from "../support/sparkSql.ts";

const OPTIONS: RunOptions = {
  isDry: false,
  onProgress: () => undefined,
  stop: new AbortController().signal,
};
const DAY_MS = 86_400_000;
/** Everything that is no head, branch or tag may go. */
const NOTHING_KEPT = { keepAllMs: 0, retentionMs: 0, snapshotsMax: 500 };

let root: string;
let files: Catalog;
let spark: SparkSql;

beforeAll(async () => {
  root = await temporaryFolder("maintenance");
  files = await realCatalog({ type: "file", warehouse: root, readOnly: false });
  spark = await startSparkSql(hadoopCatalog("files", root));
}, 600_000);

afterAll(async () => {
  await spark?.stop();
  await files?.close();
  rmSync(root, { recursive: true, force: true });
}, 60_000);

/** The table as our commits see it. */
async function open(table: string): Promise<CommitTable> {
  const name = { namespace: ["db"], table };
  const head = await files.load(name);
  if (head === null) throw new Error("the table is there");
  const parts = { catalog: files, clock: systemClock, random: systemRandom, logger: silentLogger };
  const txlog = { recovered: [], append: async () => undefined, close: async () => undefined };
  const options = { name, branch: "main", group: "g", commitRetriesMax: 3, thinning: null };
  return new CommitTable({ ...parts, txlog, observe: ignoreObservations }, options, head);
}

async function idsOf(table: string): Promise<number[]> {
  const rows = await spark.sql(`select id from files.db.${table} order by id`);
  return rows.map((row) => Number(row["id"]));
}

/** v3: which row id each row has. */
async function rowIdsOf(table: string): Promise<unknown[]> {
  return spark.sql(`select id, _row_id from files.db.${table} order by id`);
}

/** A table with appends, deletes, a compaction, a tag and a branch, all by Spark. */
async function sparkTable(table: string, version: 2 | 3): Promise<void> {
  const at = `files.db.${table}`;
  await spark.sql(
    `create table ${at} (id bigint, day int) using iceberg partitioned by (day) tblproperties ` +
      `('format-version'='${version}', 'write.delete.mode'='merge-on-read')`,
  );
  for (const n of [1, 2, 3]) {
    await spark.sql(`insert into ${at} values (${n}, 1), (${n + 10}, 1), (${n + 20}, 2)`);
  }
  await spark.sql(`delete from ${at} where id in (1, 12)`);
  const all = "options => map('rewrite-all', 'true')";
  await spark.sql(`call files.system.rewrite_data_files(table => 'db.${table}', ${all})`);
  await spark.sql(`alter table ${at} create tag kept`);
  await spark.sql(`alter table ${at} create branch audit`);
  await spark.sql(`insert into ${at}.branch_audit values (99, 3)`);
  await spark.sql(`delete from ${at} where id = 23`);
  await spark.sql(`insert into ${at} values (4, 1)`);
}

test("v3: rows keep their ids through our updates, also behind a compaction by Spark, as Spark sees them", async () => {
  const changed = await ChangedTable.create(files, "updated", { formatVersion: 3 });
  const at = "files.db.updated";
  const idsNow = async (): Promise<Map<string, number>> => {
    const rows = await spark.sql(`select id, _row_id from ${at}`);
    return new Map(rows.map((row) => [String(row["id"]), Number(row["_row_id"])]));
  };
  for (let flush = 0; flush < 3; flush++) await changed.flush(800, 600);
  const all = "options => map('rewrite-all', 'true', 'remove-dangling-deletes', 'true')";
  await spark.sql(`call files.system.rewrite_data_files(table => 'db.updated', ${all})`);
  const before = await idsNow();
  expect(before.size).toBe(changed.rows.size);
  await changed.flush(300, 600);
  expect(changed.idProblems(before, await idsNow())).toEqual([]);
  const [row] = await spark.sql(
    `select count(distinct _last_updated_sequence_number) as commits, max(_last_updated_sequence_number) as last from ${at}`,
  );
  const head = await files.load({ namespace: ["db"], table: "updated" });
  expect(Number(row?.["commits"])).toBe(4);
  expect(Number(row?.["last"])).toBe(Number(head?.metadata.lastSequenceNumber));
}, 180_000);

/** What Spark's own maintenance would still find. */
async function sparkFinds(table: string): Promise<unknown[]> {
  const [expired] = await spark.sql(
    `call files.system.expire_snapshots(table => 'db.${table}', older_than => now(), retain_last => 1)`,
  );
  const [manifests] = await spark.sql(
    `call files.system.rewrite_manifests(table => 'db.${table}', use_caching => false)`,
  );
  const orphans = await spark.sql(
    `call files.system.remove_orphan_files(table => 'db.${table}', dry_run => true)`,
  );
  return [...Object.values(expired ?? {}), ...Object.values(manifests ?? {}), ...orphans];
}

/** Spark looks at no file that is younger than a day: all of them are made old. */
function makeOld(table: string): void {
  const old = new Date(Date.now() - 5 * DAY_MS);
  const folder = join(root, "db", table);
  for (const file of readdirSync(folder, { recursive: true })) {
    utimesSync(join(folder, String(file)), old, old);
  }
}

for (const version of [2, 3] as const) {
  test(`v${version}: after our maintenance Spark reads head, tag and branch as before, and its own finds nothing left to do`, async () => {
    const table = `t${version}`;
    await sparkTable(table, version);
    const refs = ["", ".tag_kept", ".branch_audit"];
    const before = await Promise.all(refs.map((ref) => idsOf(table + ref)));
    const rowIds = version === 3 ? await rowIdsOf(table) : [];
    const manifests = await rewriteManifests(await open(table), OPTIONS);
    expect(manifests.replaced).toBeGreaterThan(1);
    const report = await expireSnapshots(await open(table), NOTHING_KEPT, OPTIONS);
    expect(report.snapshots).toBeGreaterThan(2);
    expect(report.files.content).toBeGreaterThan(0);
    writeFileSync(join(root, "db", table, "data", "lost.parquet"), "lost");
    makeOld(table);
    const orphans = await removeOrphans(await open(table), {
      ...OPTIONS,
      ageMsMin: 3 * DAY_MS,
      isForced: false,
    });
    expect(orphans.examples.map((path) => path.split("/").at(-1))).toContain("lost.parquet");
    expect(await Promise.all(refs.map((ref) => idsOf(table + ref)))).toEqual(before);
    if (version === 3) expect(await rowIdsOf(table)).toEqual(rowIds);
    expect((await sparkFinds(table)).filter((each) => each !== "0" && each !== 0)).toEqual([]);
  }, 240_000);
}
