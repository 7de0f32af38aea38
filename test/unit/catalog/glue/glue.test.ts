/** The Glue catalog against a service in memory: outcomes, what is written, who signs, what is missing. */
import { describe, expect, test } from "bun:test";
import { systemClock } from "#base/clock.ts";
import { kindOf } from "#base/errors.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import type { Catalog, CommitOutcome } from "#catalog/catalog.ts";
import { createGlueCatalog, type GlueCatalogOptions } from "#catalog/glue/glue.ts";
import type { TableUpdate } from "#iceberg/metadata/metadata.ts";
import { createGlueFake, type GlueFake, glueRefusal } from "../../../fakes/glue.ts";
import { createMemoryStorage } from "../../../fakes/memoryStorage.ts";
import { glueOptions } from "../../../support/catalogPlaces.ts";
import { sampleTable } from "../../../support/icebergSamples.ts";
import { rejection } from "../../../support/rejection.ts";

const NAME = { namespace: ["db"], table: "events" };
const TOUCH: TableUpdate[] = [{ action: "set-properties", properties: { touched: "yes" } }];

interface Rig {
  readonly fake: GlueFake;
  readonly catalog: Catalog;
  /** How often keys were asked for, and fresh ones. */
  readonly keys: { asked: number; fresh: number };
  readonly count: (operation: string) => number;
}

async function rig(over: Partial<GlueCatalogOptions> = {}): Promise<Rig> {
  const fake = createGlueFake();
  const keys = { asked: 0, fresh: 0 };
  const catalog = createGlueCatalog(glueOptions({ requestTimeoutMs: 200, ...over }), {
    storage: createMemoryStorage(),
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
    requestHandler: fake.requestHandler,
    credentials: async (fresh) => {
      keys.asked++;
      if (fresh === true) keys.fresh++;
      return { accessKeyId: `key${keys.fresh}`, secretAccessKey: "secret" };
    },
  });
  await catalog.open();
  const count = (wanted: string): number =>
    fake.calls.filter(({ operation }) => operation === wanted).length;
  return { fake, catalog, keys, count };
}

async function withTable(over: Partial<GlueCatalogOptions> = {}): Promise<Rig> {
  const made = await rig(over);
  const outcome = await made.catalog.create({ name: NAME, metadataAt: sampleTable });
  expect(outcome.kind).toBe("committed");
  return made;
}

/** Commits, and answers the outcome's kind, or the kind of the error that was thrown. */
async function touched({ catalog }: Rig): Promise<string> {
  const commit: Promise<CommitOutcome> = catalog.commit(NAME, [], TOUCH);
  return commit.then(({ kind }) => kind).catch((error: unknown) => kindOf(error));
}

describe("a commit's outcome", () => {
  const answers: readonly (readonly [string, ReturnType<typeof glueRefusal>, string])[] = [
    ["another version", glueRefusal("ConcurrentModificationException"), "conflict"],
    ["no table any more", glueRefusal("EntityNotFoundException"), "conflict"],
    ["too many calls", glueRefusal("ThrottlingException"), "conflict"],
    ["too many calls, as 429", glueRefusal("TooManyRequestsException", "no", 429), "conflict"],
    ["no right", glueRefusal("AccessDeniedException"), "catalog_refused"],
    ["a wrong value", glueRefusal("InvalidInputException"), "catalog_refused"],
    ["too many versions", glueRefusal("ResourceNumberLimitExceededException"), "catalog_refused"],
    ["Glue's own timeout, as 400", glueRefusal("OperationTimeoutException"), "unknown"],
    ["an internal error, as 400", glueRefusal("InternalServiceException"), "unknown"],
    ["500", glueRefusal("InternalServiceException", "no", 500), "unknown"],
    ["502 of a proxy", { status: 502, body: "<html>Bad Gateway</html>" }, "unknown"],
    ["503", glueRefusal("ServiceUnavailable", "no", 503), "unknown"],
    ["504 of a proxy", { status: 504, body: "" }, "unknown"],
    ["408", { status: 408, body: "" }, "unknown"],
    ["403 of a proxy", { status: 403, body: "<html>Forbidden</html>" }, "unknown"],
    ["a success that is not to be read", { status: 200, body: "<html>" }, "unknown"],
    ["a success without having done it", { status: 200, body: {} }, "unknown"],
  ];

  for (const [what, answer, outcome] of answers) {
    test(`${what}: ${outcome}, after one request`, async () => {
      const own = await withTable();
      own.fake.intercept = async ({ operation }) => (operation === "UpdateTable" ? answer : null);
      expect(await touched(own)).toBe(outcome);
      expect(own.count("UpdateTable")).toBe(1);
    });
  }

  test("a lost connection, before or after it was applied: unknown, after one request", async () => {
    for (const isApplied of [true, false]) {
      const own = await withTable();
      own.fake.intercept = async ({ operation }, apply) => {
        if (operation !== "UpdateTable") return null;
        if (isApplied) apply();
        throw Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET", syscall: "read" });
      };
      expect(await touched(own)).toBe("unknown");
      expect(own.count("UpdateTable")).toBe(1);
      own.fake.intercept = async () => null;
      const head = await own.catalog.load(NAME);
      expect(head?.metadata.properties["touched"]).toBe(isApplied ? "yes" : undefined);
    }
  });

  test("no connection at all: nothing was sent, so another try may follow", async () => {
    const own = await withTable();
    own.fake.intercept = async ({ operation }) => {
      if (operation !== "UpdateTable") return null;
      throw Object.assign(new Error("connect ECONNREFUSED"), { syscall: "connect" });
    };
    expect(await touched(own)).toBe("conflict");
  });

  test("no answer in time: unknown", async () => {
    const own = await withTable();
    own.fake.intercept = async ({ operation }) =>
      operation === "UpdateTable" ? Promise.withResolvers<null>().promise : null;
    expect(await touched(own)).toBe("unknown");
  });

  test("a commit that another one followed at once is still committed", async () => {
    const own = await withTable();
    const other = createGlueCatalog(glueOptions(), {
      storage: (await own.catalog.load(NAME))?.storage ?? createMemoryStorage(),
      clock: systemClock,
      random: systemRandom,
      log: silentLogger,
      requestHandler: own.fake.requestHandler,
      credentials: async () => ({ accessKeyId: "other", secretAccessKey: "secret" }),
    });
    await other.open();
    let wasFollowed = false;
    own.fake.intercept = async ({ operation, accessKey }, apply) => {
      if (operation !== "UpdateTable" || accessKey === "other") return null;
      const answer = apply();
      wasFollowed = (await other.commit(NAME, [], TOUCH)).kind === "committed";
      return answer;
    };
    expect(await touched(own)).toBe("committed");
    expect(wasFollowed).toBe(true);
  });

  test("a service that gives no VersionId is refused: a commit could undo another's", async () => {
    const own = await withTable();
    own.fake.intercept = async ({ operation }, apply) => {
      if (operation !== "GetTable") return null;
      const { body } = apply() as { body: { Table: object } };
      return { status: 200, body: { Table: { ...body.Table, VersionId: undefined } } };
    };
    expect(await touched(own)).toBe("catalog_refused");
    expect(own.count("UpdateTable")).toBe(0);
  });
});

test("the version that was read is demanded, and no archive is kept unless asked for", async () => {
  for (const skipArchive of [true, false]) {
    const own = await withTable({ skipArchive, catalogId: "123456789012" });
    await touched(own);
    await touched(own);
    const inputs = own.fake.calls.filter(({ operation }) => operation === "UpdateTable");
    expect(inputs.map(({ input }) => input["VersionId"])).toEqual(["0", "1"]);
    expect(inputs.map(({ input }) => input["SkipArchive"])).toEqual([skipArchive, skipArchive]);
    expect(new Set(own.fake.calls.map(({ input }) => input["CatalogId"]))).toEqual(
      new Set(["123456789012"]),
    );
  }
});

test("keys that have ended are asked for anew, once, for reads and commits", async () => {
  const own = await withTable();
  own.fake.intercept = async ({ accessKey }) =>
    accessKey === "key0" ? glueRefusal("ExpiredTokenException") : null;
  expect(await touched(own)).toBe("committed");
  expect(own.keys.fresh).toBe(1);
  own.fake.intercept = async () => glueRefusal("ExpiredTokenException");
  expect(await touched(own)).toBe("catalog_refused");
  expect(own.keys.fresh).toBe(2);
});

test("reads are tried again while Glue is away or slows us down; a refusal is an answer", async () => {
  const own = await withTable();
  let failures = 2;
  own.fake.intercept = async () =>
    failures-- > 0 ? glueRefusal("ThrottlingException", "Rate exceeded") : null;
  expect((await own.catalog.load(NAME))?.name).toEqual(NAME);
  own.fake.intercept = async () => glueRefusal("InternalServiceException", "no", 500);
  expect(kindOf(await rejection(own.catalog.load(NAME)))).toBe("catalog_unreachable");
  const before = own.count("GetTable");
  own.fake.intercept = async () => glueRefusal("AccessDeniedException");
  expect(kindOf(await rejection(own.catalog.load(NAME)))).toBe("catalog_refused");
  expect(own.count("GetTable")).toBe(before + 1);
});

test("a listing goes through all pages and names Iceberg tables alone; others are refused by load", async () => {
  const own = await withTable();
  for (const table of ["a", "b", "c"]) {
    await own.catalog.create({ name: { ...NAME, table }, metadataAt: sampleTable });
  }
  const hive = { Name: "hive", VersionId: "0", Parameters: { classification: "parquet" } };
  own.fake.tables.set("db.hive", hive);
  const names = await own.catalog.list(["db"]);
  expect(names.map(({ table }) => table)).toEqual(["a", "b", "c", "events"]);
  const error = await rejection(own.catalog.load({ ...NAME, table: "hive" }));
  expect(kindOf(error)).toBe("table_unsupported");
});

test("a new table lives where its database says, else in the warehouse, else nowhere", async () => {
  const own = await rig();
  expect(await own.catalog.locationOf(NAME)).toBe("/warehouse/db.db/events");
  own.fake.databases.set("db", "s3://lake/db/");
  expect(await own.catalog.locationOf(NAME)).toBe("s3://lake/db/events");
  const homeless = await rig({ warehouse: null });
  const error = await rejection(homeless.catalog.create({ name: NAME, metadataAt: sampleTable }));
  expect(kindOf(error)).toBe("usage");
  expect(homeless.fake.tables.size).toBe(0);
});

test("names that Glue would fold or others not find are refused with the nearest one", async () => {
  const own = await rig();
  for (const table of ["Events", "a.b", "a-b", "größe"]) {
    const error = await rejection(own.catalog.load({ ...NAME, table }));
    expect(kindOf(error)).toBe("usage");
    expect(error.message).toContain("the nearest is");
  }
  expect(own.count("GetTable")).toBe(0);
});

test("rights that a login lacks are named as IAM names them, and nothing is changed to find out", async () => {
  const own = await withTable();
  const before = structuredClone([...own.fake.tables]);
  expect(await own.catalog.missingRights?.([NAME])).toEqual([]);
  own.fake.intercept = async ({ operation }) => {
    if (!/^(UpdateTable|GetTables)$/.test(operation)) return null;
    const resource = "arn:aws:glue:us-east-1:1:table/db/*";
    const said = `User: arn:aws:iam::1:user/u is not authorized to perform: glue:${operation} on resource: ${resource} because no identity-based policy allows it`;
    return glueRefusal("AccessDeniedException", said);
  };
  expect(await own.catalog.missingRights?.([NAME])).toEqual([
    "glue:GetTables on arn:aws:glue:us-east-1:1:table/db/*",
    "glue:UpdateTable on arn:aws:glue:us-east-1:1:table/db/*",
  ]);
  expect([...own.fake.tables]).toEqual(before);
});

test("opening tells who is unknown from who may not look: the first is refused, the second is enough", async () => {
  const fake = createGlueFake();
  const parts = {
    storage: createMemoryStorage(),
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
    requestHandler: fake.requestHandler,
    credentials: async () => ({ accessKeyId: "key", secretAccessKey: "secret" }),
  };
  fake.intercept = async () => glueRefusal("AccessDeniedException");
  await createGlueCatalog(glueOptions(), parts).open();
  fake.intercept = async () => glueRefusal("UnrecognizedClientException");
  const error = await rejection(createGlueCatalog(glueOptions(), parts).open());
  expect(kindOf(error)).toBe("catalog_refused");
});
