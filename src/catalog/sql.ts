/**
 * The SQL catalog: the very tables of PyIceberg's `SqlCatalog` and Java's `JdbcCatalog` (its schema
 * V1; V0, without `iceberg_type`, is opened as it is), so that both open them. A row holds the
 * location of the table's current metadata file; a commit moves it on from the file that it replaced.
 *
 * What this needs of a database is a `SqlDatabase`: SQLite's is in `sqlite.ts`.
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
import type { Ended, SqlDatabase } from "./sqlDatabase.ts";
import { connectSqlite, type OpenSqlite, sqlitePath } from "./sqlite.ts";

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
export interface SqlCatalogParts extends PointerCatalogParts {
  /** Default: `openSqlite`. */
  readonly openDatabase?: OpenSqlite;
}

/** Opens a SQL catalog. Throws `usage` for a URI that is not SQLite's. */
export function createSqlCatalog(options: SqlCatalogOptions, parts: SqlCatalogParts): Catalog {
  const path = sqlitePath(options.uri);
  const connect = (): Promise<SqlDatabase> => connectSqlite(path, options.readOnly, parts);
  return createPointerCatalog(new SqlPointers(options, path, connect), parts);
}

/** The row is known by its key, and compared by its location. */
class SqlPointers implements PointerStore<null> {
  readonly type = "sql";
  private readonly options: SqlCatalogOptions;
  private readonly place: string;
  private readonly connect: () => Promise<SqlDatabase>;
  private opened: { readonly database: SqlDatabase; readonly hasType: boolean } | null = null;

  /** @param place the database, without secrets, for sentences */
  constructor(options: SqlCatalogOptions, place: string, connect: () => Promise<SqlDatabase>) {
    this.options = options;
    this.place = place;
    this.connect = connect;
  }

  async open(): Promise<void> {
    try {
      const database = await this.connect();
      if (!this.options.readOnly) {
        await database.write([TABLES, NAMESPACES].map((sql) => ({ sql, values: [] })));
      }
      const columns = await database.columns("iceberg_tables");
      this.opened = { database, hasType: columns.includes("iceberg_type") };
    } catch (cause) {
      const kind = kindOf(cause) === "internal" ? "catalog_refused" : kindOf(cause);
      const sentence = `The catalog database ${this.place} cannot be opened`;
      throw fail(kind, sentence, { database: this.place }, cause);
    }
  }

  async close(): Promise<void> {
    await this.opened?.database.close();
    this.opened = null;
  }

  async locationOf(name: TableName): Promise<string> {
    this.key(name);
    return tableLocation(this.options.warehouse, name);
  }

  async get(name: TableName): Promise<Pointer<null> | null> {
    const values = this.key(name);
    const { database, hasType } = this.use();
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
          SELECT 1 FROM iceberg_namespace_properties WHERE catalog_name = ?1 AND namespace = ?2)`,
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
    const { database, hasType } = this.use();
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

  private use(): { readonly database: SqlDatabase; readonly hasType: boolean } {
    if (this.opened !== null) return this.opened;
    throw fail("internal", "The catalog is not open");
  }
}

/** The last statement is the one that must have changed the table's row. */
function outcomeOf(ended: Ended<number[]>): PointerWrite {
  if (ended.kind === "unclear") return ended;
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
