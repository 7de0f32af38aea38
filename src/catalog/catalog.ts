/**
 * The catalog port, shaped like the REST protocol's commit: requirements + updates, three outcomes.
 * Implementations: `file.ts` (SPEC 2.12) and, for catalogs that keep one pointer per table, `pointer.ts`
 * with `sql.ts` behind it; REST and Nessie come later.
 */
import type { Field } from "#columns/schema.ts";
import type { TableMetadata, TableRequirement, TableUpdate } from "#iceberg/metadata/metadata.ts";
import type { Storage } from "#storage/storage.ts";

/** A table's name; as text: `names.ts`. */
export interface TableName {
  /** The levels of the namespace (`iceberg.database_name`), outermost first; at least one. */
  readonly namespace: readonly string[];
  readonly table: string;
}

/** A table as the catalog has it now. */
export interface LoadedTable {
  readonly name: TableName;
  readonly metadata: TableMetadata;
  readonly metadataLocation: string;
  /**
   * Reads and writes this table's files, with the credentials that hold for this table. Whoever has
   * a table uses no other storage for it. The catalog closes it.
   */
  readonly storage: Storage;
}

/**
 * What became of a commit (SPEC 2.4). `unknown`: timeout, dropped socket, 5xx, or any answer to a
 * call that may have been sent twice; only reading the table can tell.
 */
export type CommitOutcome =
  | { readonly kind: "committed"; readonly table: LoadedTable }
  | { readonly kind: "conflict"; readonly cause: unknown }
  | { readonly kind: "unknown"; readonly cause: unknown };

/** What a catalog promises, and so what a writer may conclude (SPEC 2.2, 2.4). */
export interface CatalogTraits {
  /** `file`, `sql`, ...: the label of metrics and logs; nothing is concluded from it. */
  readonly type: string;
  /**
   * True: a snapshot that was committed is visible, with its parent's id, until a commit removes it,
   * so one whose id is not found, while no id is missing, did not land. False (Nessie): only the
   * branch's head is visible, without a parent, so what is not seen proves nothing: offsets come from
   * the table's property, by sequence number, and no file that was ever sent is removed.
   */
  readonly showsAncestors: boolean;
  /**
   * Which requests that were given up can no longer be applied once last-sequence-number has reached
   * that of their snapshot, since a commit compares that number or the metadata location. Files of
   * the others are never removed while they have no answer. `with-parent`: Iceberg's own servers
   * compare no number for a snapshot without a parent, and a branch that was begun anew without data
   * (`CREATE OR REPLACE`) is again as such a request demands it.
   */
  readonly endsLateRequests: "all" | "with-parent" | "none";
  /** True: a commit may remove schemas. False: the server may be older than that update, and refuse it. */
  readonly removesSchemas: boolean;
}

/** One table's part of a commit of several: what `Catalog.commit` takes. */
export interface TableChange {
  readonly name: TableName;
  readonly requirements: readonly TableRequirement[];
  readonly updates: readonly TableUpdate[];
}

/** What a new table needs. */
export interface CreateTable {
  readonly name: TableName;
  /**
   * Full metadata of the empty table at a location, made by `newTableMetadata`. A function, since the
   * catalog says where the table lives, and may say it only once it was asked to create.
   */
  readonly metadataAt: (location: string) => TableMetadata;
}

/** A view that we keep in a catalog. */
export interface KeptView {
  readonly name: TableName;
  /** Its columns as the text has them. */
  readonly fields: readonly Field[];
  /** The same text in the dialects of several engines; names without a namespace are of the view's own. */
  readonly texts: readonly { readonly dialect: string; readonly sql: string }[];
  /** A property by which we know it as ours. */
  readonly mark: readonly [key: string, value: string];
}

/** Tables by name, read without any cache. */
export interface Catalog {
  readonly traits: CatalogTraits;
  /** Connects and checks; throws `catalog_unreachable`, `catalog_refused`. */
  open(): Promise<void>;
  /**
   * The head, read now. Null when there is no such table. Throws `table_unsupported` for v1 tables
   * and newer formats, `catalog_unreachable`.
   */
  load(name: TableName): Promise<LoadedTable | null>;
  /**
   * Where a new table of that name would live; null where only creating it tells. For people: what
   * counts is the location in the metadata of the table that `create` answers.
   */
  locationOf(name: TableName): Promise<string | null>;
  /**
   * Creates a table and, where needed, its namespace; `conflict` when the name is taken.
   * Throws as `commit` does, `usage` for names that cannot be, and `catalog_refused` with one
   * sentence when the catalog does not take the location that it was given.
   */
  create(request: CreateTable): Promise<CommitOutcome>;
  /**
   * Applies `updates` when all `requirements` hold for the table as it is at that moment.
   * Never retried inside. The implementation makes the new metadata durable first.
   * Throws only before anything is sent, and only what another try cannot cure: what `load` throws
   * of that sort, and `table_schema` for columns that the table's format version cannot hold.
   */
  commit(
    name: TableName,
    requirements: readonly TableRequirement[],
    updates: readonly TableUpdate[],
  ): Promise<CommitOutcome>;
  /**
   * Commits the changes of several tables in one request, each with an outcome of its own, in their
   * order: servers promise all or nothing, and Iceberg's own keeps that only while nobody else commits.
   * A conflict of one is a conflict of all. Never throws: what forbids the change of one table, its own
   * `commit` will say. Null: the server does not offer it, and nothing was done; without
   * changes that alone is answered, as far as the server has said it. Absent where there is no such request.
   */
  commitTogether?(changes: readonly TableChange[]): Promise<readonly CommitOutcome[] | null>;
  /**
   * What the login lacks to create and commit these tables, as the catalog names it; empty: nothing
   * that shows without writing. Absent where only writing tells. For `check`, after `open`.
   */
  missingRights?(tables: readonly TableName[]): Promise<string[]>;
  /**
   * Makes a view, or brings one that is ours to this text. `taken`: somebody else's table or view has the
   * name, and is left as it is. Null: the server does not offer views. A view holds no rows, so what became of
   * a request without an answer the next call sees. Absent where the catalog has no views. Throws as `load`.
   */
  keepView?(view: KeptView): Promise<"made" | "kept" | "taken" | null>;
  /** Names of the tables of one namespace, without those of namespaces below it. */
  list(namespace: TableName["namespace"]): Promise<TableName[]>;
  close(): Promise<void>;
}
