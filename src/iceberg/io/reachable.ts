/**
 * Everything that a table's metadata reaches: what the orphan cleaner must leave alone.
 *
 * That is the metadata file, those of its log, the manifest lists and manifests of all snapshots, all
 * data, delete and Puffin files that are live in any of them, and all statistics. No file is named by
 * its place alone: one store may have several names (`s3a`, an alias, a mount), so names are compared
 * by their last part, which holds a UUID in every engine. A file that happens to share its last part
 * with a reachable one is left, which costs room and never a row.
 */
import type { TableMetadata } from "#iceberg/metadata/metadata.ts";
import { statisticsFiles } from "#iceberg/metadata/statistics.ts";
import type { Storage } from "#storage/storage.ts";
import { NameSet } from "./nameSet.ts";
import { knownManifests, liveFilesOf } from "./unreachable.ts";

/** The last part of a location. */
export function lastPart(location: string): string {
  return location.slice(location.lastIndexOf("/") + 1);
}

/**
 * The last parts of all locations that the metadata reaches.
 * @param onFiles told now and then how many are known
 * @throws what the store throws: then nothing is known
 */
export async function reachableNames(
  storage: Storage,
  { metadata, metadataLocation }: { metadata: TableMetadata; metadataLocation: string },
  onFiles: (count: number) => void = () => undefined,
): Promise<NameSet> {
  const names = new NameSet();
  const add = (location: string): void => names.add(lastPart(location));
  add(metadataLocation);
  for (const { metadataFile } of metadata.metadataLog) add(metadataFile);
  for (const { path } of statisticsFiles(metadata)) add(path);
  for (const { manifestList } of metadata.snapshots) add(manifestList);
  const manifests = [...(await knownManifests(storage, metadata.snapshots)).values()];
  for (const { path } of manifests) add(path);
  for await (const files of liveFilesOf(storage, manifests)) {
    for (const { path } of files) add(path);
    onFiles(names.size);
  }
  return names;
}
