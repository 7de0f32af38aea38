/** Single manifests and manifest lists: deletes, inheritance, copying, and what is refused. */
import { describe, expect, test } from "bun:test";
import type { Json } from "#base/json.ts";
import { type AvroRecord, createAvroWriter } from "#iceberg/manifest/avro.ts";
import { manifestEntrySchema, manifestListSchema } from "#iceberg/manifest/avroSchemas.ts";
import type { DataFile, ManifestEntry, ManifestFile } from "#iceberg/manifest/manifest.ts";
import {
  createManifestWriter,
  type EncodedManifest,
  readManifest,
} from "#iceberg/manifest/manifestFile.ts";
import {
  assignRowIds,
  readManifestList,
  writeManifestList,
} from "#iceberg/manifest/manifestList.ts";
import { partitionTypes, specById } from "#iceberg/partition/partitionType.ts";
import { rejection } from "../../support/rejection.ts";
import { fileOf, tableOf } from "../../support/tableOf.ts";

const METADATA = tableOf(3);
const SPEC = specById(METADATA, 0);
const TYPES = partitionTypes(METADATA, SPEC);

const POSITIONS: DataFile = {
  ...fileOf("p"),
  content: "position-deletes",
  fileFormat: "PUFFIN",
  referencedDataFile: "/table/data/a.parquet",
  contentOffset: 4n,
  contentSizeBytes: 40n,
};
const EQUALITIES: DataFile = {
  ...fileOf("e"),
  content: "equality-deletes",
  equalityIds: [1, 3],
  sortOrderId: null,
};

async function write(
  content: "data" | "deletes",
  entries: readonly ManifestEntry[],
  formatVersion: 2 | 3 = 3,
): Promise<EncodedManifest> {
  const metadata = { ...METADATA, formatVersion };
  const writer = createManifestWriter({ metadata, spec: SPEC, types: TYPES, content });
  for (const entry of entries) await writer.add(entry);
  return writer.finish();
}

function listed(encoded: EncodedManifest, more: Partial<ManifestFile> = {}): ManifestFile {
  const { bytes, minSequenceNumber, ...counts } = encoded;
  return {
    ...counts,
    manifestPath: "/table/metadata/m.avro",
    manifestLength: BigInt(bytes.length),
    sequenceNumber: 7n,
    minSequenceNumber: minSequenceNumber ?? 7n,
    addedSnapshotId: 70n,
    firstRowId: null,
    ...more,
  };
}

function entry(status: ManifestEntry["status"], file: DataFile, sequence: bigint | null) {
  return {
    status,
    snapshotId: sequence === null ? null : sequence * 10n,
    sequenceNumber: sequence,
    fileSequenceNumber: sequence,
    file,
  };
}

describe("manifests", () => {
  test("of deletes keep what readers need to apply them", async () => {
    const encoded = await write("deletes", [
      entry("added", POSITIONS, null),
      entry("existing", EQUALITIES, 3n),
    ]);
    expect(encoded).toMatchObject({
      content: "deletes",
      addedFilesCount: 1,
      existingFilesCount: 1,
    });
    const read = await readManifest(encoded.bytes, listed(encoded, { firstRowId: 5n }), TYPES);
    expect(read.map(({ file }) => file)).toEqual([POSITIONS, EQUALITIES]);
    expect(read.map(({ snapshotId, sequenceNumber }) => [snapshotId, sequenceNumber])).toEqual([
      [70n, 7n],
      [30n, 3n],
    ]);
  });

  test("of v2 have no fields of v3", async () => {
    const encoded = await write("deletes", [entry("added", POSITIONS, null)], 2);
    const [read] = await readManifest(encoded.bytes, listed(encoded), TYPES);
    expect(read?.file).toEqual({ ...POSITIONS, contentOffset: null, contentSizeBytes: null });
  });

  test("count files and rows by status and know their oldest live sequence number", async () => {
    const encoded = await write("data", [
      entry("existing", fileOf("a", [null]), 5n),
      entry("existing", fileOf("b", [3]), 2n),
      entry("deleted", fileOf("c", [9]), 1n),
      entry("added", fileOf("d", [-4]), null),
    ]);
    const { bytes, partitions, ...counts } = encoded;
    expect(counts).toEqual({
      content: "data",
      partitionSpecId: 0,
      addedFilesCount: 1,
      existingFilesCount: 2,
      deletedFilesCount: 1,
      addedRowsCount: 10n,
      existingRowsCount: 20n,
      deletedRowsCount: 10n,
      minSequenceNumber: 2n,
    });
    expect(bytes.length).toBeGreaterThan(0);
    expect(partitions).toEqual([
      {
        containsNull: true,
        containsNan: false,
        lowerBound: Uint8Array.of(0xfc, 0xff, 0xff, 0xff),
        upperBound: Uint8Array.of(9, 0, 0, 0),
      },
    ]);
  });

  test("give row ids to live entries without their own, in order, skipping deleted ones", async () => {
    const encoded = await write("data", [
      entry("existing", { ...fileOf("a"), firstRowId: 500n }, 1n),
      entry("deleted", fileOf("b"), 1n),
      entry("existing", fileOf("c"), 1n),
      entry("added", fileOf("d"), null),
    ]);
    const read = await readManifest(encoded.bytes, listed(encoded, { firstRowId: 40n }), TYPES);
    expect(read.map(({ file }) => file.firstRowId)).toEqual([500n, null, 40n, 50n]);
  });

  test("of v1 give sequence number 0 to all their entries", async () => {
    const encoded = await write("data", [entry("existing", fileOf("a"), null)]);
    const v1 = listed(encoded, { sequenceNumber: 0n });
    const [read] = await readManifest(encoded.bytes, v1, TYPES);
    expect([read?.sequenceNumber, read?.fileSequenceNumber]).toEqual([0n, 0n]);
  });

  test("are copied with everything inherited made explicit, from the same layout or another", async () => {
    for (const from of [2, 3] as const) {
      const source = await write(
        "data",
        [
          entry("added", fileOf("a"), null),
          entry("deleted", fileOf("b"), 1n),
          entry("existing", { ...fileOf("c"), firstRowId: from === 3 ? 9n : null }, 4n),
        ],
        from,
      );
      const writer = createManifestWriter({
        metadata: METADATA,
        spec: SPEC,
        types: TYPES,
        content: "data",
      });
      await writer.addExisting(source.bytes, listed(source, { firstRowId: 100n }));
      const copy = await writer.finish();
      expect(copy).toMatchObject({
        existingFilesCount: 2,
        addedFilesCount: 0,
        deletedFilesCount: 0,
      });
      expect(copy.minSequenceNumber).toBe(4n);
      const nothing = listed(copy, { sequenceNumber: 99n, addedSnapshotId: 99n });
      const read = await readManifest(copy.bytes, nothing, TYPES);
      expect(read).toEqual([
        { ...entry("existing", { ...fileOf("a"), firstRowId: 100n }, 7n), snapshotId: 70n },
        entry("existing", { ...fileOf("c"), firstRowId: from === 3 ? 9n : 110n }, 4n),
      ]);
    }
  });

  test("with encrypted files are refused, read or copied", async () => {
    const schema = manifestEntrySchema(3, TYPES);
    const writer = createAvroWriter(schema, {});
    const file: AvroRecord = {
      f134: 0,
      f100: "a",
      f101: "PARQUET",
      f102: { f1000: 1 },
      f103: 1n,
      f104: 1n,
      ...nulls([108, 109, 110, 137, 125, 128]),
      f131: Buffer.of(1),
      ...nulls([132, 135, 140, 142, 143, 144, 145]),
    };
    await writer.add({ f0: 1, f1: null, f3: null, f4: null, f2: file });
    const bytes = await writer.finish();
    const manifest = listed(await write("data", []));
    expect((await rejection(readManifest(bytes, manifest, TYPES))).message).toContain("encrypted");
    const kind = { metadata: METADATA, spec: SPEC, types: TYPES, content: "data" } as const;
    const copying = createManifestWriter(kind).addExisting(bytes, manifest);
    expect((await rejection(copying)).message).toContain("encrypted");
  });

  test("with an unknown status or without files are refused as damaged", async () => {
    const schema: Json = {
      type: "record",
      name: "e",
      fields: [{ name: "status", type: "int", "field-id": 0 }],
    };
    for (const status of [1, 9]) {
      const writer = createAvroWriter(schema, {});
      await writer.add({ f0: status });
      const bytes = await writer.finish();
      const read = readManifest(bytes, listed(await write("data", [])), TYPES);
      expect(await rejection(read)).toHaveProperty("kind", "storage_corrupt");
    }
  });
});

describe("manifest lists", () => {
  const list = async (manifests: readonly ManifestFile[], formatVersion: 2 | 3 = 3) =>
    readManifestList(
      await writeManifestList({
        formatVersion,
        snapshotId: 70n,
        parentSnapshotId: null,
        sequenceNumber: 7n,
        firstRowId: formatVersion === 3 ? 0n : null,
        manifests,
      }),
    );

  test("come back as they were, deletes and summaries included", async () => {
    const manifests = [
      listed(await write("data", [entry("added", fileOf("a", [null]), null)]), { firstRowId: 3n }),
      listed(await write("deletes", [entry("added", POSITIONS, null)])),
    ];
    expect(await list(manifests)).toEqual(manifests);
    expect(await list(manifests, 2)).toEqual(
      manifests.map((one) => ({ ...one, firstRowId: null })),
    );
  });

  test("assign row ids to data manifests that have none, in order", async () => {
    const data = listed(await write("data", [entry("added", fileOf("a"), null)]));
    const deletes = listed(await write("deletes", [entry("added", POSITIONS, null)]));
    const { manifests, nextRowId } = assignRowIds(
      [data, deletes, { ...data, firstRowId: 5n }, { ...data, existingRowsCount: 7n }],
      100n,
    );
    expect(manifests.map(({ firstRowId }) => firstRowId)).toEqual([100n, null, 5n, 110n]);
    expect(nextRowId).toBe(127n);
  });

  test("of v1 without sequence numbers are read, without counts refused", async () => {
    const schema = manifestListSchema(2) as { fields: { "field-id": number }[] };
    const without = async (...ids: number[]): Promise<ManifestFile[]> => {
      const fields = schema.fields.filter((field) => !ids.includes(field["field-id"]));
      const writer = createAvroWriter({ ...(schema as object), fields } as Json, {});
      await writer.add({
        f500: "m",
        f501: 1n,
        f502: 0,
        f517: 0,
        f515: 1n,
        f516: 1n,
        f503: 5n,
        ...Object.fromEntries([504, 505, 506].map((id) => [`f${id}`, 1])),
        ...Object.fromEntries([512, 513, 514].map((id) => [`f${id}`, 1n])),
        f507: null,
        f519: null,
      });
      return readManifestList(await writer.finish());
    };
    const [v1] = await without(515, 516, 517);
    expect(v1).toMatchObject({ content: "data", sequenceNumber: 0n, minSequenceNumber: 0n });
    expect(await rejection(without(504))).toHaveProperty("kind", "table_unsupported");
  });
});

function nulls(ids: readonly number[]): AvroRecord {
  return Object.fromEntries(ids.map((id) => [`f${id}`, null]));
}
