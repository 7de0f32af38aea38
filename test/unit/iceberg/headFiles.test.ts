/** The files of a head, of which manifests that are known already are not read again. */
import { expect, test } from "bun:test";
import { readHeadFiles } from "#iceberg/io/headFiles.ts";
import { manifestsOf } from "#iceberg/io/scan.ts";
import { writeManifestList } from "#iceberg/manifest/manifestList.ts";
import { KeyedTable } from "../../support/keyedTable.ts";

test("files whose manifest got its first row id with a later commit, as those of an upgraded table do, have it from then on", async () => {
  const table = new KeyedTable();
  const file = { ...(await table.dataFile([1n, 2n], 20_000)), firstRowId: null };
  const { metadata, storage } = await table.head([{ file, sequenceNumber: 1n }]);
  const [snapshot] = metadata.snapshots;
  if (snapshot === undefined) throw new Error("the head has a snapshot");
  const known = await readHeadFiles({ metadata, storage }, snapshot.snapshotId);
  expect(known.data.get(file.filePath)?.firstRowId).toBe(0n);
  const listed = await manifestsOf(storage, snapshot);
  const later = { ...snapshot, snapshotId: 99n, manifestList: "/table/metadata/later.avro" };
  const manifests = listed.map((manifest) => ({ ...manifest, firstRowId: 700n }));
  await storage.put(
    later.manifestList,
    await writeManifestList({ formatVersion: 3, ...later, manifests }),
  );
  const after = { storage, metadata: { ...metadata, snapshots: [snapshot, later] } };
  const read = await readHeadFiles(after, later.snapshotId, known);
  expect(read.data.get(file.filePath)?.firstRowId).toBe(700n);
  const again = await readHeadFiles(after, later.snapshotId, read);
  // The very same object: the manifest was not read again.
  expect(again.data.get(file.filePath) === read.data.get(file.filePath)).toBe(true);
});
