/**
 * The configurations of docs/STORAGE.md, word for word but for addresses, against the services that can run
 * here: `check` reaches the store, signs in, and may list, write, read and delete.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Azurite, startAzurite } from "../../scripts/services/azurite.ts";
import { type FakeGcs, startFakeGcs } from "../../scripts/services/fakeGcs.ts";
import { freePort, temporaryFolder } from "../../scripts/services/process.ts";
import { type S3Service, startS3 } from "../../scripts/services/versitygw.ts";

let s3: S3Service;
let gcs: FakeGcs;
let azurite: Azurite;

beforeAll(async () => {
  [s3, gcs, azurite] = await Promise.all([
    startS3({ kind: "minio" }),
    startFakeGcs(),
    startAzurite(),
  ]);
}, 900_000);

afterAll(async () => {
  await Promise.all([s3?.stop(), gcs?.stop(), azurite?.stop()]);
}, 30_000);

/** The page's block that names an address. */
function blockWith(address: string): string {
  const page = readFileSync("docs/STORAGE.md", "utf8");
  const blocks = [...page.matchAll(/```toml\n(.*?)```/gs)].map(([, text = ""]) => text);
  const found = blocks.filter((text) => text.includes(address));
  if (found.length !== 1) throw new Error(`${found.length} blocks with ${address}`);
  return found[0] ?? "";
}

async function check(
  text: string,
  env: Readonly<Record<string, string>>,
): Promise<{ readonly notes: string[]; readonly errors: string[] }> {
  const folder = await temporaryFolder("storage-docs");
  const config = join(folder, "config.toml");
  // Nothing listens there: Kafka is not what this is about.
  const kafka = `[kafka]\nbootstrap_servers = "127.0.0.1:${freePort()}"`;
  await Bun.write(config, text.replace("[kafka]", kafka));
  const child = Bun.spawn(
    [process.execPath, "src/main.ts", "check", "--json", "--config", config],
    {
      env: { ...process.env, ...env },
      stdout: "pipe",
      stderr: "pipe",
    },
  );
  const out = await new Response(child.stdout).text();
  const { pipelines } = JSON.parse(out) as {
    pipelines: { differences: string[]; errors: string[] }[];
  };
  const [plan] = pipelines;
  return {
    notes: plan?.differences ?? [],
    errors: (plan?.errors ?? []).filter((each) => !each.startsWith("Kafka")),
  };
}

test("MinIO and others that speak S3", async () => {
  const address = "http://localhost:9000";
  const env = { S3_ACCESS_KEY: s3.accessKey, S3_SECRET_KEY: s3.secretKey };
  const text = blockWith(address).replace(address, s3.endpoint);
  const { notes, errors } = await check(text, env);
  expect(errors).toEqual([]);
  expect(notes).toContain(
    "storage: s3://warehouse/tables/default may be listed, written, read and deleted from",
  );
  const wrong = await check(text, { ...env, S3_SECRET_KEY: "hunter2" });
  expect(wrong.errors.join()).toContain("access key testkey from storage.s3.access_key_id");
  expect(wrong.errors.join()).not.toContain("hunter2");
}, 120_000);

test("Google Cloud Storage on an emulator", async () => {
  const address = "http://localhost:4443";
  const { notes, errors } = await check(blockWith(address).replace(address, gcs.endpoint), {});
  expect(errors).toEqual([]);
  expect(notes).toContain(
    "storage: gs://warehouse/tables/default may be listed, written, read and deleted from",
  );
}, 120_000);

test("Azure on Azurite, by key, and by a signature that lacks rights", async () => {
  const address = "http://localhost:10000/devstoreaccount1";
  const text = blockWith(address).replace(address, azurite.endpoint);
  const { notes, errors } = await check(text, { AZURE_STORAGE_KEY: azurite.key });
  expect(errors).toEqual([]);
  expect(notes.some((note) => note.endsWith("may be listed, written, read and deleted from"))).toBe(
    true,
  );
  const signed = text.replace("account_key", "sas_token");
  const readOnly = azurite.sas("rl");
  const lacking = await check(signed, { AZURE_STORAGE_KEY: readOnly });
  const told = lacking.errors.join("\n");
  for (const right of ["write", "delete"])
    expect(told).toContain(`: ${right}: Azure refused ${right} on container warehouse`);
  expect(told).not.toContain(encodeURIComponent(new URLSearchParams(readOnly).get("sig") ?? ""));
}, 120_000);
