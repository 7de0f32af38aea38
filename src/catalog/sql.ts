/**
 * The SQL catalog on SQLite: the very tables of PyIceberg's `SqlCatalog` and Java's `JdbcCatalog`
 * (its schema V1; V0, without `iceberg_type`, is opened as it is), so that both open them.
 *
 * A row holds the location of the table's current metadata file. A commit writes the new file
 * durably, then moves the row on from the file that it replaced; no row moved is a conflict. Files
 * are called `<location>/metadata/NNNNN-<uuid>.metadata.json`.
 */
import type { Database } from "bun:sqlite";
import type { Clock } from "#base/clock.ts";
import { describe, fail, kindOf } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { encodeMetadataFile, loadMetadataFile } from "#iceberg/io/metadataFile.ts";
import type { TableMetadata, TableRequirement, TableUpdate } from "#iceberg/metadata/metadata.ts";
import { deletesAfterCommit, METADATA_PATH } from "#iceberg/metadata/properties.ts";
import { planCommit } from "#iceberg/metadata/updates.ts";
import type { Storage } from "#storage/storage.ts";
import type { Catalog, CommitOutcome, CreateTable, LoadedTable, TableName } from "./catalog.ts";
import { checkNamespace, checkTableName, fullName, tableLocation } from "./names.ts";
import { notSent } from "./outcomes.ts";
import {
  makeDurable,
  type OpenSqlite,
  openSqlite,
  sqliteError,
  sqlitePath,
  transaction,
  whenFree,
} from "./sqlite.ts";

const TABLES = `CREATE TABLE IF NOT EXISTS iceberg_tables (
  catalog_name VARCHAR(255) NOT NULL,
  table_namespace VARCHAR(255) NOT NULL,
  table_name VARCHAR(255) NOT NULL,
  metadata_location VARCHAR(1000),
  previous_metadata_location VARCHAR(1000),
  iceberg_type VARCHAR(5),
  PRIMARY KEY (catalog_name, table_namespace, table_name))`;

const NAMESPACES = `CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (
  catalog_name VARCHAR(255) NOT NULL,
  namespace VARCHAR(255) NOT NULL,
  property_key VARCHAR(255) NOT NULL,
  property_value VARCHAR(1000) NOT NULL,
  PRIMARY KEY (catalog_name, namespace, property_key))`;

/** Settings of the SQL catalog. */
export interface SqlCatalogOptions {
  /** `sqlite:catalog.db` or `sqlite:///abs/catalog.db`. */
  readonly uri: string;
  /** The catalog's name inside the database; other engines must use the same. */
  readonly name: string;
  /** Where new tables live: `/abs/path`, `file:///abs/path` or `s3://bucket/prefix`. */
  readonly warehouse: string;
  /** True: nothing is ever written, and the database must exist. */
  readonly readOnly: boolean;
}

/** What the SQL catalog is built from. */
export interface SqlCatalogParts {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Default: {@link openSqlite}. */
  readonly openDatabase?: OpenSqlite;
}

/** Opens a SQL catalog. Throws `usage` for a URI that is not SQLite's. */
export function createSqlCatalog(options: SqlCatalogOptions, parts: SqlCatalogParts): Catalog {
  return new SqlCatalog(options, parts, sqlitePath(options.uri));
}

class SqlCatalog implements Catalog {
  readonly traits = { type: "sql", showsAncestors: true, lateRequestsEndBy: "pointer" } as const;
  private readonly options: SqlCatalogOptions;
  private readonly parts: SqlCatalogParts;
  private readonly path: string;
  private opened: { readonly database: Database; readonly hasType: boolean } | null = null;

  constructor(options: SqlCatalogOptions, parts: SqlCatalogParts, path: string) {
    this.options = options;
    this.parts = parts;
    this.path = path;
  }

  async open(): Promise<void> {
    const { readOnly } = this.options;
    const open = this.parts.openDatabase ?? openSqlite;
    try {
      const database = await open(this.path, readOnly);
      if (!readOnly) {
        await whenFree(this.parts, () => makeDurable(database));
        await whenFree(this.parts, () => transaction(database, () => init(database)));
      }
      const columns = await whenFree(this.parts, () =>
        database.query<{ name: string }, []>("PRAGMA table_info(iceberg_tables)").all(),
      );
      this.opened = { database, hasType: columns.some(({ name }) => name === "iceberg_type") };
    } catch (error) {
      const cause = sqliteError(error);
      const sentence = `The catalog database ${this.path} cannot be opened`;
      throw fail(
        kindOf(cause) === "internal" ? "catalog_refused" : kindOf(cause),
        sentence,
        { path: this.path },
        cause,
      );
    }
  }

  async close(): Promise<void> {
    this.opened?.database.close();
    this.opened = null;
  }

  async locationOf(name: TableName): Promise<string> {
    return tableLocation(this.options.warehouse, name);
  }

  /** A process that stood still finds its file removed: then the row names another. */
  async load(name: TableName): Promise<LoadedTable | null> {
    this.key(name);
    for (let previous: string | null = null; ; ) {
      const metadataLocation = await this.pointer(name);
      if (metadataLocation === null) return null;
      try {
        const { metadata } = await loadMetadataFile(this.parts.storage, metadataLocation);
        return { name, metadata, metadataLocation, storage: this.parts.storage };
      } catch (error) {
        if (kindOf(error) !== "storage_missing" || metadataLocation === previous) throw error;
        previous = metadataLocation;
      }
    }
  }

  /** The table's current metadata file; null when there is no such table. */
  private async pointer(name: TableName): Promise<string | null> {
    const { database, hasType } = this.use();
    const row = await whenFree(this.parts, () =>
      database
        .query<{ metadata_location: string | null }, string[]>(
          `SELECT metadata_location FROM iceberg_tables
           WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?${tablesOnly(hasType)}`,
        )
        .get(...this.key(name)),
    );
    return row?.metadata_location ?? null;
  }

  async create({ name, metadataAt }: CreateTable): Promise<CommitOutcome> {
    const metadata = metadataAt(tableLocation(this.options.warehouse, name));
    return this.write(name, null, metadata, (database, location) =>
      this.insert(database, name, location),
    );
  }

  async commit(
    name: TableName,
    requirements: readonly TableRequirement[],
    updates: readonly TableUpdate[],
  ): Promise<CommitOutcome> {
    let head: LoadedTable | null;
    let next: TableMetadata;
    try {
      head = await this.load(name);
      const planned = planCommit(head?.metadata ?? null, requirements, updates, {
        timestampMs: this.parts.clock.nowMs(),
        ...(head === null ? {} : { previousLocation: head.metadataLocation }),
      });
      if (planned.kind === "conflict") return { kind: "conflict", cause: planned.reason };
      next = planned.metadata;
    } catch (cause) {
      return notSent(cause);
    }
    const previous = head?.metadataLocation ?? "";
    const outcome = await this.write(name, previous, next, (database, location) =>
      this.move(database, name, previous, location),
    );
    if (outcome.kind === "committed" && head !== null) await this.removeOldFiles(head, next);
    return outcome;
  }

  async list(namespace: TableName["namespace"]): Promise<TableName[]> {
    const { database, hasType } = this.use();
    const rows = await whenFree(this.parts, () =>
      database
        .query<{ table_name: string }, string[]>(
          `SELECT table_name FROM iceberg_tables WHERE catalog_name = ? AND table_namespace = ?
           ${tablesOnly(hasType)} ORDER BY table_name`,
        )
        .all(this.options.name, namespaceKey(namespace)),
    );
    return rows.map((row) => ({ namespace, table: row.table_name }));
  }

  /** Writes the metadata file, then lets `point` make the row name it. */
  private async write(
    name: TableName,
    previous: string | null,
    metadata: TableMetadata,
    point: (database: Database, location: string) => boolean,
  ): Promise<CommitOutcome> {
    const { database } = this.use();
    const location = this.nextLocation(previous, metadata);
    try {
      await this.parts.storage.put(location, encodeMetadataFile(metadata));
    } catch (cause) {
      // No row names the file, so whatever became of it nothing was committed.
      return notSent(cause);
    }
    try {
      const ended = await whenFree(this.parts, () =>
        transaction(database, () => point(database, location)),
      );
      if (ended.kind === "unclear") return { kind: "unknown", cause: ended.cause };
      if (ended.result) {
        const { storage } = this.parts;
        const table = { name, metadata, metadataLocation: location, storage };
        return { kind: "committed", table };
      }
    } catch (cause) {
      await this.removeFiles(name, [location]);
      return notSent(cause);
    }
    await this.removeFiles(name, [location]);
    return { kind: "conflict", cause: "the table was changed by another commit" };
  }

  private move(database: Database, name: TableName, previous: string, location: string): boolean {
    const result = database
      .query<never, string[]>(
        `UPDATE iceberg_tables SET metadata_location = ?, previous_metadata_location = ?
         WHERE catalog_name = ? AND table_namespace = ? AND table_name = ? AND metadata_location = ?`,
      )
      .run(location, previous, ...this.key(name), previous);
    return result.changes === 1;
  }

  private insert(database: Database, name: TableName, location: string): boolean {
    database
      .query<never, string[]>(
        `INSERT INTO iceberg_namespace_properties
         SELECT ?1, ?2, 'exists', 'true' WHERE NOT EXISTS (
           SELECT 1 FROM iceberg_namespace_properties WHERE catalog_name = ?1 AND namespace = ?2)`,
      )
      .run(this.options.name, namespaceKey(name.namespace));
    const type = this.use().hasType ? ", iceberg_type" : "";
    const result = database
      .query<never, string[]>(
        `INSERT INTO iceberg_tables
         (catalog_name, table_namespace, table_name, metadata_location${type})
         VALUES (?, ?, ?, ?${type === "" ? "" : ", 'TABLE'"}) ON CONFLICT DO NOTHING`,
      )
      .run(...this.key(name), location);
    return result.changes === 1;
  }

  /** `NNNNN-<uuid>.metadata.json` with the number after the previous file's. */
  private nextLocation(previous: string | null, metadata: TableMetadata): string {
    const number = /\/(\d+)-[^/]*$/.exec(previous ?? "")?.[1];
    const next = number === undefined ? 0 : Number(number) + 1;
    const folder = metadata.properties[METADATA_PATH] ?? `${metadata.location}/metadata`;
    const file = `${String(next).padStart(5, "0")}-${this.parts.random.uuid()}.metadata.json`;
    return `${folder.replace(/\/+$/, "")}/${file}`;
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

  /** The row of a table. Throws `usage` for names that cannot be. */
  private key(name: TableName): [catalog: string, namespace: string, table: string] {
    checkTableName(name);
    return [this.options.name, namespaceKey(name.namespace), name.table];
  }

  private use(): { readonly database: Database; readonly hasType: boolean } {
    if (this.opened !== null) return this.opened;
    throw fail("internal", "The catalog is not open");
  }
}

function init(database: Database): void {
  database.run(TABLES);
  database.run(NAMESPACES);
}

/** Java's and PyIceberg's key of a namespace: levels joined by dots, without any escape. */
function namespaceKey(namespace: TableName["namespace"]): string {
  checkNamespace(namespace);
  const dotted = namespace.find((level) => level.includes("."));
  if (dotted === undefined) return namespace.join(".");
  const sentence = `${JSON.stringify(dotted)} cannot be a level of a namespace of a SQL catalog`;
  throw fail("usage", `${sentence}: it holds a dot, by which the catalog separates levels`);
}

/** Excludes views; V0 has none. */
function tablesOnly(hasType: boolean): string {
  return hasType ? " AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL)" : "";
}
