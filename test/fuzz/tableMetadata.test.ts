/** Random commits on a table: what every metadata file must hold, after each. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { repeatedPath } from "#columns/paths.ts";
import type { Field, PrimitiveType, Type } from "#columns/schema.ts";
import { schemaFromJson, schemaToJson } from "#iceberg/metadata/json.ts";
import type { SnapshotId, TableMetadata, TableUpdate } from "#iceberg/metadata/metadata.ts";
import { freshSchema, lastFieldId } from "#iceberg/metadata/newTable.ts";
import { snapshotsToThin } from "#iceberg/metadata/retention.ts";
import {
  branchAt,
  readTableMetadata,
  writeTableMetadata,
} from "#iceberg/metadata/tableMetadataJson.ts";
import { planCommit } from "#iceberg/metadata/updates.ts";
import { appendOf, nextSnapshot, sampleTable } from "../support/icebergSamples.ts";

/** One random step; numbers choose among what the table has. */
type Step =
  | { readonly kind: "append" | "branch"; readonly rows: number; readonly ours: boolean }
  | { readonly kind: "stale" | "remove" | "rollback" | "tag" | "drop-ref"; readonly pick: number }
  | { readonly kind: "thin"; readonly ageMs: number; readonly max: number }
  | { readonly kind: "property"; readonly pick: number };

const pick = fc.nat(1_000);
const STEP: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constantFrom("append" as const, "branch" as const),
    rows: fc.nat(100),
    ours: fc.boolean(),
  }),
  fc.record({
    kind: fc.constantFrom(
      "stale" as const,
      "remove" as const,
      "rollback" as const,
      "tag" as const,
      "drop-ref" as const,
    ),
    pick,
  }),
  fc.record({ kind: fc.constant("thin" as const), ageMs: fc.nat(1e9), max: fc.nat(20) }),
  fc.record({ kind: fc.constant("property" as const), pick }),
);

function snapshotAt(metadata: TableMetadata, index: number): SnapshotId {
  return metadata.snapshots[index % Math.max(1, metadata.snapshots.length)]?.snapshotId ?? 1n;
}

function updatesOf(metadata: TableMetadata, step: Step, id: bigint, nowMs: number): TableUpdate[] {
  switch (step.kind) {
    case "append":
    case "branch": {
      const next = nextSnapshot(metadata, id, nowMs);
      const summary = step.ours ? { operation: "append", "kafka-iceberg.offsets": "{}" } : {};
      const addedRows = metadata.nextRowId === null ? null : BigInt(step.rows);
      const snapshot = { ...next, summary, addedRows };
      return appendOf(snapshot, step.kind === "branch" ? "audit" : "main");
    }
    case "stale":
      return appendOf({
        ...nextSnapshot(metadata, id, nowMs),
        sequenceNumber: BigInt(step.pick % 3),
      });
    case "remove":
      return [{ action: "remove-snapshots", snapshotIds: [snapshotAt(metadata, step.pick)] }];
    case "rollback":
      return [
        {
          action: "set-snapshot-ref",
          ref: "main",
          value: branchAt(snapshotAt(metadata, step.pick)),
        },
      ];
    case "tag":
      return [
        {
          action: "set-snapshot-ref",
          ref: `tag${step.pick % 3}`,
          value: { ...branchAt(snapshotAt(metadata, step.pick)), type: "tag" },
        },
      ];
    case "drop-ref":
      return [{ action: "remove-snapshot-ref", ref: `tag${step.pick % 3}` }];
    case "thin": {
      const policy = { branch: "main", keepAllMs: 1_000, retentionMs: 1e8, snapshotsMax: step.max };
      const snapshotIds = snapshotsToThin(metadata, policy, nowMs + step.ageMs);
      return [{ action: "remove-snapshots", snapshotIds }];
    }
    case "property":
      return [
        { action: "set-properties", properties: { [`k${step.pick % 5}`]: String(step.pick) } },
      ];
  }
}

function checkInvariants(metadata: TableMetadata): void {
  const ids = metadata.snapshots.map((snapshot) => snapshot.snapshotId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const ref of Object.values(metadata.refs)) expect(ids).toContain(ref.snapshotId);
  expect(metadata.currentSnapshotId).toBe(metadata.refs["main"]?.snapshotId ?? null);
  if (metadata.snapshotLog.length > 0) {
    expect(metadata.snapshotLog.at(-1)?.snapshotId).toBe(metadata.currentSnapshotId ?? -1n);
  }
  for (const [index, entry] of metadata.snapshotLog.entries()) {
    expect(ids).toContain(entry.snapshotId);
    const before = metadata.snapshotLog[index - 1]?.timestampMs ?? 0;
    expect(entry.timestampMs).toBeGreaterThanOrEqual(before);
    expect(metadata.lastUpdatedMs).toBeGreaterThanOrEqual(entry.timestampMs);
  }
  for (const snapshot of metadata.snapshots) {
    expect(snapshot.sequenceNumber <= metadata.lastSequenceNumber).toBe(true);
  }
  expect(readTableMetadata(writeTableMetadata(metadata))).toEqual(metadata);
}

for (const formatVersion of [2, 3] as const) {
  test(`v${formatVersion}: any run of commits leaves metadata that holds together`, () => {
    fc.assert(
      fc.property(fc.array(STEP, { maxLength: 40 }), (steps) => {
        let metadata = sampleTable("/wh/db/t", { formatVersion });
        let rows = 0n;
        for (const [index, step] of steps.entries()) {
          const nowMs = 2_000 + index * 500;
          const updates = updatesOf(metadata, step, BigInt(index + 1), nowMs);
          const options = { timestampMs: nowMs, previousLocation: `v${index}` };
          const planned = planCommit(metadata, [], updates, options);
          if (step.kind === "thin" || step.kind === "append") expect(planned.kind).toBe("next");
          if (planned.kind === "conflict") continue;
          if ("rows" in step) rows += BigInt(step.rows);
          metadata = planned.metadata;
          checkInvariants(metadata);
        }
        if (formatVersion === 3) expect(metadata.nextRowId).toBe(rows);
      }),
      { numRuns: 150 },
    );
  });
}

const PRIMITIVE: fc.Arbitrary<PrimitiveType> = fc.oneof(
  fc.constantFrom<PrimitiveType>(
    { kind: "boolean" },
    { kind: "long" },
    { kind: "string" },
    { kind: "uuid" },
    { kind: "timestamp", zone: true },
    { kind: "timestamp_ns", zone: false },
  ),
  fc.integer({ min: 1, max: 64 }).map((length) => ({ kind: "fixed" as const, length })),
  fc
    .integer({ min: 1, max: 38 })
    .chain((precision) =>
      fc.nat(precision).map((scale) => ({ kind: "decimal" as const, precision, scale })),
    ),
);

const { fields: FIELDS } = fc.letrec<{ type: Type; fields: Field[] }>((tie) => {
  const field = (name: string): fc.Arbitrary<Field> =>
    fc.record({
      id: fc.constant(0),
      name: fc.constant(name),
      required: fc.boolean(),
      type: tie("type"),
    });
  return {
    type: fc.oneof(
      { maxDepth: 3 },
      PRIMITIVE,
      tie("fields").map((fields) => ({ kind: "struct" as const, fields })),
      field("element").map((element) => ({ kind: "list" as const, element })),
      fc.tuple(field("key"), field("value")).map(([key, value]) => ({
        kind: "map" as const,
        key: { ...key, required: true },
        value,
      })),
    ),
    fields: fc.uniqueArray(
      fc
        .tuple(fc.string({ minLength: 1, maxLength: 8 }), fc.boolean(), tie("type"))
        .map(([name, required, type]) => ({ id: 0, name, required, type })),
      { selector: (member) => member.name, maxLength: 5 },
    ),
  };
});

/** Full names are told apart without regard to case; others are refused, which newTable's tests show. */
const VALID_FIELDS = FIELDS.filter((fields) => repeatedPath(fields) === null);

test("any schema is the same after writing and reading, and its ids are 1 to the last", () => {
  fc.assert(
    fc.property(VALID_FIELDS, (fields) => {
      const schema = freshSchema(fields);
      expect(schemaFromJson(schemaToJson(schema))).toEqual(schema);
      const ids: number[] = [];
      const visit = (type: Type): void => {
        const children =
          type.kind === "struct"
            ? type.fields
            : type.kind === "list"
              ? [type.element]
              : type.kind === "map"
                ? [type.key, type.value]
                : [];
        for (const child of children) {
          ids.push(child.id);
          visit(child.type);
        }
      };
      visit({ kind: "struct", fields: schema.fields });
      expect(ids.sort((a, b) => a - b)).toEqual(ids.map((_, index) => index + 1));
      expect(lastFieldId(schema.fields)).toBe(ids.length);
    }),
  );
});
