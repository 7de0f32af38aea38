/**
 * Metadata files as PyIceberg 0.12 and Spark 4.1 with Iceberg 1.11 wrote them
 * (`test/fixtures/metadata/make_*.py`): what we write after reading them means the same.
 */
import { describe, expect, test } from "bun:test";
import { type Json, parseJson } from "#base/json.ts";
import { readTableMetadata, writeTableMetadata } from "#iceberg/metadata/tableMetadataJson.ts";

const FOLDER = `${import.meta.dir}/../fixtures/metadata`;

async function fixture(name: string): Promise<string> {
  const bytes = await Bun.file(`${FOLDER}/${name}`).bytes();
  return new TextDecoder().decode(
    name.endsWith(".gz.metadata.json") ? Bun.gunzipSync(bytes) : bytes,
  );
}

/** The members with what the specification lets a writer leave out left out. */
function meaning(text: string): Json {
  const root = parseJson(text) as { [key: string]: Json };
  if (root["current-snapshot-id"] === -1) delete root["current-snapshot-id"];
  const tidy = (value: Json): Json => {
    if (Array.isArray(value)) return value.map(tidy);
    if (typeof value !== "object" || value === null) return value;
    const members = Object.entries(value).filter(([, member]) => member !== null);
    return Object.fromEntries(members.map(([key, member]) => [key, tidy(member)]));
  };
  for (const key of ["identifier-field-ids"]) {
    for (const schema of root["schemas"] as { [key: string]: Json }[]) {
      if (Array.isArray(schema[key]) && schema[key].length === 0) delete schema[key];
    }
  }
  return tidy(root);
}

const READABLE = [
  "pyiceberg-v2.metadata.json",
  "pyiceberg-v2-empty.metadata.json",
  "spark-v2.metadata.json",
  "spark-v2.gz.metadata.json",
  "spark-v2-empty.metadata.json",
  "spark-v3.metadata.json",
];

describe("metadata of other engines", () => {
  for (const name of READABLE) {
    test(`${name}: nothing is lost and nothing changes`, async () => {
      const text = await fixture(name);
      expect(meaning(writeTableMetadata(readTableMetadata(text)))).toEqual(meaning(text));
    });
  }

  test("Spark's v2: refs with retention, statistics, sort orders, specs, nested columns", async () => {
    const metadata = readTableMetadata(await fixture("spark-v2.metadata.json"));
    expect(metadata.refs["release"]).toMatchObject({ type: "tag", maxRefAgeMs: 365 * 86_400_000 });
    expect(metadata.refs["audit"]).toMatchObject({
      type: "branch",
      minSnapshotsToKeep: 2,
      maxSnapshotAgeMs: 3 * 86_400_000,
      maxRefAgeMs: 7 * 86_400_000,
    });
    expect(Object.keys(metadata.unknown)).toContain("statistics");
    expect(metadata.sortOrders.at(-1)?.fields).toMatchObject([
      { transform: "identity", direction: "desc", nullOrder: "nulls-last" },
      { transform: "bucket[8]", direction: "asc", nullOrder: "nulls-first" },
    ]);
    expect(metadata.partitionSpecs.length).toBeGreaterThan(1);
    expect(metadata.metadataLog.length).toBe(3);
    expect(metadata.schemas.at(-1)?.identifierFieldIds).toEqual([3]);
  });

  test("Spark's v3: row lineage, and defaults with every digit", async () => {
    const metadata = readTableMetadata(await fixture("spark-v3.metadata.json"));
    expect(metadata.nextRowId).toBe(12n);
    expect(metadata.snapshots.map((snapshot) => snapshot.firstRowId)).toEqual([0n, 5n, 7n]);
    const fields =
      metadata.schemas.find((s) => s.schemaId === metadata.currentSchemaId)?.fields ?? [];
    expect(fields.find((field) => field.name === "added")).toMatchObject({
      initialDefault: 9_007_199_254_740_993n,
      writeDefault: 9_007_199_254_740_993n,
    });
    expect(fields.at(-1)?.type).toEqual({ kind: "timestamp_ns", zone: true });
  });

  test("PyIceberg's table has no current snapshot where there is none", async () => {
    const metadata = readTableMetadata(await fixture("pyiceberg-v2-empty.metadata.json"));
    expect([metadata.currentSnapshotId, metadata.refs, metadata.snapshots]).toEqual([null, {}, []]);
  });

  test("v1, and a column type that we cannot keep, are refused with the reason", async () => {
    const v1 = await fixture("spark-v1.metadata.json");
    expect(() => readTableMetadata(v1)).toThrow("format version 1");
    const variant = await fixture("spark-v3-variant.metadata.json");
    expect(() => readTableMetadata(variant)).toThrow("Column v has type variant");
  });
});
