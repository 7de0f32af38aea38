import { describe, expect, test } from "bun:test";
import type { S3Keys } from "#storage/s3Credentials.ts";
import { withVended } from "#storage/vended.ts";
import { s3FakeOptions } from "../../../fakes/s3Http.ts";
import { storeOptions } from "../../../fakes/storeOptions.ts";
import { rejection } from "../../../support/rejection.ts";
import {
  append,
  createTable,
  isCommit,
  NAME,
  type RestRig,
  restRig,
} from "../../../support/restRig.ts";

const LIFE_MS = 10_000;

/** A server that hands out numbered keys for a table on S3, which end after 10 s. */
async function vending(): Promise<
  RestRig & { readonly keys: (fresh?: boolean) => Promise<S3Keys> }
> {
  let passed = 0;
  let number = 0;
  const rig = await restRig({}, (server) => {
    server.warehouse = "s3://bucket";
    server.tableExtra = () => {
      number++;
      const vended = {
        "s3.access-key-id": `key-${number}`,
        "s3.secret-access-key": "secret",
        "s3.session-token": `session-${number}`,
        "s3.session-token-expires-at-ms": String(1_000_000 + passed + LIFE_MS),
      };
      return {
        config: { "s3.endpoint": "http://s3.test", "client.region": "eu-1" },
        "storage-credentials": [
          { prefix: "s3://bucket", config: { ...vended, "s3.access-key-id": "wide" } },
          { prefix: "s3://bucket/db", config: vended },
          { prefix: "s3://other", config: { "s3.access-key-id": "other" } },
        ],
      };
    };
  });
  await createTable(rig);
  const keys = (fresh = false): Promise<S3Keys> => {
    const opened = rig.opened.at(-1);
    if (opened?.family !== "s3" || opened.keys === null || !("vended" in opened.keys))
      throw new Error("no keys were vended");
    return opened.keys.vended(fresh);
  };
  const passMs = (ms: number): void => {
    passed += ms;
    rig.passMs(ms);
  };
  return { ...rig, passMs, keys };
}

describe("the store of a table", () => {
  test("is the pipeline's own while the catalog says nothing about it", async () => {
    const rig = await restRig();
    expect((await createTable(rig)).storage).toBe(rig.storage);
    expect(rig.opened).toEqual([]);
  });

  test("has the keys whose prefix fits best, with the catalog's endpoint and region", async () => {
    const rig = await vending();
    expect(rig.opened).toHaveLength(1);
    expect(rig.opened[0]).toMatchObject({
      endpoint: "http://s3.test",
      region: "eu-1",
      pathStyle: null,
    });
    const { accessKeyId, sessionToken } = await rig.keys();
    expect(sessionToken).toBe(accessKeyId.replace("key", "session"));
  });

  test("is the same from the table's creation on, after commits too, whose answers say nothing of it", async () => {
    const rig = await vending();
    const created = await rig.catalog.load(NAME);
    const outcome = await append(rig, 7n);
    const after = await rig.catalog.load(NAME);
    expect(outcome).toMatchObject({ kind: "committed", table: { storage: created?.storage } });
    expect(after?.storage).toBe(created?.storage ?? rig.storage);
    expect(created?.storage).not.toBe(rig.storage);
    expect(rig.opened).toHaveLength(1);
  });

  test("keeps its keys after a commit whose answer has the store's settings without them", async () => {
    const rig = await vending();
    const { server } = rig;
    const before = await rig.catalog.load(NAME);
    server.intercept = async (request, apply) => {
      if (!isCommit(request)) return null;
      const { body, ...rest } = await apply();
      const config = { "s3.endpoint": "http://s3.test", "client.region": "eu-1" };
      return { ...rest, body: body.replace(/}$/, `,"config":${JSON.stringify(config)}}`) };
    };
    const outcome = await append(rig, 7n);
    expect(outcome).toMatchObject({ kind: "committed", table: { storage: before?.storage } });
    const after = await rig.catalog.load(NAME);
    expect(after?.storage).toBe(before?.storage ?? rig.storage);
    expect(rig.opened).toHaveLength(1);
  });

  test("gets new keys before the old ones end, by loading the table, once for all who ask", async () => {
    const rig = await vending();
    const first = await rig.keys();
    rig.passMs(LIFE_MS * 0.7);
    expect(await rig.keys()).toEqual(first);
    rig.passMs(LIFE_MS * 0.1);
    const loads = rig.server.count("GET", /tables\/t$/);
    const last = await Promise.all([rig.keys(), rig.keys(), rig.keys()]);
    expect(new Set(last.map(({ accessKeyId }) => accessKeyId))).toEqual(
      new Set([first.accessKeyId]),
    );
    await Bun.sleep(0);
    expect((await rig.keys()).accessKeyId).not.toBe(first.accessKeyId);
    expect(rig.server.count("GET", /tables\/t$/)).toBe(loads + 1);
    expect(rig.opened).toHaveLength(1);
  });

  test("gets new keys when the store has refused the old ones", async () => {
    const rig = await vending();
    const first = await rig.keys();
    expect((await rig.keys(true)).accessKeyId).not.toBe(first.accessKeyId);
  });

  test("a load near the end of the keys asks for the whole answer, which brings new ones", async () => {
    const rig = await vending();
    rig.passMs(LIFE_MS * 0.8);
    const first = rig.server.requests.length;
    await rig.catalog.load(NAME);
    expect(rig.server.requests[first]?.headers["if-none-match"]).toBeUndefined();
    expect(rig.server.requests[first]?.headers["x-iceberg-access-delegation"]).toBe(
      "vended-credentials",
    );
  });

  test("waits for no new keys while the old ones last, however long the catalog hangs", async () => {
    const rig = await vending();
    const first = await rig.keys();
    const answered = Promise.withResolvers<void>();
    rig.server.intercept = async () => {
      await answered.promise;
      return null;
    };
    rig.passMs(LIFE_MS * 0.8);
    const keys = await Promise.race([rig.keys(), Bun.sleep(100)]);
    expect(keys).toEqual(first);
    rig.passMs(LIFE_MS * 0.3);
    const fresh = rig.keys();
    answered.resolve();
    expect((await fresh).accessKeyId).not.toBe(first.accessKeyId);
  });

  test("goes on with keys that still last while the catalog is away, and then says so", async () => {
    const rig = await vending();
    const first = await rig.keys();
    rig.server.intercept = async () => ({ status: 503, headers: {}, body: "" });
    rig.passMs(LIFE_MS * 0.8);
    expect(await rig.keys()).toEqual(first);
    rig.passMs(LIFE_MS);
    expect(await rejection(rig.keys())).toMatchObject({ kind: "catalog_unreachable" });
  });
});

test("vended keys win over configured ones, configured endpoint and region over the catalog's", () => {
  const keys = {
    vended: async () => ({ accessKeyId: "v", secretAccessKey: "v", sessionToken: null }),
  };
  const theirs = {
    family: "s3",
    keys,
    endpoint: "http://theirs",
    region: "eu-1",
    pathStyle: null,
  } as const;
  const ours = withVended(storeOptions, theirs).s3;
  expect(ours).toMatchObject({ credentials: keys, endpoint: "http://s3.invalid", region: "eu-1" });
  const silent = { ...s3FakeOptions, endpoint: null, pathStyle: false };
  expect(withVended({ ...storeOptions, s3: silent }, theirs).s3).toMatchObject({
    endpoint: "http://theirs",
    pathStyle: true,
  });
});

describe("a table on another cloud", () => {
  const lend = async (warehouse: string, config: Record<string, string>) => {
    const rig = await restRig({}, (server) => {
      server.warehouse = warehouse;
      server.tableExtra = () => ({ config });
    });
    await createTable(rig);
    const opened = rig.opened.at(-1);
    return { rig, opened };
  };

  test.each([
    ["gs://bucket", "gcs", "gcs.oauth2.token"],
    [
      "abfss://c@account.dfs.core.windows.net",
      "azure",
      "adls.sas-token.account.dfs.core.windows.net",
    ],
    ["abfss://c@account.dfs.core.windows.net", "azure", "adls.sas-token.account"],
    [
      "wasbs://c@account.blob.core.windows.net",
      "azure",
      "adls.sas-token.account.dfs.core.windows.net",
    ],
  ])("in %s has the token that the catalog lends for it (%s)", async (warehouse, family, key) => {
    const config: Record<string, string> = { [key]: "one", "s3.access-key-id": "other" };
    const { rig, opened } = await lend(warehouse, config);
    expect(opened?.family).toBe(family as "gcs");
    if (opened === undefined || opened.family === "s3") throw new Error("no token was lent");
    expect(await opened.token?.(false)).toBe("one");
    config[key] = "two";
    expect(await opened.token?.(true)).toBe("two");
    expect(rig.opened).toHaveLength(1);
    expect(withVended(storeOptions, opened)[opened.family].credentials).toMatchObject({
      type: "vended",
    });
  });

  test("is renewed before its token ends, by the end that the catalog names", async () => {
    const config = {
      "gcs.oauth2.token": "one",
      "gcs.oauth2.token-expires-at": String(1_000_000 + LIFE_MS),
      "gcs.service.host": "http://theirs",
    };
    const { rig, opened } = await lend("gs://bucket", config);
    if (opened === undefined || opened.family !== "gcs") throw new Error("no token was lent");
    expect(opened.endpoint).toBe("http://theirs");
    config["gcs.oauth2.token"] = "two";
    expect(await opened.token?.(false)).toBe("one");
    rig.passMs(LIFE_MS);
    expect(await opened.token?.(false)).toBe("two");
  });

  test("that the catalog says nothing of is in the pipeline's own store", async () => {
    const { rig, opened } = await lend("gs://bucket", { "s3.access-key-id": "k" });
    expect(opened).toBeUndefined();
    expect((await rig.catalog.load(NAME))?.storage).toBe(rig.storage);
  });
});
