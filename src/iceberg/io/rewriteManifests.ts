/**
 * Manifests written anew by partition: the same live files in fewer manifests, of which each holds as few
 * partitions as possible, so that a scan of some partitions need not open the others.
 *
 * Every entry keeps its snapshot, its sequence numbers and its row ids, made explicit. What is written
 * is right for every head that still lists all the manifests it stands for.
 *
 * Memory is bounded: a group of manifests of at most `LIMITS.manifestRewriteBytesMax` is written at once. Of a
 * larger table each group has manifests whose partitions begin close together.
 */
import { LIMITS } from "#base/limits.ts";
import type { ManifestFile, PartitionSummary, PartitionValue } from "#iceberg/manifest/manifest.ts";
import {
  createManifestWriter,
  type EncodedManifest,
  readPartitions,
} from "#iceberg/manifest/manifestFile.ts";
import type { TableMetadata } from "#iceberg/metadata/metadata.ts";
import { partitionKey } from "#iceberg/partition/partitionKey.ts";
import { hasSources, partitionTypes, specById } from "#iceberg/partition/partitionType.ts";
import type { Storage } from "#storage/storage.ts";
import { manifestBytesTarget } from "./manifestMerge.ts";
import { readAhead } from "./readAhead.ts";
import { hasLiveFiles } from "./scan.ts";

/** Manifests of one spec and content that are to be written anew. */
export type ManifestGroup = readonly [ManifestFile, ...ManifestFile[]];

/** A manifest that takes the place of others; its place in the store is the caller's. */
export interface RewrittenManifest {
  readonly encoded: EncodedManifest;
  /** v3: the least first row id of those it stands for; all entries name their own. */
  readonly firstRowId: bigint | null;
}

/**
 * The groups that gain: more manifests than their bytes need. A group that is as small as it can be is
 * left, so that a second run finds nothing to do.
 */
export function manifestGroups(
  metadata: TableMetadata,
  manifests: readonly ManifestFile[],
): ManifestGroup[] {
  const candidates = manifests.filter(
    (manifest) =>
      hasLiveFiles(manifest) &&
      hasSources(metadata, specById(metadata, manifest.partitionSpecId)) &&
      // Row ids that a v3 table has not assigned yet are assigned first.
      (metadata.formatVersion === 2 ||
        manifest.content === "deletes" ||
        manifest.firstRowId !== null),
  );
  const kinds = Map.groupBy(candidates, (each) => `${each.content} ${each.partitionSpecId}`);
  const target = manifestBytesTarget(metadata.properties);
  return [...kinds.values()].flatMap(cut).filter((group) => group.length > countOf(group, target));
}

/** Into groups of bounded size, by where their partitions begin. */
function cut(manifests: readonly ManifestFile[]): ManifestGroup[] {
  const groups: ManifestGroup[] = [];
  let open: ManifestFile[] = [];
  let bytes = 0;
  const close = (): void => {
    const [first, ...rest] = open;
    if (first !== undefined) groups.push([first, ...rest]);
    open = [];
    bytes = 0;
  };
  for (const manifest of manifests.toSorted(byBegin)) {
    if (bytes + Number(manifest.manifestLength) > LIMITS.manifestRewriteBytesMax) close();
    open.push(manifest);
    bytes += Number(manifest.manifestLength);
  }
  close();
  return groups;
}

/** By the bytes of the lower bounds: partitions that are close to each other nearly always sort so. */
function byBegin(a: ManifestFile, b: ManifestFile): number {
  for (const [index, summary] of a.partitions.entries()) {
    const order = Buffer.compare(beginOf(summary), beginOf(b.partitions[index]));
    if (order !== 0) return order;
  }
  return 0;
}

function beginOf(summary: PartitionSummary | undefined): Uint8Array {
  return summary?.lowerBound ?? new Uint8Array();
}

/** How many manifests a group needs. */
function countOf(group: readonly ManifestFile[], bytesTarget: number): number {
  const bytes = group.reduce((sum, each) => sum + Number(each.manifestLength), 0);
  return Math.max(1, Math.ceil(bytes / bytesTarget));
}

/**
 * Writes a group anew.
 * @throws what the store throws, `storage_corrupt`
 */
export async function rewriteGroup(
  storage: Storage,
  metadata: TableMetadata,
  group: ManifestGroup,
): Promise<RewrittenManifest[]> {
  const [{ content, partitionSpecId }] = group;
  const spec = specById(metadata, partitionSpecId);
  const types = partitionTypes(metadata, spec);
  const counts = new Map<string, number>();
  for await (const bytes of contents(storage, group)) {
    for await (const partitions of readPartitions(bytes, types)) {
      for (const partition of partitions) {
        const key = partitionKey(partition);
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
    }
  }
  const count = countOf(group, manifestBytesTarget(metadata.properties));
  const placeOf = places(counts, count);
  const written = Array.from({ length: count }, () =>
    createManifestWriter({ metadata, spec, types, content }),
  );
  const oldestFirst = group.toSorted((a, b) => Number(a.minSequenceNumber - b.minSequenceNumber));
  let at = 0;
  for await (const bytes of contents(storage, oldestFirst)) {
    const manifest = oldestFirst[at++];
    if (manifest === undefined) break;
    for (const [index, writer] of written.entries()) {
      const isHere = (partition: readonly PartitionValue[]): boolean =>
        placeOf.get(partitionKey(partition)) === index;
      await writer.addExisting(bytes, manifest, isHere);
    }
  }
  const firstRowId = group.reduce<bigint | null>(
    (least, { firstRowId: id }) => (id !== null && (least === null || id < least) ? id : least),
    null,
  );
  const encoded = await Promise.all(written.map((writer) => writer.finish()));
  return encoded
    .filter(({ existingFilesCount }) => existingFilesCount > 0)
    .map((each) => ({ encoded: each, firstRowId }));
}

async function* contents(
  storage: Storage,
  group: readonly ManifestFile[],
): AsyncGenerator<Uint8Array> {
  yield* readAhead(group, ({ manifestPath }) => storage.get(manifestPath));
}

/** Which manifest each partition goes into: runs of neighbours with about as many files. */
function places(counts: ReadonlyMap<string, number>, manifests: number): Map<string, number> {
  const files = [...counts.values()].reduce((sum, each) => sum + each, 0);
  const placeOf = new Map<string, number>();
  let before = 0;
  for (const key of [...counts.keys()].sort()) {
    placeOf.set(key, Math.min(manifests - 1, Math.floor((before * manifests) / files)));
    before += counts.get(key) ?? 0;
  }
  return placeOf;
}
