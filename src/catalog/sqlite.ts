/**
 * SQLite through `bun:sqlite`: durable transactions that wait for other processes without blocking
 * the event loop.
 *
 * SQLite's own busy handler would sleep inside a call, so it is off; a busy database is tried again
 * after a pause. `synchronous = EXTRA`: in SQLite's default journal mode a transaction whose
 * journal's removal is not synced would be rolled back by a power loss (SPEC 2.11).
 */
import { Database, SQLiteError } from "bun:sqlite";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import type { Clock } from "#base/clock.ts";
import { type ErrorKind, fail } from "#base/errors.ts";
import type { Random } from "#base/random.ts";
import type { Ended, SqlDatabase, SqlStatement } from "./sqlDatabase.ts";

/** How long another process's lock is waited for, ms. */
const BUSY_MS_MAX = 10_000;

/** Longest pause between two tries, ms. */
const PAUSE_MS_MAX = 20;

/** How a database file is opened; tests put a failing one in its place. */
export type OpenSqlite = (path: string, readOnly: boolean) => Promise<Database>;

/** Opens a database file; its folder is created where missing, unless `readOnly`. */
export const openSqlite: OpenSqlite = async (path, readOnly) => {
  if (!readOnly) await mkdir(dirname(path), { recursive: true });
  const database = new Database(path, readOnly ? { readonly: true } : { create: true });
  database.run("PRAGMA busy_timeout = 0");
  return database;
};

/** What a connection is built from. */
export interface SqliteParts {
  readonly clock: Clock;
  readonly random: Random;
  /** Default: {@link openSqlite}. */
  readonly openDatabase?: OpenSqlite;
}

/** Connects to a database file. Throws `catalog_refused`, `catalog_unreachable`. */
export async function connectSqlite(
  path: string,
  readOnly: boolean,
  parts: SqliteParts,
): Promise<SqlDatabase> {
  const open = parts.openDatabase ?? openSqlite;
  try {
    const database = await open(path, readOnly);
    if (!readOnly) await whenFree(parts, () => makeDurable(database));
    return connection(database, parts);
  } catch (error) {
    throw sqliteError(error);
  }
}

function connection(database: Database, parts: SqliteParts): SqlDatabase {
  const all = ({ sql, values }: SqlStatement): Record<string, unknown>[] =>
    database.query<Record<string, unknown>, string[]>(sql).all(...values);
  const run = ({ sql, values }: SqlStatement): number =>
    database.query<never, string[]>(sql).run(...values).changes;
  return {
    read: (statement) => whenFree(parts, () => all(statement)),
    write: (statements) =>
      whenFree(parts, () => transaction(database, () => statements.map((each) => run(each)))),
    columns: async (table) => {
      const rows = await whenFree(parts, () =>
        all({ sql: "SELECT name FROM pragma_table_info(?1)", values: [table] }),
      );
      return rows.map((row) => String(row["name"]));
    },
    // A file's rights are seen by whoever may write its folder.
    missingRights: async () => [],
    close: async () => database.close(),
  };
}

/** Makes transactions durable; reads the file, so it may find it busy. */
export function makeDurable(database: Database): void {
  database.run("PRAGMA synchronous = EXTRA");
}

/**
 * The path in `sqlite:catalog.db`, `sqlite:///abs/catalog.db` or `sqlite:////abs/catalog.db`.
 * Throws `usage` for other URIs.
 */
export function sqlitePath(uri: string): string {
  const path = /^sqlite:(?:\/\/)?(.*)$/s.exec(uri)?.[1]?.replace(/^\/+/, "/") ?? "";
  if (path !== "" && path !== ":memory:") return path;
  const forms = "sqlite:catalog.db, sqlite:///folder/catalog.db or postgres://user@host/database";
  throw fail("usage", `iceberg.sql.uri: write ${forms}`);
}

/** Runs `action` until the database is not busy. Other errors become ours. */
async function whenFree<T>(parts: { clock: Clock; random: Random }, action: () => T): Promise<T> {
  const deadline = parts.clock.monotonicMs() + BUSY_MS_MAX;
  for (;;) {
    try {
      return action();
    } catch (error) {
      if (!isBusy(error) || parts.clock.monotonicMs() >= deadline) throw sqliteError(error);
      await parts.clock.sleep(1 + parts.random.unit() * PAUSE_MS_MAX);
    }
  }
}

/**
 * Runs statements in one transaction that holds the write lock from its beginning. Whatever is
 * thrown, busy included, the database is as it was.
 */
function transaction<T>(database: Database, statements: () => T): Ended<T> {
  database.run("BEGIN IMMEDIATE");
  let result: T;
  try {
    result = statements();
  } catch (error) {
    rollBack(database);
    throw error;
  }
  try {
    database.run("COMMIT");
    return { kind: "done", result };
  } catch (cause) {
    rollBack(database);
    if (isBusy(cause)) throw cause;
    return { kind: "unclear", cause };
  }
}

/**
 * After a failed COMMIT there may be no transaction left. A connection that cannot roll back is
 * closed, which rolls back too: it must never read its own uncommitted rows.
 */
function rollBack(database: Database): void {
  try {
    if (database.inTransaction) database.run("ROLLBACK");
  } catch {
    database.close();
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof SQLiteError && /^SQLITE_(BUSY|LOCKED)/.test(error.code ?? "");
}

/** SQLite's errors as ours; others as they are. */
function sqliteError(error: unknown): unknown {
  if (!(error instanceof SQLiteError)) return error;
  const code = error.code ?? "SQLITE_ERROR";
  const refused = /^SQLITE_(READONLY|PERM|AUTH|NOTADB|CORRUPT|ERROR)/.test(code);
  const kind: ErrorKind = refused ? "catalog_refused" : "catalog_unreachable";
  return fail(kind, `The SQLite catalog answered ${code}`, { code }, error);
}
