/**
 * What the manifests that were read last list, kept in memory: a manifest never changes, and a query, a compaction or
 * the next attempt of a commit reads those of a head of which the one before read all but the newest.
 *
 * Bounded by bytes over all tables of the process; what was used the longest ago goes first.
 */
import type { PartitionFieldType } from "#iceberg/manifest/avroSchemas.ts";
import type { ManifestFile } from "#iceberg/manifest/manifest.ts";
import type { Storage } from "#storage/storage.ts";

/** Entries of manifests, by store and by a key that names a manifest and how it was read ({@link manifestKey}). */
export interface KnownManifests<Entry> {
  get(storage: Storage, key: string): readonly Entry[] | null;
  set(storage: Storage, key: string, entries: readonly Entry[]): void;
}

/**
 * @param bytesMax memory of all entries together
 * @param bytesOf an estimate of some entries' memory
 */
export function createKnownManifests<Entry>(
  bytesMax: number,
  bytesOf: (entries: readonly Entry[]) => number,
): KnownManifests<Entry> {
  const stores = new WeakMap<Storage, number>();
  /** Least recently used first. */
  const known = new Map<string, { readonly entries: readonly Entry[]; readonly bytes: number }>();
  let storeCount = 0;
  let bytes = 0;
  const nameOf = (storage: Storage, key: string): string => {
    const id = stores.get(storage) ?? storeCount++;
    stores.set(storage, id);
    return `${id} ${key}`;
  };
  const drop = (name: string): void => {
    bytes -= known.get(name)?.bytes ?? 0;
    known.delete(name);
  };
  return {
    get: (storage, key) => {
      const name = nameOf(storage, key);
      const found = known.get(name);
      if (found === undefined) return null;
      known.delete(name);
      known.set(name, found);
      return found.entries;
    },
    set: (storage, key, entries) => {
      const own = { entries, bytes: bytesOf(entries) };
      if (own.bytes > bytesMax) return;
      const name = nameOf(storage, key);
      drop(name);
      known.set(name, own);
      bytes += own.bytes;
      for (const oldest of known.keys()) {
        if (bytes <= bytesMax) break;
        drop(oldest);
      }
    },
  };
}

/** A manifest as its list has it: what its entries inherit, and a column's type may have been widened since. */
export function manifestKey(
  { manifestPath, sequenceNumber, addedSnapshotId, firstRowId }: ManifestFile,
  types: readonly PartitionFieldType[],
): string {
  const inherited = [sequenceNumber, addedSnapshotId, firstRowId].join(" ");
  return `${manifestPath} ${inherited} ${JSON.stringify(types)}`;
}
