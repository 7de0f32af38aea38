/**
 * The Glue catalog on moto with Glue's optimistic locking: the promises of every catalog, roles, foreign
 * engines beside us, and the product through kills.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { systemClock } from "#base/clock.ts";
import { kindOf } from "#base/errors.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import { createGlueCatalog } from "#catalog/glue/glue.ts";
import { createS3Storage } from "#storage/s3.ts";
import { motoPackages, readersPython } from "../../scripts/services/cache.ts";
import { type FaultProxy, startFaultProxy } from "../../scripts/services/faultProxy.ts";
import { type Moto, startMoto } from "../../scripts/services/moto.ts";
import { run } from "../../scripts/services/process.ts";
import { createMemoryStorage } from "../fakes/memoryStorage.ts";
import { s3FakeOptions } from "../fakes/s3Http.ts";
import { catalogContract } from "../support/catalogContract.ts";
import { glueOptions, gluePlace } from "../support/catalogPlaces.ts";
import { commitEmpty, createSample } from "../support/realCatalogs.ts";
import { rejection } from "../support/rejection.ts";

let moto: Moto;
let proxy: FaultProxy;

beforeAll(async () => {
  moto = await startMoto();
  proxy = startFaultProxy(`127.0.0.1:${moto.port}`);
}, 600_000);

afterAll(async () => {
  proxy?.stop();
  await moto?.stop();
});

const COMMIT = /AWSGlue\.UpdateTable/;

catalogContract("Glue catalog on moto", () =>
  gluePlace(
    () => glueOptions({ endpoint: `http://127.0.0.1:${proxy.port}` }),
    { storage: createMemoryStorage() },
    (fault) => {
      const kind = fault === "after" ? "swallow" : "refuse";
      proxy.set({ kind, match: COMMIT, once: true });
    },
  ),
);

function open(over: Parameters<typeof glueOptions>[0] = {}) {
  const { endpoint, region } = moto;
  const credentials = { accessKeyId: "key", secretAccessKey: "secret", sessionToken: null };
  const parts = { clock: systemClock, random: systemRandom, log: silentLogger };
  const storage = createS3Storage({ ...s3FakeOptions, endpoint, region, credentials }, parts);
  const options = glueOptions({ endpoint, region, warehouse: "s3://warehouse/lake", ...over });
  return createGlueCatalog(options, { storage, ...parts });
}

describe("Glue", () => {
  test("a role is assumed with the chain's keys, and signs the calls", async () => {
    const environment = { ...process.env };
    Object.assign(process.env, moto.environment);
    try {
      const catalog = open({ roleArn: "arn:aws:iam::123456789012:role/IcebergRole" });
      await catalog.open();
      const log = await Bun.file(moto.logFile).text();
      expect(await catalog.list(["nowhere"])).toEqual([]);
      expect(log).toMatch(/POST \/ HTTP/);
      await catalog.close();
      process.env["AWS_ENDPOINT_URL_STS"] = "http://127.0.0.1:1";
      const lost = open({ roleArn: "arn:aws:iam::123456789012:role/IcebergRole" });
      const error = await rejection(lost.open());
      expect(kindOf(error)).toBe("catalog_unreachable");
      expect(error.message).toContain("role/IcebergRole was not assumed");
    } finally {
      process.env = environment;
    }
  });

  test("PyIceberg lists and loads our table through Glue, appends, and we go on from there", async () => {
    const environment = { ...process.env };
    Object.assign(process.env, moto.environment);
    const catalog = open();
    const name = { namespace: ["lake"], table: "shared" };
    try {
      await catalog.open();
      await createSample(catalog, name, []);
      await commitEmpty(catalog, name);
      const job = { catalog: properties(), table: "lake.shared" };
      const seen = await pyiceberg({
        ...job,
        action: "append",
        rows: [{ id: 1, ts: null, name: "n" }],
      });
      expect(seen).toMatchObject({ tables: ["lake.shared"] });
      expect(seen["namespaces"]).toContain("lake");
      expect((await catalog.load(name))?.metadata.snapshots).toHaveLength(2);
      await commitEmpty(catalog, name);
      const again = await pyiceberg({ ...job, action: "scan" });
      expect(again["snapshots"]).toHaveLength(3);
      expect(again["rows"]).toHaveLength(1);
      const script =
        "import boto3,json;print(json.dumps(boto3.client('glue').get_table(DatabaseName='lake',Name='shared')['Table'],default=str))";
      const shown = JSON.parse(await moto.python(script));
      expect(shown.Parameters.owner).toBe("kafka-iceberg");
      expect(shown.StorageDescriptor.Columns).toMatchObject([
        { Name: "id", Type: "bigint", Parameters: { "iceberg.field.current": "true" } },
        { Name: "ts", Type: "timestamp" },
        { Name: "name", Type: "string" },
      ]);
    } finally {
      await catalog.close();
      process.env = environment;
    }
  }, 120_000);
});

/** Of PyIceberg's catalog. */
function properties(): Record<string, string> {
  const { endpoint, region } = moto;
  const keys = (name: string): Record<string, string> => ({
    [`${name}.endpoint`]: endpoint,
    [`${name}.region`]: region,
    [`${name}.access-key-id`]: "key",
    [`${name}.secret-access-key`]: "secret",
  });
  return { type: "glue", warehouse: "s3://warehouse/lake", ...keys("glue"), ...keys("s3") };
}

async function pyiceberg(job: Record<string, unknown>): Promise<Record<string, unknown>> {
  const script = join(import.meta.dir, "..", "support", "catalog_pyiceberg.py");
  const env = { PYTHONPATH: await motoPackages() };
  return JSON.parse(
    await run([await readersPython(), script], { stdin: JSON.stringify(job), env }),
  );
}
