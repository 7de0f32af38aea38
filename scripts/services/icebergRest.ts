/**
 * Iceberg's own REST catalog (the Apache fixture on a JDBC catalog in SQLite), loopback, with faults
 * and OAuth2 for tests: `IcebergRest.java` says which.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { icebergRestClassPath } from "./cache.ts";
import { accepts, freePort, type Service, startService, temporaryFolder } from "./process.ts";

/** Options of {@link startIcebergRest}. */
export interface IcebergRestOptions {
  /** The database and, without `warehouse`, the tables; default: a new temporary folder. */
  readonly dataDir?: string;
  /** Where tables live; default: a folder of `dataDir`. */
  readonly warehouse?: string;
  /** Client that gets tokens, and how long they live; default: nobody signs in. */
  readonly oauth?: { readonly credential: string; readonly tokenMs: number };
  /** How long the keys of the store that it hands out live; default: they do not end. */
  readonly lendMs?: number;
  /** Further properties of the catalog (`s3.endpoint`, `include-credentials`, ...). */
  readonly properties?: Readonly<Record<string, string>>;
}

/** What happens to requests whose `METHOD path` matches. */
export interface RestFault {
  readonly mode: "before" | "after" | "drop-before" | "drop-after" | "hang-after" | "nothing";
  readonly match: string;
  /** How many requests meet it; default 1. */
  readonly times?: number;
  /** Of `before` and `after`; default 503. */
  readonly status?: number;
}

/** A running REST catalog. */
export interface IcebergRest {
  /** `http://127.0.0.1:port`. */
  readonly uri: string;
  readonly warehouse: string;
  readonly logFile: string;
  fault(fault: RestFault): Promise<void>;
  /** Requests about tables that it has answered, by `METHOD status`. */
  counts(): Promise<Readonly<Record<string, number>>>;
  stop(): Promise<void>;
  /** SIGKILL, and a new one on the same port and database. */
  restart(): Promise<void>;
}

/** Starts a REST catalog and waits until it answers (about 2 s). */
export async function startIcebergRest(options: IcebergRestOptions = {}): Promise<IcebergRest> {
  const classPath = await icebergRestClassPath();
  const folder = options.dataDir ?? (await temporaryFolder("iceberg-rest"));
  mkdirSync(folder, { recursive: true });
  const port = freePort();
  const warehouse = options.warehouse ?? `file://${folder}/warehouse`;
  const properties = {
    port: String(port),
    "catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog",
    "jdbc.schema-version": "V1",
    uri: `jdbc:sqlite:${folder}/catalog.db?busy_timeout=10000`,
    warehouse,
    ...options.properties,
  };
  const { oauth, lendMs = 0 } = options;
  const logFile = join(folder, "rest.log");
  const start = (): Promise<Service> =>
    startService({
      name: "Iceberg's REST catalog",
      command: [
        "java",
        "-Xmx512m",
        "-XX:TieredStopAtLevel=1",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-cp",
        classPath,
        "org.apache.iceberg.rest.IcebergRest",
        ...Object.entries(properties).map(([key, value]) => `${key}=${value}`),
      ],
      env: {
        ...(oauth === undefined ? {} : { OAUTH: oauth.credential, TOKEN_MS: `${oauth.tokenMs}` }),
        LEND_MS: `${lendMs}`,
        AWS_REGION: "us-east-1",
      },
      logFile,
      ready: () => accepts(port),
    });
  let service = await start();
  const uri = `http://127.0.0.1:${port}`;
  return {
    uri,
    warehouse,
    logFile,
    fault: async ({ mode, match, times = 1, status = 503 }) => {
      const query = new URLSearchParams({ mode, match, times: `${times}`, status: `${status}` });
      const answer = await fetch(`${uri}/__fault?${query}`, { method: "POST" });
      if (answer.status !== 204) throw new Error(`The fault was not taken: ${answer.status}`);
    },
    counts: async () => (await (await fetch(`${uri}/__counts`)).json()) as Record<string, number>,
    stop: () => service.stop(),
    restart: async () => {
      await service.kill();
      service = await start();
    },
  };
}
