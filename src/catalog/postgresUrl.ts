/**
 * `postgres://user:password@host:port/database?sslmode=...&sslrootcert=...` as settings. Nothing that
 * is thrown here repeats the URL: it holds the password.
 */
import { fail } from "#base/errors.ts";

/** How much TLS is asked for, in libpq's words. */
export type SslMode = "disable" | "prefer" | "require" | "verify-ca" | "verify-full";

/** Where a PostgreSQL database is, and who asks. */
export interface PostgresAddress {
  readonly hostname: string;
  /** Default 5432. */
  readonly port: number;
  readonly username: string;
  /** Empty: none. */
  readonly password: string;
  readonly database: string;
  /** Default `prefer`, as libpq; with `sslrootcert` `verify-full`. */
  readonly sslMode: SslMode;
  /** A file of CA certificates to verify the server by; null: the machine's. */
  readonly caFile: string | null;
  /** `postgres://host:port/database`, for sentences. */
  readonly place: string;
}

const MODES: readonly string[] = ["disable", "prefer", "require", "verify-ca", "verify-full"];
const PORT = 5432;

/** True for URIs of PostgreSQL, right or wrong ones. */
export function isPostgresUri(uri: string): boolean {
  return /^postgres(ql)?:/.test(uri);
}

/** Reads a URI. Throws `usage` with what is wrong with it. */
export function parsePostgresUri(uri: string): PostgresAddress {
  const url = URL.parse(uri);
  if (url === null || !/^postgres(ql)?:\/\//.test(uri)) {
    throw wrong("it is no URL: write postgres://user:password@host:5432/database");
  }
  // The `@` before the host stands behind a `/`, `?` or `#` of the password: what follows is part of it.
  if (`${url.pathname}${url.search}${url.hash}`.includes("@")) {
    throw wrong("a /, ?, # or @ in user, password or parameters is written %2F, %3F, %23, %40");
  }
  const database = decoded(url.pathname.slice(1));
  const username = decoded(url.username);
  if (url.hostname === "") throw wrong("the host is missing");
  if (username === "") throw wrong("the user is missing");
  if (database === "") throw wrong("the database is missing");
  let sslMode: string | null = null;
  let caFile: string | null = null;
  for (const [key, value] of url.searchParams) {
    if (key === "sslmode") sslMode = value;
    else if (key === "sslrootcert") caFile = value;
    else throw wrong(`this release knows sslmode and sslrootcert, not ${key}`);
  }
  sslMode ??= caFile === null ? "prefer" : "verify-full";
  if (!isMode(sslMode)) throw wrong(`sslmode is one of ${MODES.join(", ")}`);
  const port = url.port === "" ? PORT : Number(url.port);
  const place = `postgres://${url.hostname}:${port}/${database}`;
  const hostname = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const password = decoded(url.password);
  return { hostname, port, username, password, database, sslMode, caFile, place };
}

function isMode(word: string): word is SslMode {
  return MODES.includes(word);
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (cause) {
    throw wrong("a % in user, password or database is written %25", cause);
  }
}

function wrong(problem: string, cause?: unknown): Error {
  return fail("usage", `iceberg.sql.uri: ${problem}`, {}, cause);
}
