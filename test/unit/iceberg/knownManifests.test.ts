/** Which manifests' entries stay in memory, and that they are bounded. */
import { expect, test } from "bun:test";
import { createKnownManifests, manifestKey } from "#iceberg/io/knownManifests.ts";
import { liveDataFiles } from "#iceberg/io/liveFiles.ts";
import { type LiveFile, manifestsOf } from "#iceberg/io/scan.ts";
import { scanFiles } from "#iceberg/io/scanFiles.ts";
import { stageAppend } from "#iceberg/io/stageAppend.ts";
import type { PartitionFieldType } from "#iceberg/manifest/avroSchemas.ts";
import { type DataFile, UNDESCRIBED } from "#iceberg/manifest/manifest.ts";
import { planCommit } from "#iceberg/metadata/updates.ts";
import { createMemoryStorage } from "../../fakes/memoryStorage.ts";
import { sampleTable } from "../../support/icebergSamples.ts";

const LOWEST = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0);
const FILE: DataFile = {
  ...UNDESCRIBED,
  ...{ content: "data", filePath: "/wh/db/read/data/a.parquet", fileFormat: "PARQUET", specId: 0 },
  ...{ partition: [], recordCount: 1n, fileSizeBytes: 10n },
  lowerBounds: new Map([[1, LOWEST]]),
  valueCounts: new Map([[1, 1n]]),
};
const ENTRY = FILE.filePath;
const bytesOf = (entries: readonly string[]): number => entries.length * 800;

test("a manifest that a query read is not read again, and its files keep what a query needs of them", async () => {
  const storage = createMemoryStorage();
  const empty = sampleTable("/wh/db/read");
  const staged = await stageAppend({
    ...{ storage, metadata: empty, branch: "main", snapshotId: 1n, timestampMs: 5_000 },
    ...{ files: [FILE], summary: {}, nameSuffix: "c" },
  });
  const planned = planCommit(empty, [], staged.updates, { timestampMs: 5_000 });
  if (planned.kind !== "next") throw new Error("it is planned");
  const { metadata } = planned;
  const [first] = await Array.fromAsync(scanFiles(storage, metadata, 1n));
  const reads = storage.calls["get"];
  const [again] = await Array.fromAsync(scanFiles(storage, metadata, 1n));
  expect(storage.calls["get"]).toBe(reads);
  expect(again).toBe(first as LiveFile);
  const { file } = first as LiveFile;
  expect([file.filePath, file.lowerBounds.get(1)]).toEqual([FILE.filePath, LOWEST]);
  expect(file.valueCounts.size).toBe(0);
  expect(await Array.fromAsync(scanFiles(storage, metadata, 2n))).toEqual([]);
});

test("a manifest is read anew where a list or a type lets its files come out otherwise", async () => {
  const storage = createMemoryStorage();
  const staged = await stageAppend({
    ...{ storage, metadata: sampleTable("/wh/db/key"), branch: "main", snapshotId: 1n },
    ...{ timestampMs: 5_000, files: [FILE], summary: {}, nameSuffix: "c" },
  });
  const [manifest] = await manifestsOf(storage, staged.snapshot);
  if (manifest === undefined) throw new Error("it has a manifest");
  const wide = [{ name: "id", type: { kind: "long" } }] as unknown as PartitionFieldType[];
  const keys = [
    manifestKey(manifest, []),
    manifestKey({ ...manifest, sequenceNumber: 9n }, []),
    manifestKey({ ...manifest, firstRowId: 9n }, []),
    manifestKey(manifest, wide),
  ];
  expect(new Set(keys).size).toBe(4);
  expect(manifestKey({ ...manifest }, [])).toBe(keys[0] as string);
});

test("whoever replaces files lists a manifest once, however many attempts his commit takes", async () => {
  const storage = createMemoryStorage();
  const metadata = sampleTable("/wh/db/listed");
  const append = { storage, metadata, branch: "main", timestampMs: 5_000, summary: {} };
  const staged = await stageAppend({ ...append, snapshotId: 1n, files: [FILE], nameSuffix: "c" });
  const manifests = await manifestsOf(storage, staged.snapshot);
  const paths = async (): Promise<string[]> => {
    const files = await Array.fromAsync(liveDataFiles(storage, metadata, manifests));
    return files.map(({ path }) => path);
  };
  expect(await paths()).toEqual([FILE.filePath]);
  const reads = storage.calls["get"];
  expect(await paths()).toEqual([FILE.filePath]);
  expect(storage.calls["get"]).toBe(reads);
});

test("two stores with the same paths do not share entries", () => {
  const known = createKnownManifests(1 << 20, bytesOf);
  known.set(createMemoryStorage(), "/wh/a/m0.avro", [ENTRY]);
  expect(known.get(createMemoryStorage(), "/wh/a/m0.avro")).toBeNull();
});

test("the bytes are bounded: what was used longest ago gives way, and what is larger than all of it is not kept", () => {
  const storage = createMemoryStorage();
  const known = createKnownManifests(5_000, bytesOf);
  for (let n = 0; n < 50; n++) {
    known.set(storage, `${n}`, [ENTRY]);
    known.get(storage, "0");
  }
  const kept = Array.from({ length: 50 }, (_, n) => n).filter(
    (n) => known.get(storage, `${n}`) !== null,
  );
  expect(kept).toEqual([0, 45, 46, 47, 48, 49]);
  known.set(storage, "large", Array<string>(100).fill(ENTRY));
  expect(known.get(storage, "large")).toBeNull();
  expect(known.get(storage, "49")).not.toBeNull();
});
