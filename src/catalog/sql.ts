/**
 * The SQL catalog: the very tables of PyIceberg's `SqlCatalog` and Java's `JdbcCatalog` (its schema
 * V1; V0, without `iceberg_type`, is opened as it is), so that both open them. A row holds the
 * location of the table's current metadata file; a commit moves it on from the file that it replaced.
 *
 * What this needs of a database is a `SqlDatabase`: `sqlite.ts`, `postgres.ts`.
 */
import { fail, kindOf } from "#base/errors.ts";
import type { Catalog, TableName } from "./catalog.ts";
import { tableLocation } from "./names.ts";
import {
  createPointerCatalog,
  type NextPointer,
  type Pointer,
  type PointerCatalogParts,
  type PointerStore,
  type PointerWrite,
} from "./pointer.ts";
import { connectPostgres } from "./postgres.ts";
import type { OpenPostgresPool } from "./postgresPool.ts";
import { isPostgresUri, parsePostgresUri } from "./postgresUrl.ts";
import type { Ended, SqlDatabase } from "./sqlDatabase.ts";
import { connectSqlite, type OpenSqlite, sqlitePath } from "./sqlite.ts";

const TABLE_ROWS = `CREATE TABLE IF NOT EXISTS iceberg_tables (
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

/** The tables of a catalog: how each is made, and what a writer must be allowed in it. */
const TABLES = [
  { name: "iceberg_tables", sql: TABLE_ROWS, rights: ["SELECT", "INSERT", "UPDATE"] },
  { name: "iceberg_namespace_properties", sql: NAMESPACES, rights: ["SELECT", "INSERT"] },
] as const;

/** Tries to make a table beside others that make it too. */
const CREATE_TRIES = 5;

/** Settings of the SQL catalog. */
export interface SqlCatalogOptions {
  /** `sqlite:catalog.db`, `sqlite:///abs/catalog.db` or `postgres://user:password@host/database`. */
  readonly uri: string;
  /** The catalog's name inside the database; other engines must use the same. */
  readonly name: string;
  /** Where new tables live: `/abs/path`, `file:///abs/path` or `s3://bucket/prefix`. */
  readonly warehouse: string;
  /** True: nothing is ever written, and the database must exist; its tables need not. */
  readonly readOnly: boolean;
  /** Connections to a PostgreSQL server; default 5. */
  readonly connectionsMax?: number;
}

/** What the SQL catalog is built from. */
export interface SqlCatalogParts extends PointerCatalogParts {
  /** Default: `openSqlite`. */
  readonly openDatabase?: OpenSqlite;
  /** Default: `openPostgresPool`. */
  readonly openPool?: OpenPostgresPool;
}

const CONNECTIONS = 5;

/** Opens a SQL catalog. Throws `usage` for a URI that is neither SQLite's nor PostgreSQL's. */
export function createSqlCatalog(options: SqlCatalogOptions, parts: SqlCatalogParts): Catalog {
  if (isPostgresUri(options.uri)) {
    const { readOnly, connectionsMax = CONNECTIONS } = options;
    const address = parsePostgresUri(options.uri);
    return createPointerCatalog(
      new SqlPointers(options, address.place, () =>
        connectPostgres(address, readOnly ? 1 : connectionsMax, readOnly, parts),
      ),
      parts,
    );
  }
  const path = sqlitePath(options.uri);
  const connect = (): Promise<SqlDatabase> => connectSqlite(path, options.readOnly, parts);
  return createPointerCatalog(new SqlPointers(options, path, connect), parts);
}

interface OpenDatabase {
  readonly database: SqlDatabase;
  /** False for Java's schema V0. */
  readonly hasType: boolean;
  /** The tables are not there, and this catalog only reads. */
  readonly isBare: boolean;
}

/** The row is known by its key, and compared by its location. */
class SqlPointers implements PointerStore<null> {
  readonly type = "sql";
  readonly endsLateRequests = "all";
  private readonly options: SqlCatalogOptions;
  private readonly place: string;
  private readonly connect: () => Promise<SqlDatabase>;
  private opened: OpenDatabase | null = null;

  /** @param place the database, without secrets, for sentences */
  constructor(options: SqlCatalogOptions, place: string, connect: () => Promise<SqlDatabase>) {
    this.options = options;
    this.place = place;
    this.connect = connect;
  }

  async open(): Promise<void> {
    let database: SqlDatabase | null = null;
    try {
      database = await this.connect();
      if (!this.options.readOnly) await createTables(database);
      const columns = await database.columns("iceberg_tables");
      const hasType = columns.includes("iceberg_type");
      await this.opened?.database.close();
      this.opened = { database, hasType, isBare: columns.length === 0 };
    } catch (cause) {
      await database?.close();
      const kind = kindOf(cause) === "internal" ? "catalog_refused" : kindOf(cause);
      const sentence = `The catalog database ${this.place} cannot be opened`;
      throw fail(kind, sentence, { database: this.place }, cause);
    }
  }

  async close(): Promise<void> {
    await this.opened?.database.close();
    this.opened = null;
  }

  async missingRights(): Promise<string[]> {
    const { database } = this.use();
    const missing: string[] = [];
    for (const { name, rights } of TABLES) {
      missing.push(...(await database.missingRights(name, rights)));
    }
    return [...new Set(missing)];
  }

  async locationOf(name: TableName): Promise<string> {
    this.key(name);
    return tableLocation(this.options.warehouse, name);
  }

  async get(name: TableName): Promise<Pointer<null> | null> {
    const values = this.key(name);
    const { database, hasType, isBare } = this.use();
    if (isBare) return null;
    const [row] = await database.read({
      sql: `SELECT metadata_location FROM iceberg_tables
        WHERE catalog_name = ?1 AND table_namespace = ?2 AND table_name = ?3${tablesOnly(hasType)}`,
      values,
    });
    const location = row?.["metadata_location"];
    return typeof location === "string" ? { metadataLocation: location, row: null } : null;
  }

  async insert(name: TableName, { metadataLocation }: NextPointer): Promise<PointerWrite> {
    const values = this.key(name);
    const { database, hasType } = this.use();
    const namespace = {
      sql: `INSERT INTO iceberg_namespace_properties
        SELECT ?1, ?2, 'exists', 'true' WHERE NOT EXISTS (
          SELECT 1 FROM iceberg_namespace_properties WHERE catalog_name = ?1 AND namespace = ?2)
        ON CONFLICT DO NOTHING`,
      values: values.slice(0, 2),
    };
    const [type, tableType] = hasType ? [", iceberg_type", ", 'TABLE'"] : ["", ""];
    const table = {
      sql: `INSERT INTO iceberg_tables
        (catalog_name, table_namespace, table_name, metadata_location${type})
        VALUES (?1, ?2, ?3, ?4${tableType}) ON CONFLICT DO NOTHING`,
      values: [...values, metadataLocation],
    };
    return outcomeOf(await database.write([namespace, table]));
  }

  async swap(
    name: TableName,
    previous: Pointer<null>,
    { metadataLocation }: NextPointer,
  ): Promise<PointerWrite> {
    const { database } = this.use();
    const move = {
      sql: `UPDATE iceberg_tables SET metadata_location = ?4, previous_metadata_location = ?5
        WHERE catalog_name = ?1 AND table_namespace = ?2 AND table_name = ?3
        AND metadata_location = ?5`,
      values: [...this.key(name), metadataLocation, previous.metadataLocation],
    };
    return outcomeOf(await database.write([move]));
  }

  async list(namespace: TableName["namespace"]): Promise<string[]> {
    const { database, hasType, isBare } = this.use();
    if (isBare) return [];
    const rows = await database.read({
      sql: `SELECT table_name FROM iceberg_tables WHERE catalog_name = ?1 AND table_namespace = ?2
        ${tablesOnly(hasType)} ORDER BY table_name`,
      values: [this.options.name, namespaceKey(namespace)],
    });
    return rows.map((row) => String(row["table_name"]));
  }

  /** The row of a table. Throws `usage` for names that cannot be. */
  private key(name: TableName): string[] {
    return [this.options.name, namespaceKey(name.namespace), name.table];
  }

  private use(): OpenDatabase {
    if (this.opened !== null) return this.opened;
    throw fail("internal", "The catalog is not open");
  }
}

/**
 * Makes the tables that are missing; asked for first, since a login that may not make tables may use
 * those that are there. Of two that make one table at the same time PostgreSQL refuses one.
 */
async function createTables(database: SqlDatabase): Promise<void> {
  for (const { name, sql } of TABLES) {
    for (let tries = 0; (await database.columns(name)).length === 0; tries++) {
      if (tries === CREATE_TRIES) {
        throw fail("catalog_unreachable", `The table ${name} could not be made`, { table: name });
      }
      await database.write([{ sql, values: [] }]);
    }
  }
}

/** The last statement is the one that must have changed the table's row. */
function outcomeOf(ended: Ended<number[]>): PointerWrite {
  if (ended.kind === "unclear") return ended;
  if (ended.kind === "conflict") return { kind: "taken" };
  return { kind: ended.result.at(-1) === 1 ? "done" : "taken" };
}

/** Java's and PyIceberg's key of a namespace: levels joined by dots, without any escape. */
function namespaceKey(namespace: TableName["namespace"]): string {
  const dotted = namespace.find((level) => level.includes("."));
  if (dotted === undefined) return namespace.join(".");
  const sentence = `${JSON.stringify(dotted)} cannot be a level of a namespace of a SQL catalog`;
  throw fail("usage", `${sentence}: it holds a dot, by which the catalog separates levels`);
}

/** Excludes views; V0 has none. */
function tablesOnly(hasType: boolean): string {
  return hasType ? " AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL)" : "";
}
