/**
 * Merging of small manifests, so that neither the manifest list nor the cost of a commit grows with
 * the table (Iceberg's `commit.manifest*` properties).
 *
 * Merging is geometric: a manifest joins only when it has no more files than all smaller ones
 * together, so whenever an entry is rewritten its manifest at least doubles. An entry is rewritten
 * at most log2(files of a full manifest) times in its life, whatever the size of the table.
 */
import { LIMITS } from "#base/limits.ts";
import type { ManifestFile } from "#iceberg/manifest/manifest.ts";
import { createManifestWriter, type EncodedManifest } from "#iceberg/manifest/manifestFile.ts";
import type { TableMetadata } from "#iceberg/metadata/metadata.ts";
import { hasSources, partitionTypes, specById } from "#iceberg/partition/partitionType.ts";
import type { Storage } from "#storage/storage.ts";

/** Manifests read at the same time. */
const READS_MAX = 16;

/** Manifests of one spec and content that are to become one. */
export interface MergeGroup {
  readonly specId: number;
  readonly content: ManifestFile["content"];
  readonly manifests: readonly ManifestFile[];
}

/** Settings of merging, from table properties. */
interface MergeSettings {
  readonly enabled: boolean;
  readonly countMax: number;
  readonly bytesTarget: number;
}

/** Chooses what to merge among the manifests of a head; at most one group per spec and content. */
export function chooseMerges(
  metadata: TableMetadata,
  manifests: readonly ManifestFile[],
): MergeGroup[] {
  const settings = mergeSettings(metadata.properties);
  if (!settings.enabled) return [];
  const candidates = manifests.filter(
    (manifest) =>
      Number(manifest.manifestLength) <= settings.bytesTarget / 2 &&
      // Row ids that a v3 table has not assigned yet are assigned first, merged later.
      (metadata.formatVersion === 2 ||
        manifest.content === "deletes" ||
        manifest.firstRowId !== null),
  );
  const kinds = Map.groupBy(candidates, (each) => `${each.content} ${each.partitionSpecId}`);
  const groups: MergeGroup[] = [];
  for (const members of kinds.values()) {
    const [first] = members;
    if (first === undefined || members.length < settings.countMax) continue;
    const { partitionSpecId: specId, content } = first;
    if (!hasSources(metadata, specById(metadata, specId))) continue;
    const group = smallestGroup(members, settings.bytesTarget);
    if (group.length > 1) groups.push({ specId, content, manifests: group });
  }
  return groups;
}

/** The manifests with the fewest files, as far as the rule above and the target size allow. */
function smallestGroup(manifests: readonly ManifestFile[], bytesTarget: number): ManifestFile[] {
  const group: ManifestFile[] = [];
  let files = 0;
  let bytes = 0;
  for (const manifest of manifests.toSorted((a, b) => fileCount(a) - fileCount(b))) {
    const grows = group.length < 2 || fileCount(manifest) <= files;
    bytes += Number(manifest.manifestLength);
    if (!grows || bytes > bytesTarget) break;
    group.push(manifest);
    files += fileCount(manifest);
  }
  return group;
}

function fileCount(manifest: ManifestFile): number {
  return manifest.addedFilesCount + manifest.existingFilesCount;
}

/** A merged manifest; it is not in the list yet. */
export interface MergedManifest {
  readonly encoded: EncodedManifest;
  /**
   * v3: the smallest first row id of the inputs. All entries name their own row ids, so nothing
   * inherits it, but a manifest without one would be given ids that nobody uses.
   */
  readonly firstRowId: bigint | null;
}

/** Reads a group and writes its live entries as existing ones, in order of age. */
export async function mergeGroup(
  storage: Storage,
  metadata: TableMetadata,
  group: MergeGroup,
): Promise<MergedManifest> {
  const oldestFirst = group.manifests.toSorted((a, b) =>
    Number(a.minSequenceNumber - b.minSequenceNumber),
  );
  const spec = specById(metadata, group.specId);
  const types = partitionTypes(metadata, spec);
  const writer = createManifestWriter({ metadata, spec, types, content: group.content });
  for (let at = 0; at < oldestFirst.length; at += READS_MAX) {
    const some = oldestFirst.slice(at, at + READS_MAX);
    const contents = await Promise.all(some.map((manifest) => storage.get(manifest.manifestPath)));
    for (const [index, manifest] of some.entries()) {
      await writer.addExisting(contents[index] ?? new Uint8Array(), manifest);
    }
  }
  const encoded = await writer.finish();
  let firstRowId: bigint | null = null;
  for (const { firstRowId: id } of group.manifests) {
    if (id !== null && (firstRowId === null || id < firstRowId)) firstRowId = id;
  }
  return { encoded, firstRowId };
}

function mergeSettings(properties: Readonly<Record<string, string>>): MergeSettings {
  return {
    enabled: properties["commit.manifest-merge.enabled"]?.toLowerCase() !== "false",
    countMax: positive(properties["commit.manifest.min-count-to-merge"]) ?? LIMITS.manifestsMax,
    bytesTarget: manifestBytesTarget(properties),
  };
}

/** `commit.manifest.target-size-bytes`: how large manifests become. */
export function manifestBytesTarget(properties: Readonly<Record<string, string>>): number {
  return positive(properties["commit.manifest.target-size-bytes"]) ?? LIMITS.manifestBytesTarget;
}

function positive(text: string | undefined): number | null {
  return text !== undefined && /^[1-9]\d{0,14}$/.test(text) ? Number(text) : null;
}
