/**
 * What the SQL catalog needs of a database: queries, and transactions whose end is known or is said
 * to be unclear (SPEC 2.4).
 */

/** One statement; `?1`, `?2`, ... stand for its values. */
export interface SqlStatement {
  readonly sql: string;
  readonly values: readonly string[];
}

/**
 * How a transaction ended. `conflict`: another transaction was in the way, and nothing was changed;
 * `unclear`: its end was not acknowledged.
 */
export type Ended<T> =
  | { readonly kind: "done"; readonly result: T }
  | { readonly kind: "conflict"; readonly cause: unknown }
  | { readonly kind: "unclear"; readonly cause: unknown };

/** A database with durable, serialisable transactions. Throws `catalog_*`. */
export interface SqlDatabase {
  read(statement: SqlStatement): Promise<Record<string, unknown>[]>;
  /**
   * Runs statements in one transaction; answers how many rows each changed. Whatever it throws, the
   * database is as it was.
   */
  write(statements: readonly SqlStatement[]): Promise<Ended<number[]>>;
  /** Names of a table's columns; empty when there is no such table. */
  columns(table: string): Promise<string[]>;
  /**
   * What this login may not do, in the database's words: of `rights` on the table, or to make the
   * table when it is not there.
   */
  missingRights(table: string, rights: readonly string[]): Promise<string[]>;
  close(): Promise<void>;
}
