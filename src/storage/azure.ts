/**
 * Storage on Azure Blob Storage and Data Lake Storage, by the blob service of both:
 * `abfss://container@account.dfs.core.windows.net/key`, also `abfs`, `wasbs` and `wasb`. Writes:
 * `azureUpload.ts`; how calls are made: `azureClient.ts`.
 */
import { buffer } from "node:stream/consumers";
import { fail, kindOf } from "#base/errors.ts";
import {
  type AzureCalls,
  type AzureOptions,
  type AzureParts,
  createAzureCalls,
} from "./azureClient.ts";
import { AzureUpload, clearBlocks, targetOf } from "./azureUpload.ts";
import { eachOf } from "./gate.ts";
import { azureAddress } from "./location.ts";
import type { ObjectInfo, Storage } from "./storage.ts";
import { writesOf } from "./upload.ts";

/** Opens Azure storage; nothing is loaded or sent yet. */
export function createAzureStorage(options: AzureOptions, parts: AzureParts): Storage {
  const calls = createAzureCalls(options, parts);
  return {
    ...writesOf(async (location) => new AzureUpload(location, calls, parts)),
    get: (location) => get(calls, location, null),
    getRange: async (location, start, length) =>
      length === 0 ? new Uint8Array() : get(calls, location, { start, length }),
    head: (location) => head(calls, location),
    remove: (locations) => eachOf(locations, (location) => remove(calls, location)),
    list: (prefix) => list(calls, prefix),
    abortUploads: (uploads) => eachOf(uploads, ({ location }) => clearBlocks(calls, location)),
    // The SDK keeps its connections by itself, and has no call to end them.
    close: async () => undefined,
  };
}

async function get(
  calls: AzureCalls,
  location: string,
  range: { readonly start: number; readonly length: number } | null,
): Promise<Uint8Array> {
  const { bytes, wanted } = await calls.call(targetOf("read", location), async (abortSignal) => {
    const blob = await calls.blob(location);
    const answer = await blob.download(range?.start ?? 0, range?.length, {
      abortSignal,
      maxRetryRequests: 0,
    });
    const stream = answer.readableStreamBody;
    const body = stream === undefined ? new Uint8Array() : await buffer(stream);
    return { bytes: body, wanted: range?.length ?? answer.contentLength ?? body.length };
  });
  if (bytes.length === wanted) return bytes;
  const sentence = `${location} gave ${bytes.length} bytes where ${wanted} were asked for`;
  throw fail("storage_corrupt", sentence, { location });
}

async function head(calls: AzureCalls, location: string): Promise<ObjectInfo | null> {
  try {
    const found = await calls.call(targetOf("read", location), async (abortSignal) =>
      (await calls.blob(location)).getProperties({ abortSignal }),
    );
    const modifiedMs = found.lastModified?.getTime() ?? 0;
    return { location, bytes: found.contentLength ?? 0, modifiedMs };
  } catch (error) {
    if (kindOf(error) === "storage_missing") return null;
    throw error;
  }
}

async function remove(calls: AzureCalls, location: string): Promise<void> {
  await calls.call(targetOf("delete", location), async (abortSignal) =>
    (await calls.blob(location)).deleteIfExists({ abortSignal }),
  );
}

async function* list(calls: AzureCalls, prefix: string): AsyncGenerator<ObjectInfo> {
  const folder = prefix.endsWith("/") ? prefix : `${prefix}/`;
  const { key } = azureAddress(folder);
  const base = folder.slice(0, folder.length - key.length);
  let continuationToken: string | undefined;
  do {
    const page = await calls.call(targetOf("list", folder), async (abortSignal) => {
      const container = await calls.container(folder);
      const options = { abortSignal, prefix: key, includeMetadata: true };
      const pages = container.listBlobsFlat(options);
      const settings = continuationToken === undefined ? {} : { continuationToken };
      const { value } = await pages.byPage(settings).next();
      return value;
    });
    for (const { name, properties, metadata } of page?.segment.blobItems ?? []) {
      // Folders of Data Lake Storage are objects, too; so are the folder markers of other tools.
      if (metadata?.["hdi_isfolder"] === "true" || name.endsWith("/")) continue;
      const modifiedMs = properties.lastModified.getTime();
      yield { location: base + name, bytes: properties.contentLength ?? 0, modifiedMs };
    }
    continuationToken = page?.continuationToken || undefined;
  } while (continuationToken !== undefined);
}
