/**
 * A real PostgreSQL server on loopback, with password login (SCRAM), from Debian's package.
 *
 * PostgreSQL refuses to run as root, so then it runs as the package's user `postgres`. Commits are
 * durable against the server's death (`kill`), not against a power loss: `fsync` is off.
 */
import { chownSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, run, type Service, startService, temporaryFolder } from "./process.ts";

const PACKAGES = "/usr/lib/postgresql";
const USER = "postgres";
/** Has what a URL must escape. */
const PASSWORD = "p@ss/w:rd%";

/** A running server. */
export interface PostgresService {
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly logFile: string;
  /**
   * `postgres://...` of a database, with the password.
   * @param port default the server's; a proxy's
   */
  uri(database: string, port?: number): string;
  /** Runs a statement as superuser; answers the rows, columns joined by `|`. */
  sql(statement: string, database?: string): Promise<string[]>;
  /** Creates an empty database. */
  createDatabase(name: string): Promise<void>;
  /** Orderly end (fast shutdown); data stays. */
  stop(): Promise<void>;
  /** SIGKILL to the server, whose sessions end with it; data stays. */
  kill(): Promise<void>;
  /** Stops it if it runs, and starts it again on the same port and data. */
  restart(): Promise<void>;
}

/** Options of {@link startPostgres}. */
export interface PostgresOptions {
  /** Default: a free one. */
  readonly port?: number;
  /** Certificate and key files (PEM) that the server shows; default: no TLS. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Further settings of the server, e.g. `wal_level`. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Starts a server and waits until it answers (about 2 s). */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresService> {
  const programs = await installed();
  const folder = await temporaryFolder("postgres");
  const as = await ownedBy(folder);
  const port = options.port ?? freePort();
  const data = join(folder, "data");
  const passwordFile = join(folder, "password");
  writeFileSync(passwordFile, PASSWORD);
  if (as.uid !== null) chownSync(passwordFile, as.uid, as.uid);
  const login = ["--auth=scram-sha-256", `--username=${USER}`, `--pwfile=${passwordFile}`];
  await run([...as.command, join(programs, "initdb"), "-D", data, "--no-sync", ...login]);
  const settings = {
    port: String(port),
    listen_addresses: "127.0.0.1",
    unix_socket_directories: folder,
    shared_buffers: "16MB",
    max_connections: "300",
    fsync: "off",
    ...options.settings,
    ...(await tlsSettings(options.tls, folder, as.uid)),
  };
  const logFile = join(folder, "postgres.log");
  const flags = Object.entries(settings).flatMap(([key, value]) => ["-c", `${key}=${value}`]);
  const start = (): Promise<Service> =>
    startService({
      name: "PostgreSQL",
      command: [...as.command, join(programs, "postgres"), "-D", data, ...flags],
      logFile,
      ready: (log) => log.includes("database system is ready to accept connections"),
    });
  let service = await start();
  let running = true;
  const end = async (how: () => Promise<void>): Promise<void> => {
    if (running) await how();
    running = false;
  };
  // SIGINT is the fast shutdown: SIGTERM would wait for the clients.
  const stop = async (): Promise<void> => {
    await service.kill("SIGINT");
    await service.exited;
  };
  const sql = async (statement: string, database = USER): Promise<string[]> => {
    const place = ["-h", "127.0.0.1", "-p", String(port), "-U", USER, "-d", database];
    const psql = [join(programs, "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"];
    const out = await run([...psql, ...place, "-c", statement], { env: { PGPASSWORD: PASSWORD } });
    return out.split("\n").filter((line) => line !== "");
  };
  return {
    port,
    user: USER,
    password: PASSWORD,
    logFile,
    uri: (database, at = port) =>
      `postgres://${USER}:${encodeURIComponent(PASSWORD)}@127.0.0.1:${at}/${database}`,
    sql,
    createDatabase: async (name) => {
      await sql(`CREATE DATABASE ${name}`);
    },
    stop: () => end(stop),
    kill: () => end(() => service.kill()),
    restart: async () => {
      await end(stop);
      service = await start();
      running = true;
    },
  };
}

/** The folder of the newest version's programs; Debian's package is installed where there is none. */
async function installed(): Promise<string> {
  if (!existsSync(PACKAGES)) {
    await run(["apt-get", "install", "-y", "-q", "--no-install-recommends", "postgresql"], {
      env: { DEBIAN_FRONTEND: "noninteractive" },
    });
  }
  const [newest] = readdirSync(PACKAGES).sort((a, b) => Number(b) - Number(a));
  return join(PACKAGES, newest ?? "", "bin");
}

interface RunAs {
  /** Put before a command. */
  readonly command: readonly string[];
  /** Whose the files must be; null: ours. */
  readonly uid: number | null;
}

/** Who runs the server; a folder of root's is given to the package's user. */
async function ownedBy(folder: string): Promise<RunAs> {
  if (process.getuid?.() !== 0) return { command: [], uid: null };
  const uid = Number(await run(["id", "-u", USER]));
  chownSync(folder, uid, uid);
  return { command: ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups"], uid };
}

async function tlsSettings(
  tls: PostgresOptions["tls"],
  folder: string,
  uid: number | null,
): Promise<Record<string, string>> {
  if (tls === undefined) return {};
  const own = join(folder, "tls");
  mkdirSync(own);
  const settings: Record<string, string> = { ssl: "on" };
  for (const [setting, from] of [
    ["ssl_cert_file", tls.cert],
    ["ssl_key_file", tls.key],
  ] as const) {
    const file = join(own, setting);
    await Bun.write(file, Bun.file(from), { mode: 0o600 });
    if (uid !== null) chownSync(file, uid, uid);
    settings[setting] = file;
  }
  if (uid !== null) chownSync(own, uid, uid);
  return settings;
}
