/** What refusals, failures and lost credentials of S3 become. */
import { describe, expect, test } from "bun:test";
import { type AppError, kindOf } from "#base/errors.ts";
import { count, errorOf, open } from "../../support/s3Rig.ts";

const content = new TextEncoder().encode("content");

describe("S3 errors", () => {
  test("a refusal names the bucket, the permission, and whose key it was from where", async () => {
    const refused = Array.from({ length: 2 }, () => ({ status: 403, code: "AccessDenied" }));
    const { storage } = open({ PutObject: refused, GetObject: refused, HeadObject: refused });
    const put = await errorOf(storage.put("s3://b/k", content));
    expect(put.kind).toBe("storage_refused");
    const by = "is needed by access key key from storage.s3.access_key_id";
    expect(put.message).toContain(`(AccessDenied): the permission s3:PutObject on bucket b ${by}`);
    const head = await errorOf(storage.head("s3://b/k"));
    expect(head.message).toContain(`(AccessDenied): the permission s3:GetObject on bucket b ${by}`);
  });

  test.each([
    [403, "InvalidAccessKeyId"],
    [403, "SignatureDoesNotMatch"],
    [400, "ExpiredToken"],
    [400, "InvalidToken"],
  ])(
    "a HEAD that is refused (%d, without a body) is asked with GET, which says %s",
    async (status, code) => {
      const refused = Array.from({ length: 2 }, () => ({ status, code }));
      const { storage, fake } = open({ HeadObject: refused, GetObject: refused });
      const error = await errorOf(storage.head("s3://b/k"));
      expect(error.kind).toBe("storage_refused");
      expect(error.message).toContain(
        `(${code}): the credentials are wrong or have expired: access`,
      );
      expect(error.message).not.toContain("permission");
      expect([count(fake, "HeadObject"), count(fake, "GetObject")]).toEqual([2, 2]);
    },
  );

  test("one refusal among thousands of answers ends nothing, whatever was asked", async () => {
    const refused = { status: 403, code: "AccessDenied" };
    const operations = ["PutObject", "GetObject", "HeadObject", "ListObjectsV2", "DeleteObjects"];
    const faults = Object.fromEntries(operations.map((operation) => [operation, [refused]]));
    const { storage } = open(faults);
    await storage.put("s3://b/k", content);
    expect((await storage.head("s3://b/k"))?.bytes).toBe(content.length);
    expect(await storage.get("s3://b/k")).toEqual(content);
    expect((await Array.fromAsync(storage.list("s3://b/"))).length).toBe(1);
    await storage.remove(["s3://b/k"]);
    expect(await storage.head("s3://b/k")).toBeNull();
  });

  test("a machine whose clock is wrong is told so", async () => {
    const skewed = { status: 403, code: "RequestTimeTooSkewed" };
    const { storage } = open({ GetObject: [skewed, skewed] });
    expect((await errorOf(storage.get("s3://b/k"))).message).toContain("clock of this machine");
  });

  test("a key that is too long is refused with what to shorten", async () => {
    const { storage, fake } = open({ PutObject: [{ status: 400, code: "KeyTooLongError" }] });
    const error = await errorOf(storage.put("s3://b/k", content));
    expect(error.message).toContain("1,024 bytes");
    expect([error.kind, count(fake, "PutObject")]).toEqual(["storage_refused", 1]);
  });

  test("a bucket that does not exist is storage_missing and named", async () => {
    const { storage } = open();
    const error = await errorOf(storage.put("s3://nowhere/k", content));
    expect(error.kind).toBe("storage_missing");
    expect(error.message).toContain("bucket nowhere");
  });

  test.each([
    [500, "InternalError", "storage_unreachable"],
    [503, "SlowDown", "storage_unreachable"],
    [429, "TooManyRequests", "storage_unreachable"],
    [400, "RequestTimeout", "storage_unreachable"],
    [507, "XMinioStorageFull", "storage_full"],
    [400, "ExpiredToken", "storage_refused"],
    [400, "InvalidArgument", "storage_refused"],
    [401, "Unauthorized", "storage_refused"],
  ])("%d %s is %s", async (status, code, kind) => {
    const fault = { status, code };
    const { storage } = open({ GetObject: Array.from({ length: 9 }, () => fault) });
    expect((await errorOf(storage.get("s3://b/k"))).kind).toBe(kind as AppError["kind"]);
  });

  test("passing trouble is retried until it works", async () => {
    const slow = { status: 503, code: "SlowDown" };
    const { storage } = open({ GetObject: [slow, "lost_before", slow], PutObject: [slow] });
    await storage.put("s3://b/k", content);
    expect(await storage.get("s3://b/k")).toEqual(content);
  });

  test("a refused delete of one object among many is an error", async () => {
    const { storage, fake } = open();
    await storage.put("s3://b/a", content);
    await storage.put("s3://b/c", content);
    fake.refuseDelete("b/c");
    const error = await errorOf(storage.remove(["s3://b/a", "s3://b/c"]));
    expect(error.kind).toBe("storage_refused");
    expect(error.message).toContain("s3://b/c");
    expect(fake.objects.has("b/a")).toBe(false);
  });

  test("1,500 objects are removed with two requests", async () => {
    const { storage, fake } = open();
    await storage.remove(Array.from({ length: 1500 }, (_, at) => `s3://b/${at}`));
    expect(count(fake, "DeleteObjects")).toBe(2);
  });

  test("server-side encryption is asked for when set", async () => {
    const { storage, fake } = open({}, { s3: { sse: { type: "aws:kms", keyId: "key-1" } } });
    await storage.put("s3://b/a", content);
    const headers = fake.requests[0]?.headers ?? {};
    expect(headers["x-amz-server-side-encryption"]).toBe("aws:kms");
    expect(headers["x-amz-server-side-encryption-aws-kms-key-id"]).toBe("key-1");
  });

  test("with a key of the customer's every request that touches bytes brings it, reads too", async () => {
    const key = Buffer.alloc(32, 7).toString("base64");
    const { storage, fake } = open({}, { s3: { sse: { type: "customer", secretKey: key } } });
    await storage.put("s3://b/a", content);
    const writer = await storage.writer("s3://b/large");
    await writer.write(new Uint8Array(17_000_000));
    await writer.close();
    await storage.get("s3://b/a");
    await storage.head("s3://b/a");
    await storage.getRange("s3://b/large", 5, 3);
    const digest = new Bun.CryptoHasher("md5").update(Buffer.alloc(32, 7)).digest("base64");
    const operations = new Set<string>();
    for (const { operation, headers } of fake.requests) {
      operations.add(operation);
      expect(headers["x-amz-server-side-encryption-customer-algorithm"]).toBe("AES256");
      expect(headers["x-amz-server-side-encryption-customer-key"]).toBe(key);
      expect(headers["x-amz-server-side-encryption-customer-key-md5"]).toBe(digest);
      expect(headers["x-amz-server-side-encryption"]).toBeUndefined();
    }
    expect([...operations].sort()).toEqual([
      "CompleteMultipartUpload",
      "CreateMultipartUpload",
      "GetObject",
      "HeadObject",
      "PutObject",
      "UploadPart",
    ]);
  });

  test("a region that nobody named is the configuration's fault, and not asked for again", async () => {
    const saved = { ...process.env };
    delete process.env["AWS_REGION"];
    delete process.env["AWS_DEFAULT_REGION"];
    process.env["AWS_CONFIG_FILE"] = "/nonexistent";
    process.env["AWS_SHARED_CREDENTIALS_FILE"] = "/nonexistent";
    try {
      const troubles: unknown[] = [];
      const { storage } = open({}, { s3: { endpoint: null, pathStyle: false }, troubles });
      const error = await errorOf(storage.get("s3://b/a"));
      expect([error.kind, troubles]).toEqual(["usage", []]);
      expect(error.message).toContain("storage.s3.region");
    } finally {
      Object.assign(process.env, saved);
      delete process.env["AWS_CONFIG_FILE"];
      delete process.env["AWS_SHARED_CREDENTIALS_FILE"];
    }
  });

  test("not more requests are on their way than allowed, and none is left waiting", async () => {
    let now = 0;
    let most = 0;
    const { storage } = open(
      { GetObject: Array.from({ length: 40 }, (_, at) => (at % 3 === 0 ? "lost_before" : null)) },
      {
        s3: { requestsMax: 3 },
        before: () => {
          now++;
          most = Math.max(most, now);
        },
        after: () => void now--,
      },
    );
    await storage.put("s3://b/a", content);
    const read = await Promise.all(Array.from({ length: 50 }, () => storage.get("s3://b/a")));
    expect([read.length, most]).toEqual([50, 3]);
  });

  test("refused credentials of the provider chain are fetched again, once", async () => {
    const saved = { ...process.env };
    process.env["AWS_ACCESS_KEY_ID"] = "OLDKEY";
    process.env["AWS_SECRET_ACCESS_KEY"] = "secret";
    try {
      const refused = { status: 403, code: "ExpiredToken" };
      const faults = { PutObject: [refused], GetObject: [refused, refused, refused] };
      const { storage, fake } = open(faults, {
        s3: { credentials: null },
        before: () => {
          process.env["AWS_ACCESS_KEY_ID"] = "NEWKEY";
        },
      });
      await storage.put("s3://b/k", content);
      const keys = fake.requests.map(
        ({ headers }) => /Credential=(\w+)/.exec(headers["authorization"] ?? "")?.[1],
      );
      expect(keys).toEqual(["OLDKEY", "NEWKEY"]);
      const error = await errorOf(storage.get("s3://b/k"));
      expect(error.kind).toBe("storage_refused");
      expect(error.message).toContain("access key NEWKEY from the environment (AWS_ACCESS_KEY_ID)");
      expect(count(fake, "GetObject")).toBe(2);
    } finally {
      process.env = saved;
    }
  });

  test("a chain that has no fresh keys now, but had some, is away rather than refused", async () => {
    const saved = { ...process.env };
    for (const name of Object.keys(process.env)) {
      if (name.startsWith("AWS_")) delete process.env[name];
    }
    process.env["AWS_ACCESS_KEY_ID"] = "OLDKEY";
    process.env["AWS_SECRET_ACCESS_KEY"] = "secret";
    process.env["AWS_EC2_METADATA_DISABLED"] = "true";
    process.env["AWS_SHARED_CREDENTIALS_FILE"] = "/nowhere";
    process.env["AWS_CONFIG_FILE"] = "/nowhere";
    try {
      const expired = Array.from({ length: 9 }, () => ({ status: 400, code: "ExpiredToken" }));
      const { storage } = open({ GetObject: [null, ...expired] }, { s3: { credentials: null } });
      await storage.put("s3://b/k", content);
      await storage.get("s3://b/k");
      delete process.env["AWS_ACCESS_KEY_ID"];
      const error = await errorOf(storage.get("s3://b/k"));
      expect([error.kind, error.message]).toEqual([
        "storage_unreachable",
        expect.stringContaining("No fresh credentials"),
      ]);
    } finally {
      process.env = saved;
    }
  });

  test("a location without a bucket is a usage error", async () => {
    const { storage } = open();
    expect(kindOf(await errorOf(storage.get("s3:///k")))).toBe("usage");
  });
});
