/**
 * Catalog servers as proofs and conformance tests take them: one way to start each, to reach it, to
 * make it fail, and to read a table through it.
 */
import { systemClock } from "#base/clock.ts";
import { createMetastore } from "#catalog/hive/metastore.ts";
import type { StoreAccess, TableSource } from "../judge/judge.ts";
import { type ExpiringS3, startExpiringS3 } from "./expiringS3.ts";
import { type FaultMode, type FaultProxy, startFaultProxy } from "./faultProxy.ts";
import { startHive } from "./hive.ts";
import type { HiveVersion } from "./hiveJars.ts";
import { type RestFault, startIcebergRest } from "./icebergRest.ts";
import { startKeycloak } from "./keycloak.ts";
import { startMoto } from "./moto.ts";
import { startNessie } from "./nessie.ts";
import { startPostgres } from "./postgres.ts";
import { temporaryFolder } from "./process.ts";
import type { Config } from "./product.ts";
import { startS3 } from "./versitygw.ts";

/** One way in which a commit goes wrong on its way, once. */
export interface Trouble {
  readonly name: string;
  /** Makes it happen to the next commit; resolves when it may have happened. */
  begin(): Promise<void>;
}

/** A running catalog. */
export interface CatalogServer {
  /** `[iceberg]` and `[storage]` of a configuration that reaches it. */
  readonly config: Config;
  /** Environment that the product needs besides, default none. */
  readonly env?: Readonly<Record<string, string>>;
  /** A table of the configuration's namespace, through the catalog as far as PyIceberg can; it exists. */
  table(name: string): TableSource | Promise<TableSource>;
  /** Where its tables lie, when that is no local disk; with keys that do not end. */
  readonly s3?: StoreAccess;
  /** The front that only takes lent keys. */
  readonly front?: ExpiringS3;
  /** It shows the head of a table alone. */
  readonly hidesAncestors?: boolean;
  /** What no log may show. */
  readonly secrets: readonly string[];
  readonly troubles: readonly Trouble[];
  /** Ends all trouble. */
  calm(): Promise<void>;
  /** Requests about tables that it has answered, by `METHOD status`; absent where it does not tell. */
  readonly counts?: () => Promise<Readonly<Record<string, number>>>;
  /** The server is gone until it is started again, on the same address and data. */
  readonly away?: { stop(): Promise<void>; start(): Promise<void> };
  stop(): Promise<void>;
}

const COMMITS = "^POST .*/(tables/[^/]+|transactions/commit)$";
const REST_FAULTS: readonly Pick<RestFault, "mode" | "status">[] = [
  { mode: "drop-after" },
  { mode: "before", status: 500 },
  { mode: "after", status: 500 },
  { mode: "before", status: 502 },
  { mode: "after", status: 502 },
  { mode: "before", status: 503 },
  { mode: "after", status: 503 },
  { mode: "before", status: 504 },
  { mode: "after", status: 504 },
  { mode: "hang-after" },
  { mode: "drop-before" },
  { mode: "nothing" },
];

/** Names of the servers. */
export type CatalogServerName =
  | "rest"
  | "rest-vended"
  | "nessie"
  | "nessie-keycloak"
  | "nessie-signing"
  | "postgres"
  | "glue"
  | "hive"
  | "hive-4.0.1";

/** Each by its name. */
export const CATALOG_SERVERS: Readonly<Record<CatalogServerName, () => Promise<CatalogServer>>> = {
  rest: () => restServer(),
  "rest-vended": () => vendingServer(5000, 10_000),
  nessie: () => nessieServer(null),
  "nessie-keycloak": () => nessieServer(5),
  "nessie-signing": () => nessieServer(null, true),
  postgres: postgresServer,
  glue: glueServer,
  hive: () => hiveServer("4.0.0"),
  "hive-4.0.1": () => hiveServer("4.0.1"),
};

/** Topic of a proof on a server: a name that each catalog keeps for the table as it is. */
export function topicOf(proof: string, name: string): string {
  return `${proof}_${name.replaceAll(/\W/g, "_")}`;
}

/** Iceberg's own REST server, its tables on the local disk; nobody signs in. */
async function restServer(): Promise<CatalogServer> {
  const rest = await startIcebergRest();
  return {
    config: { iceberg: { catalog_type: "rest", rest: { uri: rest.uri, ...IMPATIENT } } },
    table: (name) => ({ rest: { table: `default.${name}`, properties: { uri: rest.uri } } }),
    secrets: [],
    counts: rest.counts,
    ...troublesOf(rest.fault),
    away: { stop: () => rest.stop(), start: () => rest.restart() },
    stop: () => rest.stop(),
  };
}

/**
 * Iceberg's own REST server with OAuth2, its tables on S3, whose keys it lends: nothing else opens the
 * store.
 */
async function vendingServer(tokenMs: number, lendMs: number): Promise<CatalogServer> {
  const s3 = await startS3();
  const front = await startExpiringS3(s3);
  const credential = "us:s3cret";
  const rest = await startIcebergRest({
    warehouse: "s3://warehouse/rest",
    oauth: { credential, tokenMs },
    lendMs,
    properties: {
      "io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
      "s3.endpoint": s3.endpoint,
      "s3.path-style-access": "true",
      "s3.access-key-id": s3.accessKey,
      "s3.secret-access-key": s3.secretKey,
      "client.region": s3.region,
      "include-credentials": "true",
    },
  });
  const signIn = { credential_type: "oauth2", credential };
  return {
    config: {
      iceberg: { catalog_type: "rest", rest: { uri: rest.uri, ...signIn } },
      // No keys: those are the catalog's.
      storage: { s3: { endpoint: front.endpoint } },
    },
    table: (name) => ({
      rest: { table: `default.${name}`, properties: { uri: rest.uri, credential } },
    }),
    s3,
    front,
    counts: rest.counts,
    secrets: [credential, "s3cret", s3.secretKey],
    ...troublesOf(rest.fault),
    stop: async () => {
      front.stop();
      await Promise.all([rest.stop(), s3.stop()]);
    },
  };
}

/**
 * @param tokenSeconds life of Keycloak's tokens; null: nobody signs in, and a branch is filled
 * @param signs whether Nessie keeps the keys of the store, and signs requests
 */
async function nessieServer(tokenSeconds: number | null, signs = false): Promise<CatalogServer> {
  const s3 = await startS3();
  const keycloak = tokenSeconds === null ? null : await startKeycloak(tokenSeconds);
  const nessie = await startNessie(s3, "warehouse", keycloak);
  const ref = keycloak === null ? "ingest" : "main";
  if (keycloak === null) await nessie.createBranch(ref);
  const proxy = startFaultProxy(new URL(nessie.uri).host);
  const uri = `http://127.0.0.1:${proxy.port}/iceberg`;
  const signIn = keycloak && {
    credential_type: "oauth2",
    credential: keycloak.credential,
    oauth2_server_uri: keycloak.tokens,
    scope: "catalog",
  };
  const properties = {
    uri: `${nessie.uri}/${ref}`,
    ...(keycloak && {
      credential: keycloak.credential,
      "oauth2-server-uri": keycloak.tokens,
      scope: "catalog",
    }),
  };
  const { endpoint, accessKey, secretKey } = s3;
  const keys = { access_key_id: accessKey, secret_access_key: secretKey };
  return {
    config: {
      iceberg: {
        catalog_type: "nessie",
        nessie: { uri, ref },
        rest: { ...signIn, ...IMPATIENT, remote_signing: signs },
      },
      storage: { s3: { endpoint, ...(signs ? {} : keys) } },
    },
    table: (name) => ({ rest: { table: `default.${name}`, properties } }),
    s3,
    hidesAncestors: true,
    secrets: keycloak === null ? [secretKey] : [secretKey, keycloak.credential],
    ...proxyTroubles(proxy, /^POST \S*\/tables\/[^/ ]+ /),
    stop: async () => {
      proxy.stop();
      await Promise.all([nessie.stop(), keycloak?.stop(), s3.stop()]);
    },
  };
}

/** A SQL catalog on PostgreSQL, its tables on the local disk. */
async function postgresServer(): Promise<CatalogServer> {
  const server = await startPostgres();
  const proxy = startFaultProxy(`127.0.0.1:${server.port}`);
  // Without TLS, so that the proxy can see what is a COMMIT.
  const uri = `${server.uri("postgres", proxy.port)}?sslmode=disable`;
  const name = "default";
  const readers = server.uri("postgres").replace("postgres:", "postgresql+psycopg2:");
  const { troubles, calm } = proxyTroubles(proxy, /COMMIT\0/);
  const endSessions = {
    name: "the sessions are ended",
    begin: async () => {
      await server.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = 'kafka-iceberg'`);
    },
  };
  return {
    config: {
      iceberg: {
        catalog_type: "sql",
        warehouse_path: await temporaryFolder("postgres-warehouse"),
        sql: { uri, name },
      },
      "iceberg.catalog_manager": { connection_pool_size: 2, circuit_breaker_reset_ms: 500 },
    },
    table: (table) => ({ sql: { uri: readers, name, table: `default.${table}` } }),
    secrets: [server.password],
    troubles: [...troubles, endSessions],
    calm,
    away: { stop: () => server.stop(), start: () => server.restart() },
    stop: async () => {
      proxy.stop();
      await server.stop();
    },
  };
}

/** Glue of moto with Glue's optimistic locking, its tables on moto's S3. */
async function glueServer(): Promise<CatalogServer> {
  const moto = await startMoto();
  const proxy = startFaultProxy(`127.0.0.1:${moto.port}`);
  const { endpoint, region, environment } = moto;
  // Of the store; for Glue they come from the environment. moto takes any.
  const s3 = { endpoint, region, accessKey: "key", secretKey: "store-s3cret" };
  const keys = { access_key_id: s3.accessKey, secret_access_key: s3.secretKey };
  const properties = {
    type: "glue",
    "glue.endpoint": endpoint,
    "glue.region": region,
    "glue.access-key-id": s3.accessKey,
    "glue.secret-access-key": s3.secretKey,
  };
  return {
    config: {
      iceberg: {
        catalog_type: "glue",
        warehouse_path: "s3://warehouse/lake",
        glue: { endpoint: `http://127.0.0.1:${proxy.port}`, region, ...IMPATIENT },
      },
      storage: { s3: { endpoint, region, ...keys } },
    },
    env: environment,
    table: (name) => ({ catalog: { table: `default.${name}`, properties } }),
    s3,
    secrets: [s3.secretKey],
    ...proxyTroubles(proxy, /AWSGlue\.UpdateTable/, HTTP_ANSWERS),
    stop: async () => {
      proxy.stop();
      await moto.stop();
    },
  };
}

/** A Hive Metastore, its tables on the local disk. */
async function hiveServer(version: HiveVersion): Promise<CatalogServer> {
  const hive = await startHive({ version });
  const proxy = startFaultProxy(`127.0.0.1:${hive.port}`);
  const { uri, warehouse } = hive;
  // `default` is there already, and lies in the managed warehouse.
  const database = "lake";
  const properties = { type: "hive", uri, warehouse };
  return {
    config: {
      iceberg: {
        catalog_type: "hive",
        warehouse_path: warehouse,
        database_name: database,
        hive: { metastore_uri: `thrift://127.0.0.1:${proxy.port}`, ...IMPATIENT },
      },
    },
    // PyIceberg asks for tables by a call that 4.0.1 has no more.
    table: async (name) =>
      version === "4.0.1"
        ? { metadata: await hiveMetadataLocation(hive.port, database, name) }
        : { catalog: { table: `${database}.${name}`, properties } },
    secrets: [],
    ...proxyTroubles(proxy, /alter_table_with_environment_context/),
    away: { stop: () => hive.kill(), start: () => hive.restart() },
    stop: async () => {
      proxy.stop();
      await hive.stop();
    },
  };
}

/** Of one table, by our own client. */
async function hiveMetadataLocation(
  port: number,
  database: string,
  table: string,
): Promise<string> {
  const metastore = createMetastore({
    addresses: [{ host: "127.0.0.1", port }],
    login: null,
    connectionsMax: 1,
    timeoutMs: 10_000,
    clock: systemClock,
  });
  const answer = await metastore.getTable(database, table);
  metastore.close();
  if (answer.kind !== "done") throw answer.error;
  const location = answer.value.parameters?.["metadata_location"];
  if (location === undefined) throw new Error(`${database}.${table} has no metadata_location`);
  return location;
}

/** Hanging answers are given up soon, so that there are many of them in a short time. */
const IMPATIENT = { request_timeout_seconds: 1 } as const;

function troublesOf(
  fault: (fault: RestFault) => Promise<void>,
): Pick<CatalogServer, "troubles" | "calm"> {
  return {
    troubles: REST_FAULTS.map(({ mode, status = 503 }) => ({
      name: mode === "before" || mode === "after" ? `${mode} ${status}` : mode,
      begin: () => fault({ mode, status, match: COMMITS }),
    })),
    calm: () => fault({ mode: "before", match: COMMITS, times: 0 }),
  };
}

/** Answers of an HTTP server that does something else than it says: 5xx before and after, and 200 before. */
const HTTP_ANSWERS: readonly Pick<HttpAnswer, "status" | "applied">[] = [
  ...[500, 502, 503, 504].flatMap((status) => [
    { status, applied: false },
    { status, applied: true },
  ]),
  { status: 200, applied: false },
];
type HttpAnswer = Extract<FaultMode, { kind: "answer" }>;

/**
 * @param commit the bytes of a request that commits begin so
 * @param answers of a server that speaks HTTP
 */
function proxyTroubles(
  proxy: FaultProxy,
  commit: RegExp,
  answers: typeof HTTP_ANSWERS = [],
): Pick<CatalogServer, "troubles" | "calm"> {
  const happened = (): number => {
    const { swallowed, stalled, refused, answered } = proxy.counters;
    return swallowed + stalled + refused + answered;
  };
  const trouble = (name: string, mode: FaultMode, lastsMs: number): Trouble => ({
    name,
    begin: async () => {
      const before = happened();
      proxy.set(mode);
      for (let tries = 0; tries < 60 && happened() === before; tries++) await Bun.sleep(50);
      await Bun.sleep(lastsMs);
      proxy.set({ kind: "pass" });
    },
  });
  return {
    troubles: [
      trouble("applied, the answer lost", { kind: "swallow", match: commit }, 0),
      trouble("hangs, then applied", { kind: "stall", match: commit }, 1500),
      trouble("late, but in time", { kind: "stall", ms: 300, match: commit }, 0),
      trouble("connections reset", { kind: "refuse" }, 300),
      ...answers.map(({ status, applied }) =>
        trouble(
          `${status}, ${applied ? "applied" : "not applied"}`,
          { kind: "answer", status, applied, match: commit, once: true },
          0,
        ),
      ),
    ],
    calm: async () => proxy.set({ kind: "pass" }),
  };
}
