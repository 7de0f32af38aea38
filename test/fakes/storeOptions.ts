/** Settings of all stores, for fakes: no waiting, few retries. */
import type { StorageOptions } from "#storage/open.ts";
import { s3FakeOptions } from "./s3Http.ts";

const { retry, requestTimeoutMs, requestsMax } = s3FakeOptions;
const calls = { retry, requestTimeoutMs, requestsMax };

/** Every store, at an address that is none. */
export const storeOptions: StorageOptions = {
  requestsMax,
  s3: s3FakeOptions,
  gcs: { ...calls, endpoint: "http://gcs.invalid", credentials: { type: "none" } },
  azure: {
    ...calls,
    endpoint: "http://azure.invalid/account",
    credentials: { type: "shared_key", accountKey: "a2V5" },
  },
};
