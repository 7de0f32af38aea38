/**
 * Settings of files that the table's own properties make, as long as no key is set.
 */
import type { FileSetting } from "#writer/parts.ts";

const KEYS: Readonly<Record<FileSetting, string>> = {
  codec: "iceberg.write.compression",
  "row group bytes": "iceberg.write.row_group_size_mb",
  "file bytes": "iceberg.write.target_file_size_mb",
};

/** Those whose key nobody has set. */
export function unsetFileSettings(
  origins: Pick<ReadonlyMap<string, unknown>, "has">,
): ReadonlySet<FileSetting> {
  const settings = Object.keys(KEYS) as FileSetting[];
  return new Set(settings.filter((setting) => !origins.has(KEYS[setting])));
}
