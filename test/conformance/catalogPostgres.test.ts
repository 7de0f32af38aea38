/**
 * The SQL catalog on a real PostgreSQL server: the promises of every catalog, first starts at the same
 * time, answers that are lost on the wire, logins that may not, TLS, and PyIceberg beside us.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { kindOf } from "#base/errors.ts";
import type { Catalog } from "#catalog/catalog.ts";
import { postgresDriver, readersPython } from "../../scripts/services/cache.ts";
import { makeCertificates } from "../../scripts/services/certificates.ts";
import { startFaultProxy } from "../../scripts/services/faultProxy.ts";
import { type PostgresService, startPostgres } from "../../scripts/services/postgres.ts";
import { run, temporaryFolder, until } from "../../scripts/services/process.ts";
import { createMemoryStorage } from "../fakes/memoryStorage.ts";
import { catalogContract } from "../support/catalogContract.ts";
import { postgresPlace } from "../support/catalogPlaces.ts";
import { commitEmpty, createSample, realCatalog } from "../support/realCatalogs.ts";
import { rejection } from "../support/rejection.ts";
import { cli, SAME } from "../unit/cli/place.ts";

const NAME = { namespace: ["db"], table: "t" };
let server: PostgresService;
let root: string;
let ca: string;
let databases = 0;

beforeAll(async () => {
  root = await temporaryFolder("catalog-postgres");
  const certificates = await makeCertificates(root, true);
  ca = certificates.ca;
  const pem = certificates.serverKeyStore;
  server = await startPostgres({ tls: { cert: pem, key: pem } });
}, 300_000);

afterAll(async () => {
  await server?.stop();
  await rm(root, { recursive: true, force: true });
});

async function newDatabase(): Promise<string> {
  const name = `lake${databases++}`;
  await server.createDatabase(name);
  return name;
}

interface Where {
  readonly port?: number;
  readonly query?: string;
  readonly readOnly?: boolean;
  readonly uri?: string;
}

function open(database: string, where: Where = {}): Promise<Catalog> {
  const { port, query = "", readOnly = false } = where;
  const uri = where.uri ?? `${server.uri(database, port)}${query}`;
  const warehouse = `file://${root}/${database}`;
  return realCatalog({ type: "sql", uri, name: "default", warehouse, readOnly });
}

async function snapshotsOf(catalog: Catalog): Promise<number | undefined> {
  return (await catalog.load(NAME))?.metadata.snapshots.length;
}

function touch(catalog: Catalog, value: string) {
  return catalog.commit(NAME, [], [{ action: "set-properties", properties: { touched: value } }]);
}

catalogContract("SQL catalog on PostgreSQL", () =>
  postgresPlace(server.uri("postgres"), createMemoryStorage(), "/warehouse"),
);

describe("PostgreSQL", () => {
  test("eight first starts at the same time make its tables once, and all of them open", async () => {
    for (let round = 0; round < 10; round++) {
      const database = await newDatabase();
      const catalogs = await Promise.all(Array.from({ length: 8 }, () => open(database)));
      await createSample(catalogs[0] as Catalog, NAME, []);
      for (const catalog of catalogs) expect(await catalog.list(["db"])).toEqual([NAME]);
      await Promise.all(catalogs.map((catalog) => catalog.close()));
    }
  }, 60_000);

  test("a COMMIT whose answer is lost is unknown, and applied once", async () => {
    const database = await newDatabase();
    const proxy = startFaultProxy(`127.0.0.1:${server.port}`);
    const catalog = await open(database, { port: proxy.port, query: "?sslmode=disable" });
    try {
      await createSample(catalog, NAME, []);
      for (let round = 1; round <= 20; round++) {
        // `READ COMMITTED` is no commit.
        proxy.set({ kind: "swallow", match: /COMMIT\0/ });
        expect((await touch(catalog, String(round))).kind).toBe("unknown");
        proxy.set({ kind: "pass" });
        const head = await catalog.load(NAME);
        expect(head?.metadata.properties["touched"]).toBe(String(round));
        expect(head?.metadata.metadataLog).toHaveLength(round);
      }
      expect(proxy.counters.swallowed).toBe(20);
    } finally {
      await catalog.close();
      proxy.stop();
    }
  }, 60_000);

  test("a session that the server ends before COMMIT has changed nothing: a conflict", async () => {
    const database = await newDatabase();
    const catalog = await open(database);
    await createSample(catalog, NAME, []);
    const holder = new Bun.SQL({ url: server.uri(database), max: 1 });
    const held = await holder.reserve();
    await held.unsafe("BEGIN");
    await held.unsafe("UPDATE iceberg_tables SET iceberg_type = iceberg_type");
    const outcome = touch(catalog, "never");
    await until(
      "the commit waits for the row",
      async () => {
        const waiting = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE wait_event_type = 'Lock' AND datname = '${database}'`;
        return (await server.sql(waiting)).length > 0;
      },
      10_000,
    );
    expect((await outcome).kind).toBe("conflict");
    await held.unsafe("COMMIT");
    await held.release();
    await holder.close();
    expect((await catalog.load(NAME))?.metadata.properties["touched"]).toBeUndefined();
    expect((await touch(catalog, "again")).kind).toBe("committed");
    await catalog.close();
  }, 30_000);

  test("a server that was killed and came back is used again by the same catalog", async () => {
    const database = await newDatabase();
    const catalog = await open(database);
    await createSample(catalog, NAME, []);
    await server.kill();
    expect(kindOf(await rejection(catalog.load(NAME)))).toBe("catalog_unreachable");
    await server.restart();
    expect((await touch(catalog, "again")).kind).toBe("committed");
    await catalog.close();
  }, 60_000);

  test("a login says by name what it lacks, and uses tables that it may not make", async () => {
    const database = await newDatabase();
    const role = `reader_${database}`;
    await server.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'x'`);
    const uri = `postgres://${role}:x@127.0.0.1:${server.port}/${database}`;
    const bare = await open(database, { uri, readOnly: true });
    expect(await bare.load(NAME)).toBeNull();
    expect(await bare.missingRights?.([NAME])).toEqual(["CREATE on schema public"]);
    await bare.close();
    const refused = await rejection(open(database, { uri }));
    expect(kindOf(refused)).toBe("catalog_refused");
    await (await open(database)).close();
    await server.sql(`GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO ${role}`, database);
    const partly = await open(database, { uri });
    expect(await partly.missingRights?.([NAME])).toEqual(["UPDATE on table iceberg_tables"]);
    await server.sql(`GRANT UPDATE ON iceberg_tables TO ${role}`, database);
    expect(await partly.missingRights?.([NAME])).toEqual([]);
    await createSample(partly, NAME, []);
    await commitEmpty(partly, NAME);
    await partly.close();
  }, 30_000);

  test("a wrong password, database or port is one sentence without the password", async () => {
    const { port, user } = server;
    const wrong = [
      [`postgres://${user}:hunter2@127.0.0.1:${port}/postgres`, "catalog_refused", "28P01"],
      [server.uri("nowhere"), "catalog_refused", "3D000"],
      [server.uri("postgres", 1), "catalog_unreachable", "CONNECTION_REFUSED"],
    ] as const;
    for (const [uri, kind, what] of wrong) {
      const error = await rejection(open("postgres", { uri }));
      expect(kindOf(error)).toBe(kind);
      const all = Bun.inspect(error);
      expect(all).toContain(what);
      expect(all).not.toContain("hunter2");
      expect(all).not.toContain(server.password);
    }
  }, 30_000);

  test("TLS: verify-full by the given authority, refused by another's", async () => {
    const catalog = await open("postgres", { query: `?sslmode=verify-full&sslrootcert=${ca}` });
    await catalog.list(["db"]);
    const rows = await server.sql(
      "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'kafka-iceberg'",
    );
    expect(rows).toContain("t");
    await catalog.close();
    for (const query of [
      "?sslmode=verify-full",
      `?sslrootcert=${ca.replace("ca.pem", "foreign-ca.pem")}`,
    ]) {
      expect(kindOf(await rejection(open("postgres", { query })))).toBe("catalog_refused");
    }
  }, 30_000);
});

test("check: a login that may not make the tables is told so, one that may is not, and none is made", async () => {
  const database = await newDatabase();
  const role = `checker_${database}`;
  await server.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'x'`);
  const config = join(root, "check.toml");
  const check = async (uri: string) => {
    const warehouse = join(root, "checked");
    await Bun.write(
      config,
      `[kafka]\ntopic = "events"\n[iceberg]\ncatalog_type = "sql"\nwarehouse_path = "${warehouse}"\n[iceberg.sql]\nuri = "${uri}"\n`,
    );
    return cli(["check", "--config", config], { describeTopics: async () => [SAME] });
  };
  const bare = await check(`postgres://${role}:x@127.0.0.1:${server.port}/${database}`);
  expect(bare.out).toContain("catalog: the login lacks CREATE on schema public");
  expect(bare.code).toBe(1);
  const able = await check(server.uri(database));
  expect(able.out).toMatch(/default\.events +create/);
  expect(able.code).toBe(0);
  expect(
    await server.sql("SELECT relname FROM pg_class WHERE relname LIKE 'iceberg%'", database),
  ).toEqual([]);
  const wrong = await check(`postgres://${role}:hunter2@127.0.0.1:${server.port}/${database}`);
  expect(wrong.out).toContain(`password authentication failed for user "${role}"`);
  expect(wrong.out).not.toContain("hunter2");
  expect(wrong.code).toBe(1);
}, 30_000);

test("PyIceberg lists and loads our table, appends, and we go on from there", async () => {
  const database = await newDatabase();
  const catalog = await open(database);
  await createSample(catalog, NAME, []);
  await commitEmpty(catalog, NAME);
  const uri = server.uri(database).replace("postgres:", "postgresql+psycopg2:");
  const properties = { uri, warehouse: `file://${root}/${database}` };
  const seen = await pyiceberg({
    action: "append",
    catalog: properties,
    table: "db.t",
    rows: [{ id: 1, ts: null, name: "n" }],
  });
  expect(seen).toMatchObject({ tables: ["db.t"], namespaces: ["db"] });
  expect(await snapshotsOf(catalog)).toBe(2);
  await commitEmpty(catalog, NAME);
  const again = await pyiceberg({ action: "scan", catalog: properties, table: "db.t" });
  expect(again["snapshots"]).toHaveLength(3);
  expect(again["rows"]).toHaveLength(1);
  await catalog.close();
}, 120_000);

async function pyiceberg(job: Record<string, unknown>): Promise<Record<string, unknown>> {
  const script = join(import.meta.dir, "..", "support", "catalog_pyiceberg.py");
  const env = { PYTHONPATH: await postgresDriver() };
  const stdin = JSON.stringify(job);
  return JSON.parse(await run([await readersPython(), script], { stdin, env }));
}
