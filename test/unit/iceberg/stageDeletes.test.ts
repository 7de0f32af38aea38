/** Snapshots that add delete files and take files out: manifests, sequence numbers, row ids, summary. */
import { expect, test } from "bun:test";
import { entriesOf, listDataFiles, manifestsOf } from "#iceberg/io/scan.ts";
import { type StageAppend, stageAppend } from "#iceberg/io/stageAppend.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import type { Snapshot, TableMetadata } from "#iceberg/metadata/metadata.ts";
import { applyUpdates } from "#iceberg/metadata/updates.ts";
import { createMemoryStorage } from "../../fakes/memoryStorage.ts";
import { rejection } from "../../support/rejection.ts";
import { fileOf, tableOf } from "../../support/tableOf.ts";

/** A vector of a data file at an offset of a Puffin file. */
function vectorOf(file: DataFile, puffin: string, offset: bigint, deleted = 1n): DataFile {
  return {
    ...file,
    content: "position-deletes",
    filePath: `/table/data/${puffin}.puffin`,
    fileFormat: "PUFFIN",
    recordCount: deleted,
    fileSizeBytes: 1000n,
    splitOffsets: [],
    sortOrderId: null,
    referencedDataFile: file.filePath,
    contentOffset: offset,
    contentSizeBytes: 40n,
  };
}

class Table {
  readonly storage = createMemoryStorage();
  metadata: TableMetadata;
  #count = 0;

  constructor(metadata: TableMetadata) {
    this.metadata = metadata;
  }

  async commit(files: readonly DataFile[], more: Partial<StageAppend> = {}): Promise<Snapshot> {
    this.#count++;
    const { snapshot, updates } = await stageAppend({
      storage: this.storage,
      metadata: this.metadata,
      branch: "main",
      snapshotId: BigInt(100 + this.#count),
      timestampMs: 5000,
      files,
      summary: {},
      nameSuffix: `c${this.#count}-1`,
      ...more,
    });
    this.metadata = applyUpdates(this.metadata, updates, { timestampMs: snapshot.timestampMs });
    return snapshot;
  }

  /** Live files with sequence number and first row id. */
  async live(): Promise<Map<string, [sequence: bigint, rowId: bigint | null]>> {
    const found = new Map<string, [bigint, bigint | null]>();
    const head = this.metadata.currentSnapshotId ?? 0n;
    for await (const each of listDataFiles(this.storage, this.metadata, head)) {
      const { file, sequenceNumber } = each;
      const name = `${file.filePath.replace("/table/data/", "")}@${file.contentOffset ?? "-"}`;
      expect(found.has(name)).toBe(false);
      found.set(name, [sequenceNumber, file.firstRowId]);
    }
    return found;
  }
}

test("one commit adds rows and deletes and replaces a vector; nothing else changes", async () => {
  const table = new Table(tableOf(3));
  const [a, b, c] = [fileOf("a"), fileOf("b"), fileOf("c")];
  await table.commit([a, b]);
  const first = [vectorOf(a, "p", 4n), vectorOf(b, "p", 44n)];
  await table.commit(first);
  const summary = (
    await table.commit([c, vectorOf(a, "q", 4n, 3n)], { removed: first.slice(0, 1) })
  ).summary;
  expect(await table.live()).toEqual(
    new Map([
      ["c.parquet@-", [3n, 20n]],
      ["q.puffin@4", [3n, null]],
      ["p.puffin@44", [2n, null]],
      ["a.parquet@-", [1n, 0n]],
      ["b.parquet@-", [1n, 10n]],
    ]),
  );
  expect(summary).toMatchObject({
    operation: "overwrite",
    "added-data-files": "1",
    "added-records": "10",
    "added-delete-files": "1",
    "added-dvs": "1",
    "added-position-deletes": "3",
    "added-files-size": "1274",
    "removed-delete-files": "1",
    "removed-dvs": "1",
    "removed-position-deletes": "1",
    "removed-files-size": "40",
    "total-records": "30",
    "total-data-files": "3",
    "total-delete-files": "2",
    "total-position-deletes": "4",
    "total-equality-deletes": "0",
  });
});

test("a file that leaves is a deleted entry of the new snapshot, under its own numbers", async () => {
  const table = new Table(tableOf(3));
  const [a, b] = [fileOf("a"), fileOf("b")];
  await table.commit([a, b]);
  const snapshot = await table.commit([fileOf("c")], { removed: [a] });
  const manifests = await manifestsOf(table.storage, snapshot);
  const entries = await Promise.all(
    manifests.map((manifest) => entriesOf(table.storage, table.metadata, manifest)),
  );
  const told = entries.flat().map(({ status, snapshotId, sequenceNumber, file }) => {
    return [status, file.filePath.slice(12, 13), snapshotId, sequenceNumber, file.firstRowId];
  });
  expect(told).toEqual([
    ["added", "c", 102n, 2n, 20n],
    ["deleted", "a", 102n, 1n, 0n],
    ["existing", "b", 101n, 1n, 10n],
  ]);
  expect(snapshot.summary).toMatchObject({
    operation: "overwrite",
    "deleted-data-files": "1",
    "deleted-records": "10",
    "total-records": "20",
  });
  const after = await table.commit([fileOf("d")]);
  const left = await manifestsOf(table.storage, after);
  expect(left.reduce((sum, each) => sum + each.deletedFilesCount, 0)).toBe(1);
});

test("a snapshot that only deletes says delete", async () => {
  const table = new Table(tableOf(2));
  await table.commit([fileOf("a")]);
  const deletes: DataFile = { ...fileOf("d"), content: "position-deletes", recordCount: 2n };
  const { summary } = await table.commit([deletes]);
  expect(summary).toMatchObject({
    operation: "delete",
    "added-delete-files": "1",
    "added-position-delete-files": "1",
    "added-position-deletes": "2",
    "total-position-deletes": "2",
  });
});

test("small delete manifests are merged as those of data are, each with its own kind", async () => {
  const table = new Table(tableOf(2, { "commit.manifest.min-count-to-merge": "4" }));
  await table.commit([fileOf("a")]);
  const deletes: DataFile = { ...fileOf("d"), content: "position-deletes", recordCount: 1n };
  for (let n = 0; n < 20; n++) {
    await table.commit([{ ...deletes, filePath: `/table/data/d${n}.parquet` }]);
  }
  const head = table.metadata.snapshots.at(-1);
  const manifests = head === undefined ? [] : await manifestsOf(table.storage, head);
  expect(manifests.length).toBeLessThan(8);
  expect(manifests.filter(({ content }) => content === "data")).toHaveLength(1);
  expect((await table.live()).size).toBe(21);
});

test("a file that the head does not list cannot be taken out", async () => {
  const table = new Table(tableOf(3));
  const a = fileOf("a");
  await table.commit([a]);
  await table.commit([vectorOf(a, "p", 4n)]);
  const other = vectorOf(a, "p", 44n);
  expect((await rejection(table.commit([], { removed: [other] }))).message).toContain(
    "is listed in the head",
  );
});
