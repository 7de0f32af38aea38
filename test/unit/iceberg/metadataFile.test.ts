/** Metadata files are parsed when their bytes are others than before, and only then. */
import { expect, test } from "bun:test";
import { encodeMetadataFile, loadMetadataFile } from "#iceberg/io/metadataFile.ts";
import type { Storage } from "#storage/storage.ts";
import { sampleTable } from "../../support/icebergSamples.ts";

test("a file of the same bytes is not parsed again, one of other bytes is, whatever its name", async () => {
  const metadata = sampleTable("/t");
  let content = encodeMetadataFile(metadata);
  const storage = { get: async () => content } as unknown as Storage;
  const first = await loadMetadataFile(storage, "/t/v1.metadata.json");
  const again = await loadMetadataFile(storage, "/t/v1.metadata.json", first);
  expect(again.metadata).toBe(first.metadata);
  // A table that was dropped and made again has the names of the old one.
  const other = "00000000-0000-4000-8000-000000000000";
  content = encodeMetadataFile({ ...metadata, tableUuid: other });
  const replaced = await loadMetadataFile(storage, "/t/v1.metadata.json", first);
  expect(replaced.metadata.tableUuid).toBe(other);
  expect(first.metadata.tableUuid).toBe(metadata.tableUuid);
});

test("a compressed file is read, also by what was read before", async () => {
  const content = Bun.gzipSync(new Uint8Array(encodeMetadataFile(sampleTable("/t"))));
  const storage = { get: async () => content } as unknown as Storage;
  const first = await loadMetadataFile(storage, "/t/v1.gz.metadata.json");
  expect(first.metadata).toEqual(sampleTable("/t"));
  expect(await loadMetadataFile(storage, "/t/v1.gz.metadata.json", first)).toBe(first);
});
