/**
 * The newest manifest lists of each table, kept in memory: lists never change, and a commit need not
 * read the one that the commit before has just written.
 *
 * Bounded twice: a few lists per table, so that a table whose old snapshots are inspected loses
 * nothing but its own; and bytes over all tables of the process, whatever their stores, of which the
 * table that was used longest ago gives up its lists first.
 */
import type { ManifestFile } from "#iceberg/manifest/manifest.ts";
import type { Storage } from "#storage/storage.ts";

/** Lists kept per table: its head and what was staged on it, on two branches. */
const LISTS_PER_TABLE_MAX = 4;

/** Memory of a manifest's row without its paths and bounds, bytes; of one partition summary. */
const ROW_BYTES = 400;
const SUMMARY_BYTES = 120;

/** Manifest lists by store and location. */
export interface ManifestLists {
  get(storage: Storage, location: string): readonly ManifestFile[] | null;
  set(storage: Storage, location: string, manifests: readonly ManifestFile[]): void;
}

interface Table {
  readonly lists: Map<string, { readonly manifests: readonly ManifestFile[]; bytes: number }>;
}

/** @param bytesMax memory of all lists together, as estimated */
export function createManifestLists(bytesMax: number): ManifestLists {
  const stores = new WeakMap<Storage, number>();
  /** Least recently used first. */
  const tables = new Map<string, Table>();
  let storeCount = 0;
  let bytes = 0;
  const keyOf = (storage: Storage, location: string): string => {
    const id = stores.get(storage) ?? storeCount++;
    stores.set(storage, id);
    return `${id} ${location.slice(0, location.lastIndexOf("/"))}`;
  };
  const use = (key: string): Table => {
    const table = tables.get(key) ?? { lists: new Map() };
    tables.delete(key);
    tables.set(key, table);
    return table;
  };
  const drop = ({ lists }: Table, location: string): void => {
    bytes -= lists.get(location)?.bytes ?? 0;
    lists.delete(location);
  };
  const evict = (): void => {
    for (const [key, table] of tables) {
      if (bytes <= bytesMax) return;
      for (const location of table.lists.keys()) drop(table, location);
      tables.delete(key);
    }
  };
  return {
    get: (storage, location) => {
      const key = keyOf(storage, location);
      const found = tables.get(key)?.lists.get(location);
      if (found === undefined) return null;
      use(key);
      return found.manifests;
    },
    set: (storage, location, manifests) => {
      const own = { manifests, bytes: bytesOf(manifests) };
      if (own.bytes > bytesMax) return;
      const table = use(keyOf(storage, location));
      drop(table, location);
      table.lists.set(location, own);
      bytes += own.bytes;
      const oldest = table.lists.keys().next();
      if (table.lists.size > LISTS_PER_TABLE_MAX && oldest.done !== true) drop(table, oldest.value);
      evict();
    },
  };
}

function bytesOf(manifests: readonly ManifestFile[]): number {
  let bytes = 0;
  for (const { manifestPath, partitions } of manifests) {
    bytes += ROW_BYTES + manifestPath.length + partitions.length * SUMMARY_BYTES;
    for (const { lowerBound, upperBound } of partitions) {
      bytes += (lowerBound?.length ?? 0) + (upperBound?.length ?? 0);
    }
  }
  return bytes;
}
