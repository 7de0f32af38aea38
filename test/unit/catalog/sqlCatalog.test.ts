import { Database } from "bun:sqlite";
import { afterAll, describe, expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { type Clock, systemClock } from "#base/clock.ts";
import { fail } from "#base/errors.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import type { Catalog, CommitOutcome } from "#catalog/catalog.ts";
import { createSqlCatalog } from "#catalog/sql.ts";
import { makeDurable, openSqlite, sqlitePath } from "#catalog/sqlite.ts";
import { createMemoryStorage, type Fault, type MemoryStorage } from "../../fakes/memoryStorage.ts";
import { sampleTable } from "../../support/icebergSamples.ts";
import { rejection } from "../../support/rejection.ts";

const ROOT = `/tmp/kafka-iceberg-sql-${process.pid}-${Bun.nanoseconds()}`;
const NAME = { namespace: ["db"], table: "t" };
let databases = 0;

afterAll(() => rm(ROOT, { recursive: true, force: true }));

interface Bench {
  readonly path: string;
  readonly storage: MemoryStorage;
  readonly fault: { next: (operation: string, location: string) => Fault };
  readonly open: (options?: {
    readOnly?: boolean;
    name?: string;
    clock?: Clock;
  }) => Promise<Catalog>;
}

function bench(): Bench {
  const path = `${ROOT}/${databases++}/catalog.db`;
  const fault: Bench["fault"] = { next: () => null };
  const storage = createMemoryStorage({ fault: (operation, at) => fault.next(operation, at) });
  return {
    path,
    storage,
    fault,
    open: async (options = {}) => {
      const catalog = createSqlCatalog(
        {
          uri: `sqlite://${path}`,
          name: options.name ?? "default",
          warehouse: "/wh",
          readOnly: options.readOnly ?? false,
        },
        { storage, clock: options.clock ?? systemClock, random: systemRandom, log: silentLogger },
      );
      await catalog.open();
      return catalog;
    },
  };
}

async function create(catalog: Catalog, properties: Record<string, string> = {}): Promise<void> {
  const metadataAt = (location: string) => sampleTable(location, { properties });
  const outcome = await catalog.create({ name: NAME, metadataAt });
  expect(outcome.kind).toBe("committed");
}

function touch(catalog: Catalog, value: string): Promise<CommitOutcome> {
  return catalog.commit(NAME, [], [{ action: "set-properties", properties: { touched: value } }]);
}

function rows(path: string): Record<string, unknown>[] {
  const database = new Database(path, { readonly: true });
  const found = database.query("SELECT * FROM iceberg_tables").all() as Record<string, unknown>[];
  database.close();
  return found;
}

describe("the database", () => {
  test("holds the row that PyIceberg and Java look for, and the namespace", async () => {
    const b = bench();
    const catalog = await b.open();
    await create(catalog);
    await touch(catalog, "a");
    const [row] = rows(b.path);
    expect(row).toEqual({
      catalog_name: "default",
      table_namespace: "db",
      table_name: "t",
      metadata_location: expect.stringMatching(
        /^\/wh\/db\/t\/metadata\/00001-[0-9a-f-]{36}\.metadata\.json$/,
      ),
      previous_metadata_location: expect.stringMatching(/\/00000-[0-9a-f-]{36}\.metadata\.json$/),
      iceberg_type: "TABLE",
    });
    const database = new Database(b.path, { readonly: true });
    expect(database.query("SELECT * FROM iceberg_namespace_properties").all()).toEqual([
      { catalog_name: "default", namespace: "db", property_key: "exists", property_value: "true" },
    ]);
    database.close();
  });

  test("of Java's older schema, without iceberg_type, is used as it is", async () => {
    const b = bench();
    const old = await openSqlite(b.path, false);
    old.run(
      `CREATE TABLE iceberg_tables (catalog_name VARCHAR(255) NOT NULL,
       table_namespace VARCHAR(255) NOT NULL, table_name VARCHAR(255) NOT NULL,
       metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000),
       PRIMARY KEY (catalog_name, table_namespace, table_name))`,
    );
    old.close();
    const catalog = await b.open();
    await create(catalog);
    expect((await touch(catalog, "a")).kind).toBe("committed");
    expect(await catalog.list(["db"])).toEqual([NAME]);
    expect(Object.keys(rows(b.path)[0] ?? {})).not.toContain("iceberg_type");
  });

  test("views are no tables, and their names are taken", async () => {
    const b = bench();
    const catalog = await b.open();
    const database = new Database(b.path);
    database.run(`INSERT INTO iceberg_tables VALUES ('default', 'db', 't', '/v', NULL, 'VIEW')`);
    database.close();
    expect(await catalog.load(NAME)).toBeNull();
    expect(await catalog.list(["db"])).toEqual([]);
    const outcome = await catalog.create({
      name: NAME,
      metadataAt: (location) => sampleTable(location),
    });
    expect(outcome.kind).toBe("conflict");
    expect(b.storage.objects.size).toBe(0);
  });

  test("catalogs of other names in it do not see our tables", async () => {
    const b = bench();
    await create(await b.open());
    expect(await (await b.open({ name: "other" })).load(NAME)).toBeNull();
  });

  test("is made durable beyond the journal's removal", async () => {
    const database = await openSqlite(`${ROOT}/${databases++}/catalog.db`, false);
    makeDurable(database);
    expect(database.query("PRAGMA synchronous").get()).toEqual({ synchronous: 3 });
    database.close();
  });
});

describe("opening", () => {
  test("read-only: a database that is not there is refused and not created", async () => {
    const b = bench();
    expect((await rejection(b.open({ readOnly: true }))).message).toContain("cannot be opened");
    expect(await Bun.file(b.path).exists()).toBe(false);
  });

  test("read-only: an existing one is read", async () => {
    const b = bench();
    await create(await b.open());
    expect(await (await b.open({ readOnly: true })).load(NAME)).not.toBeNull();
  });

  test("a file that is no database is refused", async () => {
    const b = bench();
    await Bun.write(
      b.path,
      "this is no database, but it is long enough to be taken for a header ...",
    );
    expect(await rejection(b.open())).toMatchObject({ kind: "catalog_refused" });
  });

  test("a catalog that is not open says so", async () => {
    const catalog = await bench().open();
    await catalog.close();
    expect((await rejection(catalog.load(NAME))).message).toContain("not open");
  });

  test("URIs: relative and absolute paths; other databases are refused by name", () => {
    expect(sqlitePath("sqlite:catalog.db")).toBe("catalog.db");
    expect(sqlitePath("sqlite:///data/catalog.db")).toBe("/data/catalog.db");
    expect(sqlitePath("sqlite:////data/catalog.db")).toBe("/data/catalog.db");
    expect(sqlitePath("sqlite:/data/catalog.db")).toBe("/data/catalog.db");
    expect(() => sqlitePath("postgres://host/db")).toThrow("sqlite:catalog.db");
    expect(() => sqlitePath("sqlite:")).toThrow("sqlite:catalog.db");
    expect(() => sqlitePath("sqlite::memory:")).toThrow("sqlite:catalog.db");
  });
});

describe("locks of other processes", () => {
  test("are waited for without blocking the event loop", async () => {
    const b = bench();
    const catalog = await b.open();
    await create(catalog);
    const other = new Database(b.path);
    other.run("BEGIN EXCLUSIVE");
    const outcome = touch(catalog, "a");
    let turns = 0;
    for (; turns < 3; turns++) await systemClock.turn();
    other.run("ROLLBACK");
    other.close();
    expect((await outcome).kind).toBe("committed");
    expect(turns).toBe(3);
  });

  test("held for too long: the commit is a conflict, nothing is left of it", async () => {
    const b = bench();
    let ms = 0;
    const clock: Clock = {
      ...systemClock,
      monotonicMs: () => ms,
      sleep: async () => {
        ms += 1_000;
      },
    };
    const catalog = await b.open({ clock });
    await create(catalog);
    const files = b.storage.objects.size;
    const other = new Database(b.path);
    other.run("BEGIN IMMEDIATE");
    const outcome = await touch(catalog, "a");
    expect(outcome.kind).toBe("conflict");
    expect(outcome.kind === "conflict" && outcome.cause).toMatchObject({
      kind: "catalog_unreachable",
    });
    other.run("ROLLBACK");
    other.close();
    expect(b.storage.objects.size).toBe(files);
  });
});

test("a database that may only be read refuses the commit, and leaves no file", async () => {
  const b = bench();
  await create(await b.open());
  const files = b.storage.objects.size;
  const catalog = await b.open({ readOnly: true });
  expect(await rejection(touch(catalog, "a"))).toMatchObject({ kind: "catalog_refused" });
  expect(b.storage.objects.size).toBe(files);
});

describe("metadata files", () => {
  test("that cannot be written are a conflict: no row names them", async () => {
    const b = bench();
    const catalog = await b.open();
    await create(catalog);
    b.fault.next = (operation) => (operation === "put" ? "after" : null);
    expect((await touch(catalog, "a")).kind).toBe("conflict");
    b.fault.next = () => null;
    expect((await touch(catalog, "b")).kind).toBe("committed");
  });

  test("that fall out of the metadata log are removed when the table asks for it", async () => {
    for (const [enabled, left] of [
      ["true", 6],
      ["false", 20],
    ] as const) {
      const b = bench();
      const catalog = await b.open();
      await create(catalog, {
        "write.metadata.previous-versions-max": "5",
        "write.metadata.delete-after-commit.enabled": enabled,
      });
      for (let n = 1; n < 20; n++) await touch(catalog, String(n));
      expect(b.storage.objects.size).toBe(left);
      expect((await catalog.load(NAME))?.metadata.metadataLog.length).toBe(5);
    }
  });

  test("that cannot be removed are no failure of the commit", async () => {
    const b = bench();
    const catalog = await b.open();
    await create(catalog, { "write.metadata.previous-versions-max": "1" });
    b.fault.next = (operation) => (operation === "remove" ? "before" : null);
    for (let n = 1; n < 4; n++) expect((await touch(catalog, String(n))).kind).toBe("committed");
  });

  test("live where the table's write.metadata.path says", async () => {
    const b = bench();
    const catalog = await b.open();
    await create(catalog, { "write.metadata.path": "/elsewhere/meta/" });
    expect((await catalog.load(NAME))?.metadataLocation).toStartWith("/elsewhere/meta/00000-");
  });
});

test("a load that stood still while its file was removed reads the row again, once", async () => {
  const b = bench();
  await create(await b.open());
  const catalog = await b.open();
  const get = b.storage.get.bind(b.storage);
  b.storage.get = async (location) => {
    b.storage.get = get;
    await touch(await b.open(), "newer");
    b.storage.objects.delete(location);
    return get(location);
  };
  expect((await catalog.load(NAME))?.metadata.properties["touched"]).toBe("newer");
  b.storage.objects.clear();
  expect(await rejection((await b.open()).load(NAME))).toMatchObject({ kind: "storage_missing" });
});

test("a head that cannot be read is a conflict: nothing was sent", async () => {
  const b = bench();
  await create(await b.open());
  const catalog = await b.open();
  b.storage.get = () => Promise.reject(fail("storage_unreachable", "the connection was lost"));
  expect((await touch(catalog, "a")).kind).toBe("conflict");
});
