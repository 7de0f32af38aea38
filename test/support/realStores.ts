/** Stores on real services, opened as the product opens them, for the conformance tests. */
import { systemClock } from "#base/clock.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import { createAzureStorage } from "#storage/azure.ts";
import type { AzureCredentials } from "#storage/azureClient.ts";
import type { CallOptions } from "#storage/calls.ts";
import { createGcsStorage } from "#storage/gcs.ts";
import { createS3Storage } from "#storage/s3.ts";
import type { S3Options } from "#storage/s3Client.ts";
import type { Storage } from "#storage/storage.ts";
import type { Azurite } from "../../scripts/services/azurite.ts";
import type { FakeGcs } from "../../scripts/services/fakeGcs.ts";
import type { S3Service } from "../../scripts/services/versitygw.ts";

const CALLS: CallOptions = {
  retry: { retriesMax: 3, baseDelayMs: 10, delayMsMax: 100 },
  requestTimeoutMs: 10_000,
  requestsMax: 64,
};
const PARTS = { clock: systemClock, random: systemRandom, log: silentLogger };

/** Where an S3 server is, and its keys. */
export type S3Place = Pick<S3Service, "endpoint" | "accessKey" | "secretKey">;

/** S3 on a server, path style. */
export function s3Store(place: S3Place, over: Partial<S3Options> = {}): Storage {
  const { endpoint, accessKey: accessKeyId, secretKey: secretAccessKey } = place;
  const credentials = { accessKeyId, secretAccessKey, sessionToken: null };
  const own: S3Options = {
    ...CALLS,
    endpoint,
    region: null,
    credentials,
    pathStyle: true,
    sse: null,
  };
  return createS3Storage({ ...own, ...over }, PARTS);
}

/** Google Cloud Storage on fake-gcs-server. */
export function gcsStore({ endpoint }: FakeGcs, over: Partial<CallOptions> = {}): Storage {
  return createGcsStorage({ ...CALLS, endpoint, credentials: { type: "none" }, ...over }, PARTS);
}

/** Azure on Azurite. */
export function azureStore(
  { endpoint }: Azurite,
  credentials: AzureCredentials,
  over: Partial<CallOptions> = {},
): Storage {
  return createAzureStorage({ ...CALLS, endpoint, credentials, ...over }, PARTS);
}

/** A location on Azurite, as other writers name it. */
export function azureRoot({ account }: Azurite, path: string, scheme = "abfss"): string {
  return `${scheme}://warehouse@${account}.dfs.core.windows.net/${path}`;
}
