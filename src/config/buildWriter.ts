/**
 * Configuration -> options of a table's writer.
 */
import type { TableName } from "#catalog/catalog.ts";
import type { CoordinateColumns } from "#commit/liveRows.ts";
import { type PartitionStrategy, strategyForms } from "#iceberg/partition/partitionSpec.ts";
import type { FileSetting, WriterOptions } from "#writer/parts.ts";
import { bloomProperties } from "#writer/tableProperties.ts";
import { expiryPolicy, filesAgeMsMax } from "./buildMaintenance.ts";
import { deleteModeOf, deletesAsOf, rowsOf } from "./changes.ts";
import type { PipelineConfig } from "./config.ts";
import type { PipelineValues } from "./keys.ts";
import { columnOf } from "./shaping.ts";

const MIB = 1024 * 1024;

/** The writer's options for one table. */
export function writerOptions({ values, origins }: PipelineConfig, name: TableName): WriterOptions {
  const evolves =
    values["schema.on_unknown_field"] === "evolve" ||
    values["iceberg.table_management.schema_mismatch_action"] === "evolve";
  return {
    name,
    branch: values["iceberg.branch"],
    group: values["kafka.consumer_group"],
    coordinates: coordinateColumns(values),
    ...rowsOf(values),
    deletes: deleteModeOf(values),
    deletesAs: deletesAsOf(values),
    commitRetriesMax: values["iceberg.commit.max_retries"],
    ...fileCodecOf({ values, origins }),
    rowGroupRows: values["iceberg.write.row_group_rows"],
    rowGroupBytes: values["iceberg.write.row_group_size_mb"] * MIB,
    bloomColumns: values["iceberg.write.bloom_filter_columns"],
    fileBytesTarget: values["iceberg.write.target_file_size_mb"] * MIB,
    openFilesMax: values["iceberg.write.max_open_files"],
    preserveKafkaPartitions: values["partitioning.preserve_kafka_partitions"],
    filesAgeMsMax: filesAgeMsMax(values),
    thinning: values["maintenance.snapshot_expiration_enabled"]
      ? { branch: values["iceberg.branch"], ...expiryPolicy(values) }
      : null,
    schemaMismatch: values["iceberg.table_management.schema_mismatch_action"],
    schemaChanges: evolves ? "evolve" : "refuse",
    create: {
      allowed: values["iceberg.table_management.auto_create_if_missing"],
      formatVersion: values["iceberg.write.format_version"] === 3 ? 3 : 2,
      properties: {
        ...bloomProperties(values["iceberg.write.bloom_filter_columns"]),
        ...values["iceberg.write.properties"],
      },
      partitionForms: partitionForms(values),
      sortForms: values["iceberg.write.sort_order"],
      learnsColumns: learnsColumns(values),
    },
  };
}

/** Whether records may bring columns that are not declared. */
function learnsColumns(values: PipelineValues): boolean {
  const format = values["source.format"];
  if (format === "string" || format === "bytes") return false;
  const isDeclared = values["schema.fields"] !== null || values["schema.file"] !== null;
  return values["schema.on_unknown_field"] === "evolve" || (values["schema.infer"] && !isDeclared);
}

/** The partition spec in the general form. */
export function partitionForms(values: PipelineValues): readonly string[] {
  const spec = values["partitioning.spec"];
  if (spec !== null) return spec;
  return strategyForms(strategyOf(values));
}

function strategyOf(values: PipelineValues): PartitionStrategy {
  const strategy = values["partitioning.partition_strategy"];
  switch (strategy) {
    case "none":
      return { strategy };
    case "identity":
      return { strategy, field: values["partitioning.identity.field"] ?? "" };
    case "bucket": {
      const field = values["partitioning.bucket.field"] ?? "";
      return { strategy, field, buckets: values["partitioning.bucket.num_buckets"] ?? 1 };
    }
    case "truncate": {
      const field = values["partitioning.truncate.field"] ?? "";
      return { strategy, field, width: values["partitioning.truncate.width"] ?? 1 };
    }
    case "hourly":
    case "daily":
    case "monthly":
    case "yearly":
      return {
        strategy,
        field:
          values["partitioning.time_based.field"] ??
          eventTimeColumn(values) ??
          `${values["source.metadata_prefix"]}timestamp`,
      };
  }
}

/**
 * Columns that say which record a row is; null: the table has none, or its rows go when they change, so that
 * they are no witness of what was read.
 */
export function coordinateColumns(values: PipelineValues): CoordinateColumns | null {
  if (values["source.mode"] !== "kstream") return null;
  const columns = values["source.metadata_columns"];
  const prefix = values["source.metadata_prefix"];
  if (!columns.includes("partition") || !columns.includes("offset")) return null;
  const topic = columns.includes("topic") ? `${prefix}topic` : null;
  return { topic, partition: `${prefix}partition`, offset: `${prefix}offset` };
}

/** The full name of the event time's column; null: none was named. */
export function eventTimeColumn(values: PipelineValues): string | null {
  const field = values["source.event_time_field"];
  return field === null ? null : columnOf(values, field);
}

/** How data files are compressed. */
export function fileCodecOf({
  values,
  origins,
}: Pick<PipelineConfig, "values" | "origins">): Pick<
  WriterOptions,
  "codec" | "codecLevel" | "unset"
> {
  return {
    codec: values["iceberg.write.compression"],
    codecLevel: values["iceberg.write.compression_level"],
    unset: unsetFileSettings(origins),
  };
}

/** Keys of files whose defaults give way to the table's properties. */
const FILE_SETTINGS: Readonly<Record<FileSetting, string>> = {
  codec: "iceberg.write.compression",
  "row group bytes": "iceberg.write.row_group_size_mb",
  "file bytes": "iceberg.write.target_file_size_mb",
};

/** Those whose key nobody has set. */
function unsetFileSettings(
  origins: Pick<ReadonlyMap<string, unknown>, "has">,
): ReadonlySet<FileSetting> {
  const settings = Object.keys(FILE_SETTINGS) as FileSetting[];
  return new Set(settings.filter((setting) => !origins.has(FILE_SETTINGS[setting])));
}
