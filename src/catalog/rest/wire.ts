/**
 * Requirements and updates as the REST protocol writes them (REST catalog spec, `TableRequirement`,
 * `TableUpdate`), and what an answer must show of an update that it says was made.
 */
import type { TableChange } from "#catalog/catalog.ts";
import {
  type JsonObject,
  refToJson,
  schemaToJson,
  snapshotToJson,
  sortOrderToJson,
  specToJson,
} from "#iceberg/metadata/json.ts";
import type {
  SnapshotId,
  TableMetadata,
  TableRequirement,
  TableUpdate,
} from "#iceberg/metadata/metadata.ts";
import { partitionStatisticsToJson, statisticsToJson } from "#iceberg/metadata/statistics.ts";

/** A requirement as JSON. */
export function requirementToJson(requirement: TableRequirement): JsonObject {
  const { type } = requirement;
  switch (requirement.type) {
    case "assert-create":
      return { type };
    case "assert-table-uuid":
      return { type, uuid: requirement.uuid };
    case "assert-ref-snapshot-id":
      return { type, ref: requirement.ref, "snapshot-id": requirement.snapshotId };
    case "assert-last-assigned-field-id":
      return { type, "last-assigned-field-id": requirement.id };
    case "assert-current-schema-id":
      return { type, "current-schema-id": requirement.id };
    case "assert-last-assigned-partition-id":
      return { type, "last-assigned-partition-id": requirement.id };
    case "assert-default-spec-id":
      return { type, "default-spec-id": requirement.id };
    case "assert-default-sort-order-id":
      return { type, "default-sort-order-id": requirement.id };
  }
}

/** A commit of one table as JSON, against the head that it was made for; null: there is none yet. */
export function changeToJson(
  { name, requirements, updates }: TableChange,
  before: TableMetadata | null,
): JsonObject {
  const schemaIdNext = 1 + Math.max(-1, ...(before?.schemas ?? []).map((each) => each.schemaId));
  return {
    identifier: { namespace: [...name.namespace], name: name.table },
    requirements: requirements.map(requirementToJson),
    updates: updates.map((update) => updateToJson(update, schemaIdNext)),
  };
}

/**
 * An update as JSON.
 * @param schemaIdNext the id of an added schema: Nessie refuses one that is in use
 */
export function updateToJson(update: TableUpdate, schemaIdNext: number): JsonObject {
  const { action } = update;
  switch (update.action) {
    case "assign-uuid":
      return { action, uuid: update.uuid };
    case "upgrade-format-version":
      return { action, "format-version": update.formatVersion };
    case "add-schema":
      return {
        action,
        schema: schemaToJson({ ...update.schema, schemaId: schemaIdNext }),
        "last-column-id": update.lastColumnId,
      };
    case "set-current-schema":
      return { action, "schema-id": update.schemaId };
    case "remove-schemas":
      return { action, "schema-ids": [...update.schemaIds] };
    case "add-spec":
      return { action, spec: specToJson(update.spec) };
    case "set-default-spec":
      return { action, "spec-id": update.specId };
    case "add-sort-order":
      return { action, "sort-order": sortOrderToJson(update.sortOrder) };
    case "set-default-sort-order":
      return { action, "sort-order-id": update.sortOrderId };
    case "add-snapshot":
      return { action, snapshot: snapshotToJson(update.snapshot) };
    case "set-snapshot-ref":
      return { action, "ref-name": update.ref, ...refToJson(update.value) };
    case "remove-snapshots":
      return { action, "snapshot-ids": [...update.snapshotIds] };
    case "remove-snapshot-ref":
      return { action, "ref-name": update.ref };
    case "set-statistics": {
      const statistics = statisticsToJson(update.file);
      return { action, "snapshot-id": update.file.snapshotId, statistics };
    }
    case "set-partition-statistics":
      return { action, "partition-statistics": partitionStatisticsToJson(update.file) };
    case "set-location":
      return { action, location: update.location };
    case "set-properties":
      return { action, updates: { ...update.properties } };
    case "remove-properties":
      return { action, removals: [...update.keys] };
  }
}

/** All of a new table's metadata as updates, in the order in which Java's client sends them. */
export function creationUpdates(metadata: TableMetadata): TableUpdate[] {
  const schemas = metadata.schemas.map(
    (schema): TableUpdate => ({
      action: "add-schema",
      schema,
      lastColumnId: metadata.lastColumnId,
    }),
  );
  return [
    { action: "assign-uuid", uuid: metadata.tableUuid },
    { action: "upgrade-format-version", formatVersion: metadata.formatVersion },
    ...schemas,
    { action: "set-current-schema", schemaId: -1 },
    ...metadata.partitionSpecs.map((spec): TableUpdate => ({ action: "add-spec", spec })),
    { action: "set-default-spec", specId: -1 },
    ...metadata.sortOrders.map(
      (sortOrder): TableUpdate => ({ action: "add-sort-order", sortOrder }),
    ),
    { action: "set-default-sort-order", sortOrderId: -1 },
    { action: "set-location", location: metadata.location },
    { action: "set-properties", properties: metadata.properties },
  ];
}

/**
 * What is missing in the table that a server says it has changed; null when all is there. A server or
 * a proxy that answers success and has done nothing would otherwise cost rows.
 */
export function missingIn(
  after: TableMetadata,
  before: TableMetadata | null,
  updates: readonly TableUpdate[],
): string | null {
  if (before !== null && after.tableUuid !== before.tableUuid) return "it is another table";
  for (const update of updates) {
    const missing = missingUpdate(after, update);
    if (missing !== null) return missing;
  }
  return null;
}

function missingUpdate(after: TableMetadata, update: TableUpdate): string | null {
  switch (update.action) {
    case "add-snapshot": {
      const { snapshotId } = update.snapshot;
      const found = after.snapshots.some((snapshot) => snapshot.snapshotId === snapshotId);
      return found ? null : `it has no snapshot ${snapshotId}`;
    }
    case "set-snapshot-ref": {
      const { ref, value } = update;
      return isAtOrPast(after, ref, value.snapshotId)
        ? null
        : `its branch ${ref} is not at snapshot ${value.snapshotId}`;
    }
    case "add-schema":
      return after.lastColumnId >= update.lastColumnId ? null : "it has no such columns";
    case "set-properties": {
      const lost = Object.entries(update.properties).find(
        ([key, value]) => after.properties[key] !== value,
      );
      return lost === undefined ? null : `its property ${lost[0]} was not set`;
    }
    case "remove-properties": {
      const left = update.keys.find((key) => after.properties[key] !== undefined);
      return left === undefined ? null : `its property ${left} was not removed`;
    }
    default:
      return null;
  }
}

/** Whether a branch is at a snapshot, or further, where another commit came before the answer. */
function isAtOrPast({ refs, snapshots }: TableMetadata, ref: string, id: SnapshotId): boolean {
  const head = refs[ref]?.snapshotId;
  if (head === id) return true;
  const numberOf = (wanted: SnapshotId | undefined): bigint =>
    snapshots.find(({ snapshotId }) => snapshotId === wanted)?.sequenceNumber ?? -1n;
  return numberOf(head) > numberOf(id);
}
