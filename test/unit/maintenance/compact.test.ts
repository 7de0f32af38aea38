/** Runs of a compaction whose groups cannot be written, or are overtaken by others. */
import { expect, test } from "bun:test";
import { fail } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import { listDataFiles } from "#iceberg/io/scan.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import { compact } from "#maintenance/compact.ts";
import { type CompactReport, compactCounts } from "#maintenance/compactRun.ts";
import type { RewriteJob, RewrittenGroup } from "#maintenance/engine.ts";
import { VainGroups } from "#maintenance/vainGroups.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import { positionDeleteWriter } from "#writer/positionDeletes.ts";
import { MaintainedTable } from "../../support/maintainedTable.ts";
import { fileOf } from "../../support/tableOf.ts";

const DAYS = [1, 2, 3];
/** With two of them a group fills a commit. */
const BYTES = 1_500_000_000n;
const SETTINGS = { smallBytes: 1e10, targetBytes: 3e9, deleteRatio: 0.1 };

/** Two files for each day, in commits of their own when they are compacted. */
async function filled(): Promise<MaintainedTable> {
  const table = new MaintainedTable();
  await table.create();
  await table.append(9);
  await table.foreignRewrite(() => false, await pairs(table, DAYS));
  return table;
}

async function pairs(table: MaintainedTable, days: readonly number[]): Promise<DataFile[]> {
  const files: DataFile[] = [];
  for (const day of days.flatMap((each) => [each, each])) {
    files.push({ ...(await table.file(day)), fileSizeBytes: BYTES });
  }
  return files;
}

function dayOf({ group: { inputs } }: RewriteJob): number {
  return Number(inputs[0]?.partition[0]);
}

/** @param before what happens before a group is written */
async function run(
  table: MaintainedTable,
  before: (day: number) => Promise<void>,
  { refusal = null, vain }: { refusal?: string | null; vain?: VainGroups } = {},
): Promise<CompactReport> {
  const rewrite = async (job: RewriteJob): Promise<RewrittenGroup> => {
    await before(dayOf(job));
    await table.storage.put(job.location, new Uint8Array(3));
    const file = { ...fileOf("x", [dayOf(job)]), filePath: job.location };
    return { output: { ...file, recordCount: 10n, fileSizeBytes: 3n }, moved: null };
  };
  const writePositionDeletes = positionDeleteWriter(createInlineEncoder());
  const ready = async (): Promise<void> => undefined;
  const engine = { refusal: () => refusal, ready, rewrite, writePositionDeletes };
  return compact(await table.open(), engine, {
    ...{ isDry: false, settings: SETTINGS, jobs: 1 },
    ...{ onProgress: () => undefined, stop: new AbortController().signal },
    ...(vain !== undefined && { vain }),
  });
}

for (const kind of ["table_unsupported", "query", "query_engine"] as const) {
  test(`a group that cannot be written (${kind}) is refused with its reason, and the others are written`, async () => {
    const table = await filled();
    const report = await run(table, async (day) => {
      if (day < 3) throw fail(kind, `not day ${day}`);
    });
    expect(report).toMatchObject({ groups: 1, filesBefore: 2, left: 0, refused: 2 });
    expect(report.refusal).toBe("not day 1");
    expect(compactCounts(report).counts).toMatchObject({ groups: 1, refused: 2, left: 0 });
  });
}

test("a fault of the store ends the run", async () => {
  const job = run(await filled(), () => Promise.reject(fail("storage_full", "no room")));
  expect(job).rejects.toMatchObject({ kind: "storage_full" });
  await job.catch(() => undefined);
});

test("of a table that cannot be written at all nothing is planned", async () => {
  const table = await filled();
  // Whoever plans reads the manifests.
  for (const path of table.storage.objects.keys()) {
    if (path.endsWith(".avro")) table.storage.objects.delete(path);
  }
  const job = run(table, async () => undefined, {
    refusal: "columns of another world",
  });
  expect(job).rejects.toMatchObject({
    kind: "table_unsupported",
    message: "columns of another world",
  });
  await job.catch(() => undefined);
});

test("when others overtake a batch the rest is planned anew, on what they made", async () => {
  const table = await filled();
  const days: number[] = [];
  const report = await run(table, async (day) => {
    days.push(day);
    if (days.length === 1) await replaceDay(table, day);
  });
  expect(days.length).toBe(4);
  expect(new Set(days).size).toBe(3);
  expect(report).toMatchObject({ groups: 3, filesBefore: 6, filesAfter: 3, left: 0 });
});

test("a batch that others overtake keeps no other back; behind two in a row the rest is planned anew, and behind two more left for the next run", async () => {
  const table = await filled();
  let written = 0;
  const report = await run(table, async (day) => {
    written++;
    await replaceDay(table, day);
  });
  expect({ written, ...report }).toMatchObject({ written: 4, groups: 0, left: 3 });
});

test("a file of so many rows that changes overtake it at every run is written last, and less and less often; all others are put together", async () => {
  const table = new MaintainedTable();
  await table.create();
  await table.append(99);
  const recordCount = BigInt(LIMITS.sortedMapRowsMax + 1);
  const large = { ...(await table.file(1)), recordCount, fileSizeBytes: BYTES };
  await table.foreignRewrite(() => false, [large, await deletesOf(table, large, 3_000_000n)]);
  const vain = new VainGroups();
  const written: number[][] = [];
  for (let at = 0; at < 8; at++) {
    await table.foreignRewrite(() => false, await pairs(table, [2 + at]));
    const days: number[] = [];
    const report = await run(
      table,
      async (day) => {
        days.push(day);
        if (day === 1) await table.foreignRewrite(() => false, [await deletesOf(table, large, 1n)]);
      },
      { vain },
    );
    expect(report).toMatchObject({ groups: 1, filesBefore: 2, filesAfter: 1, left: 1 });
    written.push(days);
  }
  expect(written).toEqual([[2, 1], [3], [4, 1], [5], [6], [7, 1], [8], [9]]);
});

test("deletes by equality that came while a group was written stay, and go on hiding rows of its file", async () => {
  const table = await filled();
  const late: DataFile = {
    ...(await table.file(2)),
    ...{ content: "equality-deletes", equalityIds: [1], recordCount: 1n },
  };
  const report = await run(table, async (day) => {
    if (day === 2) await table.foreignRewrite(() => false, [late]);
  });
  expect(report).toMatchObject({ groups: 3, filesAfter: 3, left: 0 });
  const { storage, metadata } = await table.head();
  const head = metadata.currentSnapshotId ?? 0n;
  const listed = await Array.fromAsync(listDataFiles(storage, metadata, head));
  const deletes = listed.filter(({ file }) => file.content === "equality-deletes");
  expect(deletes.map(({ file }) => file.filePath)).toEqual([late.filePath]);
  const ofDay = listed.filter(
    ({ file }) => file.content === "data" && Number(file.partition[0]) === 2,
  );
  const number = deletes[0]?.sequenceNumber ?? 0n;
  expect(ofDay.map(({ sequenceNumber }) => sequenceNumber < number)).toEqual([true]);
});

/** Deletes by position of a file. */
async function deletesOf(
  table: MaintainedTable,
  { filePath, partition }: DataFile,
  recordCount: bigint,
): Promise<DataFile> {
  const deletes = await table.file(Number(partition[0]));
  return { ...deletes, content: "position-deletes", referencedDataFile: filePath, recordCount };
}

/** Another engine writes the files of a day anew. */
async function replaceDay(table: MaintainedTable, day: number): Promise<void> {
  const isOfDay = ({ partition }: DataFile): boolean => Number(partition[0]) === day;
  await table.foreignRewrite(isOfDay, await pairs(table, [day]));
}
