/**
 * Connections to PostgreSQL through Bun's SQL; the only file that knows of it (decision 0250).
 *
 * Everything runs on a reserved connection: Bun then neither sends a statement on another connection
 * nor hands a connection on that is in the middle of a transaction. Prepared statements have no names,
 * so a pooler that shares connections by transaction (PgBouncer) may stand between.
 */
import type { PostgresAddress } from "./postgresUrl.ts";

/** What a statement answered. */
export interface PostgresAnswer {
  readonly rows: readonly Record<string, unknown>[];
  /** Rows that the statement changed or read. */
  readonly count: number;
  /** The server's tag: `COMMIT`, `ROLLBACK`, `UPDATE`, ... */
  readonly command: string;
}

/** One connection, until it is released or dropped. */
export interface PostgresSession {
  /** Runs a statement with `$1`, `$2`, ...; without values it may be several, divided by `;`. */
  run(sql: string, values: readonly string[]): Promise<PostgresAnswer>;
  /** Gives it back, without a transaction. */
  release(): void;
  /** Closes it at once, also in the middle of a statement; the server rolls back. */
  drop(): void;
}

/** Connections that are made when they are needed. Errors are Bun's, see `postgresError`. */
export interface PostgresPool {
  /** Waits for a free connection, and connects; gives up when `signal` aborts. */
  reserve(signal: AbortSignal): Promise<PostgresSession>;
  close(): Promise<void>;
}

/** How a pool is opened; tests put a failing one in its place. */
export type OpenPostgresPool = (address: PostgresAddress, connectionsMax: number) => PostgresPool;

const SECOND_MS = 1000;
/** Longest wait for a connection, ms. */
export const CONNECT_MS_MAX = 10_000;
/** A connection that nobody used for so long is closed, before firewalls forget it, ms. */
const IDLE_MS_MAX = 60_000;
const APPLICATION_NAME = "kafka-iceberg";

/** Opens a pool; nothing is sent yet. */
export const openPostgresPool: OpenPostgresPool = (address, connectionsMax) => {
  const { hostname, port, username, password, database, sslMode, caFile } = address;
  const sql = new Bun.SQL({
    adapter: "postgres",
    // Bun would read a missing URL, and a database that only the URL names, from the environment.
    url: `postgres://${bracketed(hostname)}:${port}/?sslmode=${sslMode}`,
    hostname,
    port,
    username,
    password,
    database,
    ...(caFile === null ? {} : { tls: { ca: Bun.file(caFile) } }),
    max: connectionsMax,
    prepare: false,
    connectionTimeout: CONNECT_MS_MAX / SECOND_MS,
    idleTimeout: IDLE_MS_MAX / SECOND_MS,
    connection: { application_name: APPLICATION_NAME },
  });
  return {
    reserve: async (signal) => {
      const reserved = await sql.reserve({ signal });
      return {
        run: async (text, values) => {
          const answer: Answer = await reserved.unsafe(text, [...values]);
          return { rows: answer, count: answer.count, command: answer.command };
        },
        release: () => {
          reserved.release().catch(() => undefined);
        },
        drop: () => {
          reserved.close({ timeout: 0 }).catch(() => undefined);
        },
      };
    },
    close: () => sql.close({ timeout: 0 }),
  };
};

/** Bun's rows know what the server said of them. */
type Answer = Record<string, unknown>[] & { readonly count: number; readonly command: string };

function bracketed(hostname: string): string {
  return hostname.includes(":") ? `[${hostname}]` : hostname;
}
