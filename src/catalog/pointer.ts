/**
 * The body of every catalog that keeps one pointer per table, to its newest metadata file: the SQL
 * databases; Glue and Hive differ in a {@link PointerStore} only.
 *
 * A commit reads the pointer, plans the next metadata, writes it durably under a name that nobody
 * else has, `<location>/metadata/NNNNN-<uuid>.metadata.json`, and then swaps the pointer on from the
 * one that it read. So the three outcomes (SPEC 2.4) are the swap's: done, taken by another, unclear.
 * Whatever fails before the swap is definite: no pointer names the new file.
 *
 * A file under such a name never changes. So a file that was read is not read again while the pointer,
 * which is asked for every time, still names it.
 */
import type { Clock } from "#base/clock.ts";
import { describe, kindOf } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { encodeMetadataFile, gzipMetadata, loadMetadataFile } from "#iceberg/io/metadataFile.ts";
import { metadataFolder } from "#iceberg/io/stageAppend.ts";
import type { TableMetadata, TableRequirement, TableUpdate } from "#iceberg/metadata/metadata.ts";
import { deletesAfterCommit, gzipsMetadata } from "#iceberg/metadata/properties.ts";
import { planCommit } from "#iceberg/metadata/updates.ts";
import type { Storage } from "#storage/storage.ts";
import type { Catalog, CommitOutcome, CreateTable, LoadedTable, TableName } from "./catalog.ts";
import { checkNamespace, checkTableName, fullName } from "./names.ts";
import { notSent } from "./outcomes.ts";

/** Where a table's newest metadata is. */
export interface Pointer<Row> {
  readonly metadataLocation: string;
  /** What the store must see again to swap: Glue's table with its VersionId, Hive's table. */
  readonly row: Row;
}

/** What a pointer is to name. The metadata is for stores that copy columns or properties of it. */
export interface NextPointer {
  readonly metadataLocation: string;
  readonly metadata: TableMetadata;
}

/**
 * How an insert or swap ended. `taken`: the name was in use, or the pointer had moved; nothing was
 * changed, now or later. `unclear`: the request may have been, or may still be, applied.
 */
export type PointerWrite =
  | { readonly kind: "done" }
  | { readonly kind: "taken" }
  | { readonly kind: "unclear"; readonly cause: unknown };

/**
 * Pointers by table name. Nothing retries inside a write once the request may have left. Whatever a
 * write throws, it has changed nothing and never will. Names arrive checked as folders; a store that
 * takes fewer throws `usage`.
 */
export interface PointerStore<Row> {
  /** The trait `type`. */
  readonly type: string;
  /** The trait: `none` where a write that was given up may still move the pointer, from whatever it names. */
  readonly endsLateRequests: "all" | "none";
  /** Connects and checks. Throws `catalog_unreachable`, `catalog_refused`. */
  open(): Promise<void>;
  /** The pointer now, read from where writes go; null when there is no such Iceberg table. */
  get(name: TableName): Promise<Pointer<Row> | null>;
  /** Names a new table, and its namespace where that is missing. */
  insert(name: TableName, next: NextPointer): Promise<PointerWrite>;
  /** Moves the pointer on if it still is `previous`, in one atomic step. */
  swap(name: TableName, previous: Pointer<Row>, next: NextPointer): Promise<PointerWrite>;
  /** Tables of one namespace, in order. */
  list(namespace: TableName["namespace"]): Promise<string[]>;
  /** Where a new table is to live: the namespace's own location, else a folder of the warehouse. */
  locationOf(name: TableName): Promise<string>;
  /** See `Catalog.missingRights`. */
  missingRights?(tables: readonly TableName[]): Promise<string[]>;
  close(): Promise<void>;
}

/** What a pointer catalog is built from. */
export interface PointerCatalogParts {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Makes a catalog of a pointer store. */
export function createPointerCatalog<Row>(
  store: PointerStore<Row>,
  parts: PointerCatalogParts,
): Catalog {
  return new PointerCatalog(store, parts);
}

/** A table with the pointer that it was read by. */
interface Head<Row> {
  readonly pointer: Pointer<Row>;
  readonly table: LoadedTable;
}

class PointerCatalog<Row> implements Catalog {
  readonly traits: Catalog["traits"];
  private readonly store: PointerStore<Row>;
  private readonly parts: PointerCatalogParts;
  /** The newest file of each table as it was read or written last. */
  private readonly read = new Map<string, Pick<LoadedTable, "metadata" | "metadataLocation">>();

  constructor(store: PointerStore<Row>, parts: PointerCatalogParts) {
    this.store = store;
    this.parts = parts;
    this.traits = {
      type: store.type,
      showsAncestors: true,
      endsLateRequests: store.endsLateRequests,
      removesSchemas: true,
    };
  }

  open(): Promise<void> {
    return this.store.open();
  }

  async close(): Promise<void> {
    this.read.clear();
    await this.store.close();
  }

  async missingRights(tables: readonly TableName[]): Promise<string[]> {
    return (await this.store.missingRights?.(tables)) ?? [];
  }

  locationOf(name: TableName): Promise<string> {
    return this.store.locationOf(name);
  }

  async list(namespace: TableName["namespace"]): Promise<TableName[]> {
    checkNamespace(namespace);
    return (await this.store.list(namespace)).map((table) => ({ namespace, table }));
  }

  async load(name: TableName): Promise<LoadedTable | null> {
    return (await this.head(name))?.table ?? null;
  }

  async create({ name, metadataAt }: CreateTable): Promise<CommitOutcome> {
    checkTableName(name);
    let metadata: TableMetadata;
    try {
      metadata = metadataAt(await this.store.locationOf(name));
    } catch (cause) {
      return notSent(cause);
    }
    return this.write(name, null, metadata, (next) => this.store.insert(name, next));
  }

  async commit(
    name: TableName,
    requirements: readonly TableRequirement[],
    updates: readonly TableUpdate[],
  ): Promise<CommitOutcome> {
    let head: Head<Row> | null;
    let metadata: TableMetadata;
    try {
      head = await this.head(name);
      const planned = planCommit(head?.table.metadata ?? null, requirements, updates, {
        timestampMs: this.parts.clock.nowMs(),
        ...(head === null ? {} : { previousLocation: head.pointer.metadataLocation }),
      });
      if (planned.kind === "conflict") return { kind: "conflict", cause: planned.reason };
      metadata = planned.metadata;
    } catch (cause) {
      return notSent(cause);
    }
    if (head === null) return { kind: "conflict", cause: "there is no such table" };
    const { pointer, table } = head;
    const outcome = await this.write(name, pointer.metadataLocation, metadata, (next) =>
      this.store.swap(name, pointer, next),
    );
    if (outcome.kind === "committed") await this.removeOldFiles(table, metadata);
    return outcome;
  }

  /** A process that stood still finds its file removed: then the pointer names another. */
  private async head(name: TableName): Promise<Head<Row> | null> {
    checkTableName(name);
    for (let previous: string | null = null; ; ) {
      const pointer = await this.store.get(name);
      if (pointer === null) return null;
      const { metadataLocation } = pointer;
      try {
        const metadata = await this.metadata(name, metadataLocation);
        return { pointer, table: this.loaded(name, metadata, metadataLocation) };
      } catch (error) {
        if (kindOf(error) !== "storage_missing" || metadataLocation === previous) throw error;
        previous = metadataLocation;
      }
    }
  }

  private async metadata(name: TableName, metadataLocation: string): Promise<TableMetadata> {
    const known = this.read.get(fullName(name));
    if (known?.metadataLocation === metadataLocation) return known.metadata;
    const { metadata } = await loadMetadataFile(this.parts.storage, metadataLocation);
    this.read.set(fullName(name), { metadata, metadataLocation });
    return metadata;
  }

  private loaded(name: TableName, metadata: TableMetadata, metadataLocation: string): LoadedTable {
    return { name, metadata, metadataLocation, storage: this.parts.storage };
  }

  /** Writes the metadata file, then lets `point` make the pointer name it. */
  private async write(
    name: TableName,
    previous: string | null,
    metadata: TableMetadata,
    point: (next: NextPointer) => Promise<PointerWrite>,
  ): Promise<CommitOutcome> {
    const metadataLocation = this.nextLocation(previous, metadata);
    try {
      const plain = encodeMetadataFile(metadata);
      const bytes = gzipsMetadata(metadata.properties) ? await gzipMetadata(plain) : plain;
      await this.parts.storage.put(metadataLocation, bytes);
    } catch (cause) {
      // No pointer names the file, so whatever became of it nothing was committed.
      return notSent(cause);
    }
    let ended: PointerWrite;
    try {
      ended = await point({ metadataLocation, metadata });
    } catch (cause) {
      await this.removeFiles(name, [metadataLocation]);
      return notSent(cause);
    }
    switch (ended.kind) {
      case "done":
        this.read.set(fullName(name), { metadata, metadataLocation });
        return { kind: "committed", table: this.loaded(name, metadata, metadataLocation) };
      case "taken":
        await this.removeFiles(name, [metadataLocation]);
        return { kind: "conflict", cause: "the table was changed by another commit" };
      case "unclear":
        return { kind: "unknown", cause: ended.cause };
    }
  }

  /** `NNNNN-<uuid>[.gz].metadata.json` with the number after the previous file's. */
  private nextLocation(previous: string | null, metadata: TableMetadata): string {
    const number = /\/(\d+)-[^/]*$/.exec(previous ?? "")?.[1];
    const next = number === undefined ? 0 : Number(number) + 1;
    const suffix = gzipsMetadata(metadata.properties) ? ".gz.metadata.json" : ".metadata.json";
    const file = `${String(next).padStart(5, "0")}-${this.parts.random.uuid()}${suffix}`;
    return `${metadataFolder(metadata)}/${file}`;
  }

  /** Removes the files that fell out of the metadata log, when the table asks for it. */
  private async removeOldFiles(head: LoadedTable, next: TableMetadata): Promise<void> {
    if (!deletesAfterCommit(next.properties)) return;
    const kept = new Set(next.metadataLog.map((entry) => entry.metadataFile));
    const old = head.metadata.metadataLog.filter((entry) => !kept.has(entry.metadataFile));
    await this.removeFiles(
      head.name,
      old.map((entry) => entry.metadataFile),
    );
  }

  /** Removes files that nothing names; a failure leaves them to the orphan cleaner. */
  private async removeFiles(name: TableName, locations: readonly string[]): Promise<void> {
    if (locations.length === 0) return;
    try {
      await this.parts.storage.remove(locations);
    } catch (error) {
      this.parts.log.log("warn", "Metadata files could not be removed", {
        table: fullName(name),
        error: describe(error),
      });
    }
  }
}
