/**
 * A table's metadata file: JSON text to {@link TableMetadata} and back (Iceberg spec, "Table
 * Metadata Fields", formats v2 and v3).
 *
 * Members that we do not use are carried over unchanged, so that a commit of ours loses nothing
 * that another engine wrote. v1 and formats after v3 are refused: an upgrade cannot be undone and
 * is never made silently.
 */
import { fail } from "#base/errors.ts";
import { type Json, parseJson, writeJson } from "#base/json.ts";
import {
  intOf,
  intOrNull,
  type JsonObject,
  listOf,
  longOf,
  longOrNull,
  objectOf,
  refFromJson,
  refToJson,
  schemaFromJson,
  schemaToJson,
  snapshotFromJson,
  snapshotToJson,
  sortOrderFromJson,
  sortOrderToJson,
  specFromJson,
  specToJson,
  textMapOf,
  textOf,
} from "./json.ts";
import type { SnapshotId, SnapshotRef, TableMetadata } from "./metadata.ts";

/** The branch that readers take when none is named. */
export const MAIN_BRANCH = "main";

/** Members that are fields of {@link TableMetadata}; all others are carried over. */
const KNOWN: ReadonlySet<string> = new Set([
  "format-version",
  "table-uuid",
  "location",
  "last-sequence-number",
  "last-updated-ms",
  "last-column-id",
  "schemas",
  "current-schema-id",
  "partition-specs",
  "default-spec-id",
  "last-partition-id",
  "properties",
  "current-snapshot-id",
  "snapshots",
  "snapshot-log",
  "metadata-log",
  "sort-orders",
  "default-sort-order-id",
  "refs",
  "next-row-id",
  // v1's copies of the current schema and spec, which some writers leave in v2 files.
  "schema",
  "partition-spec",
]);

/**
 * Reads a metadata file.
 * Throws `storage_corrupt` when the text is not JSON, `table_unsupported` with the reason when it
 * is another format version, encrypted, or not what the specification asks for.
 */
export function readTableMetadata(text: string): TableMetadata {
  return tableMetadataFromJson(parse(text));
}

/** Reads metadata that is parsed already (a REST catalog's answer); throws as the above. */
export function tableMetadataFromJson(parsed: Json): TableMetadata {
  const json = objectOf(parsed, "the table's metadata");
  const formatVersion = formatVersionOf(json);
  if (listOf(json["encryption-keys"], "encryption-keys").length > 0) {
    throw fail("table_unsupported", "The table is encrypted, which is not supported");
  }
  const currentSnapshotId = currentSnapshotIdOf(json);
  const metadata: TableMetadata = {
    formatVersion,
    tableUuid: textOf(json["table-uuid"], "table-uuid").toLowerCase(),
    location: textOf(json["location"], "location"),
    lastSequenceNumber: longOf(json["last-sequence-number"], "last-sequence-number"),
    lastUpdatedMs: intOf(json["last-updated-ms"], "last-updated-ms"),
    lastColumnId: intOf(json["last-column-id"], "last-column-id"),
    schemas: listOf(json["schemas"], "schemas").map(schemaFromJson),
    currentSchemaId: intOf(json["current-schema-id"], "current-schema-id"),
    partitionSpecs: listOf(json["partition-specs"], "partition-specs").map(specFromJson),
    defaultSpecId: intOf(json["default-spec-id"], "default-spec-id"),
    lastPartitionId: intOrNull(json["last-partition-id"], "last-partition-id") ?? 999,
    properties: textMapOf(json["properties"], "properties"),
    currentSnapshotId,
    snapshots: listOf(json["snapshots"], "snapshots").map(snapshotFromJson),
    snapshotLog: listOf(json["snapshot-log"], "snapshot-log").map((entry) => {
      const object = objectOf(entry, "an entry of snapshot-log");
      return {
        snapshotId: longOf(object["snapshot-id"], "snapshot-id in snapshot-log"),
        timestampMs: intOf(object["timestamp-ms"], "timestamp-ms in snapshot-log"),
      };
    }),
    metadataLog: listOf(json["metadata-log"], "metadata-log").map((entry) => {
      const object = objectOf(entry, "an entry of metadata-log");
      return {
        metadataFile: textOf(object["metadata-file"], "metadata-file in metadata-log"),
        timestampMs: intOf(object["timestamp-ms"], "timestamp-ms in metadata-log"),
      };
    }),
    sortOrders: sortOrdersOf(json),
    defaultSortOrderId: intOrNull(json["default-sort-order-id"], "default-sort-order-id") ?? 0,
    refs: refsOf(json, currentSnapshotId),
    nextRowId: formatVersion === 3 ? (longOrNull(json["next-row-id"], "next-row-id") ?? 0n) : null,
    unknown: Object.fromEntries(Object.entries(json).filter(([key]) => !KNOWN.has(key))),
  };
  checkReferences(metadata);
  return metadata;
}

function parse(text: string): Json {
  try {
    return parseJson(text);
  } catch (cause) {
    throw fail("storage_corrupt", "The metadata file is not JSON", { length: text.length }, cause);
  }
}

function formatVersionOf(json: JsonObject): 2 | 3 {
  const version = intOf(json["format-version"], "format-version");
  if (version === 2 || version === 3) return version;
  throw fail(
    "table_unsupported",
    version === 1
      ? "The table has format version 1, which cannot hold sequence numbers; upgrade it to 2 first"
      : `The table has format version ${version}; this release reads 2 and 3`,
    { formatVersion: version },
  );
}

/** Java writes -1 for "no snapshot". */
function currentSnapshotIdOf(json: JsonObject): SnapshotId | null {
  const id = longOrNull(json["current-snapshot-id"], "current-snapshot-id");
  return id === -1n ? null : id;
}

function sortOrdersOf(json: JsonObject): TableMetadata["sortOrders"] {
  const orders = listOf(json["sort-orders"], "sort-orders").map(sortOrderFromJson);
  return orders.length === 0 ? [{ orderId: 0, fields: [] }] : orders;
}

/** Writers of early v2 have no refs: then the current snapshot is the head of main. */
function refsOf(json: JsonObject, current: SnapshotId | null): Record<string, SnapshotRef> {
  const refs: Record<string, SnapshotRef> = {};
  for (const [name, ref] of Object.entries(objectOf(json["refs"] ?? {}, "refs"))) {
    refs[name] = refFromJson(ref);
  }
  if (current !== null && refs[MAIN_BRANCH] === undefined) refs[MAIN_BRANCH] = branchAt(current);
  return refs;
}

/** A branch without retention settings of its own. */
export function branchAt(snapshotId: SnapshotId): SnapshotRef {
  return {
    snapshotId,
    type: "branch",
    minSnapshotsToKeep: null,
    maxSnapshotAgeMs: null,
    maxRefAgeMs: null,
  };
}

/** What the rest of the program takes for granted; a table that breaks it is not touched. */
function checkReferences(metadata: TableMetadata): void {
  const broken = brokenReference(metadata);
  if (broken === null) return;
  throw fail("table_unsupported", `Table metadata is malformed: ${broken}`);
}

function brokenReference(metadata: TableMetadata): string | null {
  if (!metadata.schemas.some((schema) => schema.schemaId === metadata.currentSchemaId)) {
    return `there is no schema ${metadata.currentSchemaId}`;
  }
  if (!metadata.partitionSpecs.some((spec) => spec.specId === metadata.defaultSpecId)) {
    return `there is no partition spec ${metadata.defaultSpecId}`;
  }
  if (!metadata.sortOrders.some((order) => order.orderId === metadata.defaultSortOrderId)) {
    return `there is no sort order ${metadata.defaultSortOrderId}`;
  }
  const ids = new Set(metadata.snapshots.map((snapshot) => snapshot.snapshotId));
  for (const [name, ref] of Object.entries(metadata.refs)) {
    if (!ids.has(ref.snapshotId)) return `ref ${name} names snapshot ${ref.snapshotId}, not there`;
  }
  if ((metadata.refs[MAIN_BRANCH]?.snapshotId ?? null) !== metadata.currentSnapshotId) {
    return "current-snapshot-id is not the head of main";
  }
  return null;
}

/** Writes a metadata file: one line of JSON with the members in the specification's order. */
export function writeTableMetadata(metadata: TableMetadata): string {
  return writeJson(tableMetadataToJson(metadata));
}

/** The metadata as a JSON object (also the body of the REST protocol). */
export function tableMetadataToJson(metadata: TableMetadata): JsonObject {
  return {
    "format-version": metadata.formatVersion,
    "table-uuid": metadata.tableUuid,
    location: metadata.location,
    "last-sequence-number": metadata.lastSequenceNumber,
    "last-updated-ms": metadata.lastUpdatedMs,
    "last-column-id": metadata.lastColumnId,
    "current-schema-id": metadata.currentSchemaId,
    schemas: metadata.schemas.map(schemaToJson),
    "default-spec-id": metadata.defaultSpecId,
    "partition-specs": metadata.partitionSpecs.map(specToJson),
    "last-partition-id": metadata.lastPartitionId,
    "default-sort-order-id": metadata.defaultSortOrderId,
    "sort-orders": metadata.sortOrders.map(sortOrderToJson),
    properties: { ...metadata.properties },
    ...(metadata.currentSnapshotId === null
      ? {}
      : { "current-snapshot-id": metadata.currentSnapshotId }),
    ...(metadata.nextRowId === null ? {} : { "next-row-id": metadata.nextRowId }),
    refs: Object.fromEntries(
      Object.entries(metadata.refs).map(([name, ref]) => [name, refToJson(ref)]),
    ),
    snapshots: metadata.snapshots.map(snapshotToJson),
    "snapshot-log": metadata.snapshotLog.map((entry) => ({
      "timestamp-ms": entry.timestampMs,
      "snapshot-id": entry.snapshotId,
    })),
    "metadata-log": metadata.metadataLog.map((entry) => ({
      "timestamp-ms": entry.timestampMs,
      "metadata-file": entry.metadataFile,
    })),
    ...(metadata.unknown as JsonObject),
  };
}
