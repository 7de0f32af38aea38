/**
 * Configuration -> settings of the stores, and what their keys need of each other.
 */
import type { AzureCredentials } from "#storage/azureClient.ts";
import type { CallOptions } from "#storage/calls.ts";
import { isStoreScheme, type StorageOptions } from "#storage/open.ts";
import type { S3Encryption } from "#storage/s3Client.ts";
import { processVariable } from "./environment.ts";
import type { PipelineValues } from "./keys.ts";

/** Of one request to a store, its answer included. */
const REQUEST_TIMEOUT_MS = 60_000;
/** Bytes of an AES-256 key. */
const CUSTOMER_KEY_BYTES = 32;

/** Storage settings of a pipeline; also for inspection commands. */
export function storageOptions(values: PipelineValues): StorageOptions {
  const calls: CallOptions = {
    retry: {
      retriesMax: values["storage.max_retries"],
      baseDelayMs: values["storage.base_delay_ms"],
      delayMsMax: values["storage.max_delay_ms"],
    },
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    requestsMax: values["storage.max_parallel_requests"],
  };
  const endpoint = values["storage.s3.endpoint"];
  const accessKeyId = values["storage.s3.access_key_id"];
  const secretAccessKey = values["storage.s3.secret_access_key"];
  return {
    requestsMax: calls.requestsMax,
    s3: {
      ...calls,
      endpoint,
      region: values["storage.s3.region"],
      credentials:
        accessKeyId === null || secretAccessKey === null
          ? null
          : { accessKeyId, secretAccessKey, sessionToken: values["storage.s3.session_token"] },
      pathStyle: values["storage.s3.path_style"] || endpoint !== null,
      sse: s3Encryption(values),
    },
    gcs: {
      ...calls,
      endpoint: values["storage.gcs.endpoint"],
      credentials:
        values["storage.gcs.auth"] === "none"
          ? { type: "none" }
          : { type: "google", keyFile: values["storage.gcs.key_file"] },
    },
    azure: {
      ...calls,
      endpoint: values["storage.azure.endpoint"],
      credentials: azureCredentials(values),
    },
  };
}

function azureCredentials(values: PipelineValues): AzureCredentials {
  const accountKey = values["storage.azure.account_key"];
  if (accountKey !== null) return { type: "shared_key", accountKey };
  const sasToken = values["storage.azure.sas_token"];
  if (sasToken !== null) return { type: "sas", sasToken };
  return {
    type: "identity",
    identity: {
      tenantId: values["storage.azure.tenant_id"],
      clientId: values["storage.azure.client_id"],
      clientSecret: values["storage.azure.client_secret"],
      variable: processVariable,
    },
  };
}

function s3Encryption(values: PipelineValues): S3Encryption | null {
  const endpoint = values["storage.s3.endpoint"];
  const isAws = endpoint === null || new URL(endpoint).hostname.endsWith(".amazonaws.com");
  switch (values["storage.s3.sse"]) {
    case "none":
      return null;
    case "AES256":
      return isAws ? { type: "AES256" } : null;
    case "aws:kms":
      return { type: "aws:kms", keyId: values["storage.s3.sse_kms_key_id"] };
    case "customer":
      return { type: "customer", secretKey: values["storage.s3.sse_customer_key"] ?? "" };
  }
}

type Key = keyof PipelineValues & string;
type Report = (key: Key, problem: string) => void;

/** Reports storage keys that do not fit each other. */
export function checkStorage({
  values,
  report,
}: {
  readonly values: PipelineValues;
  readonly report: Report;
}): void {
  needsBoth(values, report, ["storage.s3.access_key_id", "storage.s3.secret_access_key"]);
  checkEncryption(values, report);
  checkClouds(values, report);
  const scheme = /^([a-z0-9]+):\/\//.exec(values["iceberg.warehouse_path"])?.[1] ?? "file";
  if (!isStoreScheme(scheme)) {
    report("iceberg.warehouse_path", "must be a path, file://, s3://, gs:// or abfss://");
  }
}

function checkEncryption(values: PipelineValues, report: Report): void {
  if (values["storage.s3.sse_kms_key_id"] !== null && values["storage.s3.sse"] !== "aws:kms") {
    report("storage.s3.sse_kms_key_id", 'needs storage.s3.sse = "aws:kms"');
  }
  const isCustomer = values["storage.s3.sse"] === "customer";
  const customerKey = values["storage.s3.sse_customer_key"];
  if (isCustomer && customerKey === null) {
    report("storage.s3.sse", '"customer" needs storage.s3.sse_customer_key');
  }
  if (!isCustomer && customerKey !== null) {
    report("storage.s3.sse_customer_key", 'needs storage.s3.sse = "customer"');
  }
  if (isCustomer && Buffer.from(customerKey ?? "", "base64").length !== CUSTOMER_KEY_BYTES) {
    report("storage.s3.sse_customer_key", "must be 32 bytes as base64");
  }
}

function checkClouds(values: PipelineValues, report: Report): void {
  if (values["storage.gcs.auth"] === "none" && values["storage.gcs.key_file"] !== null) {
    report("storage.gcs.key_file", 'is not used with storage.gcs.auth = "none"');
  }
  const [used, unused] = AZURE_SECRETS.filter((key) => values[key] !== null);
  if (used !== undefined && unused !== undefined) {
    report(unused, `excludes ${used}: one of them signs requests`);
  }
  if (
    values["storage.azure.client_secret"] !== null &&
    values["storage.azure.client_id"] === null
  ) {
    report("storage.azure.client_secret", "needs storage.azure.client_id");
  }
}

const AZURE_SECRETS = [
  "storage.azure.account_key",
  "storage.azure.sas_token",
  "storage.azure.client_secret",
] as const;

/** Two keys of which none stands alone. */
function needsBoth(
  values: PipelineValues,
  report: Report,
  [one, other]: readonly [Key, Key],
): void {
  if (values[one] !== null && values[other] === null) report(one, `needs ${other}`);
  if (values[other] !== null && values[one] === null) report(other, `needs ${one}`);
}
