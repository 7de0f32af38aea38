/**
 * A table as the Hive Metastore is to show it: parameters, columns and statistics in the form of Iceberg's own
 * HiveCatalog, by which Hive, Spark, Trino, Flink and PyIceberg know an Iceberg table. Pure.
 *
 * The metastore replaces the whole table, so what others have put there goes along. The table's properties are copied,
 * as Java does, but for ours: offsets would go stale there, and fill rows that the metastore keeps as text.
 */
import { writeJson } from "#base/json.ts";
import { hiveColumns } from "#catalog/hiveTypes.ts";
import type { NextPointer } from "#catalog/pointer.ts";
import { schemaToJson, sortOrderToJson, specToJson } from "#iceberg/metadata/json.ts";
import type { TableMetadata } from "#iceberg/metadata/metadata.ts";
import type { FieldSchema, StorageDescriptor, Table } from "./metastoreApi.ts";

/** The parameter that a commit moves on. */
export const METADATA_LOCATION = "metadata_location";
const PREVIOUS_METADATA_LOCATION = "previous_metadata_location";
const TABLE_TYPE = "table_type";
const STORAGE_HANDLER = "storage_handler";
/** The table's property that says whether Hive itself reads it. */
const ENGINE_ENABLED = "engine.hive.enabled";
/** The table's property that says whether writers take the metastore's lock. */
const LOCK_ENABLED = "engine.hive.lock-enabled";
const OWNER = "hive.metastore.table.owner";
const OWN_PREFIX = "kafka-iceberg.";
/** Names that Hive has for properties of Iceberg. */
const TRANSLATED: Readonly<Record<string, string>> = { "gc.enabled": "external.table.purge" };
/** Longest value of a parameter that older databases of metastores take, characters. */
const VALUE_LENGTH_MAX = 4000;
/** Hive's type of `timestamptz`. */
const ZONED = "timestamp with local time zone";
const RETENTION_FOR_EVER = 2_147_483_647;

/** Where the metadata of an Iceberg table is; null: the table is none. */
export function metadataLocationOf({ parameters }: Table): string | null {
  if (parameters?.[TABLE_TYPE]?.toUpperCase() !== "ICEBERG") return null;
  return parameters[METADATA_LOCATION] ?? null;
}

/** Whether a commit is in the table: as its head, or as what the head was built on. */
export function shows(table: Table, metadataLocation: string): boolean {
  const previous = table.parameters?.[PREVIOUS_METADATA_LOCATION];
  return metadataLocationOf(table) === metadataLocation || previous === metadataLocation;
}

/** Whether writers of a table take the metastore's lock; where not, the metastore compares. */
export function usesLock({ properties }: TableMetadata): boolean {
  return properties[LOCK_ENABLED]?.toLowerCase() !== "false";
}

/** A new table. */
export function newTable(
  name: { readonly database: string; readonly table: string },
  next: NextPointer,
  { user, nowMs }: { readonly user: string; readonly nowMs: number },
): Table {
  const seconds = Math.floor(nowMs / 1000);
  return {
    tableName: name.table,
    dbName: name.database,
    owner: next.metadata.properties[OWNER] ?? user,
    createTime: seconds,
    lastAccessTime: seconds,
    retention: RETENTION_FOR_EVER,
    sd: storage(next.metadata, {}),
    partitionKeys: [],
    parameters: parameters(next, { EXTERNAL: "TRUE" }),
    tableType: "EXTERNAL_TABLE",
  };
}

/** The table with the next metadata. */
export function nextTable(table: Table, next: NextPointer): Table {
  return {
    ...table,
    sd: storage(next.metadata, table.sd ?? {}),
    parameters: parameters(next, table.parameters ?? {}),
  };
}

function storage(metadata: TableMetadata, existing: StorageDescriptor): StorageDescriptor {
  const isHive = metadata.properties[ENGINE_ENABLED]?.toLowerCase() === "true";
  const iceberg = "org.apache.iceberg.mr.hive.HiveIceberg";
  const plain = "org.apache.hadoop.mapred.File";
  return {
    compressed: false,
    numBuckets: 0,
    bucketCols: [],
    parameters: {},
    ...existing,
    cols: columns(metadata),
    location: metadata.location,
    inputFormat: isHive ? `${iceberg}InputFormat` : `${plain}InputFormat`,
    outputFormat: isHive ? `${iceberg}OutputFormat` : `${plain}OutputFormat`,
    serdeInfo: {
      parameters: {},
      ...existing.serdeInfo,
      serializationLib: isHive
        ? `${iceberg}SerDe`
        : "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
    },
  };
}

function columns(metadata: TableMetadata): FieldSchema[] {
  return hiveColumns(metadata, ZONED)
    .filter(({ isCurrent }) => isCurrent)
    .map(({ name, type, comment }) => ({ name, type, ...(comment === null ? {} : { comment }) }));
}

function parameters(
  { metadataLocation, metadata }: NextPointer,
  before: Readonly<Record<string, string>>,
): Record<string, string> {
  const others = Object.entries(before).filter(
    ([key]) => !key.startsWith(OWN_PREFIX) && !(key in ABOUT_HEAD),
  );
  const copied = Object.entries(metadata.properties)
    .filter(([key, value]) => !key.startsWith(OWN_PREFIX) && key !== OWNER && fits(value))
    .map(([key, value]) => [TRANSLATED[key] ?? key, value] as const);
  const about = Object.entries(ABOUT_HEAD).flatMap(([key, told]) => {
    const value = told(metadata);
    return value === null || !fits(value) ? [] : [[key, value] as const];
  });
  const previous = before[METADATA_LOCATION];
  const isHive = metadata.properties[ENGINE_ENABLED]?.toLowerCase() === "true";
  return {
    ...Object.fromEntries(others),
    ...Object.fromEntries(copied),
    ...Object.fromEntries(about),
    uuid: metadata.tableUuid,
    DO_NOT_UPDATE_STATS: "true",
    [TABLE_TYPE]: "ICEBERG",
    [METADATA_LOCATION]: metadataLocation,
    ...(previous === undefined ? {} : { [PREVIOUS_METADATA_LOCATION]: previous }),
    ...(isHive
      ? { [STORAGE_HANDLER]: "org.apache.iceberg.mr.hive.HiveIcebergStorageHandler" }
      : {}),
  };
}

function fits(value: string): boolean {
  return value.length <= VALUE_LENGTH_MAX;
}

/**
 * Parameters that describe the head: told anew by each commit, or taken away, so that none is of an older one. The
 * head's summary, which Java copies too, holds offsets.
 */
const ABOUT_HEAD: Readonly<Record<string, (metadata: TableMetadata) => string | null>> = {
  COLUMN_STATS_ACCURATE: () => null,
  [STORAGE_HANDLER]: () => null,
  numFiles: (metadata) => totalOf(metadata, "total-data-files"),
  numRows: (metadata) => totalOf(metadata, "total-records"),
  totalSize: (metadata) => totalOf(metadata, "total-files-size"),
  "snapshot-count": ({ snapshots }) => String(snapshots.length),
  "current-snapshot-id": ({ currentSnapshotId }) => currentSnapshotId?.toString() ?? null,
  "current-snapshot-timestamp-ms": (metadata) => headOf(metadata)?.timestampMs.toString() ?? null,
  "current-snapshot-summary": () => null,
  "current-schema": ({ schemas, currentSchemaId }) => {
    const schema = schemas.find(({ schemaId }) => schemaId === currentSchemaId);
    return schema === undefined ? null : writeJson(schemaToJson(schema));
  },
  "default-partition-spec": ({ partitionSpecs, defaultSpecId }) => {
    const spec = partitionSpecs.find(({ specId }) => specId === defaultSpecId);
    return spec === undefined || spec.fields.length === 0 ? null : writeJson(specToJson(spec));
  },
  "default-sort-order": ({ sortOrders, defaultSortOrderId }) => {
    const order = sortOrders.find(({ orderId }) => orderId === defaultSortOrderId);
    return order === undefined || order.fields.length === 0
      ? null
      : writeJson(sortOrderToJson(order));
  },
};

function headOf({ snapshots, currentSnapshotId }: TableMetadata) {
  return snapshots.find(({ snapshotId }) => snapshotId === currentSnapshotId);
}

function totalOf(metadata: TableMetadata, counter: string): string | null {
  return headOf(metadata)?.summary[counter] ?? null;
}
