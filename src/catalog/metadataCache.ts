/**
 * What tables were like a moment ago, for whoever reads and can bear that (SPEC section 4
 * `[iceberg.metadata_cache]`): never for a commit, never for a seek, which load the head.
 *
 * Each part of a table has a time within which an earlier answer is good enough. Every commit that goes
 * through `watched` replaces what is known of its table, or drops it where the outcome does not say. A
 * load that began before such a commit is not kept. While the catalog is away, what it said last is
 * answered, and marked as stale.
 */
import type { Clock } from "#base/clock.ts";
import { policyOf } from "#base/errors.ts";
import type { CACHE_KEYS, Observe } from "#base/events.ts";
import { LIMITS } from "#base/limits.ts";
import type { ManifestFile } from "#iceberg/manifest/manifest.ts";
import { readManifestList } from "#iceberg/manifest/manifestList.ts";
import type { TableMetadata } from "#iceberg/metadata/metadata.ts";
import type { Catalog, CommitOutcome, LoadedTable, TableName } from "./catalog.ts";
import { fullName } from "./names.ts";

/** How long an answer is good enough, ms; 0: not at all. */
export interface CacheOptions {
  readonly snapshotTtlMs: number;
  readonly manifestTtlMs: number;
  readonly schemaTtlMs: number;
}

/** What a cache is built from. */
export interface CacheParts {
  readonly catalog: Pick<Catalog, "load">;
  readonly clock: Clock;
  readonly observe: Observe;
}

/** An answer and how old it is. */
export interface Cached<T> {
  readonly value: T;
  readonly ageMs: number;
  /** True: older than it should be, since the catalog is away. */
  readonly isStale: boolean;
}

/** A schema of a table. */
export type CachedSchema = TableMetadata["schemas"][number];

/** Reads tables that may be a moment old; null where there is no such table. All throw what `Catalog.load` does. */
export interface MetadataCache {
  /** The table with its head. */
  head(name: TableName): Promise<Cached<LoadedTable> | null>;
  /** The current schema. */
  schema(name: TableName): Promise<Cached<CachedSchema> | null>;
  /** The manifests of the head of `main`; empty without a snapshot. */
  manifests(name: TableName): Promise<Cached<readonly ManifestFile[]> | null>;
  /** A catalog whose commits this cache hears of. */
  watched(catalog: Catalog): Catalog;
}

type Key = (typeof CACHE_KEYS)[number];

/** A value with the time at which it was read, by the monotonic clock. */
interface Kept<T> {
  readonly value: T;
  readonly atMs: number;
}

/** What is known of a table. */
interface Entry {
  table: Kept<LoadedTable> | null;
  manifests: Kept<readonly ManifestFile[]> | null;
  /** Rises with each commit: what was asked for before it is not kept. */
  commits: number;
  loading: Promise<LoadedTable | null> | null;
}

/** Creates an empty cache. */
export function createMetadataCache(options: CacheOptions, parts: CacheParts): MetadataCache {
  const { clock, observe } = parts;
  const entries = new Map<string, Entry>();

  /** The entry of a table, which is then the one that was used last. */
  const entryOf = (name: TableName): Entry => {
    const key = fullName(name);
    const entry = entries.get(key) ?? { table: null, manifests: null, commits: 0, loading: null };
    entries.delete(key);
    entries.set(key, entry);
    for (const oldest of entries.keys()) {
      if (entries.size <= LIMITS.cachedTablesMax) break;
      entries.delete(oldest);
    }
    return entry;
  };

  const load = (name: TableName, entry: Entry): Promise<LoadedTable | null> => {
    if (entry.loading !== null) return entry.loading;
    const { commits } = entry;
    const loading = parts.catalog.load(name).then((table) => {
      if (entry.commits === commits) keep(entry, table, clock);
      return table;
    });
    const ended = loading.finally(() => {
      if (entry.loading === ended) entry.loading = null;
    });
    entry.loading = ended;
    return ended;
  };

  /** A kept value while it is young; else what `read` says now, or the kept one while the catalog is away. */
  const answer = async <T>(
    key: Key,
    ttlMs: number,
    kept: Kept<T> | null,
    read: () => Promise<T | null>,
  ): Promise<Cached<T> | null> => {
    const ageMs = kept === null ? 0 : clock.monotonicMs() - kept.atMs;
    const hit = kept !== null && ageMs < ttlMs;
    observe({ type: "metadata_cache", key, hit });
    if (hit) return { value: kept.value, ageMs, isStale: false };
    try {
      const value = await read();
      return value === null ? null : { value, ageMs: 0, isStale: false };
    } catch (error) {
      if (kept === null || policyOf(error).action !== "again") throw error;
      return { value: kept.value, ageMs: clock.monotonicMs() - kept.atMs, isStale: true };
    }
  };

  return {
    head: (name) => {
      const entry = entryOf(name);
      return answer("snapshot_id", options.snapshotTtlMs, entry.table, () => load(name, entry));
    },
    schema: (name) => {
      const entry = entryOf(name);
      const { table } = entry;
      const kept = table === null ? null : { ...table, value: schemaOf(table.value) };
      return answer("schema", options.schemaTtlMs, kept, async () => {
        const loaded = await load(name, entry);
        return loaded === null ? null : schemaOf(loaded);
      });
    },
    manifests: (name) => {
      const entry = entryOf(name);
      return answer("manifest", options.manifestTtlMs, entry.manifests, async () => {
        const { commits } = entry;
        const table = await load(name, entry);
        if (table === null) return null;
        const value = await manifestsOf(table);
        if (entry.commits === commits) entry.manifests = { value, atMs: clock.monotonicMs() };
        return value;
      });
    },
    watched: (catalog) =>
      watching(catalog, (name, outcome) => heard(entryOf(name), outcome, clock)),
  };
}

function keep(entry: Entry, table: LoadedTable | null, clock: Clock): void {
  entry.table = table === null ? null : { value: table, atMs: clock.monotonicMs() };
}

/** A commit ended: its table is what it made of it, or is not known. */
function heard(entry: Entry, outcome: CommitOutcome | null, clock: Clock): void {
  entry.commits++;
  entry.loading = null;
  entry.manifests = null;
  if (outcome?.kind === "committed") keep(entry, outcome.table, clock);
}

/** @param catalog whose methods stand alone, as `openCatalog` makes them */
function watching(
  catalog: Catalog,
  hear: (name: TableName, outcome: CommitOutcome | null) => void,
): Catalog {
  const told = async (
    name: TableName,
    run: () => Promise<CommitOutcome>,
  ): Promise<CommitOutcome> => {
    let outcome: CommitOutcome | null = null;
    try {
      outcome = await run();
      return outcome;
    } finally {
      hear(name, outcome);
    }
  };
  return {
    ...catalog,
    create: (request) => told(request.name, () => catalog.create(request)),
    commit: (...request) => told(request[0], () => catalog.commit(...request)),
  };
}

function schemaOf({ metadata }: LoadedTable): CachedSchema {
  const found = metadata.schemas.find(({ schemaId }) => schemaId === metadata.currentSchemaId);
  return found ?? { schemaId: metadata.currentSchemaId, fields: [], identifierFieldIds: [] };
}

async function manifestsOf({ metadata, storage }: LoadedTable): Promise<readonly ManifestFile[]> {
  const head = metadata.snapshots.find(
    ({ snapshotId }) => snapshotId === metadata.currentSnapshotId,
  );
  if (head === undefined) return [];
  return readManifestList(await storage.get(head.manifestList));
}
