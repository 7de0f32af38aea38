/** Expiry on a table in memory: what goes from metadata and store, what stays, and what it refuses. */
import { expect, test } from "bun:test";
import type { Catalog } from "#catalog/catalog.ts";
import { commit, newCommit } from "#commit/commit.ts";
import { offsetOf } from "#commit/progressDocument.ts";
import { pauseChange } from "#commit/properties.ts";
import { unreachableFiles } from "#iceberg/io/unreachable.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import { expireSnapshots } from "#maintenance/expire.ts";
import type { RunOptions } from "#maintenance/run.ts";
import { DAY, FEED, MaintainedTable } from "../../support/maintainedTable.ts";
import { rejection } from "../../support/rejection.ts";

const POLICY = { keepAllMs: 3_600_000, retentionMs: 7 * DAY, snapshotsMax: 500 };

const OPTIONS: RunOptions = {
  isDry: false,
  onProgress: () => undefined,
  stop: new AbortController().signal,
};

const isNumber =
  (...numbers: number[]) =>
  ({ filePath }: DataFile): boolean =>
    numbers.some((number) => filePath.endsWith(`/f${number}.parquet`));

/** Ten own commits, a rewrite of three of their files, and a week. */
async function rewritten(more?: {
  readonly properties?: Record<string, string>;
  readonly catalogOf?: (catalog: Catalog) => Catalog;
}): Promise<MaintainedTable> {
  const table = new MaintainedTable(more?.catalogOf);
  await table.create(more?.properties);
  for (let n = 0; n < 10; n++) await table.append();
  await table.foreignRewrite(isNumber(2, 3, 4), [await table.file()]);
  table.nowMs += 8 * DAY;
  await table.append();
  return table;
}

test("after expiry the store holds what the remaining snapshots reach, and nothing else", async () => {
  const table = await rewritten();
  const report = await expireSnapshots(await table.open(), POLICY, OPTIONS);
  expect(report).toMatchObject({ snapshots: 11, refs: [], outside: { count: 0, first: null } });
  expect(report.files).toMatchObject({ content: 3, "manifest-list": 11 });
  expect((await table.metadata()).snapshots).toHaveLength(1);
  expect(table.stored()).toEqual(await table.reachable());
});

test("snapshots of 6.9 days stay, those of 7.1 days go", async () => {
  const table = new MaintainedTable();
  await table.create();
  await table.append();
  table.nowMs += 0.2 * DAY;
  await table.append();
  const young = (await table.metadata()).currentSnapshotId;
  table.nowMs += 6.9 * DAY;
  await table.append();
  const head = (await table.metadata()).currentSnapshotId;
  const report = await expireSnapshots(await table.open(), POLICY, OPTIONS);
  expect(report.snapshots).toBe(1);
  const left = (await table.metadata()).snapshots.map(({ snapshotId }) => snapshotId);
  expect(left).toEqual([young ?? 0n, head ?? 0n]);
});

test("offsets are read after expiry to one snapshot, whoever wrote the head", async () => {
  const table = await rewritten();
  await table.foreignAppend();
  table.nowMs += 8 * DAY;
  await expireSnapshots(await table.open(), POLICY, OPTIONS);
  const { snapshots } = await table.metadata();
  expect(snapshots.map(({ summary }) => summary["kafka-iceberg.kind"])).toEqual(["refresh"]);
  await table.foreignAppend();
  await table.foreignAppend();
  const opened = await table.open();
  const progress = await opened.progressOf(await table.head());
  expect(progress.kind === "readable" && offsetOf(progress.document, FEED)).toBe(110n);
});

test("what a branch, a tag or a younger snapshot lists stays", async () => {
  const table = new MaintainedTable();
  await table.create();
  for (let n = 0; n < 4; n++) await table.append();
  const { snapshots } = await table.metadata();
  const at = (index: number): bigint => snapshots.at(index)?.snapshotId ?? 0n;
  const refOf = (snapshotId: bigint, type: "branch" | "tag") => ({
    ...{ snapshotId, type, minSnapshotsToKeep: null, maxSnapshotAgeMs: null, maxRefAgeMs: null },
  });
  await table.update([
    { action: "set-snapshot-ref", ref: "kept", value: refOf(at(1), "tag") },
    { action: "set-snapshot-ref", ref: "audit", value: refOf(at(2), "branch") },
  ]);
  await table.foreignAppend("audit");
  await table.foreignRewrite(isNumber(1, 2, 3, 4));
  table.nowMs += 3 * DAY;
  await table.foreignAppend();
  table.nowMs += 5 * DAY;
  await table.append();
  const before = await table.reachable();
  await expireSnapshots(await table.open(), POLICY, OPTIONS);
  const after = await table.reachable();
  expect(after.size).toBeLessThan(before.size);
  expect(after).toContain("/wh/db/t/data/f2.parquet");
  expect(table.stored()).toEqual(after);
});

test("statistics of a snapshot go with it", async () => {
  const table = await rewritten();
  const { snapshots } = await table.metadata();
  const statistics = async (index: number): Promise<Record<string, unknown>> => {
    const path = `/wh/db/t/metadata/stats-${index}.puffin`;
    await table.storage.put(path, new Uint8Array(9));
    const id = snapshots.at(index)?.snapshotId;
    return { "snapshot-id": id, "statistics-path": path, "file-size-in-bytes": 9 };
  };
  const unknown = {
    statistics: [await statistics(0), await statistics(-1)],
    "partition-statistics": [await statistics(1)],
  };
  const withStatistics = (catalog: Catalog): Catalog => ({
    ...bound(catalog),
    load: async (name) => {
      const head = await catalog.load(name);
      if (head === null) return null;
      const left = new Set(head.metadata.snapshots.map(({ snapshotId }) => snapshotId));
      const isLeft = (each: Record<string, unknown>): boolean =>
        left.has(each["snapshot-id"] as bigint);
      const own = Object.fromEntries(
        Object.entries(unknown).map(([key, files]) => [key, files.filter(isLeft)]),
      );
      return { ...head, metadata: { ...head.metadata, unknown: own } };
    },
  });
  Object.assign(table.parts, { catalog: withStatistics(table.parts.catalog) });
  const report = await expireSnapshots(await table.open(), POLICY, OPTIONS);
  expect(report.files.statistics).toBe(2);
  const left = [...table.stored()].filter((path) => path.endsWith(".puffin"));
  expect(left).toEqual(["/wh/db/t/metadata/stats--1.puffin"]);
});

test("a dry run says what a run does, and changes nothing", async () => {
  const table = await rewritten();
  const before = [await table.metadata(), table.stored()];
  const dry = await expireSnapshots(await table.open(), POLICY, { ...OPTIONS, isDry: true });
  expect([await table.metadata(), table.stored()]).toEqual(before);
  expect(await expireSnapshots(await table.open(), POLICY, OPTIONS)).toEqual(dry);
});

test("in passes of a few names the same files are named", async () => {
  const table = await rewritten();
  const { storage, metadata } = await table.head();
  const after = { ...metadata, snapshots: metadata.snapshots.slice(-1) };
  const removed = { before: metadata, snapshots: metadata.snapshots.slice(0, -1), after };
  const named = async (namesMax: number): Promise<Set<string>> => {
    const paths = new Set<string>();
    for await (const { files } of unreachableFiles(storage, removed, namesMax)) {
      for (const { path } of files) paths.add(path);
    }
    return paths;
  };
  expect(await named(2)).toEqual(await named(1000));
  expect(await named(2)).toContain("/wh/db/t/data/f2.parquet");
});

test("a file outside the table's folders stays, and is named", async () => {
  const table = new MaintainedTable();
  await table.create();
  const other = { ...(await table.file()), filePath: "/wh/other/f.parquet" };
  await table.append();
  await table.foreignRewrite(() => false, [other]);
  await table.foreignRewrite(({ filePath }) => filePath === other.filePath);
  table.nowMs += 8 * DAY;
  await table.append();
  const report = await expireSnapshots(await table.open(), POLICY, OPTIONS);
  expect(report.outside).toEqual({ count: 1, first: other.filePath });
  expect(table.storage.removed.has(other.filePath)).toBe(false);
});

test("tables that say gc.enabled = false, are paused, or whose catalog hides history are refused", async () => {
  const forbidden = await rewritten({ properties: { "gc.enabled": "false" } });
  const hidden = await rewritten({
    catalogOf: (catalog) => ({
      ...bound(catalog),
      traits: { ...catalog.traits, type: "nessie", showsAncestors: false },
    }),
  });
  const paused = await rewritten();
  const opened = await paused.open();
  await commit(opened, newCommit(opened, pauseChange(true)));
  const words = ["gc.enabled", "nessie", "paused"];
  for (const [index, table] of [forbidden, hidden, paused].entries()) {
    const before = table.stored();
    const error = await rejection(expireSnapshots(await table.open(), POLICY, OPTIONS));
    expect(String(error)).toContain(words[index] ?? "");
    expect(table.stored()).toEqual(before);
  }
});

test("a file that a snapshot lists which came after the expiry stays", async () => {
  const table = await rewritten();
  const { catalog } = table.parts;
  const picked = { ...(await table.file()), filePath: "/wh/db/t/data/f3.parquet" };
  const picking: Catalog = {
    ...bound(catalog),
    commit: async (...request) => {
      const outcome = await catalog.commit(...request);
      if (request[2].some(({ action }) => action === "remove-snapshots")) {
        Object.assign(table.parts, { catalog });
        await table.foreignRewrite(() => false, [picked]);
      }
      return outcome;
    },
  };
  Object.assign(table.parts, { catalog: picking });
  const report = await expireSnapshots(await table.open(), POLICY, OPTIONS);
  expect(report.snapshots).toBe(11);
  expect(table.storage.removed.has("/wh/db/t/data/f2.parquet")).toBe(true);
  expect(table.storage.removed.has(picked.filePath)).toBe(false);
});

test("when the catalog does not answer, no file is removed", async () => {
  const table = await rewritten();
  const { catalog } = table.parts;
  const lost: Catalog = {
    ...bound(catalog),
    commit: () => Promise.resolve({ kind: "unknown", cause: "timeout" }),
  };
  Object.assign(table.parts, { catalog: lost });
  const before = table.stored();
  const error = await rejection(expireSnapshots(await table.open(), POLICY, OPTIONS));
  expect(String(error)).toContain("did not say");
  expect(table.stored()).toEqual(before);
});

/** A catalog's methods without its object. */
function bound(catalog: Catalog): Catalog {
  return {
    traits: catalog.traits,
    open: () => catalog.open(),
    load: (name) => catalog.load(name),
    locationOf: (name) => catalog.locationOf(name),
    create: (request) => catalog.create(request),
    commit: (...request) => catalog.commit(...request),
    list: (namespace) => catalog.list(namespace),
    close: () => catalog.close(),
  };
}
