import { describe, expect, test } from "bun:test";
import { kindOf } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import { dropFreeParts, freePartBytes, PART_BYTES } from "#storage/partMemory.ts";
import { s3FakeOptions } from "../../fakes/s3Http.ts";
import { count, errorOf, open } from "../../support/s3Rig.ts";

const content = new TextEncoder().encode("content");
const large = new Uint8Array(17_000_000).fill(7);

describe("S3 writes whose answer is lost", () => {
  test("putIfAbsent says true when the store applied it and the answer was lost", async () => {
    const { storage, fake } = open({ PutObject: ["lost_after"] });
    expect(await storage.putIfAbsent("s3://b/v1", content)).toBe(true);
    expect(count(fake, "PutObject")).toBe(2);
    expect(await storage.putIfAbsent("s3://b/v1", content)).toBe(false);
  });

  test("putIfAbsent says false when its lost request came after another writer's", async () => {
    const { storage, fake } = open({ PutObject: [null, "lost_before", "lost_after"] });
    expect(await storage.putIfAbsent("s3://b/v1", content)).toBe(true);
    expect(await storage.putIfAbsent("s3://b/v1", content)).toBe(false);
    expect(fake.objects.size).toBe(1);
  });

  test("putIfAbsent throws storage_unreachable when it cannot find out", async () => {
    const { storage } = open({
      PutObject: ["lost_after"],
      HeadObject: ["lost_before", "lost_before", "lost_before", "lost_before"],
    });
    const error = await errorOf(storage.putIfAbsent("s3://b/v1", content));
    expect(error.kind).toBe("storage_unreachable");
  });

  test("a store that answers nothing at all ends in storage_unreachable after the retries", async () => {
    const lost = Array.from({ length: 9 }, () => "lost_before" as const);
    const { storage, fake } = open({ PutObject: lost });
    const error = await errorOf(storage.putIfAbsent("s3://b/v1", content));
    expect(error.kind).toBe("storage_unreachable");
    expect(count(fake, "PutObject")).toBe(1 + s3FakeOptions.retry.retriesMax);
  });

  test("a failure is told at its first try, and the answer that ends it", async () => {
    const troubles: unknown[] = [];
    const { storage } = open({ PutObject: ["lost_before", "lost_before"] }, { troubles });
    expect(await storage.putIfAbsent("s3://b/v1", content)).toBe(true);
    await storage.get("s3://b/v1");
    expect(troubles.map((trouble) => (trouble === null ? null : kindOf(trouble)))).toEqual([
      "storage_unreachable",
      "storage_unreachable",
      null,
    ]);
  });

  test("a request without an answer is given up after its time limit and sent again", async () => {
    const { storage } = open({ PutObject: ["hangs_after"] }, { s3: { requestTimeoutMs: 20 } });
    expect(await storage.putIfAbsent("s3://b/v1", content)).toBe(true);
  });

  test("409 ConditionalRequestConflict is tried again", async () => {
    const conflict = { status: 409, code: "ConditionalRequestConflict" };
    const { storage } = open({ PutObject: [conflict, conflict] });
    expect(await storage.putIfAbsent("s3://b/v1", content)).toBe(true);
  });

  test("a completed multipart upload whose answer was lost counts as written", async () => {
    const { storage, fake } = open({ CompleteMultipartUpload: ["lost_after"] });
    expect((await storage.put("s3://b/large", large)).bytes).toBe(large.length);
    expect(fake.objects.get("b/large")?.body.length).toBe(large.length);
  });
});

describe("S3 multipart uploads that lose", () => {
  const gone = { status: 404, code: "NoSuchUpload" };

  test("of two multipart uploads to one name the second to complete says false and is aborted", async () => {
    const { storage, fake } = open();
    const won = await Promise.all([1, 2].map(() => storage.putIfAbsent("s3://b/large", large)));
    expect(won.filter(Boolean).length).toBe(1);
    expect(fake.uploads.size).toBe(0);
  });

  test("an upload that is gone while another has the name says false", async () => {
    const { storage } = open({ CompleteMultipartUpload: [gone] });
    await storage.put("s3://b/large", content);
    expect(await storage.putIfAbsent("s3://b/large", large)).toBe(false);
  });

  test("an upload that is gone while nobody has the name is an error, and the name stays free", async () => {
    const { storage, fake } = open({ CompleteMultipartUpload: [gone] });
    const error = await errorOf(storage.putIfAbsent("s3://b/large", large));
    expect(error.kind).toBe("storage_unreachable");
    expect(fake.objects.size).toBe(0);
    expect(await storage.putIfAbsent("s3://b/large", content)).toBe(true);
  });
});

describe("S3 integrity", () => {
  test("the SHA-256 that a writer was given goes with the object: bytes altered before the upload are refused", async () => {
    const { storage, fake } = open();
    const sha256 = new Bun.CryptoHasher("sha256").update(content).digest("hex");
    const write = async (location: string, bytes: Uint8Array): Promise<unknown> => {
      const writer = await storage.writer(location);
      await writer.write(bytes);
      return writer.close(sha256);
    };
    await write("s3://b/right", content);
    expect(fake.requests.at(-1)?.headers["x-amz-content-sha256"]).toBe(sha256);
    const altered = new TextEncoder().encode("contents");
    expect((await errorOf(write("s3://b/altered", altered))).kind).toBe("storage_corrupt");
    expect([...fake.objects.keys()]).toEqual(["b/right"]);
  });

  test("a body altered on its way is refused by the store and sent again", async () => {
    const { storage, fake } = open({ PutObject: ["altered"] });
    await storage.put("s3://b/a", content);
    expect(fake.objects.get("b/a")?.body.toString()).toBe("content");
  });

  test("a body altered every time is storage_corrupt", async () => {
    const { storage } = open({ PutObject: Array.from({ length: 9 }, () => "altered" as const) });
    expect((await errorOf(storage.put("s3://b/a", content))).kind).toBe("storage_corrupt");
  });

  test("a store that answers no checksum is asked for the size", async () => {
    const { storage, fake } = open({}, { echoes: false });
    await storage.put("s3://b/a", content);
    await storage.put("s3://b/large", large);
    expect(count(fake, "HeadObject")).toBe(2);
  });

  test("an object that is shorter in the store than what was sent is storage_corrupt", async () => {
    const { storage, fake } = open(
      {},
      {
        echoes: false,
        before: ({ operation }) => {
          const stored = fake.objects.get("b/a");
          if (operation === "HeadObject" && stored !== undefined)
            fake.objects.set("b/a", { ...stored, body: stored.body.subarray(1) });
        },
      },
    );
    const error = await errorOf(storage.put("s3://b/a", content));
    expect(error.kind).toBe("storage_corrupt");
    expect(error.message).toContain("size");
  });
});

describe("memory of S3 uploads", () => {
  test("a part's memory serves the next uploads, whose objects hold their own bytes alone", async () => {
    dropFreeParts();
    const { storage, fake } = open();
    const sizes = [PART_BYTES, 3 * PART_BYTES - 1, 300_000, PART_BYTES + 1, 1_000_000];
    for (const [value, size] of sizes.entries())
      await storage.put(`s3://b/${value}`, new Uint8Array(size).fill(value + 1));
    expect(freePartBytes()).toBeGreaterThan(0);
    expect(freePartBytes()).toBeLessThanOrEqual(LIMITS.freePartsMax * PART_BYTES);
    for (const [value, size] of sizes.entries())
      expect(fake.objects.get(`b/${value}`)?.body.equals(Buffer.alloc(size, value + 1))).toBe(true);
  });

  test("memory that a request which was given up may still read serves no other upload", async () => {
    dropFreeParts();
    const { storage } = open({ PutObject: ["hangs_after"] }, { s3: { requestTimeoutMs: 20 } });
    await storage.put("s3://b/first", large.subarray(0, 1_000_000));
    expect(freePartBytes()).toBe(0);
    await storage.put("s3://b/second", large.subarray(0, 1_000_000));
    expect(freePartBytes()).toBe(PART_BYTES);
  });
});

describe("S3 multipart uploads", () => {
  test("parts carry their SHA-256 and the signature uses it", async () => {
    const { storage, fake } = open();
    await storage.put("s3://b/large", large);
    const parts = fake.requests.filter((request) => request.operation === "UploadPart");
    expect(parts.length).toBe(3);
    for (const { headers } of parts) {
      const checksum = Buffer.from(headers["x-amz-checksum-sha256"] ?? "", "base64");
      expect(headers["x-amz-content-sha256"]).toBe(checksum.toString("hex"));
    }
  });

  test("an upload that fails is aborted", async () => {
    const refused = { status: 403, code: "AccessDenied" };
    const { storage, fake } = open({ UploadPart: [null, refused, refused, refused] });
    expect((await errorOf(storage.put("s3://b/large", large))).kind).toBe("storage_refused");
    expect(fake.uploads.size).toBe(0);
    expect(fake.objects.size).toBe(0);
  });

  test("an object of up to two parts is one PUT, one byte more is three parts", async () => {
    const { storage, fake } = open();
    const content = new Uint8Array(2 * PART_BYTES + 1).map((_, at) => at % 251);
    for (const size of [PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES]) {
      fake.requests.length = 0;
      await storage.put(`s3://b/${size}`, content.subarray(0, size));
      expect(fake.requests.map(({ operation }) => operation)).toEqual(["PutObject"]);
      expect(fake.objects.get(`b/${size}`)?.body.equals(content.subarray(0, size))).toBe(true);
    }
    await storage.put("s3://b/three", content);
    expect(count(fake, "UploadPart")).toBe(3);
    expect(fake.objects.get("b/three")?.body.equals(content)).toBe(true);
  });

  test("an object of two parts whose answer was lost is sent again as a whole, and counts as written", async () => {
    const { storage, fake } = open({ PutObject: ["lost_before", "lost_after"] });
    const content = new Uint8Array(PART_BYTES + 5).fill(3);
    expect(await storage.putIfAbsent("s3://b/two", content)).toBe(true);
    expect(count(fake, "PutObject")).toBe(3);
    expect(fake.objects.get("b/two")?.body.equals(content)).toBe(true);
  });

  test("so many objects keep their first part for one request, and those that end give their place to others", async () => {
    const { storage, fake } = open();
    const content = new Uint8Array(PART_BYTES + 1);
    const places = LIMITS.heldPartsMax;
    const writers = await Promise.all(
      Array.from({ length: places + 1 }, (_, at) => storage.writer(`s3://b/${at}`)),
    );
    for (const writer of writers) await writer.write(content);
    expect(writers.map(({ uploadId }) => uploadId !== null)).toEqual(
      writers.map((_, at) => at === places),
    );
    const [first, second, ...others] = writers;
    await first?.close();
    await second?.abort();
    for (const writer of others) await writer.close();
    expect(count(fake, "PutObject")).toBe(places - 1);
    fake.requests.length = 0;
    for (let at = 0; at < places + 1; at++) await storage.put(`s3://b/again-${at}`, content);
    expect(count(fake, "UploadPart")).toBe(0);
  });

  test("a writer shows its upload id once there is one", async () => {
    const { storage, fake } = open();
    const writer = await storage.writer("s3://b/large");
    expect(writer.uploadId).toBeNull();
    await writer.write(large);
    expect([...fake.uploads.keys()]).toEqual([writer.uploadId ?? ""]);
    await writer.abort();
    expect(fake.uploads.size).toBe(0);
  });

  test("uploads of a dead process are aborted by id, and by location when the id is not known", async () => {
    const { storage, fake } = open();
    const known = await storage.writer("s3://b/known");
    const unknown = await storage.writer("s3://b/unknown");
    const other = await storage.writer("s3://b/unknown-other");
    for (const writer of [known, unknown, other]) await writer.write(large);
    await storage.abortUploads([
      { location: "s3://b/known", uploadId: known.uploadId ?? "" },
      { location: "s3://b/known", uploadId: "gone" },
      { location: "s3://b/unknown", uploadId: "" },
    ]);
    expect([...fake.uploads.values()].map((upload) => upload.key)).toEqual(["unknown-other"]);
  });
});
