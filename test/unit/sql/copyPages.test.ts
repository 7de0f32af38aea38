/** Whether pages of data files are copied, or left to the engine that decodes them. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parquetReadObjects } from "hyparquet";
import { KERNELS_ON } from "#base/kernelSwitch.ts";
import { DECOMPRESSORS } from "#parquet/decompress.ts";
import { copyPages } from "#sql/rewrite/copyPages.ts";
import type { RewriteTask } from "#sql/rewrite/protocol.ts";
import { NO_FILES, type SnapshotFiles } from "#sql/snapshotFiles.ts";
import { batchOf, bytesOf, encodeWhole, field, type Row } from "../parquet/rows.ts";

const folder = mkdtempSync(join(tmpdir(), "copy-"));
afterAll(() => rmSync(folder, { recursive: true }));

const ID = field("id", { kind: "long" });
const ROWS = 1200;

async function write(name: string, from: number): Promise<SnapshotFiles["data"][number]> {
  const rows = Array.from({ length: ROWS }, (_, at): Row => [BigInt(from + at)]);
  const range = { topic: "t", partition: 0, start: from, end: from + ROWS };
  const metadata = { "kafka-iceberg.offset-ranges": JSON.stringify([range]), other: "x" };
  const options = { codec: "zstd", level: null, rowGroupRows: 5000, metadata } as const;
  const path = join(folder, name);
  await Bun.write(path, bytesOf(await encodeWhole([ID], [batchOf([ID], rows)], options)));
  return { path, location: path, sequence: 1n, partition: "" };
}

async function taskOf(more: Partial<SnapshotFiles> = {}): Promise<RewriteTask> {
  const data = [await write("a.parquet", 0), await write("b.parquet", ROWS)];
  return {
    ...{
      libraryFolder: null,
      memoryBytesMax: 1024 * 1024,
      folders: [],
      scratch: folder,
      lineage: false,
    },
    ...{ fields: [ID], rows: data.map(() => ROWS), files: { ...NO_FILES, data, ...more } },
    ...{ output: join(folder, "out.parquet"), codec: "zstd", level: null, rowGroupRows: 2048 },
    ...{ bloomFilters: [], commitId: "new", latest: null, sort: [], spillBytesMax: 0 },
  };
}

test("pages of files without deletes are copied: the rows of all, their offsets as one range, and where each row went", async () => {
  const task = await taskOf();
  const copied = copyPages(task);
  if (!KERNELS_ON) return expect(copied).toBeNull();
  const { buffer } = await Bun.file(task.output).bytes();
  const rows = await parquetReadObjects({
    file: buffer as ArrayBuffer,
    compressors: DECOMPRESSORS,
  });
  expect(rows.map((row) => row["id"])).toEqual(
    Array.from({ length: 2 * ROWS }, (_, n) => BigInt(n)),
  );
  expect(copied?.bytes).toBe(buffer.byteLength);
  expect(copied?.moved?.map(({ places }) => places)).toEqual([0, ROWS]);
  expect(copied?.moved?.every(({ hidden }) => hidden.every((word) => word === 0))).toBeTrue();
  const keys = Buffer.from(copied?.footer ?? []).toString("latin1");
  expect(keys).toContain('"start":0,"end":2400');
  expect(keys).not.toContain("other");
});

test("files of which rows are deleted, or that have other rows than the table says, are left to the engine", async () => {
  const task = await taskOf();
  expect(copyPages({ ...task, rows: [ROWS, ROWS - 1] })).toBeNull();
  expect(copyPages(await taskOf({ positionDeletes: ["d.parquet"] }))).toBeNull();
  expect(copyPages(await taskOf({ data: [] }))).toBeNull();
  const latest = { key: ["id"], orderField: null, partition: "id", offset: "id", deleted: null };
  expect(copyPages({ ...task, latest })).toBeNull();
});

test("a file that is gone is left to the engine, which says so", async () => {
  const task = await taskOf();
  rmSync(join(folder, "b.parquet"));
  expect(copyPages(task)).toBeNull();
});

test("an output that cannot be opened is left to the engine, which says why", async () => {
  const output = join(folder, "no folder", "out.parquet");
  expect(copyPages({ ...(await taskOf()), output })).toBeNull();
});

test("files of which more would be in memory than a rewrite may use are left to the engine, dropped columns counted", async () => {
  const task = await taskOf();
  const chunks = task.files.data.length;
  expect(copyPages({ ...task, memoryBytesMax: chunks * 1024 })).toBeNull();
  const dropped = Array.from({ length: 50 }, (_, n) => field(`dropped${n}`, { kind: "long" }));
  const fields = [ID, ...dropped];
  const rows = Array.from({ length: ROWS }, (_, at): Row => [BigInt(at), ...dropped.map(() => 1n)]);
  const options = { codec: "zstd", level: null, rowGroupRows: 5000, metadata: {} } as const;
  for (const { path } of task.files.data) {
    await Bun.write(path, bytesOf(await encodeWhole(fields, [batchOf(fields, rows)], options)));
  }
  expect(copyPages({ ...task, memoryBytesMax: chunks * 50 * 1024 })).toBeNull();
  expect(copyPages({ ...task, memoryBytesMax: chunks * 52 * 4096 }) === null).toBe(!KERNELS_ON);
});
