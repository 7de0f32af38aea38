/** The promises of every catalog, on a real S3 server: conditional writes are what a commit rests on. */
import { afterAll, beforeAll } from "bun:test";
import { rm } from "node:fs/promises";
import { systemClock } from "#base/clock.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import { createS3Storage } from "#storage/s3.ts";
import type { Storage } from "#storage/storage.ts";
import { temporaryFolder } from "../../scripts/services/process.ts";
import { type S3Service, startS3 } from "../../scripts/services/versitygw.ts";
import { catalogContract } from "../support/catalogContract.ts";
import { filePlace, sqlPlace } from "../support/catalogPlaces.ts";

let service: S3Service;
let root: string;

beforeAll(async () => {
  service = await startS3({ buckets: ["warehouse"] });
  root = await temporaryFolder("catalog-s3");
}, 300_000);

afterAll(async () => {
  await service.stop();
  await rm(root, { recursive: true, force: true });
});

function storage(): Storage {
  return createS3Storage(
    {
      endpoint: service.endpoint,
      region: null,
      credentials: {
        accessKeyId: service.accessKey,
        secretAccessKey: service.secretKey,
        sessionToken: null,
      },
      pathStyle: true,
      sse: null,
      requestsMax: 64,
      retry: { retriesMax: 3, baseDelayMs: 10, delayMsMax: 100 },
      requestTimeoutMs: 10_000,
    },
    { clock: systemClock, random: systemRandom, log: silentLogger },
  );
}

const warehouse = (): string => `s3://warehouse/${systemRandom.uuid()}`;

catalogContract("file catalog on S3", () => filePlace(storage(), warehouse()));
catalogContract("SQL catalog with storage on S3", () => sqlPlace(root, storage(), warehouse()));
