/**
 * Iceberg table metadata as types (Iceberg spec, "Table Metadata", format v2 and v3). Pure words:
 * reading and writing JSON is in `json.ts`, changing it in `updates.ts`.
 */
import type { Schema } from "#columns/schema.ts";
import type { PartitionStatistics, TableStatistics } from "./statistics.ts";

/** A snapshot id: a positive 63-bit integer; the domain is the table. */
export type SnapshotId = bigint;

/** One field of a partition spec. */
export interface PartitionField {
  readonly sourceId: number;
  /** Unique in the table, from 1000. */
  readonly fieldId: number;
  readonly name: string;
  /** `identity`, `bucket[16]`, `truncate[4]`, `year`, `month`, `day`, `hour`, `void`. */
  readonly transform: string;
}

/** A partition spec. */
export interface PartitionSpec {
  readonly specId: number;
  readonly fields: readonly PartitionField[];
}

/** One field of a sort order. */
export interface SortField {
  readonly sourceId: number;
  readonly transform: string;
  readonly direction: "asc" | "desc";
  readonly nullOrder: "nulls-first" | "nulls-last";
}

/** A sort order; id 0 is unsorted. */
export interface SortOrder {
  readonly orderId: number;
  readonly fields: readonly SortField[];
}

/** A snapshot of the table. */
export interface Snapshot {
  readonly snapshotId: SnapshotId;
  readonly parentSnapshotId: SnapshotId | null;
  readonly sequenceNumber: bigint;
  readonly timestampMs: number;
  readonly manifestList: string;
  /** `operation` and counters; ours also hold `kafka-iceberg.*` (SPEC 2.1). */
  readonly summary: Readonly<Record<string, string>>;
  readonly schemaId: number | null;
  /** v3 row lineage. */
  readonly firstRowId: bigint | null;
  readonly addedRows: bigint | null;
}

/** A branch or tag. */
export interface SnapshotRef {
  readonly snapshotId: SnapshotId;
  readonly type: "branch" | "tag";
  readonly minSnapshotsToKeep: number | null;
  readonly maxSnapshotAgeMs: number | null;
  readonly maxRefAgeMs: number | null;
}

/** An entry of the snapshot log or metadata log. */
export interface SnapshotLogEntry {
  readonly snapshotId: SnapshotId;
  readonly timestampMs: number;
}

/** An older metadata file. */
export interface MetadataLogEntry {
  readonly metadataFile: string;
  readonly timestampMs: number;
}

/** The whole of a table's metadata. */
export interface TableMetadata {
  readonly formatVersion: 2 | 3;
  readonly tableUuid: string;
  readonly location: string;
  readonly lastSequenceNumber: bigint;
  readonly lastUpdatedMs: number;
  readonly lastColumnId: number;
  readonly schemas: readonly Schema[];
  readonly currentSchemaId: number;
  readonly partitionSpecs: readonly PartitionSpec[];
  readonly defaultSpecId: number;
  readonly lastPartitionId: number;
  readonly properties: Readonly<Record<string, string>>;
  readonly currentSnapshotId: SnapshotId | null;
  readonly snapshots: readonly Snapshot[];
  readonly snapshotLog: readonly SnapshotLogEntry[];
  readonly metadataLog: readonly MetadataLogEntry[];
  readonly sortOrders: readonly SortOrder[];
  readonly defaultSortOrderId: number;
  readonly refs: Readonly<Record<string, SnapshotRef>>;
  /** v3: the next row id to assign. */
  readonly nextRowId: bigint | null;
  /** Members that we do not use (statistics, encryption keys, ...), carried over unchanged. */
  readonly unknown: Readonly<Record<string, unknown>>;
}

/** What a commit may demand of the table (REST catalog spec, `TableRequirement`). */
export type TableRequirement =
  | { readonly type: "assert-create" }
  | { readonly type: "assert-table-uuid"; readonly uuid: string }
  /** `snapshotId` null: the ref must not exist. */
  | {
      readonly type: "assert-ref-snapshot-id";
      readonly ref: string;
      readonly snapshotId: SnapshotId | null;
    }
  | { readonly type: "assert-last-assigned-field-id"; readonly id: number }
  | { readonly type: "assert-current-schema-id"; readonly id: number }
  | { readonly type: "assert-last-assigned-partition-id"; readonly id: number }
  | { readonly type: "assert-default-spec-id"; readonly id: number }
  | { readonly type: "assert-default-sort-order-id"; readonly id: number };

/** How a commit may change the table (REST catalog spec, `TableUpdate`). */
export type TableUpdate =
  | { readonly action: "assign-uuid"; readonly uuid: string }
  | { readonly action: "upgrade-format-version"; readonly formatVersion: 2 | 3 }
  | { readonly action: "add-schema"; readonly schema: Schema; readonly lastColumnId: number }
  /** -1: the schema added last in this commit. */
  | { readonly action: "set-current-schema"; readonly schemaId: number }
  | { readonly action: "remove-schemas"; readonly schemaIds: readonly number[] }
  | { readonly action: "add-spec"; readonly spec: PartitionSpec }
  | { readonly action: "set-default-spec"; readonly specId: number }
  | { readonly action: "add-sort-order"; readonly sortOrder: SortOrder }
  | { readonly action: "set-default-sort-order"; readonly sortOrderId: number }
  | { readonly action: "add-snapshot"; readonly snapshot: Snapshot }
  | { readonly action: "set-snapshot-ref"; readonly ref: string; readonly value: SnapshotRef }
  | { readonly action: "remove-snapshots"; readonly snapshotIds: readonly SnapshotId[] }
  | { readonly action: "remove-snapshot-ref"; readonly ref: string }
  | { readonly action: "set-statistics"; readonly file: TableStatistics }
  | { readonly action: "set-partition-statistics"; readonly file: PartitionStatistics }
  | { readonly action: "set-location"; readonly location: string }
  | { readonly action: "set-properties"; readonly properties: Readonly<Record<string, string>> }
  | { readonly action: "remove-properties"; readonly keys: readonly string[] };

/** True when one of the table's snapshots had rows. */
export function hasRows({ snapshots }: TableMetadata): boolean {
  return snapshots.some(({ summary }) => (summary["total-records"] ?? "0") !== "0");
}
