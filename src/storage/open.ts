/**
 * One storage for all schemes: each location goes to the store that its scheme names.
 *
 * The local disk and S3 are built; other schemes are refused by name. A store is opened when its
 * first location appears, so that a local warehouse never touches cloud credentials.
 */
import type { Disk } from "#base/disk.ts";
import { fail } from "#base/errors.ts";
import { createLocalStorage } from "./local.ts";
import { schemeOf } from "./location.ts";
import { createS3Storage } from "./s3.ts";
import type { S3Options, S3Parts } from "./s3Client.ts";
import type { VendedKeys } from "./s3Credentials.ts";
import type { Storage } from "./storage.ts";

/** Settings of all stores. */
export interface StorageOptions {
  /** Requests on their way at once, over all stores of a pipeline. */
  readonly requestsMax: number;
  readonly s3: S3Options;
}

/** What storage is built from. */
export interface StorageParts extends S3Parts {
  readonly disk: Disk;
}

/** What a catalog says about the S3 of one table; null: it says nothing. */
export interface VendedS3 {
  readonly keys: VendedKeys | null;
  readonly endpoint: string | null;
  readonly region: string | null;
  readonly pathStyle: boolean | null;
}

/**
 * Settings with what a catalog hands out. Its keys win over configured ones; endpoint and region of
 * the configuration stay, since the catalog may see the store under another name.
 */
export function withVended(options: StorageOptions, vended: VendedS3): StorageOptions {
  const { s3 } = options;
  const endpoint = s3.endpoint ?? vended.endpoint;
  return {
    ...options,
    s3: {
      ...s3,
      endpoint,
      region: s3.region ?? vended.region,
      credentials: vended.keys ?? s3.credentials,
      pathStyle: s3.endpoint === null ? (vended.pathStyle ?? endpoint !== null) : s3.pathStyle,
    },
  };
}

const NOT_BUILT: Readonly<Record<string, string>> = {
  gs: "Google Cloud Storage",
  abfs: "Azure Data Lake Storage",
  abfss: "Azure Data Lake Storage",
  wasb: "Azure Blob Storage",
  wasbs: "Azure Blob Storage",
  hdfs: "HDFS",
};

/** Opens a storage that routes by scheme. Throws `usage` for schemes that are not built. */
export function openStorage(options: StorageOptions, parts: StorageParts): Storage {
  let local: Storage | null = null;
  let s3: Storage | null = null;
  const route = (location: string): Storage => {
    const scheme = schemeOf(location);
    if (scheme === "file") {
      local ??= createLocalStorage(parts);
      return local;
    }
    if (scheme === "s3" || scheme === "s3a" || scheme === "s3n") {
      s3 ??= createS3Storage(options.s3, parts);
      return s3;
    }
    const name = NOT_BUILT[scheme];
    const reason = name === undefined ? "is not known" : `(${name}) is not built yet`;
    throw fail("usage", `The storage scheme ${scheme}:// of ${location} ${reason}`, { location });
  };
  return {
    put: async (location, content) => route(location).put(location, content),
    putIfAbsent: async (location, content) => route(location).putIfAbsent(location, content),
    writer: async (location) => route(location).writer(location),
    get: async (location) => route(location).get(location),
    getRange: async (location, start, length) => route(location).getRange(location, start, length),
    head: async (location) => route(location).head(location),
    remove: async (locations) => {
      for (const [store, own] of groupBy(locations, route)) await store.remove(own);
    },
    list: (prefix) => route(prefix).list(prefix),
    abortUploads: async (uploads) => {
      const groups = groupBy(uploads, (upload) => route(upload.location));
      for (const [store, own] of groups) await store.abortUploads(own);
    },
    close: async () => {
      await local?.close();
      await s3?.close();
    },
  };
}

function groupBy<T>(items: readonly T[], storeOf: (item: T) => Storage): Map<Storage, T[]> {
  return Map.groupBy(items, storeOf);
}
