/** Manifests written anew: the same files with the same numbers, in fewer manifests of few partitions each. */
import { expect, test } from "bun:test";
import type { Catalog } from "#catalog/catalog.ts";
import { offsetOf } from "#commit/progressDocument.ts";
import { entriesOf, manifestsOf } from "#iceberg/io/scan.ts";
import type { ManifestFile } from "#iceberg/manifest/manifest.ts";
import { rewriteManifests } from "#maintenance/manifests.ts";
import type { RunOptions } from "#maintenance/run.ts";
import { FEED, MaintainedTable } from "../../support/maintainedTable.ts";

const OPTIONS: RunOptions = {
  isDry: false,
  onProgress: () => undefined,
  stop: new AbortController().signal,
};

/** The head's manifests, and what they list, read from the store itself. */
async function contentOf(
  table: MaintainedTable,
): Promise<{ manifests: readonly ManifestFile[]; files: unknown[]; days: number[] }> {
  const { metadata } = await table.head();
  const head = metadata.snapshots.find((s) => s.snapshotId === metadata.currentSnapshotId);
  const storage = { ...table.storage };
  const files: unknown[] = [];
  const days: number[] = [];
  const manifests = head === undefined ? [] : await manifestsOf(storage, head);
  for (const manifest of manifests) {
    const own = new Set<unknown>();
    for (const { status, file, ...numbers } of await entriesOf(storage, metadata, manifest)) {
      if (status === "deleted") continue;
      own.add(file.partition[0]);
      files.push({ path: file.filePath, content: file.content, row: file.firstRowId, ...numbers });
    }
    days.push(own.size);
  }
  const byPath = (a: unknown, b: unknown): number =>
    (a as { path: string }).path < (b as { path: string }).path ? -1 : 1;
  return { manifests, files: files.sort(byPath), days };
}

/** Forty commits over four days, a deletion among them. */
async function fragmented(format: 2 | 3, properties: Record<string, string> = {}) {
  const table = new MaintainedTable();
  await table.create({ "commit.manifest-merge.enabled": "false", ...properties }, format);
  for (let n = 0; n < 20; n++) await table.append(20_000 + (n % 4));
  await table.foreignRewrite(({ filePath }) => filePath.endsWith("f3.parquet"));
  for (let n = 0; n < 20; n++) await table.append(20_000 + (n % 4));
  return table;
}

for (const format of [2, 3] as const) {
  test(`v${format}: every live file keeps its snapshot, sequence numbers and row ids; a second run has nothing to do`, async () => {
    const table = await fragmented(format);
    const before = await contentOf(table);
    const dry = await rewriteManifests(await table.open(), { ...OPTIONS, isDry: true });
    const report = await rewriteManifests(await table.open(), OPTIONS);
    expect(report).toEqual({ replaced: before.manifests.length, written: 1 });
    expect(dry.replaced).toBe(report.replaced);
    const after = await contentOf(table);
    expect(after.files).toEqual(before.files);
    expect(after.manifests).toHaveLength(1);
    const { snapshots } = await table.metadata();
    expect(snapshots.at(-1)?.summary).toMatchObject({
      ...{ operation: "replace", "kafka-iceberg.kind": "manifests" },
      ...{ "manifests-created": "1", "entries-processed": "39" },
      "total-data-files": snapshots.at(-2)?.summary["total-data-files"] ?? "",
    });
    const again = await rewriteManifests(await table.open(), OPTIONS);
    expect(again).toEqual({ replaced: 0, written: 0 });
  });
}

test("several manifests share no partition", async () => {
  const table = await fragmented(2, { "commit.manifest.target-size-bytes": "40000" });
  const { replaced, written } = await rewriteManifests(await table.open(), OPTIONS);
  expect(written).toBeGreaterThan(1);
  expect(written).toBeLessThan(replaced);
  const { days } = await contentOf(table);
  expect(days.reduce((sum, each) => sum + each, 0)).toBe(4);
});

test("offsets are what they were, and ingest goes on", async () => {
  const table = await fragmented(2);
  await rewriteManifests(await table.open(), OPTIONS);
  await table.append();
  const opened = await table.open();
  const progress = await opened.progressOf(await table.head());
  expect(progress.kind === "readable" && offsetOf(progress.document, FEED)).toBe(410n);
  expect((await contentOf(table)).files).toHaveLength(40);
});

test("a commit that comes first is rebased on; one that takes a manifest away is planned anew", async () => {
  for (const isRewrite of [false, true]) {
    const table = await fragmented(2);
    const { catalog } = table.parts;
    let isFirst = true;
    const busy: Catalog = {
      ...catalog,
      traits: catalog.traits,
      load: (name) => catalog.load(name),
      commit: async (...request) => {
        if (!isFirst) return catalog.commit(...request);
        isFirst = false;
        Object.assign(table.parts, { catalog });
        if (isRewrite)
          await table.foreignRewrite(({ filePath }) => filePath.endsWith("f7.parquet"));
        else await table.append();
        return catalog.commit(...request);
      },
    };
    Object.assign(table.parts, { catalog: busy });
    await rewriteManifests(await table.open(), OPTIONS);
    const { files } = await contentOf(table);
    expect(files).toHaveLength(isRewrite ? 38 : 40);
    expect(new Set(files.map((file) => (file as { path: string }).path)).size).toBe(files.length);
    expect(table.stored().difference(await table.reachable())).toEqual(new Set());
  }
});
