/**
 * The storage contract against the implementations that need no service: memory, local disk, and
 * S3, Google Cloud Storage and Azure, their real clients on a fake HTTP side.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#base/clock.ts";
import { systemDisk } from "#base/disk.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import { createAzureStorage } from "#storage/azure.ts";
import { createGcsStorage } from "#storage/gcs.ts";
import { createLocalStorage } from "#storage/local.ts";
import { createS3Storage } from "#storage/s3.ts";
import { createAzureFake } from "../fakes/azureHttp.ts";
import { createGcsFake } from "../fakes/gcsHttp.ts";
import { createMemoryStorage } from "../fakes/memoryStorage.ts";
import { createS3Fake, s3FakeOptions } from "../fakes/s3Http.ts";
import { storeOptions } from "../fakes/storeOptions.ts";
import { storageContract } from "./storageSuite.ts";

const sizes = { rounds: 20, largeBytes: 3_000_000 };

storageContract(
  "memory",
  async () => ({
    storage: createMemoryStorage(),
    root: "/memory",
    close: async () => undefined,
  }),
  sizes,
);

for (const form of ["", "file:", "file://"])
  storageContract(
    `local disk, ${form}/abs`,
    async () => {
      const dir = await mkdtemp(join(tmpdir(), "kafka-iceberg-storage-"));
      return {
        storage: createLocalStorage({ disk: systemDisk, random: systemRandom }),
        root: form + dir,
        close: () => rm(dir, { recursive: true }),
      };
    },
    sizes,
  );

storageContract(
  "S3, fake HTTP side",
  async () => {
    const { requestHandler } = createS3Fake({ buckets: ["b"] });
    const parts = { clock: systemClock, random: systemRandom, log: silentLogger, requestHandler };
    return {
      storage: createS3Storage(s3FakeOptions, parts),
      root: "s3://b/root",
      close: async () => undefined,
    };
  },
  { rounds: 20, largeBytes: 20_000_000 },
);

storageContract(
  "Google Cloud Storage, fake HTTP side",
  async () => {
    const { transport } = createGcsFake();
    const parts = { clock: systemClock, random: systemRandom, log: silentLogger, transport };
    return {
      storage: createGcsStorage(storeOptions.gcs, parts),
      root: "gs://b/root",
      close: async () => undefined,
    };
  },
  { rounds: 20, largeBytes: 20_000_000 },
);

storageContract(
  "Azure, fake HTTP side",
  async () => {
    const { httpClient } = createAzureFake();
    const parts = { clock: systemClock, random: systemRandom, log: silentLogger, httpClient };
    return {
      storage: createAzureStorage(storeOptions.azure, parts),
      root: "abfss://c@account.dfs.core.windows.net/root",
      close: async () => undefined,
    };
  },
  { rounds: 20, largeBytes: 20_000_000 },
);
