/** What goes from the store with snapshots that commits have thinned: all that nobody lists, and nothing else. */
import { expect, test } from "bun:test";
import { AppError } from "#base/errors.ts";
import { unlistedPaths } from "#commit/thinned.ts";
import { manifestsOf } from "#iceberg/io/scan.ts";
import { stageAppend } from "#iceberg/io/stageAppend.ts";
import type { Snapshot, TableMetadata } from "#iceberg/metadata/metadata.ts";
import { snapshotsToThin } from "#iceberg/metadata/retention.ts";
import { branchAt } from "#iceberg/metadata/tableMetadataJson.ts";
import { applyUpdates } from "#iceberg/metadata/updates.ts";
import { createMemoryStorage, type MemoryStorage } from "../../fakes/memoryStorage.ts";
import { rejection } from "../../support/rejection.ts";
import { fileOf, tableOf } from "../../support/tableOf.ts";

const MINUTE = 60_000;
const POLICY = { branch: "main", keepAllMs: 10 * MINUTE, retentionMs: 1e12, snapshotsMax: 500 };
const SUMMARY = { "kafka-iceberg.commit-id": "c", "kafka-iceberg.offsets": "{}" };

/** A table that is committed to once a minute and thinned as the writer does it. */
class Table {
  readonly storage: MemoryStorage = createMemoryStorage();
  metadata: TableMetadata = tableOf(2);
  #count = 0;

  async commit(branch = "main"): Promise<void> {
    const nowMs = ++this.#count * MINUTE;
    const { storage, metadata } = this;
    const staged = await stageAppend({
      storage,
      metadata,
      branch,
      snapshotId: BigInt(this.#count),
      timestampMs: nowMs,
      files: [fileOf(`f${this.#count}`, [null])],
      summary: SUMMARY,
      nameSuffix: `c${this.#count}-1`,
    });
    const snapshotIds = snapshotsToThin(metadata, POLICY, nowMs);
    const updates = [...staged.updates, { action: "remove-snapshots" as const, snapshotIds }];
    this.metadata = applyUpdates(metadata, updates, { timestampMs: nowMs });
    const thinned = metadata.snapshots.filter((each) => snapshotIds.includes(each.snapshotId));
    await storage.remove(await unlistedPaths(storage, this.metadata, "main", thinned));
  }

  /** Manifests and lists of a snapshot, read from the store itself. */
  async pathsOf(snapshot: Snapshot): Promise<string[]> {
    const manifests = await manifestsOf({ ...this.storage }, snapshot);
    return [snapshot.manifestList, ...manifests.map((each) => each.manifestPath)];
  }

  async listed(): Promise<Set<string>> {
    const paths = await Promise.all(this.metadata.snapshots.map((each) => this.pathsOf(each)));
    return new Set(paths.flat());
  }
}

test("after 400 commits the store holds the manifests and lists of the visible snapshots, no more and no fewer", async () => {
  const table = new Table();
  for (let n = 0; n < 400; n++) await table.commit();
  expect(table.metadata.snapshots.length).toBeLessThan(70);
  expect(new Set(table.storage.objects.keys())).toEqual(await table.listed());
}, 60_000);

test("what a rolled-back line, a branch or a tag lists stays", async () => {
  const table = new Table();
  const setRef = (ref: string, id: bigint, type: "branch" | "tag"): void => {
    const value = { ...branchAt(id), type };
    const update = { action: "set-snapshot-ref" as const, ref, value };
    table.metadata = applyUpdates(table.metadata, [update], { timestampMs: 0 });
  };
  for (let n = 0; n < 105; n++) await table.commit();
  const at = (index: number): bigint => table.metadata.snapshots.at(index)?.snapshotId ?? 0n;
  setRef("audit", at(-5), "branch");
  setRef("kept", at(-3), "tag");
  setRef("main", at(-7), "branch");
  await table.commit("audit");
  for (let n = 0; n < 250; n++) await table.commit();
  expect(new Set(table.storage.objects.keys())).toEqual(await table.listed());
});

test("paths outside the table's location stay, and an unreadable list keeps everything", async () => {
  const table = new Table();
  for (let n = 0; n < 12; n++) await table.commit();
  const [first] = table.metadata.snapshots;
  expect(first).toBeDefined();
  if (first === undefined) return;
  const rest = { ...table.metadata, snapshots: table.metadata.snapshots.slice(1) };
  expect(await unlistedPaths(table.storage, rest, "main", [first])).toEqual([first.manifestList]);
  expect(await unlistedPaths(table.storage, table.metadata, "main", [first])).toEqual([]);
  const elsewhere = { ...rest, location: "/other/place" };
  expect(await unlistedPaths(table.storage, elsewhere, "main", [first])).toEqual([]);
  await table.storage.remove(rest.snapshots.map((each) => each.manifestList));
  const failed = await rejection(unlistedPaths(table.storage, rest, "main", [first]));
  expect(failed).toBeInstanceOf(AppError);
});
