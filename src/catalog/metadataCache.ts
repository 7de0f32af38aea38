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
  loading: Promise<Cached<LoadedTable> | null> | null;
}

/** Asks for a value where none is kept, or an old one; null: there is no such table. */
type Read<T> = () => Promise<Cached<T> | null>;

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

  const load = (name: TableName, entry: Entry): NonNullable<Entry["loading"]> => {
    if (entry.loading !== null) return entry.loading;
    const { commits } = entry;
    const loading = parts.catalog.load(name).then((table) => {
      if (entry.commits === commits) keep(entry, table, clock);
      return table === null ? null : { value: table, ageMs: 0, isStale: false };
    });
    const ended = loading.finally(() => {
      if (entry.loading === ended) entry.loading = null;
    });
    entry.loading = ended;
    return ended;
  };

  /** As `current`, counted as a hit or a miss. */
  const answer = <T>(key: Key, kept: Kept<T> | null, ttlMs: number, read: Read<T>) => {
    observe({ type: "metadata_cache", key, hit: ageMsOf(kept, clock) < ttlMs });
    return current(kept, ttlMs, read, clock);
  };

  return {
    head: (name) => {
      const entry = entryOf(name);
      const { table } = entry;
      return answer("snapshot_id", table, options.snapshotTtlMs, () => load(name, entry));
    },
    schema: (name) => {
      const entry = entryOf(name);
      const { table } = entry;
      const kept = table === null ? null : { ...table, value: schemaOf(table.value) };
      return answer("schema", kept, options.schemaTtlMs, async () => {
        const loaded = await load(name, entry);
        return loaded === null ? null : { ...loaded, value: schemaOf(loaded.value) };
      });
    },
    manifests: (name) => {
      const entry = entryOf(name);
      const { manifests, table: kept, commits } = entry;
      return answer("manifest", manifests, options.manifestTtlMs, async () => {
        // Of the head that readers are told, so that neither a commit nor an outage asks the catalog.
        const read = (): ReturnType<typeof load> => load(name, entry);
        const table = await current(kept, options.snapshotTtlMs, read, clock);
        if (table === null) return null;
        const value = await manifestsOf(table.value);
        const atMs = clock.monotonicMs() - table.ageMs;
        if (entry.commits === commits) entry.manifests = { value, atMs };
        return { ...table, value };
      });
    },
    watched: (catalog) =>
      watching(catalog, (name, outcome) => heard(entryOf(name), outcome, clock)),
  };
}

/** Infinite for what was never read. */
function ageMsOf<T>(kept: Kept<T> | null, clock: Clock): number {
  return kept === null ? Number.POSITIVE_INFINITY : clock.monotonicMs() - kept.atMs;
}

/** A kept value while it is young; else what `read` says now, or the kept one while the catalog is away. */
async function current<T>(
  kept: Kept<T> | null,
  ttlMs: number,
  read: Read<T>,
  clock: Clock,
): Promise<Cached<T> | null> {
  const ageMs = ageMsOf(kept, clock);
  if (kept !== null && ageMs < ttlMs) return { value: kept.value, ageMs, isStale: false };
  try {
    return await read();
  } catch (error) {
    if (kept === null || policyOf(error).action !== "again") throw error;
    return { value: kept.value, ageMs: ageMsOf(kept, clock), isStale: true };
  }
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
  const { commitTogether } = catalog;
  return {
    ...catalog,
    ...(commitTogether && {
      commitTogether: async (changes) => {
        const outcomes = await commitTogether(changes);
        for (const [index, { name }] of changes.entries()) hear(name, outcomes?.[index] ?? null);
        return outcomes;
      },
    }),
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
