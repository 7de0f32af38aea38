/**
 * The promises of every catalog with the file catalog on Google Cloud Storage and Azure, whose conditional
 * writes a commit rests on, and what is told of rights there. S3: `catalogS3.test.ts`.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { systemRandom } from "#base/random.ts";
import { missingRights, requireConditionalWrites } from "#storage/probe.ts";
import type { Storage } from "#storage/storage.ts";
import { type Azurite, startAzurite } from "../../scripts/services/azurite.ts";
import { type FakeGcs, startFakeGcs } from "../../scripts/services/fakeGcs.ts";
import { type S3Service, startS3 } from "../../scripts/services/versitygw.ts";
import { catalogContract } from "../support/catalogContract.ts";
import { filePlace } from "../support/catalogPlaces.ts";
import { azureRoot, azureStore, gcsStore, s3Store } from "../support/realStores.ts";

let gcs: FakeGcs;
let azurite: Azurite;
let s3: S3Service;

beforeAll(async () => {
  [gcs, azurite, s3] = await Promise.all([startFakeGcs(), startAzurite(), startS3()]);
}, 600_000);

afterAll(async () => {
  await Promise.all([gcs?.stop(), azurite?.stop(), s3?.stop()]);
}, 30_000);

const withSas = (permissions: string): Storage =>
  azureStore(azurite, { type: "sas", sasToken: azurite.sas(permissions) });
const below = (): string => azureRoot(azurite, systemRandom.uuid());

catalogContract("file catalog on Google Cloud Storage", () =>
  filePlace(gcsStore(gcs), `gs://warehouse/${systemRandom.uuid()}`),
);
catalogContract("file catalog on Azure", () => filePlace(withSas("racwdl"), below()));

test("conditional writes hold on each store, and trying it leaves nothing", async () => {
  const places: [Storage, string][] = [
    [gcsStore(gcs), "gs://warehouse/probe"],
    [withSas("racwdl"), below()],
    [s3Store(s3), "s3://warehouse/probe"],
  ];
  for (const [storage, folder] of places) {
    await requireConditionalWrites(storage, folder, systemRandom);
    expect(await missingRights(storage, folder, systemRandom)).toEqual([]);
    expect(await Array.fromAsync(storage.list(`${folder}/`))).toEqual([]);
  }
});

test("each right that a signature lacks is told by its name", async () => {
  const rights = async (permissions: string): Promise<string[]> => {
    const missing = await missingRights(withSas(permissions), below(), systemRandom);
    return missing.map(({ right }) => right);
  };
  expect(await rights("racwd")).toEqual(["list"]);
  expect(await rights("rl")).toEqual(["write", "delete"]);
  expect(await rights("acwdl")).toEqual(["read"]);
  expect(await rights("racwl")).toEqual(["delete"]);
});
