/** Which manifests' entries stay in memory, and that they are bounded. */
import { expect, test } from "bun:test";
import { createKnownManifests, entryBytes } from "#iceberg/io/knownManifests.ts";
import { liveDataFiles } from "#iceberg/io/liveFiles.ts";
import { entriesOf, manifestsOf } from "#iceberg/io/scan.ts";
import { stageAppend } from "#iceberg/io/stageAppend.ts";
import { type DataFile, type ManifestEntry, UNDESCRIBED } from "#iceberg/manifest/manifest.ts";
import { createMemoryStorage } from "../../fakes/memoryStorage.ts";
import { sampleTable } from "../../support/icebergSamples.ts";

const FILE: DataFile = {
  ...UNDESCRIBED,
  ...{ content: "data", filePath: "/wh/db/read/data/a.parquet", fileFormat: "PARQUET", specId: 0 },
  ...{ partition: [], recordCount: 1n, fileSizeBytes: 10n },
};
const ENTRY: ManifestEntry = {
  ...{ status: "added", snapshotId: 1n, sequenceNumber: 1n, fileSequenceNumber: 1n, file: FILE },
};

test("a manifest that was read once is not read again, unless its rows would come out otherwise", async () => {
  const storage = createMemoryStorage();
  const metadata = sampleTable("/wh/db/read");
  const staged = await stageAppend({
    ...{ storage, metadata, branch: "main", snapshotId: 1n, timestampMs: 5_000 },
    ...{ files: [FILE], summary: {}, nameSuffix: "c" },
  });
  const [manifest] = await manifestsOf(storage, staged.snapshot);
  if (manifest === undefined) throw new Error("it has a manifest");
  const first = await entriesOf(storage, metadata, manifest);
  expect(first.map(({ file }) => file.filePath)).toEqual([FILE.filePath]);
  expect(await entriesOf(storage, metadata, manifest)).toBe(first);
  expect(storage.calls["get"]).toBe(1);
  // A later list may give the same manifest another sequence number, which its entries inherit.
  const [again] = await entriesOf(storage, metadata, { ...manifest, sequenceNumber: 9n });
  expect(again?.sequenceNumber).toBe(9n);
  expect(storage.calls["get"]).toBe(2);
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
  const known = createKnownManifests(1 << 20, entryBytes);
  known.set(createMemoryStorage(), "/wh/a/m0.avro", [ENTRY]);
  expect(known.get(createMemoryStorage(), "/wh/a/m0.avro")).toBeNull();
});

test("the bytes are bounded: what was used longest ago gives way, and what is larger than all of it is not kept", () => {
  const storage = createMemoryStorage();
  const known = createKnownManifests(5_000, entryBytes);
  for (let n = 0; n < 50; n++) {
    known.set(storage, `${n}`, [ENTRY]);
    known.get(storage, "0");
  }
  const kept = Array.from({ length: 50 }, (_, n) => n).filter(
    (n) => known.get(storage, `${n}`) !== null,
  );
  expect(kept).toEqual([0, 45, 46, 47, 48, 49]);
  known.set(storage, "large", Array<ManifestEntry>(100).fill(ENTRY));
  expect(known.get(storage, "large")).toBeNull();
  expect(known.get(storage, "49")).not.toBeNull();
});
