/** Which manifest lists stay in memory, and that they are bounded. */
import { describe, expect, test } from "bun:test";
import { createManifestLists } from "#iceberg/io/manifestLists.ts";
import { manifestsOf } from "#iceberg/io/scan.ts";
import { stageAppend } from "#iceberg/io/stageAppend.ts";
import type { ManifestFile } from "#iceberg/manifest/manifest.ts";
import { planCommit } from "#iceberg/metadata/updates.ts";
import { createMemoryStorage } from "../../fakes/memoryStorage.ts";
import { sampleTable } from "../../support/icebergSamples.ts";

test("tables that commit in turn never read a manifest list that this process wrote", async () => {
  const storage = createMemoryStorage();
  const tables = Array.from({ length: 100 }, (_, n) => sampleTable(`/wh/db/t${n}`));
  for (let round = 0n; round < 3n; round++) {
    for (const [n, metadata] of tables.entries()) {
      const staged = await stageAppend({
        storage,
        metadata,
        branch: "main",
        snapshotId: round + 1n,
        timestampMs: 5_000,
        files: [],
        summary: {},
        nameSuffix: `c-${round}`,
      });
      const next = planCommit(metadata, [], staged.updates, { timestampMs: 5_000 });
      if (next.kind === "next") tables[n] = next.metadata;
    }
  }
  expect(tables.every((table) => table.snapshots.length === 3)).toBe(true);
  expect(storage.calls["get"]).toBeUndefined();
});

test("looking at old snapshots of one table costs the others nothing", async () => {
  const storage = createMemoryStorage();
  const lists = createManifestLists(1 << 20);
  lists.set(storage, "/wh/a/metadata/head.avro", []);
  for (let n = 0; n < 100; n++) lists.set(storage, `/wh/b/metadata/${n}.avro`, []);
  expect(lists.get(storage, "/wh/a/metadata/head.avro")).toEqual([]);
  expect(lists.get(storage, "/wh/b/metadata/99.avro")).toEqual([]);
  expect(lists.get(storage, "/wh/b/metadata/0.avro")).toBeNull();
});

test("two stores with the same paths do not share lists", async () => {
  const lists = createManifestLists(1 << 20);
  lists.set(createMemoryStorage(), "/wh/a/metadata/head.avro", []);
  expect(lists.get(createMemoryStorage(), "/wh/a/metadata/head.avro")).toBeNull();
});

describe("the bytes over all tables", () => {
  const row = { manifestPath: "x".repeat(1_000), partitions: [] } as unknown as ManifestFile;

  test("are bounded: tables used longest ago give way", () => {
    const storage = createMemoryStorage();
    const lists = createManifestLists(10_000);
    const at = (n: number): string => `/wh/t${n}/metadata/head.avro`;
    for (let n = 0; n < 50; n++) {
      lists.set(storage, at(n), [row]);
      lists.get(storage, at(0));
    }
    const kept = Array.from({ length: 50 }, (_, n) => n).filter(
      (n) => lists.get(storage, at(n)) !== null,
    );
    expect(kept).toEqual([0, 44, 45, 46, 47, 48, 49]);
  });

  test("a list larger than all of it is not kept, and takes none of the room", () => {
    const storage = createMemoryStorage();
    const lists = createManifestLists(10_000);
    lists.set(
      storage,
      "/wh/large/metadata/head.avro",
      Array.from({ length: 100 }, () => row),
    );
    expect(lists.get(storage, "/wh/large/metadata/head.avro")).toBeNull();
    lists.set(storage, "/wh/small/metadata/head.avro", [row]);
    expect(lists.get(storage, "/wh/small/metadata/head.avro")).toEqual([row]);
  });
});

test("a list that was read once is not read again", async () => {
  const storage = createMemoryStorage();
  const metadata = sampleTable("/wh/db/read");
  const staged = await stageAppend({
    storage: { ...storage },
    metadata,
    branch: "main",
    snapshotId: 1n,
    timestampMs: 5_000,
    files: [],
    summary: {},
    nameSuffix: "c",
  });
  for (let n = 0; n < 3; n++) await manifestsOf(storage, staged.snapshot);
  expect(storage.calls["get"]).toBe(1);
});
