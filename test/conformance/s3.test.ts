/**
 * The storage contract on a real S3 server, and what only a real one can show: lost answers on the
 * wire, multipart leftovers, refused keys, a server that is away.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { systemClock } from "#base/clock.ts";
import { AppError } from "#base/errors.ts";
import { systemRandom } from "#base/random.ts";
import type { S3Options } from "#storage/s3Client.ts";
import type { Storage } from "#storage/storage.ts";
import { startFaultProxy } from "../../scripts/services/faultProxy.ts";
import { type S3Service, startS3 } from "../../scripts/services/versitygw.ts";
import { storageContract } from "../contract/storageSuite.ts";
import { s3Store } from "../support/realStores.ts";

let service: S3Service;
beforeAll(async () => {
  service = await startS3({ buckets: ["warehouse"] });
}, 300_000);
afterAll(() => service.stop());

const open = (endpoint: string, options: Partial<S3Options> = {}): Storage =>
  s3Store({ ...service, endpoint }, options);

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

async function errorOf(run: Promise<unknown>): Promise<AppError> {
  const error = await run.catch((thrown: unknown) => thrown);
  if (error instanceof AppError) return error;
  throw new Error(`no AppError but ${String(error)}`);
}

storageContract(
  "S3 server",
  async () => ({
    storage: open(service.endpoint),
    root: `s3://warehouse/${systemRandom.uuid()}`,
    close: async () => undefined,
  }),
  { rounds: 50, largeBytes: 20_000_000 },
);

describe("S3 server", () => {
  test("putIfAbsent says true although each first answer is lost on the wire", async () => {
    const proxy = startFaultProxy(`127.0.0.1:${service.port}`);
    try {
      for (let round = 0; round < 5; round++) {
        const location = `s3://warehouse/lost/${systemRandom.uuid()}`;
        const storage = open(`http://127.0.0.1:${proxy.port}`);
        proxy.set({ kind: "swallow", match: /^PUT / });
        const write = storage.putIfAbsent(location, bytes("ours"));
        while (proxy.counters.swallowed === round) await systemClock.sleep(1);
        proxy.set({ kind: "pass" });
        expect(await write).toBe(true);
        expect(await storage.putIfAbsent(location, bytes("other"))).toBe(false);
        await storage.close();
      }
      expect(proxy.counters.swallowed).toBeGreaterThanOrEqual(5);
    } finally {
      proxy.stop();
    }
  }, 30_000);

  test("one lost answer is one request: the client sends nothing twice by itself", async () => {
    const proxy = startFaultProxy(`127.0.0.1:${service.port}`);
    const once = { retry: { retriesMax: 0, baseDelayMs: 0, delayMsMax: 0 } };
    const storage = open(`http://127.0.0.1:${proxy.port}`, once);
    try {
      await storage.put(`s3://warehouse/once/${systemRandom.uuid()}`, bytes("warm"));
      proxy.set({ kind: "swallow", match: /^PUT / });
      const location = `s3://warehouse/once/${systemRandom.uuid()}`;
      expect((await errorOf(storage.putIfAbsent(location, bytes("x")))).kind).toBe(
        "storage_unreachable",
      );
      expect(proxy.counters.swallowed).toBe(1);
    } finally {
      proxy.stop();
      await storage.close();
    }
  }, 30_000);

  test("a server that is away is waited for, and storage_unreachable when it stays away", async () => {
    const patient = open(service.endpoint, {
      retry: { retriesMax: 100, baseDelayMs: 50, delayMsMax: 100 },
    });
    const impatient = open(service.endpoint);
    await service.stop();
    expect((await errorOf(impatient.get("s3://warehouse/x"))).kind).toBe("storage_unreachable");
    const put = patient.put(`s3://warehouse/away/${systemRandom.uuid()}`, bytes("x"));
    await service.restart();
    expect((await put).bytes).toBe(1);
  }, 60_000);

  test("wrong keys are refused with a sentence that names the bucket", async () => {
    const credentials = { accessKeyId: "testkey", secretAccessKey: "hidden", sessionToken: null };
    const error = await errorOf(
      open(service.endpoint, { credentials }).put("s3://warehouse/refused", bytes("x")),
    );
    expect(error.kind).toBe("storage_refused");
    expect(error.message).toContain("s3://warehouse/refused");
    expect(error.message).toContain("access key testkey from storage.s3.access_key_id");
    expect(error.message).not.toContain("hidden");
  });

  test("a bucket that does not exist is storage_missing", async () => {
    const error = await errorOf(open(service.endpoint).put("s3://nowhere/a", bytes("x")));
    expect(error.kind).toBe("storage_missing");
  });

  test("a multipart upload that a dead process left is found by its location and aborted", async () => {
    const storage = open(service.endpoint);
    const location = `s3://warehouse/dead/${systemRandom.uuid()}`;
    const writer = await storage.writer(location);
    // Up to 16 MiB are one request.
    for (let part = 0; part < 2; part++) await writer.write(new Uint8Array(9_000_000));
    expect(writer.uploadId).not.toBeNull();
    await storage.abortUploads([{ location, uploadId: "" }]);
    expect((await errorOf(writer.close())).kind).not.toBe("internal");
    expect(await storage.head(location)).toBeNull();
    await storage.abortUploads([{ location, uploadId: writer.uploadId ?? "" }]);
  }, 30_000);
});
