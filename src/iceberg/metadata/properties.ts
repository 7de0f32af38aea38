/**
 * The table properties that we obey (Iceberg's configuration page, "Table properties").
 * A value that is not what it should be is ignored in favour of the default, as in Java.
 */
import { LIMITS } from "#base/limits.ts";

type Properties = Readonly<Record<string, string>>;

/** Old metadata files are deleted after commits. */
export const DELETE_AFTER_COMMIT = "write.metadata.delete-after-commit.enabled";

/** How many replaced metadata files the metadata log names. */
export const PREVIOUS_VERSIONS_MAX = "write.metadata.previous-versions-max";

/** Folder of metadata files; default `<location>/metadata`. */
export const METADATA_PATH = "write.metadata.path";

/** `write.metadata.compression-codec`: true for `gzip`; default none. */
export function gzipsMetadata(properties: Properties): boolean {
  return properties["write.metadata.compression-codec"]?.toLowerCase() === "gzip";
}

/** `write.metadata.previous-versions-max`, at least 1; default 100. */
export function metadataVersionsMax(properties: Properties): number {
  const text = properties[PREVIOUS_VERSIONS_MAX] ?? "";
  return /^\d{1,9}$/.test(text) ? Math.max(1, Number(text)) : LIMITS.metadataVersionsMax;
}

/** `write.metadata.delete-after-commit.enabled`; default false. */
export function deletesAfterCommit(properties: Properties): boolean {
  return properties[DELETE_AFTER_COMMIT]?.toLowerCase() === "true";
}
