/** Staging of appends: what is written, what readers inherit, and what stays small. */
import { afterEach, describe, expect, test } from "bun:test";
import { armFailpoint } from "#base/failpoint.ts";
import { addedFilePaths, listDataFiles, liveCounts, manifestsOf } from "#iceberg/io/scan.ts";
import { type StageAppend, stageAppend } from "#iceberg/io/stageAppend.ts";
import type { DataFile, PartitionValue } from "#iceberg/manifest/manifest.ts";
import type { PartitionSpec, TableMetadata } from "#iceberg/metadata/metadata.ts";
import { applyUpdates } from "#iceberg/metadata/updates.ts";
import { createMemoryStorage, type MemoryStorage } from "../../fakes/memoryStorage.ts";
import { rejection } from "../../support/rejection.ts";
import { fileOf, tableOf } from "../../support/tableOf.ts";

afterEach(() => armFailpoint(null));

interface Setting {
  readonly storage: MemoryStorage;
  metadata: TableMetadata;
  count: number;
}

function setting(metadata: TableMetadata): Setting {
  return { storage: createMemoryStorage(), metadata, count: 0 };
}

async function append(
  table: Setting,
  files: readonly DataFile[],
  more: Partial<StageAppend> = {},
): ReturnType<typeof stageAppend> {
  table.count++;
  const staged = await stageAppend({
    storage: table.storage,
    metadata: table.metadata,
    branch: "main",
    snapshotId: BigInt(100 + table.count),
    timestampMs: 5000,
    files,
    summary: {},
    nameSuffix: `c${table.count}-1`,
    ...more,
  });
  table.metadata = applyUpdates(table.metadata, staged.updates, {
    timestampMs: staged.snapshot.timestampMs,
  });
  return staged;
}

async function live(table: Setting): Promise<Record<string, unknown>[]> {
  const rows: Record<string, unknown>[] = [];
  const head = table.metadata.currentSnapshotId ?? 0n;
  for await (const found of listDataFiles(table.storage, table.metadata, head)) {
    const { file, snapshotId, sequenceNumber } = found;
    rows.push({ path: file.filePath, snapshotId, sequenceNumber, rowId: file.firstRowId });
  }
  return rows.sort((a, b) => Number(a["snapshotId"]) - Number(b["snapshotId"]));
}

describe("stageAppend", () => {
  test("writes every metric, and readers get it back with snapshot and sequence number", async () => {
    const table = setting(tableOf(2));
    const file = fileOf("a", [null]);
    await append(table, [file, fileOf("b", [19_999])]);
    const found = await Array.fromAsync(listDataFiles(table.storage, table.metadata, 101n));
    expect(found[0]).toEqual({ file, snapshotId: 101n, sequenceNumber: 1n });
    expect(found[1]?.file.partition).toEqual([19_999]);
  });

  test("keeps values of every partition type", async () => {
    const source = [
      ["long", 2n ** 62n],
      ["decimal(20, 3)", -12_345_678_901_234_567n],
      ["uuid", new Uint8Array(16).fill(3)],
      ["uuid", new Uint8Array(16).fill(4)],
      ["fixed[2]", Uint8Array.of(1, 2)],
      ["binary", Uint8Array.of()],
      ["boolean", false],
      ["float", -0],
      ["double", Number.NaN],
      ["timestamp_ns", -1n],
      ["time", 5n],
      ["string", "ü"],
    ] as const;
    const { parsePrimitive } = await import("#columns/schema.ts");
    const base = tableOf(3);
    const [first] = base.schemas;
    const fields = source.map(([text], index) => ({
      id: index + 1,
      name: `c ${index}-é`,
      required: false,
      type: parsePrimitive(text) ?? { kind: "boolean" as const },
    }));
    const spec: PartitionSpec = {
      specId: 0,
      fields: fields.map(({ id, name }) => ({
        sourceId: id,
        fieldId: 999 + id,
        name,
        transform: "identity",
      })),
    };
    const schemas = first === undefined ? [] : [{ ...first, fields }];
    const table = setting({ ...base, schemas, partitionSpecs: [spec] });
    const partition: PartitionValue[] = source.map(([, value]) => value);
    await append(table, [fileOf("a", partition)]);
    const [found] = await Array.fromAsync(listDataFiles(table.storage, table.metadata, 101n));
    const plain: PartitionValue[] = (found?.file.partition ?? []).map((value) =>
      value instanceof Uint8Array ? Uint8Array.from(value) : value,
    );
    expect(plain).toEqual(partition);
    const [manifest] = await manifestsOf(createView(table.storage), snapshotOf(table));
    expect(manifest?.partitions[8]).toEqual({
      containsNull: false,
      containsNan: true,
      lowerBound: null,
      upperBound: null,
    });
  });

  test("carries the head's manifests, continues its totals and links to its parent", async () => {
    const table = setting(tableOf(2));
    await append(table, [fileOf("a")]);
    const { snapshot } = await append(table, [fileOf("b"), fileOf("c", [20_001])], {
      summary: { "kafka-iceberg.commit-id": "x" },
    });
    expect(snapshot).toMatchObject({ parentSnapshotId: 101n, sequenceNumber: 2n, schemaId: 0 });
    expect(snapshot.summary).toEqual({
      operation: "append",
      "added-data-files": "2",
      "added-records": "20",
      "added-files-size": "2468",
      "changed-partition-count": "2",
      "total-records": "30",
      "total-files-size": "3702",
      "total-data-files": "3",
      "total-delete-files": "0",
      "total-position-deletes": "0",
      "total-equality-deletes": "0",
      "kafka-iceberg.commit-id": "x",
    });
    expect(await live(table)).toHaveLength(3);
    expect(await liveCounts(table.storage, snapshot)).toEqual({
      dataFiles: 3,
      dataRows: 30n,
      deleteFiles: 0,
    });
  });

  test("without files writes a manifest list only and keeps every file", async () => {
    const table = setting(tableOf(2));
    await append(table, [fileOf("a")]);
    const staged = await append(table, []);
    expect(staged.writtenFiles).toEqual(["/table/metadata/snap-102-c2-1.avro"]);
    expect(staged.snapshot.summary).toMatchObject({ operation: "append", "total-records": "10" });
    expect(staged.snapshot.summary).not.toHaveProperty("added-data-files");
    expect(await live(table)).toHaveLength(1);
  });

  test("on an empty branch has no parent and may have no manifests at all", async () => {
    const table = setting(tableOf(2));
    const { snapshot } = await append(table, []);
    expect(snapshot.parentSnapshotId).toBe(null);
    expect(await manifestsOf(createView(table.storage), snapshot)).toEqual([]);
  });

  test("never goes back in time, whatever the clock says", async () => {
    const table = setting(tableOf(2));
    const first = await append(table, [], { timestampMs: 9000 });
    const second = await append(table, [], { timestampMs: 2000 });
    expect([first.snapshot.timestampMs, second.snapshot.timestampMs]).toEqual([9000, 9001]);
  });

  test("writes below write.metadata.path when the table has it", async () => {
    const table = setting(tableOf(2, { "write.metadata.path": "/elsewhere/m/" }));
    const { writtenFiles } = await append(table, [fileOf("a")]);
    expect(writtenFiles).toEqual(["/elsewhere/m/c1-1-m0.avro", "/elsewhere/m/snap-101-c1-1.avro"]);
  });

  test("keeps the branch's retention settings", async () => {
    const table = setting(tableOf(2));
    await append(table, []);
    const main = table.metadata.refs["main"];
    const retention = { minSnapshotsToKeep: 3, maxSnapshotAgeMs: 4, maxRefAgeMs: null };
    if (main === undefined) throw new TypeError("no branch");
    table.metadata = { ...table.metadata, refs: { main: { ...main, ...retention } } };
    await append(table, []);
    expect(table.metadata.refs["main"]).toMatchObject({ snapshotId: 102n, ...retention });
  });

  test("writes one manifest per partition spec of the files", async () => {
    const base = tableOf(2);
    const other: PartitionSpec = {
      specId: 1,
      fields: [{ sourceId: 3, fieldId: 1001, name: "name_bucket", transform: "bucket[4]" }],
    };
    const table = setting({ ...base, partitionSpecs: [...base.partitionSpecs, other] });
    await append(table, [fileOf("a"), { ...fileOf("b", [3]), specId: 1 }]);
    const manifests = await manifestsOf(table.storage, snapshotOf(table));
    expect(manifests.map((manifest) => manifest.partitionSpecId)).toEqual([0, 1]);
    const found = await Array.fromAsync(listDataFiles(table.storage, table.metadata, 101n));
    expect(found.map(({ file }) => [file.specId, file.partition])).toEqual([
      [0, [20_000]],
      [1, [3]],
    ]);
  });

  test("refuses unknown specs before it writes anything", async () => {
    const table = setting(tableOf(2));
    expect((await rejection(append(table, [{ ...fileOf("a"), specId: 7 }]))).message).toContain(
      "spec 7",
    );
    expect(table.storage.objects.size).toBe(0);
  });

  test("tells all names before the first write, so that what a failed one left can be removed", async () => {
    const storage = createMemoryStorage({
      fault: (operation, at) => (operation === "put" && at.includes("snap-") ? "before" : null),
    });
    const table: Setting = { storage, metadata: tableOf(2), count: 0 };
    let planned: readonly string[] = [];
    const told = (names: readonly string[]): void => {
      planned = names;
      expect(storage.objects.size).toBe(0);
    };
    const error = await rejection(append(table, [fileOf("a")], { planned: told }));
    expect(error).toHaveProperty("kind", "storage_unreachable");
    expect(planned).toEqual(expect.arrayContaining([...storage.objects.keys()]));
    expect(planned).toHaveLength(2);
  });

  test("passes the failpoint before the first write", async () => {
    const table = setting(tableOf(2));
    armFailpoint("manifest=error");
    expect((await rejection(append(table, [fileOf("a")]))).message).toContain("Failpoint");
    expect(table.storage.objects.size).toBe(0);
  });
});

describe("row lineage (v3)", () => {
  test("rows get contiguous ids from the table's next row id, per attempt", async () => {
    const table = setting(tableOf(3));
    await append(table, [fileOf("a"), fileOf("b")]);
    const { snapshot } = await append(table, [fileOf("c")]);
    expect([snapshot.firstRowId, snapshot.addedRows]).toEqual([20n, 10n]);
    expect(table.metadata.nextRowId).toBe(30n);
    expect((await live(table)).map(({ rowId }) => rowId)).toEqual([0n, 10n, 20n]);
  });

  test("a table upgraded from v2 gets ids for its old files too", async () => {
    const table = setting(tableOf(2));
    await append(table, [fileOf("old")]);
    table.metadata = { ...table.metadata, formatVersion: 3, nextRowId: 0n };
    const { snapshot } = await append(table, [fileOf("new")]);
    expect([snapshot.firstRowId, snapshot.addedRows]).toEqual([0n, 20n]);
    expect((await live(table)).map(({ rowId }) => rowId)).toEqual([10n, 0n]);
  });
});

describe("merging", () => {
  for (const version of [2, 3] as const) {
    test(`v${version}: many appends leave few manifests, and every file as it was`, async () => {
      const table = setting(tableOf(version, { "commit.manifest.min-count-to-merge": "5" }));
      let most = 0;
      for (let index = 0; index < 60; index++) {
        const { snapshot } = await append(table, [
          fileOf(`f${index}`, [index % 3 === 0 ? null : index]),
          fileOf(`g${index}`, [index]),
        ]);
        most = Math.max(most, (await manifestsOf(table.storage, snapshot)).length);
      }
      expect(most).toBeLessThan(8);
      expect(await live(table)).toMatchObject(
        Array.from({ length: 120 }, (_, index) => ({
          snapshotId: BigInt(101 + Math.floor(index / 2)),
          sequenceNumber: BigInt(1 + Math.floor(index / 2)),
          rowId: version === 3 ? BigInt(index * 10) : null,
        })),
      );
      expect(table.metadata.nextRowId).toBe(version === 3 ? 1200n : null);
      expect(snapshotOf(table).summary).toMatchObject({ "total-data-files": "120" });
    });
  }

  test("each file is rewritten a few times only, however many commits there are", async () => {
    const table = setting(tableOf(2, { "commit.manifest.min-count-to-merge": "10" }));
    let rewritten = 0;
    for (let index = 0; index < 400; index++) {
      const { snapshot } = await append(table, [fileOf(`f${index}`)]);
      for (const manifest of await manifestsOf(table.storage, snapshot)) {
        if (manifest.addedSnapshotId === snapshot.snapshotId) {
          rewritten += manifest.existingFilesCount;
        }
      }
    }
    expect(rewritten / 400).toBeGreaterThan(0.5);
    expect(rewritten / 400).toBeLessThan(6);
  });

  test("can be switched off, and leaves manifests of half the target size alone", async () => {
    const off = setting(
      tableOf(2, {
        "commit.manifest.min-count-to-merge": "2",
        "commit.manifest-merge.enabled": "false",
      }),
    );
    const big = setting(
      tableOf(2, {
        "commit.manifest.min-count-to-merge": "2",
        "commit.manifest.target-size-bytes": "100",
      }),
    );
    for (const table of [off, big]) {
      for (let index = 0; index < 6; index++) await append(table, [fileOf(`f${index}`)]);
      expect(await manifestsOf(table.storage, snapshotOf(table))).toHaveLength(6);
    }
  });

  test("leaves specs alone whose source column no schema remembers", async () => {
    const base = tableOf(2, { "commit.manifest.min-count-to-merge": "2" });
    const none: PartitionSpec = { specId: 1, fields: [] };
    const table = setting(base);
    for (let index = 0; index < 2; index++) await append(table, [fileOf(`f${index}`)]);
    const schemas = base.schemas.map((schema) => ({
      ...schema,
      fields: schema.fields.slice(0, 1),
    }));
    const partitionSpecs = [...base.partitionSpecs, none];
    table.metadata = { ...table.metadata, schemas, partitionSpecs };
    for (let index = 0; index < 3; index++) {
      await append(table, [{ ...fileOf(`g${index}`, []), specId: 1 }]);
    }
    const manifests = await manifestsOf(table.storage, snapshotOf(table));
    expect(manifests.map((one) => one.partitionSpecId).sort()).toEqual([0, 0, 1, 1]);
    expect((await rejection(live(table))).message).toContain("no source column");
  });

  test("keeps the manifests of other specs apart", async () => {
    const base = tableOf(2, { "commit.manifest.min-count-to-merge": "3" });
    const none: PartitionSpec = { specId: 1, fields: [] };
    const table = setting({ ...base, partitionSpecs: [...base.partitionSpecs, none] });
    for (let index = 0; index < 8; index++) {
      await append(table, [fileOf(`f${index}`), { ...fileOf(`g${index}`, []), specId: 1 }]);
    }
    const found = await Array.fromAsync(
      listDataFiles(table.storage, table.metadata, table.metadata.currentSnapshotId ?? 0n),
    );
    expect(found).toHaveLength(16);
    for (const { file } of found) expect(file.partition).toHaveLength(file.specId === 0 ? 1 : 0);
  });
});

describe("addedFilePaths", () => {
  test("names the list, the manifests and the files of one snapshot, not those it inherited", async () => {
    const table = setting(tableOf(2));
    await append(table, [fileOf("a")]);
    await append(table, [fileOf("b")]);
    expect(await Array.fromAsync(addedFilePaths(table.storage, snapshotOf(table)))).toEqual([
      "/table/metadata/snap-102-c2-1.avro",
      "/table/metadata/c2-1-m0.avro",
      "/table/data/b.parquet",
    ]);
  });
});

function snapshotOf(table: Setting): TableMetadata["snapshots"][number] {
  const snapshot = table.metadata.snapshots.at(-1);
  if (snapshot === undefined) throw new TypeError("the table has no snapshot");
  return snapshot;
}

/** The same objects through another storage: nothing is answered from the cache. */
function createView(storage: MemoryStorage): MemoryStorage {
  return { ...storage };
}
