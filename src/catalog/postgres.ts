/**
 * PostgreSQL as the SQL catalog's database: transactions with three outcomes (SPEC 2.4).
 *
 * Until COMMIT is sent everything is definite: a server rolls back what it got no COMMIT for, so the
 * connection is dropped and nothing was changed. From then on only the server's own word is: COMMIT,
 * or that it rolled back. A lost connection, a timeout or an administrator's stop is unclear.
 *
 * READ COMMITTED is enough: an UPDATE that waited for another's row compares its WHERE again.
 */
import type { Clock } from "#base/clock.ts";
import { AppError, type ErrorKind, fail } from "#base/errors.ts";
import {
  CONNECT_MS_MAX,
  type OpenPostgresPool,
  openPostgresPool,
  type PostgresAnswer,
  type PostgresPool,
  type PostgresSession,
} from "./postgresPool.ts";
import type { PostgresAddress } from "./postgresUrl.ts";
import type { Ended, SqlDatabase, SqlStatement } from "./sqlDatabase.ts";

/** The server ends a statement that runs or waits longer, ms. */
const STATEMENT_MS_MAX = 10_000;
/** An answer that takes longer never comes: the connection is given up, ms. */
const ANSWER_MS_MAX = STATEMENT_MS_MAX + 5000;

/**
 * Timeouts hold for the transaction, so that a pooler's next client does not get them. A process that
 * stands still holds a row no longer than one statement. A commit must survive the server's crash,
 * whatever the server's default is; stronger settings stay.
 */
const BEGIN = `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
  SET LOCAL statement_timeout = ${STATEMENT_MS_MAX};
  SET LOCAL idle_in_transaction_session_timeout = ${STATEMENT_MS_MAX};
  SELECT set_config('synchronous_commit', 'on', true)
    WHERE current_setting('synchronous_commit') = 'off'`;

const COLUMNS = `SELECT attname FROM pg_attribute
  WHERE attrelid = to_regclass(?1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum`;

const MISSING_RIGHTS = `SELECT r || ' on table ' || ?1 AS missing
  FROM unnest(string_to_array(?2, ',')) r
  WHERE to_regclass(?1) IS NOT NULL AND NOT has_table_privilege(to_regclass(?1), r)
  UNION ALL
  SELECT 'CREATE on schema ' || coalesce(current_schema(), '(search_path names none)')
  WHERE to_regclass(?1) IS NULL
  AND NOT coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)`;

/** What a connection is built from. */
export interface PostgresParts {
  readonly clock: Clock;
  /** Default: {@link openPostgresPool}. */
  readonly openPool?: OpenPostgresPool;
}

/**
 * Connects to a database. Throws `catalog_unreachable`, `catalog_refused`.
 * @param connectionsMax at least 1
 * @param readOnly true: writes are refused
 */
export async function connectPostgres(
  address: PostgresAddress,
  connectionsMax: number,
  readOnly: boolean,
  parts: PostgresParts,
): Promise<SqlDatabase> {
  const pool = (parts.openPool ?? openPostgresPool)(address, connectionsMax);
  const database = new PostgresDatabase(pool, readOnly, parts.clock);
  try {
    await database.read({ sql: "SELECT 1 AS one", values: [] });
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}

class PostgresDatabase implements SqlDatabase {
  readonly #pool: PostgresPool;
  readonly #readOnly: boolean;
  readonly #clock: Clock;

  constructor(pool: PostgresPool, readOnly: boolean, clock: Clock) {
    this.#pool = pool;
    this.#readOnly = readOnly;
    this.#clock = clock;
  }

  async read(statement: SqlStatement): Promise<Record<string, unknown>[]> {
    const session = await this.#session();
    try {
      const { rows } = await this.#run(session, statement);
      session.release();
      return [...rows];
    } catch (error) {
      session.drop();
      throw postgresError(error);
    }
  }

  async write(statements: readonly SqlStatement[]): Promise<Ended<number[]>> {
    if (this.#readOnly) throw fail("catalog_refused", "The catalog is opened for reading only");
    const session = await this.#session();
    const result: number[] = [];
    try {
      await this.#run(session, { sql: BEGIN, values: [] });
      for (const each of statements) result.push((await this.#run(session, each)).count);
    } catch (error) {
      session.drop();
      if (isConflict(error)) return { kind: "conflict", cause: postgresError(error) };
      throw postgresError(error);
    }
    return this.#commit(session, result);
  }

  async columns(table: string): Promise<string[]> {
    const rows = await this.read({ sql: COLUMNS, values: [table] });
    return rows.map((row) => String(row["attname"]));
  }

  async missingRights(table: string, rights: readonly string[]): Promise<string[]> {
    const rows = await this.read({ sql: MISSING_RIGHTS, values: [table, rights.join(",")] });
    return rows.map((row) => String(row["missing"]));
  }

  close(): Promise<void> {
    return this.#pool.close();
  }

  async #commit(session: PostgresSession, result: number[]): Promise<Ended<number[]>> {
    try {
      const { command } = await this.#run(session, { sql: "COMMIT", values: [] });
      session.release();
      if (command === "COMMIT") return { kind: "done", result };
      return { kind: "conflict", cause: `the server answered COMMIT with ${command}` };
    } catch (error) {
      session.drop();
      const cause = postgresError(error);
      return isConflict(error) ? { kind: "conflict", cause } : { kind: "unclear", cause };
    }
  }

  async #session(): Promise<PostgresSession> {
    const late = new AbortController();
    const session = this.#pool.reserve(late.signal);
    try {
      return await this.#within(2 * CONNECT_MS_MAX, session, "no connection was free");
    } catch (error) {
      late.abort();
      // One that comes nevertheless is nobody's.
      session.then((unused) => unused.release()).catch(() => undefined);
      throw postgresError(error);
    }
  }

  #run(session: PostgresSession, { sql, values }: SqlStatement): Promise<PostgresAnswer> {
    // The type is said: PostgreSQL deduces different ones for a value that is used twice.
    const answer = session.run(sql.replaceAll(/\?(\d+)/g, "$$$1::text"), values);
    return this.#within(ANSWER_MS_MAX, answer, "no answer came");
  }

  async #within<T>(ms: number, running: Promise<T>, what: string): Promise<T> {
    const ended = new AbortController();
    const late = this.#clock.sleep(ms, ended.signal).then((): never => {
      throw fail("catalog_unreachable", `PostgreSQL: ${what} within ${ms / 1000} s`, { ms });
    });
    try {
      return await Promise.race([running, late]);
    } finally {
      ended.abort();
    }
  }
}

/** The server's own word: SQLSTATE and severity; null for what the client made of a connection. */
function serverError(error: unknown): { readonly state: string; readonly severity: string } | null {
  if (!(error instanceof Error) || !("errno" in error) || !("severity" in error)) return null;
  return { state: String(error.errno), severity: String(error.severity) };
}

/**
 * Another transaction was in the way, and this one is rolled back: a serialization failure, a deadlock,
 * a key or a table that another has just made. Not 40003: there the server does not know.
 */
function isConflict(error: unknown): boolean {
  const said = serverError(error);
  if (said === null || said.severity !== "ERROR") return false;
  return /^40(?!003)|^23505$|^42P07$|^42710$/.test(said.state);
}

/** Bun's errors as ours; others as they are. */
export function postgresError(error: unknown): unknown {
  if (error instanceof AppError || !(error instanceof Error)) return error;
  const said = serverError(error);
  if (said !== null) {
    const { state } = said;
    const sentence = `PostgreSQL answered ${state}: ${error.message}`;
    return fail(kindOfState(state), sentence, { sqlstate: state }, error);
  }
  const code = "code" in error ? String(error.code) : error.name;
  const kind: ErrorKind = isRefusal(code) ? "catalog_refused" : "catalog_unreachable";
  return fail(kind, `PostgreSQL cannot be reached (${code})`, { code }, error);
}

/**
 * What a person must mend: login (28), database (3D), schema (3F), rights and tables (42), values that do
 * not fit (22), a replica (25006). Everything else may pass by itself.
 */
function kindOfState(state: string): ErrorKind {
  return /^(22|28|3D|3F|42|25006)/.test(state) ? "catalog_refused" : "catalog_unreachable";
}

/** TLS that is not there or not trusted, a login that the client cannot do. */
function isRefusal(code: string): boolean {
  return /TLS|CERT|VERIFY|ALTNAME|AUTHENTICATION|PASSWORD|SASL|HOSTNAME_MISMATCH|ISSUER|ENOENT/.test(
    code,
  );
}
