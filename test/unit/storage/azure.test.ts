/** Azure Blob Storage: lost answers, blocks, refusals, signatures and tokens. */
import { describe, expect, test } from "bun:test";
import { systemClock } from "#base/clock.ts";
import type { AppError } from "#base/errors.ts";
import { silentLogger } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import { createAzureStorage } from "#storage/azure.ts";
import type { AzureOptions } from "#storage/azureClient.ts";
import { createAzureFake } from "../../fakes/azureHttp.ts";
import type { Faults } from "../../fakes/storeFaults.ts";
import { storeOptions } from "../../fakes/storeOptions.ts";
import { errorOf } from "../../support/s3Rig.ts";

const content = new TextEncoder().encode("content");
const ROOT = "abfss://c@account.dfs.core.windows.net";

function open(faults: Faults = {}, over: Partial<AzureOptions> = {}) {
  const fake = createAzureFake(faults);
  const parts = {
    clock: systemClock,
    random: seededRandom(1),
    log: silentLogger,
    httpClient: fake.httpClient,
  };
  return { fake, storage: createAzureStorage({ ...storeOptions.azure, ...over }, parts) };
}

/** Three parts, of which the last is short. */
function large(): Uint8Array {
  const bytes = new Uint8Array(20_000_000);
  for (let at = 0; at < bytes.length; at += 997) bytes[at] = at % 251;
  return bytes;
}

describe("Azure", () => {
  test("a small object whose answer was lost is ours; one that another wrote meanwhile is not", async () => {
    const { storage, fake } = open({ put: ["lost_after", null, "lost_before"] });
    expect(await storage.putIfAbsent(`${ROOT}/a`, content)).toBe(true);
    expect(fake.count("put")).toBe(2);
    fake.blobs.set("c/b", { body: Buffer.from("theirs"), metadata: {} });
    expect(await storage.putIfAbsent(`${ROOT}/b`, content)).toBe(false);
  });

  test.each(["lost_before", "lost_after"] as const)(
    "a large object whose blocks and list meet %s is whole, and ours",
    async (fault) => {
      const { storage, fake } = open({ block: [fault, null, fault], commit: [fault] });
      const bytes = large();
      expect((await storage.put(`${ROOT}/large`, bytes)).bytes).toBe(bytes.length);
      expect(await storage.get(`${ROOT}/large`)).toEqual(bytes);
      expect(fake.blocks.size).toBe(0);
    },
  );

  test("an aborted stream drops its blocks, and leaves alone what has the name", async () => {
    const { storage, fake } = open();
    const writer = await storage.writer(`${ROOT}/large`);
    await writer.write(large());
    expect(writer.uploadId).not.toBeNull();
    await writer.abort();
    expect([fake.blocks.size, fake.blobs.size]).toEqual([0, 0]);
    await storage.put(`${ROOT}/large`, content);
    await storage.abortUploads([{ location: `${ROOT}/large`, uploadId: "" }]);
    expect(await storage.get(`${ROOT}/large`)).toEqual(content);
  });

  test.each([
    [500, "InternalError", "storage_unreachable"],
    [503, "ServerBusy", "storage_unreachable"],
    [429, "TooManyRequests", "storage_unreachable"],
    [409, "ContainerBeingDeleted", "storage_unreachable"],
    [403, "AuthorizationPermissionMismatch", "storage_refused"],
    [403, "AuthenticationFailed", "storage_refused"],
    [401, "NoAuthenticationInformation", "storage_refused"],
    [400, "InvalidResourceName", "storage_refused"],
    [404, "ContainerNotFound", "storage_missing"],
    [416, "InvalidRange", "storage_corrupt"],
  ])("%d %s is %s", async (status, code, kind) => {
    const fault = { status, code };
    const { storage } = open({ get: Array.from({ length: 9 }, () => fault) });
    expect((await errorOf(storage.get(`${ROOT}/k`))).kind).toBe(kind as AppError["kind"]);
  });

  test("passing trouble is retried until it works, of every request", async () => {
    const busy = { status: 503, code: "ServerBusy" };
    const twice = [busy, "lost_before"] as const;
    const names = ["put", "block", "commit", "get", "head", "list", "delete"];
    const { storage } = open(Object.fromEntries(names.map((name) => [name, twice])));
    await storage.put(`${ROOT}/a`, content);
    await storage.put(`${ROOT}/large`, large());
    expect(await storage.get(`${ROOT}/a`)).toEqual(content);
    expect((await storage.head(`${ROOT}/a`))?.bytes).toBe(content.length);
    expect((await Array.fromAsync(storage.list(`${ROOT}/`))).length).toBe(2);
    await storage.remove([`${ROOT}/a`]);
    expect(await storage.head(`${ROOT}/a`)).toBeNull();
  });

  test("a refusal names what may not be done, the container, and whose credentials they are", async () => {
    const code = "AuthorizationPermissionMismatch";
    const refused = Array.from({ length: 2 }, () => ({ status: 403, code }));
    const { storage } = open({ put: refused, list: refused });
    const put = await errorOf(storage.put(`${ROOT}/k`, content));
    expect(put.message).toContain(`(${code}): the permission to write blobs in container c`);
    expect(put.message).toContain("is needed by the account key (storage.azure.account_key)");
    const list = await errorOf(Array.fromAsync(storage.list(ROOT)));
    expect(list.message).toContain("the permission to list blobs in container c");
  });

  test("folders of Data Lake Storage are no objects", async () => {
    const { storage, fake } = open();
    await storage.put(`${ROOT}/t/a`, content);
    fake.blobs.set("c/t", { body: Buffer.alloc(0), metadata: { hdi_isfolder: "true" } });
    fake.blobs.set("c/t/sub", { body: Buffer.alloc(0), metadata: { hdi_isfolder: "true" } });
    const found = await Array.fromAsync(storage.list(`${ROOT}/t/`));
    expect(found.map(({ location }) => location)).toEqual([`${ROOT}/t/a`]);
  });

  test("a signature that a catalog lends signs each request, is got anew when refused, and stands in no error", async () => {
    let fresh = 0;
    const vended = async (asked: boolean): Promise<string> => {
      if (asked) fresh++;
      return `?sv=1&sig=hunter${fresh}`;
    };
    const expired = { status: 403, code: "AuthenticationFailed" };
    const { storage, fake } = open(
      { put: [expired], head: [expired, expired] },
      { credentials: { type: "vended", vended } },
    );
    await storage.put(`${ROOT}/one`, content);
    const used = fake.requests.map(({ url }) => new URL(url).searchParams.get("sig"));
    expect(used).toEqual(["hunter0", "hunter1"]);
    const error = await errorOf(storage.head(`${ROOT}/one`));
    expect(error.message).toContain("credentials that the catalog handed out");
    expect(error.message + String(error.cause)).not.toContain("hunter");
  });

  test.each(["abfs", "wasb", "wasbs"])("%s:// names the same objects", async (scheme) => {
    const { storage } = open();
    await storage.put(`${ROOT}/a`, content);
    const other = `${scheme}://c@account.blob.core.windows.net/a`;
    expect(await storage.get(other)).toEqual(content);
    expect((await storage.head(other))?.location).toBe(other);
  });
});
