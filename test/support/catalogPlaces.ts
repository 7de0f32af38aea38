/** Catalogs for `catalogContract.ts`, with faults at the write that decides a commit. */
import type { Database } from "bun:sqlite";
import { type Clock, systemClock } from "#base/clock.ts";
import { NoAnswer } from "#base/http.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import type { Catalog, CommitOutcome, TableName } from "#catalog/catalog.ts";
import { createFileCatalog } from "#catalog/file.ts";
import {
  createGlueCatalog,
  type GlueCatalogOptions,
  type GlueCatalogParts,
} from "#catalog/glue/glue.ts";
import {
  createHiveCatalog,
  type HiveCatalogOptions,
  type HiveCatalogParts,
} from "#catalog/hive/hive.ts";
import { createPointerCatalog } from "#catalog/pointer.ts";
import { openPostgresPool, type PostgresPool } from "#catalog/postgresPool.ts";
import type { RestCatalogOptions } from "#catalog/rest/options.ts";
import { createRestCatalog } from "#catalog/rest/restCatalog.ts";
import { createSqlCatalog } from "#catalog/sql.ts";
import { openSqlite } from "#catalog/sqlite.ts";
import type { Storage } from "#storage/storage.ts";
import { createGlueFake } from "../fakes/glue.ts";
import { memoryPointers, memoryRows } from "../fakes/memoryPointers.ts";
import type { Fault } from "../fakes/memoryStorage.ts";
import { createMetastoreFake } from "../fakes/metastore.ts";
import { createRestFake, lost } from "../fakes/restServer.ts";
import type { Place } from "./catalogContract.ts";

const fixedClock: Clock = { ...systemClock, nowMs: () => 5_000 };

function faulty(storage: Storage, next: { fault: Fault }): Storage {
  const inject = async <T>(location: string, run: () => Promise<T>): Promise<T> => {
    const fault = location.endsWith(".metadata.json") ? next.fault : null;
    if (fault === null) return run();
    next.fault = null;
    if (fault === "after") await run();
    throw new Error("the connection was lost");
  };
  return {
    ...storage,
    put: (location, content) => inject(location, () => storage.put(location, content)),
    putIfAbsent: (location, content) =>
      inject(location, () => storage.putIfAbsent(location, content)),
  };
}

/** A file catalog on any storage. */
export function filePlace(storage: Storage, warehouse: string): Place {
  const next: { fault: Fault } = { fault: null };
  return {
    open: async () => {
      const catalog = createFileCatalog(
        { warehouse, readOnly: false },
        { storage: faulty(storage, next), clock: fixedClock, log: silentLogger },
      );
      await catalog.open();
      return catalog;
    },
    failNextWrite: (fault) => {
      next.fault = fault;
    },
  };
}

let databases = 0;

/** A SQL catalog in a new database below `root`. */
export function sqlPlace(root: string, storage: Storage, warehouse: string): Place {
  const next: { fault: Fault } = { fault: null };
  const uri = `sqlite://${root}/sql-${databases++}/catalog.db`;
  return {
    open: async () => {
      const catalog = createSqlCatalog(
        { uri, name: "default", warehouse, readOnly: false },
        {
          storage,
          clock: fixedClock,
          random: systemRandom,
          log: silentLogger,
          openDatabase: async (path, readOnly) =>
            faultyDatabase(await openSqlite(path, readOnly), next),
        },
      );
      await catalog.open();
      return catalog;
    },
    failNextWrite: (fault) => {
      next.fault = fault;
    },
  };
}

/** A SQL catalog in a database of a PostgreSQL server. */
export function postgresPlace(uri: string, storage: Storage, warehouse: string): Place {
  const next: { fault: Fault } = { fault: null };
  const name = `catalog-${databases++}`;
  return {
    open: async () => {
      const catalog = createSqlCatalog(
        { uri, name, warehouse, readOnly: false, connectionsMax: 2 },
        {
          storage,
          clock: fixedClock,
          random: systemRandom,
          log: silentLogger,
          openPool: (...settings) => faultyPool(openPostgresPool(...settings), next),
        },
      );
      await catalog.open();
      return catalog;
    },
    failNextWrite: (fault) => {
      next.fault = fault;
    },
  };
}

/** Fails the next COMMIT. */
function faultyPool(pool: PostgresPool, next: { fault: Fault }): PostgresPool {
  return {
    ...pool,
    reserve: async (signal) => {
      const session = await pool.reserve(signal);
      return {
        ...session,
        run: async (sql, values) => {
          const fault = sql === "COMMIT" ? next.fault : null;
          if (fault === null) return session.run(sql, values);
          next.fault = null;
          if (fault === "after") await session.run(sql, values);
          throw new Error("the connection was lost");
        },
      };
    },
  };
}

/** A pointer catalog on a store in memory. */
export function pointerPlace(storage: Storage): Place {
  const rows = memoryRows();
  return {
    open: async () => {
      const parts = { storage, clock: fixedClock, random: systemRandom, log: silentLogger };
      return createPointerCatalog(memoryPointers(rows), parts);
    },
    failNextWrite: (fault) => {
      rows.fault = fault;
    },
  };
}

/** Settings of a REST catalog at `uri`, for tests. */
export function restOptions(
  uri: string,
  over: Partial<RestCatalogOptions> = {},
): RestCatalogOptions {
  return {
    uri,
    warehouse: null,
    prefix: null,
    auth: { type: "none" },
    headers: {},
    requestTimeoutMs: 10_000,
    retry: { retriesMax: 2, baseDelayMs: 1, delayMsMax: 1 },
    connectionsMax: 5,
    tls: { caFile: null, certFile: null, keyFile: null, keyPassword: null },
    proxy: null,
    vendedCredentials: true,
    remoteSigning: false,
    nessieRef: null,
    ...over,
  };
}

let servers = 0;

/**
 * A REST catalog, in a namespace of its own: several places share a server.
 * @param failCommit makes the server fail the next commit
 */
export function restPlace(
  options: () => RestCatalogOptions,
  storage: Storage,
  failCommit: (fault: Fault) => Promise<void>,
): Place {
  const own = `place-${servers++}`;
  return {
    open: async () => {
      const parts = { storage, clock: fixedClock, random: systemRandom, log: silentLogger };
      const catalog = createRestCatalog(options(), { ...parts, storageWith: () => storage });
      await catalog.open();
      return within(catalog, (namespace) => [own, ...namespace]);
    },
    failNextWrite: failCommit,
  };
}

/** A REST catalog on a server in memory. */
export function restFakePlace(storage: Storage): Place {
  const fake = createRestFake(storage);
  const next: { fault: Fault } = { fault: null };
  fake.intercept = async (request, apply) => {
    if (next.fault === null || !/^POST .*\/tables\//.test(`${request.method} ${request.url}`)) {
      return null;
    }
    const { fault } = next;
    next.fault = null;
    if (fault === "after") await apply();
    throw lost();
  };
  return {
    open: async () => {
      const parts = { storage, clock: fixedClock, random: systemRandom, log: silentLogger };
      const own = { storageWith: () => storage, http: fake.http };
      const catalog = createRestCatalog(restOptions("http://rest.test"), { ...parts, ...own });
      await catalog.open();
      return catalog;
    },
    failNextWrite: (fault) => {
      next.fault = fault;
    },
  };
}

let accounts = 0;

/** A Glue catalog, in databases of its own: several places share a service. */
export function gluePlace(
  options: () => GlueCatalogOptions,
  parts: Pick<GlueCatalogParts, "storage" | "requestHandler">,
  failCommit: (fault: Fault) => void,
): Place {
  const own = `place${accounts++}_`;
  return {
    open: async () => {
      const clock = { clock: fixedClock, random: systemRandom, log: silentLogger };
      const catalog = createGlueCatalog(options(), { ...parts, ...clock, credentials: GLUE_KEYS });
      await catalog.open();
      return within(catalog, ([first = "", ...further]) => [`${own}${first}`, ...further]);
    },
    failNextWrite: failCommit,
    isFlat: true,
  };
}

const GLUE_KEYS = () => Promise.resolve({ accessKeyId: "key", secretAccessKey: "secret" });

/** Settings of a Glue catalog, for tests. */
export function glueOptions(over: Partial<GlueCatalogOptions> = {}): GlueCatalogOptions {
  return {
    region: "us-east-1",
    endpoint: "http://glue.invalid",
    catalogId: null,
    roleArn: null,
    warehouse: "/warehouse",
    skipArchive: true,
    requestTimeoutMs: 10_000,
    connectionsMax: 5,
    retry: { retriesMax: 2, baseDelayMs: 0, delayMsMax: 0 },
    ...over,
  };
}

/** A Glue catalog on a service in memory. */
export function glueFakePlace(storage: Storage): Place {
  const fake = createGlueFake();
  const next: { fault: Fault } = { fault: null };
  fake.intercept = async ({ operation }, apply) => {
    if (next.fault === null || operation !== "UpdateTable") return null;
    const { fault } = next;
    next.fault = null;
    if (fault === "after") apply();
    throw new Error("socket hang up");
  };
  return gluePlace(glueOptions, { storage, requestHandler: fake.requestHandler }, (fault) => {
    next.fault = fault;
  });
}

/** A Hive catalog, in databases of its own: several places share a metastore. */
export function hivePlace(
  options: () => HiveCatalogOptions,
  parts: Pick<HiveCatalogParts, "storage" | "connect">,
  failCommit: (fault: Fault) => void,
): Place {
  const own = `place${accounts++}_`;
  return {
    hasVagueRaces: true,
    open: async () => {
      const clock = { clock: fixedClock, random: systemRandom, log: silentLogger };
      const catalog = createHiveCatalog(options(), { ...parts, ...clock });
      await catalog.open();
      return within(catalog, ([first = "", ...further]) => [`${own}${first}`, ...further]);
    },
    failNextWrite: failCommit,
    isFlat: true,
  };
}

/** Settings of a Hive catalog, for tests. */
export function hiveOptions(over: Partial<HiveCatalogOptions> = {}): HiveCatalogOptions {
  return {
    addresses: [{ host: "hive.invalid", port: 9083 }],
    login: null,
    instanceId: "",
    warehouse: "/warehouse",
    requestTimeoutMs: 10_000,
    connectionsMax: 5,
    retry: { retriesMax: 2, baseDelayMs: 0, delayMsMax: 0 },
    ...over,
  };
}

/** A Hive catalog on a metastore in memory. */
export function hiveFakePlace(storage: Storage): Place {
  const fake = createMetastoreFake();
  const next: { fault: Fault } = { fault: null };
  fake.intercept = async (name, _, apply) => {
    if (next.fault === null || name !== "alter_table_with_environment_context") return null;
    const { fault } = next;
    next.fault = null;
    if (fault === "after") apply();
    throw new NoAnswer("the connection was closed", true);
  };
  return hivePlace(hiveOptions, { storage, connect: fake.connect }, (fault) => {
    next.fault = fault;
  });
}

/** A catalog whose namespaces have other names in the service. */
function within(
  catalog: Catalog,
  renamed: (namespace: TableName["namespace"]) => TableName["namespace"],
): Catalog {
  const inside = ({ namespace, table }: TableName): TableName => ({
    namespace: renamed(namespace),
    table,
  });
  const outside = <T extends { readonly name: TableName }>(table: T, name: TableName): T => ({
    ...table,
    name,
  });
  const named = (outcome: CommitOutcome, name: TableName): CommitOutcome =>
    outcome.kind === "committed" ? { ...outcome, table: outside(outcome.table, name) } : outcome;
  return {
    traits: catalog.traits,
    open: () => catalog.open(),
    close: () => catalog.close(),
    locationOf: (name) => catalog.locationOf(inside(name)),
    load: async (name) => {
      const table = await catalog.load(inside(name));
      return table === null ? null : outside(table, name);
    },
    create: async ({ name, metadataAt }) =>
      named(await catalog.create({ name: inside(name), metadataAt }), name),
    commit: async (name, ...request) => named(await catalog.commit(inside(name), ...request), name),
    list: async (namespace) =>
      (await catalog.list(renamed(namespace))).map(({ table }) => ({ namespace, table })),
  };
}

/** Fails the next COMMIT. */
function faultyDatabase(database: Database, next: { fault: Fault }): Database {
  const run = database.run.bind(database);
  return Object.assign(database, {
    run: (sql: string) => {
      const fault = sql === "COMMIT" ? next.fault : null;
      if (fault === null) return run(sql);
      next.fault = null;
      if (fault === "after") run(sql);
      throw new Error("disk I/O error");
    },
  });
}
