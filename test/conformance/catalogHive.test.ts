/**
 * The Hive catalog on real metastores, 4.0.0 and 4.0.1: the promises of every catalog, login, death and failover, and
 * PyIceberg beside us.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { kindOf } from "#base/errors.ts";
import type { HiveCatalogOptions } from "#catalog/hive/hive.ts";
import { hiveClient, readersPython } from "../../scripts/services/cache.ts";
import { type FaultProxy, startFaultProxy } from "../../scripts/services/faultProxy.ts";
import { type Hive, startHive } from "../../scripts/services/hive.ts";
import { freePort, run } from "../../scripts/services/process.ts";
import { metastoreApi } from "../../scripts/thrift/generate.ts";
import { createMemoryStorage } from "../fakes/memoryStorage.ts";
import { catalogContract } from "../support/catalogContract.ts";
import { hiveOptions, hivePlace } from "../support/catalogPlaces.ts";
import { commitEmpty, createSample, realCatalog } from "../support/realCatalogs.ts";
import { rejection } from "../support/rejection.ts";

// A test that runs out of time takes the servers with it.
setDefaultTimeout(120_000);

const LOGIN = { user: "ingest", password: "s3cret" };
const ALTER = /alter_table_with_environment_context/;

let hive: Hive;
/** 4.0.1, which has no `get_table`, behind a login. */
let guarded: Hive;
let proxies: readonly FaultProxy[];

beforeAll(async () => {
  hive = await startHive();
  guarded = await startHive({ version: "4.0.1", login: LOGIN });
  proxies = [hive, guarded].map(({ port }) => startFaultProxy(`127.0.0.1:${port}`));
}, 600_000);

afterAll(async () => {
  for (const proxy of proxies ?? []) proxy.stop();
  await Promise.all([hive?.stop(), guarded?.stop()]);
});

function at(port: number, over: Partial<HiveCatalogOptions> = {}): HiveCatalogOptions {
  return hiveOptions({ addresses: [{ host: "127.0.0.1", port }], ...over });
}

for (const [index, version] of ["4.0.0", "4.0.1"].entries()) {
  catalogContract(`Hive catalog on a metastore ${version}`, () =>
    hivePlace(
      () => {
        const { warehouse } = index === 0 ? hive : guarded;
        return at(proxies[index]?.port ?? 0, { warehouse, login: index === 0 ? null : LOGIN });
      },
      { storage: createMemoryStorage() },
      (fault) => {
        const kind = fault === "after" ? "swallow" : "refuse";
        proxies[index]?.set({ kind, match: ALTER, once: true });
      },
    ),
  );
}

describe("the Hive Metastore", () => {
  test("a wrong login is one sentence without the password; no login at all does not hang", async () => {
    const wrong = at(guarded.port, { login: { user: "ingest", password: "hunter2" } });
    const error = await rejection(realCatalog({ type: "hive", ...wrong }));
    expect(kindOf(error)).toBe("catalog_refused");
    expect(Bun.inspect(error)).not.toContain("hunter2");
    const none = at(guarded.port, {
      requestTimeoutMs: 3000,
      retry: { retriesMax: 0, baseDelayMs: 0, delayMsMax: 0 },
    });
    expect(kindOf(await rejection(realCatalog({ type: "hive", ...none })))).toBe(
      "catalog_unreachable",
    );
  }, 30_000);

  test("a table without the lock is committed to by comparison, which both versions prove", async () => {
    for (const [index, server] of [hive, guarded].entries()) {
      const { warehouse } = server;
      const login = index === 0 ? null : LOGIN;
      const catalog = await realCatalog({ type: "hive", ...at(server.port, { warehouse, login }) });
      const name = { namespace: ["unlocked"], table: "t" };
      await createSample(catalog, name, []);
      const turn = { "engine.hive.lock-enabled": "false" };
      const unlock = catalog.commit(name, [], [{ action: "set-properties", properties: turn }]);
      expect((await unlock).kind).toBe("committed");
      await commitEmpty(catalog, name);
      await catalog.close();
    }
  }, 60_000);

  test("an address where nobody listens is passed over, and a server that came back is used again", async () => {
    const addresses = [freePort(), hive.port].map((port) => ({ host: "127.0.0.1", port }));
    const options = hiveOptions({ addresses, warehouse: hive.warehouse });
    const catalog = await realCatalog({ type: "hive", ...options });
    const name = { namespace: ["failover"], table: "t" };
    await createSample(catalog, name, []);
    await hive.kill();
    expect(kindOf(await rejection(catalog.load(name)))).toBe("catalog_unreachable");
    await hive.restart();
    await commitEmpty(catalog, name);
    expect((await catalog.load(name))?.metadata.snapshots).toHaveLength(1);
    await catalog.close();
  }, 120_000);

  test("PyIceberg lists and loads our table through 4.0.0, appends, and we go on from there", async () => {
    const { uri, warehouse, port } = hive;
    const catalog = await realCatalog({ type: "hive", ...at(port, { warehouse }) });
    const name = { namespace: ["lake"], table: "shared" };
    await createSample(catalog, name, []);
    await commitEmpty(catalog, name);
    const job = { catalog: { type: "hive", uri, warehouse }, table: "lake.shared" };
    const rows = [{ id: 1, ts: null, name: "n" }];
    const seen = await pyiceberg({ ...job, action: "append", rows });
    expect(seen["tables"]).toEqual(["lake.shared"]);
    expect((await catalog.load(name))?.metadata.snapshots).toHaveLength(2);
    await commitEmpty(catalog, name);
    const again = await pyiceberg({ ...job, action: "scan" });
    expect(again["snapshots"]).toHaveLength(3);
    expect(again["rows"]).toHaveLength(1);
    await catalog.close();
  }, 120_000);

  test("what is generated is what both versions say of themselves", async () => {
    const path = join(import.meta.dir, "..", "..", "src", "catalog", "hive", "metastoreApi.ts");
    const kept = (text: string): string => text.replaceAll(/\s|,|;/g, "");
    const own = kept(await Bun.file(path).text());
    expect(kept(await metastoreApi("4.0.0"))).toBe(own);
    const later = kept(await metastoreApi("4.0.1"));
    expect(later).toBe(own.replace(/get_table:\{.*?\}\}(?=get_table_objects)/, ""));
  }, 120_000);
});

async function pyiceberg(job: Record<string, unknown>): Promise<Record<string, unknown>> {
  const script = join(import.meta.dir, "..", "support", "catalog_pyiceberg.py");
  const env = { PYTHONPATH: await hiveClient() };
  return JSON.parse(
    await run([await readersPython(), script], { stdin: JSON.stringify(job), env }),
  );
}
