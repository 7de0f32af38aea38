/**
 * Files that leave a table: the manifests of a head that list them, written anew. The files stay in them
 * as deleted entries of the new snapshot, as readers of changes expect; all others keep their snapshot,
 * their sequence numbers and their row ids, made explicit.
 */
import { assert } from "#base/assert.ts";
import type { DataFile, ManifestEntry, ManifestFile } from "#iceberg/manifest/manifest.ts";
import { createManifestWriter, type EncodedManifest } from "#iceberg/manifest/manifestFile.ts";
import type { SnapshotId, TableMetadata } from "#iceberg/metadata/metadata.ts";
import { partitionTypes, specById } from "#iceberg/partition/partitionType.ts";
import type { Storage } from "#storage/storage.ts";
import { readAhead } from "./readAhead.ts";
import { entriesOf } from "./scan.ts";

/** Manifests without some files, and what they stand for. */
export interface ManifestsWithout {
  readonly replaced: ReadonlySet<ManifestFile>;
  readonly written: readonly {
    readonly encoded: EncodedManifest;
    /** v3: that of the manifest which it replaces; all entries name their own. */
    readonly firstRowId: bigint | null;
  }[];
}

/**
 * Takes files out of manifests.
 * @param live manifests of the head; those before it in time are read last
 * @param removed files that live in the head; each must be listed in one of the manifests
 */
export async function withoutFiles(
  storage: Storage,
  metadata: TableMetadata,
  live: readonly ManifestFile[],
  removed: readonly DataFile[],
  snapshotId: SnapshotId,
): Promise<ManifestsWithout> {
  const replaced = new Set<ManifestFile>();
  const written: ManifestsWithout["written"][number][] = [];
  // Another engine may have listed a file twice.
  const missing = new Map<string, number>();
  for (const key of removed.map(fileKey)) missing.set(key, (missing.get(key) ?? 0) + 1);
  const contents = new Set(removed.map(({ content }) => (content === "data" ? "data" : "deletes")));
  const candidates = live
    .filter(({ content }) => contents.has(content))
    .toSorted((a, b) => Number(b.sequenceNumber - a.sequenceNumber));
  const read = readAhead(candidates, async (manifest) => ({
    manifest,
    entries: await entriesOf(storage, metadata, manifest),
  }));
  for await (const { manifest, entries } of read) {
    const gone = entries.filter(
      ({ status, file }) => status !== "deleted" && taken(missing, fileKey(file)),
    );
    if (gone.length > 0) {
      replaced.add(manifest);
      const encoded = await encodeWithout(metadata, manifest, entries, new Set(gone), snapshotId);
      written.push({ encoded, firstRowId: manifest.firstRowId });
    }
    if (missing.size === 0) break;
  }
  assert(missing.size === 0, "a file that is removed is listed in the head");
  return { replaced, written };
}

/** Takes one of so many from a count; false: there was none. */
function taken(counts: Map<string, number>, key: string): boolean {
  const count = counts.get(key) ?? 0;
  if (count > 1) counts.set(key, count - 1);
  else counts.delete(key);
  return count > 0;
}

/** What tells a file of a table from all others: of vectors, several lie in one Puffin file. */
export function fileKey({ filePath, contentOffset }: DataFile): string {
  return contentOffset === null ? filePath : `${filePath}@${contentOffset}`;
}

async function encodeWithout(
  metadata: TableMetadata,
  { content, partitionSpecId }: ManifestFile,
  entries: readonly ManifestEntry[],
  gone: ReadonlySet<ManifestEntry>,
  snapshotId: SnapshotId,
): Promise<EncodedManifest> {
  const spec = specById(metadata, partitionSpecId);
  const types = partitionTypes(metadata, spec);
  const writer = createManifestWriter({ metadata, spec, types, content });
  for (const entry of entries) {
    // What earlier snapshots removed is told by their manifests.
    if (entry.status === "deleted") continue;
    await writer.add(
      gone.has(entry)
        ? { ...entry, status: "deleted", snapshotId }
        : { ...entry, status: "existing" },
    );
  }
  return writer.finish();
}
