/**
 * What `check` says of table properties that its owner has set and that we do not follow.
 */
import type { PipelineConfig } from "#config/config.ts";

/** Iceberg's properties that are not heeded, and what counts instead. */
const UNHEEDED: Readonly<Record<string, string>> = {
  "write.object-storage.enabled": "paths are made of partitions",
  "write.parquet.row-group-limit": "iceberg.write.row_group_rows counts",
  "write.distribution-mode": "rows are not distributed",
};

/** Sizes in bytes that are heeded unless our key, in MiB, is set. */
const SIZES = {
  "write.target-file-size-bytes": "iceberg.write.target_file_size_mb",
  "write.parquet.row-group-size-bytes": "iceberg.write.row_group_size_mb",
} as const;

const CODEC = "write.parquet.compression-codec";

/** One clause for each property that is overruled or not heeded. */
export function propertyNotes(
  properties: Readonly<Record<string, string>>,
  { values, origins }: PipelineConfig,
): string[] {
  const notes = Object.entries(UNHEEDED).flatMap(([name, instead]) => {
    const value = properties[name];
    return value === undefined
      ? []
      : [`table property ${name} = ${value} is not heeded: ${instead}`];
  });
  for (const [name, key] of Object.entries(SIZES)) {
    const value = properties[name];
    const own = values[key];
    if (value === undefined || !origins.has(key) || Number(value) === own * 1024 * 1024) continue;
    notes.push(`${key} = ${own} wins over table property ${name} = ${value}`);
  }
  const codec = properties[CODEC];
  if (codec !== undefined && origins.has("iceberg.write.compression")) {
    const own = values["iceberg.write.compression"];
    if (codec.toLowerCase() !== own) {
      notes.push(`iceberg.write.compression = ${own} wins over table property ${CODEC} = ${codec}`);
    }
  }
  return notes;
}
