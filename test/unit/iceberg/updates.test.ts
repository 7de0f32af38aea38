import { describe, expect, test } from "bun:test";
import type { Field, Schema } from "#columns/schema.ts";
import type {
  PartitionSpec,
  SortOrder,
  TableMetadata,
  TableUpdate,
} from "#iceberg/metadata/metadata.ts";
import { branchAt } from "#iceberg/metadata/tableMetadataJson.ts";
import { applyUpdates, checkRequirements, planCommit } from "#iceberg/metadata/updates.ts";
import { appendOf, nextSnapshot, SAMPLE_UUID, sampleTable } from "../../support/icebergSamples.ts";

const AT = { timestampMs: 5_000 };

function after(metadata: TableMetadata, ...updates: TableUpdate[]): TableMetadata {
  return applyUpdates(metadata, updates, AT);
}

/** Why the table does not take the updates. */
function refused(metadata: TableMetadata, ...updates: TableUpdate[]): string {
  const planned = planCommit(metadata, [], updates, AT);
  return planned.kind === "conflict" ? planned.reason : "it was taken";
}

function withSnapshots(count: number, formatVersion: 2 | 3 = 2): TableMetadata {
  let metadata = sampleTable("/wh/db/t", { formatVersion });
  for (let n = 1; n <= count; n++) {
    metadata = after(metadata, ...appendOf(nextSnapshot(metadata, BigInt(n), 1_000 + n)));
  }
  return metadata;
}

function schemaWith(metadata: TableMetadata, extra: Field): Schema {
  const current = metadata.schemas[0] as Schema;
  return { ...current, fields: [...current.fields, extra] };
}

const EXTRA: Field = { id: 4, name: "extra", required: false, type: { kind: "int" } };

describe("snapshots", () => {
  test("an append moves main, the sequence number, the log and the time", () => {
    const metadata = withSnapshots(2);
    expect(metadata.currentSnapshotId).toBe(2n);
    expect(metadata.refs["main"]).toEqual(branchAt(2n));
    expect(metadata.lastSequenceNumber).toBe(2n);
    expect(metadata.lastUpdatedMs).toBe(5_000);
    expect(metadata.snapshotLog).toEqual([
      { snapshotId: 1n, timestampMs: 1_001 },
      { snapshotId: 2n, timestampMs: 1_002 },
    ]);
  });

  test("time never goes back, whatever the clocks of the writers say", () => {
    const ahead = sampleTable("/wh/db/t");
    const first = after(ahead, ...appendOf(nextSnapshot(ahead, 1n, 90_000)));
    const second = after(first, ...appendOf(nextSnapshot(first, 2n, 3_000)));
    expect(second.snapshotLog.map((entry) => entry.timestampMs)).toEqual([90_000, 90_000]);
    expect(second.lastUpdatedMs).toBe(90_000);
  });

  test("an id that exists, a stale sequence number, a stale first row id are conflicts", () => {
    const metadata = withSnapshots(2, 3);
    const next = nextSnapshot(metadata, 9n);
    expect(refused(metadata, ...appendOf({ ...next, snapshotId: 1n }))).toContain("exists already");
    expect(refused(metadata, ...appendOf({ ...next, sequenceNumber: 2n }))).toContain("is stale");
    expect(refused(metadata, ...appendOf({ ...next, firstRowId: 77n }))).toContain("first row id");
  });

  test("v3: the next row id grows by the rows added", () => {
    const metadata = withSnapshots(0, 3);
    const one = after(metadata, ...appendOf({ ...nextSnapshot(metadata, 1n), addedRows: 100n }));
    const two = after(one, ...appendOf({ ...nextSnapshot(one, 2n), addedRows: 7n }));
    expect([one.nextRowId, two.nextRowId]).toEqual([100n, 107n]);
    expect(two.snapshots[1]?.firstRowId).toBe(100n);
  });

  test("removing snapshots drops their statistics and the log before them", () => {
    const files = [{ "snapshot-id": 1 }, { "snapshot-id": 3n }, { "snapshot-id": 4n }];
    const metadata = {
      ...withSnapshots(5),
      unknown: { statistics: files, "partition-statistics": files, other: 1 },
    };
    const next = after(metadata, { action: "remove-snapshots", snapshotIds: [1n, 3n, 77n] });
    expect(next.snapshots.map((snapshot) => snapshot.snapshotId)).toEqual([2n, 4n, 5n]);
    expect(next.snapshotLog.map((entry) => entry.snapshotId)).toEqual([4n, 5n]);
    expect(next.unknown).toEqual({
      statistics: [{ "snapshot-id": 4n }],
      "partition-statistics": [{ "snapshot-id": 4n }],
      other: 1,
    });
  });

  test("the head of a ref cannot be removed, not even one created meanwhile", () => {
    const metadata = withSnapshots(3);
    const tagged = after(metadata, {
      action: "set-snapshot-ref",
      ref: "release",
      value: { ...branchAt(2n), type: "tag" },
    });
    const remove = { action: "remove-snapshots", snapshotIds: [2n] } as const;
    expect(refused(tagged, remove)).toBe("snapshot 2 is the head of release");
    expect(refused(tagged, { action: "remove-snapshot-ref", ref: "release" }, remove)).toBe(
      "it was taken",
    );
  });
});

describe("refs", () => {
  test("other branches leave main alone", () => {
    const metadata = withSnapshots(1);
    const next = after(metadata, ...appendOf(nextSnapshot(metadata, 2n), "audit"));
    expect(next.currentSnapshotId).toBe(1n);
    expect(next.refs["audit"]?.snapshotId).toBe(2n);
    expect(next.snapshotLog.length).toBe(1);
  });

  test("a rollback is logged at its own time; setting main where it is logs nothing", () => {
    const metadata = withSnapshots(2);
    const to = (id: bigint): TableUpdate => ({
      action: "set-snapshot-ref",
      ref: "main",
      value: branchAt(id),
    });
    const back = after(metadata, to(1n));
    expect(back.currentSnapshotId).toBe(1n);
    expect(back.snapshotLog.at(-1)).toEqual({ snapshotId: 1n, timestampMs: 5_000 });
    expect(after(back, to(1n)).snapshotLog).toEqual(back.snapshotLog);
  });

  test("a ref to a snapshot that is gone, or of the other type, is a conflict", () => {
    const metadata = withSnapshots(1);
    const set = (value: ReturnType<typeof branchAt>): TableUpdate => ({
      action: "set-snapshot-ref",
      ref: "main",
      value,
    });
    expect(refused(metadata, set(branchAt(9n)))).toContain("no snapshot 9");
    expect(refused(metadata, set({ ...branchAt(1n), type: "tag" }))).toBe("main is a branch");
  });

  test("removing main leaves a table without a current snapshot", () => {
    const next = after(withSnapshots(1), { action: "remove-snapshot-ref", ref: "main" });
    expect([next.currentSnapshotId, next.snapshotLog, next.refs]).toEqual([null, [], {}]);
  });
});

describe("schemas", () => {
  test("a new schema gets the next id; -1 makes it current", () => {
    const metadata = sampleTable("/wh/db/t");
    const next = after(
      metadata,
      { action: "add-schema", schema: schemaWith(metadata, EXTRA), lastColumnId: 4 },
      { action: "set-current-schema", schemaId: -1 },
    );
    expect([next.currentSchemaId, next.lastColumnId, next.schemas.length]).toEqual([1, 4, 2]);
    expect(next.schemas[1]?.schemaId).toBe(1);
  });

  test("an identical schema is used again; another doc makes another schema", () => {
    const metadata = sampleTable("/wh/db/t");
    const [first] = metadata.schemas as [Schema];
    const again = after(
      metadata,
      { action: "add-schema", schema: { ...first, schemaId: 9 }, lastColumnId: 3 },
      { action: "set-current-schema", schemaId: -1 },
    );
    expect([again.currentSchemaId, again.schemas.length]).toEqual([0, 1]);
    const documented = {
      ...first,
      fields: first.fields.map((field) => ({ ...field, doc: "new", initialDefault: undefined })),
    };
    const other = after(metadata, { action: "add-schema", schema: documented, lastColumnId: 3 });
    expect(other.schemas.length).toBe(2);
  });

  test("a last column id below the table's is stale", () => {
    const metadata = sampleTable("/wh/db/t");
    const [schema] = metadata.schemas as [Schema];
    expect(refused(metadata, { action: "add-schema", schema, lastColumnId: 2 })).toContain(
      "last column id",
    );
  });

  test("unknown ids, and -1 without a schema added, are conflicts", () => {
    const metadata = sampleTable("/wh/db/t");
    for (const schemaId of [5, -1]) {
      expect(refused(metadata, { action: "set-current-schema", schemaId })).toContain("no schema");
    }
  });
});

describe("schemas that go", () => {
  test("are removed, those that are gone already too; the current one never", () => {
    const metadata = sampleTable("/wh/db/t");
    const more = after(metadata, {
      action: "add-schema",
      schema: schemaWith(metadata, EXTRA),
      lastColumnId: 4,
    });
    const left = after(more, { action: "remove-schemas", schemaIds: [1, 7] });
    expect(left.schemas.map(({ schemaId }) => schemaId)).toEqual([0]);
    expect(refused(more, { action: "remove-schemas", schemaIds: [0] })).toContain("current one");
  });
});

describe("partition specs and sort orders", () => {
  const SPEC: PartitionSpec = {
    specId: 0,
    fields: [{ sourceId: 1, fieldId: 1000, name: "id", transform: "identity" }],
  };
  const ORDER: SortOrder = {
    orderId: 7,
    fields: [{ sourceId: 1, transform: "identity", direction: "asc", nullOrder: "nulls-first" }],
  };

  test("a new spec gets the next id and its field ids count; the same is used again", () => {
    const add = [
      { action: "add-spec", spec: SPEC },
      { action: "set-default-spec", specId: -1 },
    ] as const;
    const once = after(sampleTable("/wh/db/t"), ...add);
    expect([once.defaultSpecId, once.lastPartitionId]).toEqual([1, 1000]);
    const twice = after(once, { action: "set-default-spec", specId: 0 }, ...add);
    expect([twice.defaultSpecId, twice.partitionSpecs.length]).toEqual([1, 2]);
  });

  test("a new sort order gets the next id from 1, unsorted is 0; the same is used again", () => {
    const add = [
      { action: "add-sort-order", sortOrder: ORDER },
      { action: "set-default-sort-order", sortOrderId: -1 },
    ] as const;
    const once = after(sampleTable("/wh/db/t"), ...add);
    expect(once.defaultSortOrderId).toBe(1);
    expect(after(once, ...add).sortOrders.length).toBe(2);
    const unsorted = after(
      { ...once, sortOrders: once.sortOrders.slice(1) },
      { action: "add-sort-order", sortOrder: { orderId: 3, fields: [] } },
      { action: "set-default-sort-order", sortOrderId: -1 },
    );
    expect(unsorted.defaultSortOrderId).toBe(0);
  });

  test("unknown ids are conflicts", () => {
    const metadata = sampleTable("/wh/db/t");
    expect(refused(metadata, { action: "set-default-spec", specId: 3 })).toContain(
      "no partition spec",
    );
    expect(refused(metadata, { action: "set-default-spec", specId: -1 })).toContain(
      "no partition spec",
    );
    expect(refused(metadata, { action: "set-default-sort-order", sortOrderId: 3 })).toContain(
      "no sort order",
    );
  });
});

describe("the table itself", () => {
  test("properties are set and removed, the location moves", () => {
    const next = after(
      sampleTable("/wh/db/t", { properties: { a: "1", b: "2" } }),
      { action: "set-properties", properties: { b: "3", c: "4" } },
      { action: "remove-properties", keys: ["a", "never-there"] },
      { action: "set-location", location: "/elsewhere" },
    );
    expect(next.properties).toEqual({
      "write.metadata.delete-after-commit.enabled": "true",
      b: "3",
      c: "4",
    });
    expect(next.location).toBe("/elsewhere");
  });

  test("an upgrade to v3 begins row ids at 0; a downgrade is refused", () => {
    const v3 = after(sampleTable("/wh/db/t"), {
      action: "upgrade-format-version",
      formatVersion: 3,
    });
    expect([v3.formatVersion, v3.nextRowId]).toEqual([3, 0n]);
    expect(refused(v3, { action: "upgrade-format-version", formatVersion: 2 })).toContain(
      "is 3 already",
    );
  });

  test("the UUID never changes", () => {
    const metadata = sampleTable("/wh/db/t");
    const assign = (uuid: string): TableUpdate => ({ action: "assign-uuid", uuid });
    expect(after(metadata, assign(SAMPLE_UUID.toUpperCase())).tableUuid).toBe(SAMPLE_UUID);
    expect(refused(metadata, assign(crypto.randomUUID()))).toContain("never changes");
  });

  test("the metadata log names the newest replaced files, as many as the table asks for", () => {
    let metadata = sampleTable("/wh/db/t", {
      properties: { "write.metadata.previous-versions-max": "3" },
    });
    for (let n = 1; n <= 5; n++) {
      metadata = applyUpdates(metadata, [], { timestampMs: n * 10_000, previousLocation: `v${n}` });
    }
    expect(metadata.metadataLog).toEqual([
      { metadataFile: "v3", timestampMs: 20_000 },
      { metadataFile: "v4", timestampMs: 30_000 },
      { metadataFile: "v5", timestampMs: 40_000 },
    ]);
    for (const [text, kept] of [
      ["0", 1],
      ["-1", 100],
      ["many", 100],
    ] as const) {
      const log = Array.from({ length: 200 }, () => ({ metadataFile: "x", timestampMs: 1 }));
      const properties = { "write.metadata.previous-versions-max": text };
      const long = { ...sampleTable("/wh/db/t", { properties }), metadataLog: log };
      const next = applyUpdates(long, [], { timestampMs: 1, previousLocation: "y" });
      expect([text, next.metadataLog.length]).toEqual([text, kept]);
    }
  });

  test("applyUpdates throws what planCommit calls a conflict", () => {
    expect(() =>
      after(sampleTable("/wh/db/t"), { action: "set-current-schema", schemaId: 9 }),
    ).toThrow("no schema 9");
  });
});

describe("requirements", () => {
  test("on a table that is not there only assert-create holds", () => {
    expect(checkRequirements(null, [{ type: "assert-create" }])).toBeNull();
    expect(checkRequirements(null, [{ type: "assert-table-uuid", uuid: SAMPLE_UUID }])).toContain(
      "does not exist",
    );
    expect(planCommit(null, [], [], AT)).toEqual({
      kind: "conflict",
      reason: "the table does not exist",
    });
  });

  test("the first violated one is named with what was found", () => {
    const metadata = withSnapshots(2);
    const reason = checkRequirements(metadata, [
      { type: "assert-table-uuid", uuid: SAMPLE_UUID.toUpperCase() },
      { type: "assert-ref-snapshot-id", ref: "audit", snapshotId: null },
      { type: "assert-ref-snapshot-id", ref: "main", snapshotId: 1n },
      { type: "assert-current-schema-id", id: 99 },
    ]);
    expect(reason).toBe("the snapshot of main is 2, not 1");
  });
});
