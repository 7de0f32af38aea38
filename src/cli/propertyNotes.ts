/**
 * What `check` says of table properties that its owner has set and that we do not follow.
 */
import type { PipelineConfig } from "#config/config.ts";

/** Iceberg's properties that are not heeded, and what counts instead. */
const UNHEEDED: Readonly<Record<string, string>> = {
  "write.object-storage.enabled": "paths are made of partitions",
  "write.target-file-size-bytes": "a file ends with its flush",
  "write.parquet.row-group-size-bytes": "iceberg.write.row_group_rows counts",
  "write.parquet.row-group-limit": "iceberg.write.row_group_rows counts",
  "write.distribution-mode": "rows are not distributed",
};

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
  const codec = properties[CODEC];
  if (codec !== undefined && origins.has("iceberg.write.compression")) {
    const own = values["iceberg.write.compression"];
    if (codec.toLowerCase() !== own) {
      notes.push(`iceberg.write.compression = ${own} wins over table property ${CODEC} = ${codec}`);
    }
  }
  return notes;
}
