/**
 * The storage contract on the other stores that can run here: MinIO, s3proxy, Google Cloud Storage
 * (fake-gcs-server) and Azure (Azurite); and on each what only a server on a wire can show: answers that
 * are lost there, and refusals. versitygw: `s3.test.ts`.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { systemClock } from "#base/clock.ts";
import { AppError } from "#base/errors.ts";
import { systemRandom } from "#base/random.ts";
import type { Storage } from "#storage/storage.ts";
import { type Azurite, startAzurite } from "../../scripts/services/azurite.ts";
import { type FakeGcs, startFakeGcs } from "../../scripts/services/fakeGcs.ts";
import { startFaultProxy } from "../../scripts/services/faultProxy.ts";
import { type S3Service, startS3 } from "../../scripts/services/versitygw.ts";
import { storageContract } from "../contract/storageSuite.ts";
import { azureRoot, azureStore, gcsStore, s3Store } from "../support/realStores.ts";

let minio: S3Service;
let s3proxy: S3Service;
let gcs: FakeGcs;
let azurite: Azurite;

beforeAll(async () => {
  [minio, s3proxy, gcs, azurite] = await Promise.all([
    startS3({ kind: "minio" }),
    startS3({ kind: "s3proxy" }),
    startFakeGcs(),
    startAzurite(),
  ]);
}, 900_000);

afterAll(async () => {
  await Promise.all([minio?.stop(), s3proxy?.stop(), gcs?.stop(), azurite?.stop()]);
}, 30_000);

const sharedKey = (): { type: "shared_key"; accountKey: string } => ({
  type: "shared_key",
  accountKey: azurite.key,
});

/** A store under test. @param port through which its requests go, when a proxy is between */
interface Place {
  readonly name: string;
  readonly open: (port: number | null, retriesMax: number) => Storage;
  readonly root: () => string;
  readonly port: () => number;
  /** Begins requests that make an object visible. */
  readonly visible: RegExp;
  readonly hidesUploads?: boolean;
}

const retry = (retriesMax: number) => ({ retriesMax, baseDelayMs: 10, delayMsMax: 100 });
const via = (endpoint: string, port: number | null): string =>
  port === null ? endpoint : endpoint.replace(/:\d+/, `:${port}`);

const PLACES: readonly Place[] = [
  {
    name: "MinIO",
    open: (port, max) =>
      s3Store({ ...minio, endpoint: via(minio.endpoint, port) }, { retry: retry(max) }),
    root: () => "s3://warehouse",
    port: () => minio.port,
    visible: /^PUT /,
    hidesUploads: true,
  },
  {
    name: "s3proxy",
    open: (port, max) =>
      s3Store({ ...s3proxy, endpoint: via(s3proxy.endpoint, port) }, { retry: retry(max) }),
    root: () => "s3a://warehouse",
    port: () => s3proxy.port,
    visible: /^PUT /,
  },
  {
    name: "Google Cloud Storage",
    open: (port, max) =>
      gcsStore({ ...gcs, endpoint: via(gcs.endpoint, port) }, { retry: retry(max) }),
    root: () => "gs://warehouse",
    port: () => gcs.port,
    visible: /^POST .*uploadType=multipart/,
  },
  {
    name: "Azure, account key",
    open: (port, max) => {
      const place = { ...azurite, endpoint: via(azurite.endpoint, port) };
      return azureStore(place, sharedKey(), { retry: retry(max) });
    },
    root: () => azureRoot(azurite, "root"),
    port: () => azurite.port,
    visible: /^PUT /,
  },
  {
    name: "Azure, shared access signature",
    open: (port, max) => {
      const place = { ...azurite, endpoint: via(azurite.endpoint, port) };
      const credentials = { type: "sas", sasToken: azurite.sas("racwdl") } as const;
      return azureStore(place, credentials, { retry: retry(max) });
    },
    root: () => azureRoot(azurite, "root", "wasbs"),
    port: () => azurite.port,
    visible: /^PUT /,
  },
];

for (const place of PLACES) {
  storageContract(
    place.name,
    async () => ({
      storage: place.open(null, 3),
      root: `${place.root()}/${systemRandom.uuid()}`,
      close: async () => undefined,
    }),
    { rounds: 10, largeBytes: 20_000_000, hidesUploads: place.hidesUploads ?? false },
  );

  describe(place.name, () => {
    test("putIfAbsent says true although each first answer is lost on the wire", async () => {
      const proxy = startFaultProxy(`127.0.0.1:${place.port()}`);
      const storage = place.open(proxy.port, 3);
      try {
        for (let round = 0; round < 3; round++) {
          const location = `${place.root()}/lost/${systemRandom.uuid()}`;
          proxy.set({ kind: "swallow", match: place.visible });
          const write = storage.putIfAbsent(location, bytes("ours"));
          while (proxy.counters.swallowed === round) await systemClock.sleep(1);
          proxy.set({ kind: "pass" });
          expect(await write).toBe(true);
          expect(await storage.putIfAbsent(location, bytes("other"))).toBe(false);
          expect(await storage.get(location)).toEqual(bytes("ours"));
        }
      } finally {
        proxy.stop();
        await storage.close();
      }
    }, 30_000);

    test("one lost answer is one request: the client sends nothing twice by itself", async () => {
      const proxy = startFaultProxy(`127.0.0.1:${place.port()}`);
      const storage = place.open(proxy.port, 0);
      try {
        await storage.put(`${place.root()}/once/${systemRandom.uuid()}`, bytes("warm"));
        proxy.set({ kind: "swallow", match: place.visible });
        const write = storage.putIfAbsent(
          `${place.root()}/once/${systemRandom.uuid()}`,
          bytes("x"),
        );
        expect((await errorOf(write)).kind).toBe("storage_unreachable");
        expect(proxy.counters.swallowed).toBe(1);
      } finally {
        proxy.stop();
        await storage.close();
      }
    }, 30_000);

    test("what a dead process left of a stream is removed by its location", async () => {
      const storage = place.open(null, 3);
      const location = `${place.root()}/dead/${systemRandom.uuid()}`;
      const writer = await storage.writer(location);
      await writer.write(new Uint8Array(9_000_000));
      await storage.abortUploads([{ location, uploadId: writer.uploadId ?? "" }]);
      await storage.abortUploads([{ location, uploadId: "" }]);
      expect(await storage.head(location)).toBeNull();
      await storage.put(location, bytes("the name is free"));
      await storage.abortUploads([{ location, uploadId: "" }]);
      expect(await storage.get(location)).toEqual(bytes("the name is free"));
      await storage.close();
    }, 30_000);
  });
}

test("a container or bucket that is not there is missing by name", async () => {
  const cases = [
    [gcsStore(gcs), "gs://nowhere/x", "bucket nowhere"],
    [
      azureStore(azurite, sharedKey()),
      azureRoot(azurite, "x").replace("warehouse", "nowhere"),
      "container nowhere",
    ],
    [s3Store(minio), "s3://nowhere/x", "bucket nowhere"],
  ] as const;
  for (const [storage, location, words] of cases) {
    const error = await errorOf(storage.put(location, bytes("x")));
    expect([error.kind, error.message.includes(words)]).toEqual(["storage_missing", true]);
  }
});

test("Azure refuses a wrong key and a signature without the permission; no secret is in the sentence", async () => {
  const wrong = Buffer.alloc(64, 1).toString("base64");
  const readOnly = azurite.sas("rl");
  const cases = [
    [{ type: "shared_key", accountKey: wrong }, "storage.azure.account_key"],
    [{ type: "sas", sasToken: readOnly }, "storage.azure.sas_token"],
  ] as const;
  for (const [credentials, words] of cases) {
    const error = await errorOf(
      azureStore(azurite, credentials).put(azureRoot(azurite, "x"), bytes("x")),
    );
    expect(error.kind).toBe("storage_refused");
    expect(error.message).toContain("container warehouse of account devstoreaccount1");
    expect(error.message).toContain(words);
    const told = Bun.inspect(error, { depth: 0 }) + String(error.cause);
    expect(told).not.toContain(wrong);
    expect(told).not.toContain(new URLSearchParams(readOnly).get("sig") ?? "none");
  }
});

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

async function errorOf(run: Promise<unknown>): Promise<AppError> {
  const error = await run.catch((thrown: unknown) => thrown);
  if (error instanceof AppError) return error;
  throw new Error(`no AppError but ${String(error)}`);
}
