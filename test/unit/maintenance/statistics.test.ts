/** Statistics of tables: what is read for them, when they are begun anew, and that they stay with their table. */
import { expect, test } from "bun:test";
import { describe } from "#base/errors.ts";
import type { CommitTable } from "#commit/commitTable.ts";
import type { SnapshotId } from "#iceberg/metadata/metadata.ts";
import { snapshotsToThin } from "#iceberg/metadata/retention.ts";
import { filesOf, statisticsFiles } from "#iceberg/metadata/statistics.ts";
import { readPuffin } from "#iceberg/puffin.ts";
import { decodeSketch } from "#iceberg/statistics/thetaSketch.ts";
import { expireSnapshots } from "#maintenance/expire.ts";
import { removeOrphans } from "#maintenance/orphans.ts";
import {
  type CountValues,
  type StatisticsReport,
  updateStatistics,
} from "#maintenance/statistics.ts";
import { DAY, MaintainedTable } from "../../support/maintainedTable.ts";
import { rejection } from "../../support/rejection.ts";

const OPTIONS = {
  isDry: false,
  onProgress: () => undefined,
  stop: new AbortController().signal,
};

/** A table whose files have one value each: a number that their name tells. */
class Counted extends MaintainedTable {
  readonly read: string[] = [];

  count: CountValues = async ({ inputs, columns }) => {
    const numbers = inputs.map(({ path }) => BigInt(/f(\d+)\.parquet/.exec(path)?.[1] ?? 0));
    this.read.push(...inputs.map(({ path }) => path.split("/").at(-1) ?? ""));
    return columns.map(({ field, sketch: { theta, hashes } }) => ({
      field,
      sketch: { theta, hashes: BigUint64Array.from(new Set([...hashes, ...numbers])) },
    }));
  };

  async run(isDry = false): Promise<StatisticsReport> {
    this.read.length = 0;
    return updateStatistics(await this.open(), this.count, { ...OPTIONS, isDry });
  }
}

async function newTable(format: 2 | 3 = 2): Promise<Counted> {
  const table = new Counted();
  await table.create({}, format);
  return table;
}

test("every column is counted once, then only in files that came since", async () => {
  const table = await newTable();
  for (let n = 0; n < 4; n++) await table.append();
  const first = await table.run();
  expect(first).toEqual({
    ...{ files: 4, rows: 40, partitions: 1 },
    distinct: { id: 4, day: 4, name: 4 },
  });
  expect(await table.run()).toMatchObject({ files: 0, partitions: null, distinct: {} });
  await table.append(20_001);
  expect(await table.run()).toMatchObject({ files: 1, partitions: 2, distinct: { id: 5 } });
  expect(table.read).toEqual(["f5.parquet"]);
});

test("a statistics file says whose it is, and estimates beside its sketches", async () => {
  const table = await newTable();
  await table.append();
  await table.run();
  const { metadata, storage } = await table.head();
  const [file] = metadata.unknown["statistics"] as Record<string, unknown>[];
  const bytes = await storage.get(String(file?.["statistics-path"]));
  expect(file).toMatchObject({
    "snapshot-id": metadata.currentSnapshotId,
    "file-size-in-bytes": bytes.length,
  });
  const footer = bytes.subarray(bytes.length - Number(file?.["file-footer-size-in-bytes"]));
  expect(Buffer.from(footer.subarray(0, 4)).toString()).toBe("PFA1");
  const blobs = readPuffin(bytes);
  expect(blobs.map(({ fields }) => fields)).toEqual([[1], [2], [3]]);
  expect(blobs[0]?.properties).toEqual({ ndv: "1", "kafka-iceberg.rows-read": "10" });
  expect(decodeSketch(blobs[0]?.bytes ?? new Uint8Array()).hashes).toEqual(
    BigUint64Array.from([1n]),
  );
  expect(file?.["blob-metadata"]).toMatchObject([
    { type: blobs[0]?.type, fields: [1], properties: { ndv: "1" } },
    { fields: [2] },
    { fields: [3] },
  ]);
});

test("counting begins anew when half as many rows went in as the table has", async () => {
  const table = await newTable();
  for (let n = 0; n < 4; n++) await table.append();
  await table.run();
  // A compaction: 40 rows are read again, which makes 80 of 40.
  const merged = [await table.file(), await table.file(), await table.file(), await table.file()];
  await table.foreignRewrite(() => true, merged);
  expect(await table.run()).toMatchObject({ files: 4, distinct: { id: 4 } });
  expect(table.read).toEqual(merged.map(({ filePath }) => filePath.split("/").at(-1) ?? ""));
  // One of five files: 50 of 50.
  await table.append();
  expect(await table.run()).toMatchObject({ files: 1, distinct: { id: 5 } });
});

test("a dry run says what would be read, and writes nothing", async () => {
  const table = await newTable();
  await table.append();
  const before = table.stored();
  expect(await table.run(true)).toMatchObject({ files: 1, rows: 10, distinct: {} });
  expect(table.read).toEqual([]);
  expect(table.stored()).toEqual(before);
});

test("a table without a snapshot has nothing to count", async () => {
  expect(await (await newTable()).run()).toMatchObject({ files: 0, partitions: null });
});

test("the newest statistics hold their snapshot when commits thin, older ones do not", async () => {
  const table = await newTable();
  const described: (SnapshotId | null)[] = [];
  for (let n = 0; n < 3; n++) {
    await table.append();
    await table.run();
    described.push((await table.metadata()).currentSnapshotId);
    table.nowMs += 1000;
  }
  for (let n = 0; n < 3; n++) await table.append();
  const policy = { branch: "main", keepAllMs: 0, retentionMs: 0, snapshotsMax: 10 };
  const thinned = snapshotsToThin(await table.metadata(), policy, table.nowMs + DAY);
  expect(thinned).toContain(described[0] ?? 0n);
  expect(thinned).not.toContain(described[2] ?? 0n);
});

test("orphans and expiry know statistics: those of the table stay, those of gone snapshots go", async () => {
  const table = await newTable();
  await table.append();
  await table.run();
  const old = statisticsFiles(await table.metadata()).map(({ path }) => path);
  expect(old.length).toBe(2);
  table.nowMs += 10 * DAY;
  await table.append();
  await table.run();
  const kept = statisticsFiles(await table.metadata()).map(({ path }) => path);
  const opened: CommitTable = await table.open();
  await removeOrphans(opened, { ...OPTIONS, ageMsMin: 3 * DAY, isForced: true });
  for (const path of kept) expect(table.stored().has(path)).toBe(true);
  const policy = { keepAllMs: 0, retentionMs: DAY, snapshotsMax: 10 };
  const report = await expireSnapshots(await table.open(), policy, OPTIONS);
  expect(report.files.statistics).toBe(2);
  for (const path of old) expect(table.stored().has(path)).toBe(false);
  expect(filesOf(await table.metadata(), "statistics").length).toBe(1);
});

test("statistics of a snapshot that has left meanwhile are dropped with their files", async () => {
  const table = await newTable();
  await table.append();
  const before = table.stored();
  const count: CountValues = async (job) => {
    await table.append();
    const { snapshots, currentSnapshotId } = await table.metadata();
    const gone = snapshots.filter(({ snapshotId }) => snapshotId !== currentSnapshotId);
    const snapshotIds = gone.map(({ snapshotId }) => snapshotId);
    await table.update([{ action: "remove-snapshots", snapshotIds }]);
    return table.count(job, OPTIONS.stop);
  };
  const run = updateStatistics(await table.open(), count, OPTIONS);
  expect(describe(await rejection(run))).toContain("its snapshot has left the table");
  const added = [...table.stored()].filter((path) => !before.has(path));
  expect(added.filter((path) => /stats/.test(path))).toEqual([]);
});
