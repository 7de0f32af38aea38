/** The Hive catalog against a metastore in memory: outcomes, locks, comparison, what is written. */
import { describe, expect, test } from "bun:test";
import { type Clock, systemClock } from "#base/clock.ts";
import { kindOf } from "#base/errors.ts";
import { NoAnswer } from "#base/http.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import type { Catalog } from "#catalog/catalog.ts";
import { createHiveCatalog, type HiveCatalogOptions } from "#catalog/hive/hive.ts";
import type { TableUpdate } from "#iceberg/metadata/metadata.ts";
import { createMemoryStorage } from "../../../fakes/memoryStorage.ts";
import {
  createMetastoreFake,
  type MetastoreFake,
  type MetastoreFakeOptions,
  metastoreException,
  metastoreResult,
} from "../../../fakes/metastore.ts";
import { hiveOptions } from "../../../support/catalogPlaces.ts";
import { sampleTable } from "../../../support/icebergSamples.ts";
import { rejection } from "../../../support/rejection.ts";

const NAME = { namespace: ["db"], table: "events" };
const TOUCH: TableUpdate[] = [{ action: "set-properties", properties: { touched: "yes" } }];
const ALTER = "alter_table_with_environment_context";

interface Rig {
  readonly fake: MetastoreFake;
  readonly catalog: Catalog;
  readonly count: (call: string) => number;
}

async function rig(
  fakeOptions: MetastoreFakeOptions = {},
  over: Partial<HiveCatalogOptions> = {},
  clock: Clock = systemClock,
): Promise<Rig> {
  const fake = createMetastoreFake(fakeOptions);
  const catalog = createHiveCatalog(hiveOptions(over), {
    storage: createMemoryStorage(),
    clock,
    random: systemRandom,
    log: silentLogger,
    connect: fake.connect,
  });
  await catalog.open();
  return { fake, catalog, count: (call) => fake.calls.filter(({ name }) => name === call).length };
}

async function withTable(
  properties: Record<string, string> = {},
  fakeOptions: MetastoreFakeOptions = {},
  clock: Clock = systemClock,
): Promise<Rig> {
  const made = await rig(fakeOptions, {}, clock);
  const outcome = await made.catalog.create({
    name: NAME,
    metadataAt: (location) => sampleTable(location, { properties }),
  });
  expect(outcome.kind).toBe("committed");
  return made;
}

/** Commits, and answers the outcome's kind, or the kind of the error that was thrown. */
async function touched({ catalog }: Rig): Promise<string> {
  const commit = catalog.commit(NAME, [], TOUCH);
  return commit.then(({ kind }) => kind).catch((error: unknown) => kindOf(error));
}

/** Time that goes on by itself while somebody sleeps. */
function fastClock(): Clock {
  let nowMs = 0;
  return {
    ...systemClock,
    monotonicMs: () => nowMs,
    sleep: async (ms, signal) => {
      if (ms >= 10_000) return systemClock.sleep(1_000_000, signal);
      nowMs += ms;
      await systemClock.turn();
    },
  };
}

describe("a commit's outcome", () => {
  const answers = [
    ["a wrong object", metastoreException("o1", "Invalid column type"), "catalog_refused"],
    ["no table any more", metastoreException("o1", "table db.t doesn't exist"), "conflict"],
    ["a MetaException, and nothing was changed", metastoreException("o2", "database"), "conflict"],
    ["an internal error", { kind: "application", code: 6, message: "Internal error" }, "unknown"],
    ["a call that is not there", { kind: "application", code: 1, message: "x" }, "catalog_refused"],
    ["a success without having done it", metastoreResult(), "unknown"],
  ] as const;

  for (const [what, answer, outcome] of answers) {
    test(`${what}: ${outcome}, after one request, and the lock is given back`, async () => {
      const own = await withTable();
      own.fake.intercept = async (name) => (name === ALTER ? answer : null);
      expect(await touched(own)).toBe(outcome);
      expect(own.count(ALTER)).toBe(1);
      expect(own.fake.locks.size).toBe(0);
    });
  }

  test("a MetaException of what follows the change: committed", async () => {
    const own = await withTable();
    own.fake.intercept = async (name, _, apply) => {
      if (name !== ALTER) return null;
      apply();
      return metastoreException("o2", "listener");
    };
    expect(await touched(own)).toBe("committed");
  });

  test("a MetaException while another took the name: taken", async () => {
    const own = await rig();
    own.fake.intercept = async (name, _, apply) => {
      if (name !== "create_table") return null;
      apply();
      const table = own.fake.tables.get("db.events");
      const parameters = { ...table?.parameters, metadata_location: "elsewhere" };
      own.fake.tables.set("db.events", { ...table, parameters });
      return metastoreException("o3", "duplicate key");
    };
    const outcome = await own.catalog.create({ name: NAME, metadataAt: sampleTable });
    expect(outcome.kind).toBe("conflict");
  });

  test("a lost connection, before or after it was applied: unknown, after one request", async () => {
    for (const isApplied of [true, false]) {
      const own = await withTable();
      own.fake.intercept = async (name, _, apply) => {
        if (name !== ALTER) return null;
        if (isApplied) apply();
        throw new NoAnswer("the connection was closed", true);
      };
      expect(await touched(own)).toBe("unknown");
      own.fake.intercept = async () => null;
      const head = await own.catalog.load(NAME);
      expect(head?.metadata.properties["touched"]).toBe(isApplied ? "yes" : undefined);
      expect(own.count(ALTER)).toBe(1);
    }
  });

  test("a table that moved on while the lock was waited for is a conflict, and not replaced", async () => {
    const own = await withTable();
    own.fake.intercept = async (name) => {
      if (name !== "lock") return null;
      const table = own.fake.tables.get("db.events");
      const parameters = { ...table?.parameters, metadata_location: "elsewhere" };
      own.fake.tables.set("db.events", { ...table, parameters });
      return null;
    };
    expect(await touched(own)).toBe("conflict");
    expect(own.count(ALTER)).toBe(0);
  });
});

describe("the metastore's lock", () => {
  test("is waited for while another writer has it, and given back", async () => {
    const own = await withTable({}, {}, fastClock());
    own.fake.locks.set(1000n, { key: "db.events", agentInfo: "another" });
    let checks = 0;
    own.fake.intercept = async (name) => {
      if (name === "check_lock" && ++checks === 3) own.fake.locks.delete(1000n);
      return null;
    };
    expect(await touched(own)).toBe("committed");
    expect(checks).toBe(3);
    expect(own.fake.locks.size).toBe(0);
  });

  test("that another writer keeps is given up after a minute: a conflict, and nothing of ours is left", async () => {
    const own = await withTable({}, {}, fastClock());
    own.fake.locks.set(1000n, { key: "db.events", agentInfo: "another" });
    expect(await touched(own)).toBe("conflict");
    expect([...own.fake.locks.keys()]).toEqual([1000n]);
    expect(own.count(ALTER)).toBe(0);
  });

  test("that a killed process on our state directory left behind is given back, another's is not", async () => {
    for (const [instanceId, outcome] of [
      ["own", "committed"],
      ["another", "conflict"],
    ] as const) {
      const own = await rig({}, { instanceId: "own" }, fastClock());
      await own.catalog.create({ name: NAME, metadataAt: sampleTable });
      const agentInfo = `kafka-iceberg ${instanceId} earlier-1`;
      own.fake.locks.set(1000n, { key: "db.events", agentInfo });
      expect(await touched(own)).toBe(outcome);
      expect(own.fake.locks.has(1000n)).toBe(outcome === "conflict");
    }
  });

  test("whose answer was lost is found by its agent and given back", async () => {
    const own = await withTable();
    own.fake.intercept = async (name, _, apply) => {
      if (name !== "lock") return null;
      apply();
      throw new NoAnswer("the connection was closed", true);
    };
    expect(await touched(own)).toBe("conflict");
    expect(own.fake.locks.size).toBe(0);
  });

  for (const [what, call, outcome] of [
    ["taken, and its answer was lost", "lock", "conflict"],
    ["taken, and nobody could say that it is ours", "check_lock", "conflict"],
    ["given back, and the request was lost", "unlock", "committed"],
  ] as const) {
    test(`that was ${what} while the metastore went away is given back by the next commit`, async () => {
      const own = await withTable({}, {}, fastClock());
      let isAway = false;
      own.fake.locks.set(1000n, { key: "db.events", agentInfo: "another" });
      own.fake.intercept = async (name, _, apply) => {
        if (name === "lock" && call !== "check_lock") own.fake.locks.delete(1000n);
        isAway ||= name === call;
        if (!isAway) return null;
        if (name === "lock") apply();
        throw new NoAnswer("the connection was closed", true);
      };
      expect(await touched(own)).toBe(outcome);
      expect(own.fake.locks.size).toBeGreaterThan(0);
      own.fake.locks.delete(1000n);
      own.fake.intercept = () => Promise.resolve(null);
      expect(await touched(own)).toBe("committed");
      expect(own.fake.locks.size).toBe(0);
    });
  }

  test("that was taken away during the commit makes its outcome unknown", async () => {
    const own = await withTable();
    own.fake.intercept = async (name) => {
      if (name === ALTER) own.fake.locks.clear();
      return null;
    };
    expect(await touched(own)).toBe("unknown");
  });
});

describe("a table without the lock", () => {
  const UNLOCKED = { "engine.hive.lock-enabled": "false" };

  test("is committed to by comparison where the metastore proves that it compares, which is asked once", async () => {
    const own = await withTable(UNLOCKED);
    expect(await touched(own)).toBe("committed");
    expect(await touched(own)).toBe("committed");
    expect(own.count("lock")).toBe(0);
    expect(own.count(ALTER)).toBe(4);
    expect(own.fake.tables.get("db.events")?.partitionKeys).toEqual([]);
    const [table] = own.fake.tables.values();
    own.fake.intercept = async (name, _, apply) => {
      if (name !== ALTER) return null;
      const parameters = { ...table?.parameters, metadata_location: "elsewhere" };
      own.fake.tables.set("db.events", { ...table, parameters });
      return apply();
    };
    expect(await touched(own)).toBe("conflict");
  });

  test("is refused where the metastore does not compare, or its database cannot", async () => {
    for (const comparison of ["unknown", "broken"] as const) {
      const own = await withTable(UNLOCKED, { comparison });
      const before = own.fake.tables.get("db.events");
      expect(await touched(own)).toBe("catalog_refused");
      expect(own.fake.tables.get("db.events")).toEqual(before);
    }
  });
});

test("a metastore without get_table_req is asked by get_table from then on", async () => {
  const own = await withTable({}, { isOld: true });
  await own.catalog.load(NAME);
  expect(own.count("get_table_req")).toBe(1);
  expect(own.count("get_table")).toBeGreaterThan(1);
});

test("what others have put there stays; copies of our properties go, and none is made", async () => {
  const own = await withTable({ "kafka-iceberg.progress.main": "{}", owner: "team" });
  const table = own.fake.tables.get("db.events");
  own.fake.tables.set("db.events", {
    ...table,
    owner: "somebody",
    parameters: {
      ...table?.parameters,
      classification: "x",
      "kafka-iceberg.progress.main": "stale",
    },
  });
  await touched(own);
  const after = own.fake.tables.get("db.events");
  expect(after?.owner).toBe("somebody");
  expect(after?.parameters).toMatchObject({
    classification: "x",
    owner: "team",
    touched: "yes",
    EXTERNAL: "TRUE",
    table_type: "ICEBERG",
    "snapshot-count": "0",
  });
  expect(Object.keys(after?.parameters ?? {}).filter((key) => key.includes("kafka"))).toEqual([]);
  expect(after?.sd?.cols?.map(({ name, type }) => [name, type])).toEqual([
    ["id", "bigint"],
    ["ts", "timestamp with local time zone"],
    ["name", "string"],
  ]);
});

test("a listing names Iceberg tables alone, and load refuses others", async () => {
  const own = await withTable();
  own.fake.tables.set("db.plain", { dbName: "db", tableName: "plain", parameters: {} });
  expect(await own.catalog.list(["db"])).toEqual([NAME]);
  const error = await rejection(own.catalog.load({ ...NAME, table: "plain" }));
  expect(kindOf(error)).toBe("table_unsupported");
});

test("a database is made below the warehouse, once; without a warehouse a missing one is said", async () => {
  const own = await withTable();
  expect(own.fake.databases.get("db")?.locationUri).toBe("/warehouse/db.db");
  const homeless = await rig({}, { warehouse: null });
  const error = await rejection(homeless.catalog.create({ name: NAME, metadataAt: sampleTable }));
  expect(kindOf(error)).toBe("usage");
});

test("of several addresses the next one is tried when one does not answer, and a login is refused at once", async () => {
  const fake = createMetastoreFake();
  const tried: string[] = [];
  const parts = {
    storage: createMemoryStorage(),
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
  };
  const addresses = ["a", "b", "c"].map((host) => ({ host, port: 1 }));
  const catalog = createHiveCatalog(hiveOptions({ addresses }), {
    ...parts,
    connect: async (address, options) => {
      tried.push(address.host);
      if (address.host !== "b") throw new NoAnswer("connect ECONNREFUSED", false);
      return fake.connect(address, options);
    },
  });
  await catalog.open();
  expect(tried).toEqual(["a", "b"]);
  const away = createHiveCatalog(hiveOptions({ addresses }), {
    ...parts,
    connect: () => Promise.reject(new NoAnswer("connect ECONNREFUSED", false)),
  });
  const error = await rejection(away.open());
  expect(kindOf(error)).toBe("catalog_unreachable");
  expect(error.message).toContain("a:1, b:1, c:1");
});
