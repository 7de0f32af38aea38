/**
 * The door to Azure's SDK: clients of blobs and containers, whose calls go through `calls.ts`. The SDK's
 * own retries are off; its client for Node sends a request once. It is loaded with the first request.
 */
import type { BlockBlobClient, ContainerClient, Pipeline } from "@azure/storage-blob";
import { type AzureTarget, azureError, isAzureAccessRefusal, whereOf } from "./azureErrors.ts";
import {
  type AzureIdentity,
  type IdentityParts,
  type IdentitySource,
  identitySource,
} from "./azureIdentity.ts";
import { type CallOptions, type CallParts, type Calls, createCalls } from "./calls.ts";
import { type AzureAddress, azureAddress } from "./location.ts";
import type { VendedToken } from "./vended.ts";

/** Who we are for Azure. */
export type AzureCredentials =
  /** The account's key (base64). */
  | { readonly type: "shared_key"; readonly accountKey: string }
  /** A shared access signature: the query that Azure's tools print, with or without its `?`. */
  | { readonly type: "sas"; readonly sasToken: string }
  | { readonly type: "identity"; readonly identity: AzureIdentity }
  /** A SAS that a catalog hands out. */
  | { readonly type: "vended"; readonly vended: VendedToken };

/** Settings of Azure Blob Storage (SPEC section 4, `[storage.azure]` and `[storage]`). */
export interface AzureOptions extends CallOptions {
  /** The blob service's address; null: `https://ACCOUNT.blob.SUFFIX` of each location. */
  readonly endpoint: string | null;
  readonly credentials: AzureCredentials;
}

/** What Azure storage is built from. */
export interface AzureParts extends CallParts {
  /** Sends the SDK's requests in place of the network; tests only. */
  readonly httpClient?: unknown;
  /** Fetches tokens in place of the network; tests only. */
  readonly http?: IdentityParts["http"];
}

/** Calls to Azure. */
export interface AzureCalls extends Calls<AzureTarget> {
  /** The client of one object, with credentials that are good now. */
  blob(location: string): Promise<BlockBlobClient>;
  /** The client of the container that a location is in. */
  container(location: string): Promise<ContainerClient>;
}

/** Opens the client; nothing is loaded or sent yet. */
export function createAzureCalls(options: AzureOptions, parts: AzureParts): AzureCalls {
  const { credentials } = options;
  const source =
    credentials.type === "identity" ? identitySource(credentials.identity, parts) : null;
  /** By account: a shared key belongs to one. */
  const pipelines = new Map<string, Pipeline>();
  const pipelineOf = async (account: string): Promise<Pipeline> => {
    const known = pipelines.get(account);
    if (known !== undefined) return known;
    const made = await createPipeline(account, credentials, source, parts);
    pipelines.set(account, made);
    return made;
  };
  const calls = createCalls<AzureTarget>(options, parts, {
    store: "Azure",
    whereOf,
    errorOf: async (error, target) => azureError(error, target, whoOf(credentials, source)),
    isAccessRefusal: isAzureAccessRefusal,
    refresh: async () => {
      // A pipeline keeps its token until that ends; a new one keeps none.
      pipelines.clear();
      if (credentials.type === "vended") await credentials.vended(true);
    },
    worked: () => undefined,
  });
  const urlOf = async (address: AzureAddress, key: string): Promise<string> => {
    const host = `https://${address.account}.blob.${address.suffix}`;
    const service = (options.endpoint ?? host).replace(/\/+$/, "");
    const path = [address.container, ...(key === "" ? [] : key.split("/"))];
    const query = await sasOf(credentials);
    return `${service}/${path.map(encodeURIComponent).join("/")}${query === "" ? "" : `?${query}`}`;
  };
  return {
    ...calls,
    blob: async (location) => {
      const address = azureAddress(location);
      const { BlockBlobClient: Client } = await import("@azure/storage-blob");
      const url = await urlOf(address, address.key);
      return new Client(url, await pipelineOf(address.account));
    },
    container: async (location) => {
      const address = azureAddress(location);
      const { ContainerClient: Client } = await import("@azure/storage-blob");
      return new Client(await urlOf(address, ""), await pipelineOf(address.account));
    },
  };
}

async function createPipeline(
  account: string,
  credentials: AzureCredentials,
  source: IdentitySource | null,
  { httpClient }: AzureParts,
): Promise<Pipeline> {
  const { newPipeline, AnonymousCredential, StorageSharedKeyCredential } = await import(
    "@azure/storage-blob"
  );
  const credential =
    credentials.type === "shared_key"
      ? new StorageSharedKeyCredential(account, credentials.accountKey)
      : source === null
        ? new AnonymousCredential()
        : { getToken: () => source.fetch() };
  const options: NonNullable<Parameters<typeof newPipeline>[1]> = {
    retryOptions: { maxTries: 1 },
    ...(httpClient === undefined ? {} : { httpClient: httpClient as never }),
  };
  return newPipeline(credential, options);
}

/** The query that signs a request; empty: something else does. */
async function sasOf(credentials: AzureCredentials): Promise<string> {
  switch (credentials.type) {
    case "sas":
      return credentials.sasToken.replace(/^\?/, "");
    case "vended":
      return (await credentials.vended(false)).replace(/^\?/, "");
    default:
      return "";
  }
}

function whoOf(credentials: AzureCredentials, source: IdentitySource | null): string {
  switch (credentials.type) {
    case "shared_key":
      return "the account key (storage.azure.account_key)";
    case "sas":
      return "the shared access signature (storage.azure.sas_token)";
    case "vended":
      return "credentials that the catalog handed out";
    case "identity":
      return source?.who ?? "nobody";
  }
}
