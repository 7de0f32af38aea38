/** Google Cloud Storage: lost answers, pieces of resumable uploads, refusals, tokens. */
import { describe, expect, test } from "bun:test";
import { systemClock } from "#base/clock.ts";
import type { AppError } from "#base/errors.ts";
import { silentLogger } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import { createGcsStorage } from "#storage/gcs.ts";
import type { GcsOptions } from "#storage/gcsClient.ts";
import { createGcsFake } from "../../fakes/gcsHttp.ts";
import type { Faults } from "../../fakes/storeFaults.ts";
import { storeOptions } from "../../fakes/storeOptions.ts";
import { errorOf } from "../../support/s3Rig.ts";

const content = new TextEncoder().encode("content");

function open(faults: Faults = {}, over: Partial<GcsOptions> = {}, takesOnly = 0) {
  const fake = createGcsFake(faults, takesOnly);
  const parts = {
    clock: systemClock,
    random: seededRandom(1),
    log: silentLogger,
    transport: fake.transport,
  };
  return { fake, storage: createGcsStorage({ ...storeOptions.gcs, ...over }, parts) };
}

/** Three parts, of which the last is short. */
function large(): Uint8Array {
  const bytes = new Uint8Array(20_000_000);
  for (let at = 0; at < bytes.length; at += 997) bytes[at] = at % 251;
  return bytes;
}

describe("Google Cloud Storage", () => {
  test("a small object whose answer was lost is ours; one that another wrote meanwhile is not", async () => {
    const { storage, fake } = open({ create: ["lost_after", null, "lost_before"] });
    expect(await storage.putIfAbsent("gs://b/a", content)).toBe(true);
    expect(fake.count("create")).toBe(2);
    const { storage: other } = open();
    expect(await other.putIfAbsent("gs://b/a", content)).toBe(true);
    fake.objects.set("b/c", { body: Buffer.from("theirs"), metadata: null });
    expect(await storage.putIfAbsent("gs://b/c", content)).toBe(false);
  });

  test.each(["lost_before", "lost_after"] as const)(
    "each piece of a large object that meets %s is asked about and goes on from there",
    async (fault) => {
      const faults = { begin: ["lost_before"], piece: [fault, null, fault, null, fault] } as const;
      const { storage, fake } = open(faults);
      const bytes = large();
      expect((await storage.put("gs://b/large", bytes)).bytes).toBe(bytes.length);
      expect(await storage.get("gs://b/large")).toEqual(bytes);
      expect(fake.count("state")).toBeGreaterThan(0);
    },
  );

  test.each(["odd_before", "odd_after", "odd_json_before", "odd_json_after"] as const)(
    "a success that is not the store's is no answer, of whatever request (%s)",
    async (fault) => {
      const small = open({ create: [fault], get: [fault], list: [fault] });
      expect(await small.storage.putIfAbsent("gs://b/a", content)).toBe(true);
      expect((await small.storage.head("gs://b/a"))?.bytes).toBe(content.length);
      const listed = await Array.fromAsync(small.storage.list("gs://b/"));
      expect(listed.map(({ bytes }) => bytes)).toEqual([content.length]);
      const { storage, fake } = open({ piece: [null, null, fault] });
      const bytes = large();
      expect((await storage.put("gs://b/large", bytes)).bytes).toBe(bytes.length);
      expect(fake.objects.get("b/large")?.body.equals(bytes)).toBe(true);
      const never = open({ create: Array.from({ length: 9 }, () => fault) });
      expect((await errorOf(never.storage.put("gs://b/a", content))).kind).toBe(
        "storage_unreachable",
      );
    },
  );

  test("a piece that the store took in part is sent from there", async () => {
    const { storage, fake } = open({}, {}, 512 * 1024);
    const bytes = large();
    await storage.put("gs://b/large", bytes);
    expect(await storage.get("gs://b/large")).toEqual(bytes);
    expect(fake.count("piece")).toBe(4);
  });

  test("an upload whose session the store ended is corrupt, so that it is written anew", async () => {
    const { storage, fake } = open();
    const writer = await storage.writer("gs://b/large");
    await writer.write(large());
    fake.sessions.clear();
    expect((await errorOf(writer.close())).kind).toBe("storage_corrupt");
    await writer.abort();
    expect(fake.objects.size).toBe(0);
  });

  test("an aborted upload ends its session, and a crash would leave nothing to remove", async () => {
    const { storage, fake } = open();
    const writer = await storage.writer("gs://b/large");
    await writer.write(large());
    expect(writer.uploadId).toBeNull();
    await writer.abort();
    expect([fake.sessions.size, fake.objects.size]).toEqual([0, 0]);
  });

  test("what arrives altered is corrupt", async () => {
    const { storage, fake } = open({ create: ["lost_after"] });
    const put = storage.put("gs://b/a", content);
    const set = fake.objects.set.bind(fake.objects);
    fake.objects.set = (id, object) => set(id, { ...object, body: Buffer.from("cOntent") });
    expect((await errorOf(put)).kind).toBe("storage_corrupt");
  });

  test.each([
    [500, "backendError", "storage_unreachable"],
    [503, "", "storage_unreachable"],
    [429, "rateLimitExceeded", "storage_unreachable"],
    [403, "rateLimitExceeded", "storage_unreachable"],
    [408, "", "storage_unreachable"],
    [403, "forbidden", "storage_refused"],
    [401, "authError", "storage_refused"],
    [400, "invalid", "storage_refused"],
    [416, "requestedRangeNotSatisfiable", "storage_corrupt"],
  ])("%d %s is %s", async (status, code, kind) => {
    const fault = { status, code };
    const { storage } = open({ media: Array.from({ length: 9 }, () => fault) });
    expect((await errorOf(storage.get("gs://b/k"))).kind).toBe(kind as AppError["kind"]);
  });

  test("passing trouble is retried until it works, of every request", async () => {
    const slow = { status: 503, code: "" };
    const twice = [slow, "lost_before"] as const;
    const names = ["create", "begin", "piece", "media", "get", "list", "delete"];
    const { storage } = open(Object.fromEntries(names.map((name) => [name, twice])));
    await storage.put("gs://b/a", content);
    await storage.put("gs://b/large", large());
    expect(await storage.get("gs://b/a")).toEqual(content);
    expect((await storage.head("gs://b/a"))?.bytes).toBe(content.length);
    expect((await Array.fromAsync(storage.list("gs://b/"))).length).toBe(2);
    await storage.remove(["gs://b/a"]);
    expect(await storage.head("gs://b/a")).toBeNull();
  });

  test("a refusal names the permission, the bucket, and whose it was", async () => {
    const refused = Array.from({ length: 2 }, () => ({ status: 403, code: "forbidden" }));
    const { storage } = open({ create: refused, list: refused, delete: refused });
    const put = await errorOf(storage.put("gs://b/k", content));
    expect(put.message).toContain("storage.objects.create on bucket b is needed by nobody");
    const list = await errorOf(Array.fromAsync(storage.list("gs://b/k")));
    expect(list.message).toContain("storage.objects.list on bucket b");
    const remove = await errorOf(storage.remove(["gs://b/k"]));
    expect(remove.message).toContain("storage.objects.delete on bucket b");
  });

  test("a bucket that does not exist is missing by name", async () => {
    const { storage } = open();
    for (const run of [storage.put("gs://no/k", content), storage.get("gs://no/k")]) {
      const error = await errorOf(run);
      expect([error.kind, error.message]).toEqual([
        "storage_missing",
        "The bucket no does not exist",
      ]);
    }
  });

  test("a token that a catalog lends is asked for before each request, and anew when it is refused", async () => {
    const asked: boolean[] = [];
    const vended = async (fresh: boolean): Promise<string> => {
      asked.push(fresh);
      return `token-${asked.filter(Boolean).length}`;
    };
    const expired = { status: 401, code: "authError" };
    const { storage, fake } = open(
      { create: [expired] },
      { credentials: { type: "vended", vended } },
    );
    await storage.put("gs://b/one", content);
    await storage.head("gs://b/one");
    const sent = fake.requests.map(({ headers }) => headers["authorization"]);
    expect(sent).toEqual(["Bearer token-0", "Bearer token-1", "Bearer token-1"]);
    expect(asked.filter(Boolean)).toHaveLength(1);
  });

  test("a key file that is not there is refused by its name, and not asked for again", async () => {
    const credentials = { type: "google", keyFile: "/nonexistent/key.json" } as const;
    const { storage, fake } = open({}, { credentials });
    const error = await errorOf(storage.get("gs://b/k"));
    expect(error.kind).toBe("storage_refused");
    expect(error.message).toContain("/nonexistent/key.json (storage.gcs.key_file)");
    expect(fake.requests).toEqual([]);
  });
});
