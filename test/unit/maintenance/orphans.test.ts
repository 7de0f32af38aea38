/** Orphans: what is found in a table's folder, what is left alone, and what needs a person. */
import { expect, test } from "bun:test";
import type { Catalog } from "#catalog/catalog.ts";
import { type OrphanOptions, removeOrphans } from "#maintenance/orphans.ts";
import { DAY, MaintainedTable } from "../../support/maintainedTable.ts";
import { rejection } from "../../support/rejection.ts";

const OPTIONS: OrphanOptions = {
  isDry: false,
  isForced: false,
  ageMsMin: 3 * DAY,
  onProgress: () => undefined,
  stop: new AbortController().signal,
};

/** A table with a few commits of its own and of others. */
async function tableWithFiles(
  properties: Readonly<Record<string, string>> = {},
): Promise<MaintainedTable> {
  const table = new MaintainedTable();
  await table.create(properties);
  for (let n = 0; n < 3; n++) await table.append();
  await table.foreignAppend();
  await table.foreignRewrite(({ filePath }) => filePath.endsWith("f1.parquet"));
  return table;
}

async function put(table: MaintainedTable, ...paths: string[]): Promise<void> {
  for (const path of paths) await table.storage.put(`/wh/${path}`, new Uint8Array(5));
}

test("files of 2.9 days stay, those of 3.1 days go, by the clock of the store", async () => {
  const table = await tableWithFiles();
  await put(table, "db/t/data/old.parquet", "db/t/metadata/old-m0.avro");
  table.nowMs += 0.2 * DAY;
  await put(table, "db/t/data/young.parquet");
  table.nowMs += 2.9 * DAY;
  const before = table.stored();
  // This machine's clock is a week ahead.
  const opened = await table.open();
  const parts = { ...opened.parts, clock: { ...table.clock, nowMs: () => table.nowMs + 7 * DAY } };
  Object.assign(opened, { parts });
  const report = await removeOrphans(opened, OPTIONS);
  expect(report).toMatchObject({ files: 2, bytes: 10, uploads: 0, otherTables: [] });
  const gone = before.difference(table.stored());
  expect(gone).toEqual(new Set(["/wh/db/t/data/old.parquet", "/wh/db/t/metadata/old-m0.avro"]));
});

test("nothing that any retained snapshot, ref or statistics file names goes, however old it is", async () => {
  const table = await tableWithFiles();
  table.nowMs += 400 * DAY;
  const before = table.stored();
  const report = await removeOrphans(await table.open(), OPTIONS);
  expect(report).toMatchObject({ files: 0 });
  expect(table.stored()).toEqual(before);
});

test("a file that is known under another scheme or place is known", async () => {
  const table = await tableWithFiles();
  const file = await table.file();
  const elsewhere = {
    ...file,
    filePath: `s3a://alias/db/t/data/${file.filePath.split("/").at(-1)}`,
  };
  await table.foreignRewrite(() => false, [elsewhere]);
  table.nowMs += 30 * DAY;
  expect(await removeOrphans(await table.open(), OPTIONS)).toMatchObject({ files: 0 });
});

test("hidden files, a Hadoop table's versions, and other tables inside the folder are left alone", async () => {
  const table = await tableWithFiles();
  await put(
    table,
    "db/t/_delta_log/0.json",
    "db/t/data/.part.tmp",
    "db/t/data/_temporary/0/x.parquet",
    "db/t/metadata/v0.metadata.json",
    "db/t/inner/metadata/00000-x.metadata.json",
    "db/t/inner/data/theirs.parquet",
    "db/t2/data/neighbour.parquet",
  );
  await put(table, "db/t/data/_p=1/gone.parquet", "db/t/data/.gone.parquet.crc");
  table.nowMs += 30 * DAY;
  const report = await removeOrphans(await table.open(), OPTIONS);
  expect(report.examples.toSorted()).toEqual([
    "/wh/db/t/data/.gone.parquet.crc",
    "/wh/db/t/data/_p=1/gone.parquet",
  ]);
  expect(report.otherTables).toEqual(["/wh/db/t/inner/"]);
});

test("a file that a commit brings into the table while its folder is listed stays", async () => {
  const table = await tableWithFiles();
  const late = await table.file();
  table.nowMs += 30 * DAY;
  const opened = await table.open();
  const { list } = table.storage;
  table.storage.list = async function* (prefix) {
    yield* list(prefix);
    await table.foreignRewrite(() => false, [late]);
  };
  expect(await removeOrphans(opened, OPTIONS)).toMatchObject({ files: 0 });
});

test("files of the last day, more than 10,000, or most of a folder need --yes", async () => {
  const table = await tableWithFiles();
  const young = removeOrphans(await table.open(), { ...OPTIONS, ageMsMin: DAY / 2 });
  expect(String(await rejection(young))).toContain("--yes");
  for (let n = 0; n < 120; n++) await put(table, `db/t/data/lost-${n}.parquet`);
  table.nowMs += 4 * DAY;
  const many = await rejection(removeOrphans(await table.open(), OPTIONS));
  expect(String(many)).toMatch(/120 of \d+ files .* are in no snapshot/);
  const dry = await removeOrphans(await table.open(), { ...OPTIONS, isDry: true });
  expect(dry.files).toBe(120);
  const forced = await removeOrphans(await table.open(), { ...OPTIONS, isForced: true });
  expect(forced).toEqual({ ...dry, listed: forced.listed });
});

test("uploads that were begun long ago are ended, younger ones are not", async () => {
  const table = await tableWithFiles();
  const began = table.nowMs;
  table.nowMs += 4 * DAY;
  const aborted: string[] = [];
  table.storage.leftUploads = async function* () {
    yield { location: "/wh/db/t/data/a", uploadId: "old", beganMs: began };
    yield { location: "/wh/db/t/data/b", uploadId: "young", beganMs: table.nowMs - DAY };
  };
  table.storage.abortUploads = async (uploads) => {
    aborted.push(...uploads.map(({ uploadId }) => uploadId));
  };
  expect(await removeOrphans(await table.open(), OPTIONS)).toMatchObject({ uploads: 1 });
  expect(aborted).toEqual(["old"]);
});

test("gc.enabled = false, a table that is a whole bucket, and an unreadable manifest remove nothing", async () => {
  const forbidden = await tableWithFiles({ "gc.enabled": "false" });
  const bucket = await tableWithFiles();
  const broken = await tableWithFiles();
  const { catalog } = bucket.parts;
  const asBucket: Catalog = {
    ...catalog,
    traits: catalog.traits,
    load: async (name) => {
      const head = await catalog.load(name);
      return head && { ...head, metadata: { ...head.metadata, location: "s3://bucket/" } };
    },
  };
  Object.assign(bucket.parts, { catalog: asBucket });
  const manifest = [...broken.stored()].find((path) => path.endsWith("-m0.avro")) ?? "";
  broken.storage.objects.delete(manifest);
  for (const table of [forbidden, bucket, broken]) {
    await put(table, "db/t/data/lost.parquet");
    table.nowMs += 30 * DAY;
    const before = table.stored();
    await rejection(removeOrphans(await table.open(), OPTIONS));
    expect(table.stored()).toEqual(before);
  }
});
