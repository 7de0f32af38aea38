/** The promises of every catalog, on a real S3 server: conditional writes are what a commit rests on. */
import { afterAll, beforeAll } from "bun:test";
import { rm } from "node:fs/promises";
import { systemRandom } from "#base/random.ts";
import type { Storage } from "#storage/storage.ts";
import { temporaryFolder } from "../../scripts/services/process.ts";
import { type S3Service, startS3 } from "../../scripts/services/versitygw.ts";
import { catalogContract } from "../support/catalogContract.ts";
import { filePlace, sqlPlace } from "../support/catalogPlaces.ts";
import { s3Store } from "../support/realStores.ts";

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

const storage = (): Storage => s3Store(service);

const warehouse = (): string => `s3://warehouse/${systemRandom.uuid()}`;

catalogContract("file catalog on S3", () => filePlace(storage(), warehouse()));
catalogContract("SQL catalog with storage on S3", () => sqlPlace(root, storage(), warehouse()));
