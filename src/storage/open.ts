/**
 * One storage for all schemes: each location goes to the store that its scheme names.
 *
 * A store is opened, and its SDK loaded, when its first location appears, so that a local warehouse
 * touches no cloud's library and credentials.
 */
import type { Disk } from "#base/disk.ts";
import { fail } from "#base/errors.ts";
import type { AzureOptions, AzureParts } from "./azureClient.ts";
import type { GcsOptions, GcsParts } from "./gcsClient.ts";
import { createLocalStorage } from "./local.ts";
import { schemeOf } from "./location.ts";
import type { S3Options, S3Parts } from "./s3Client.ts";
import type { Storage } from "./storage.ts";

/** Settings of all stores. */
export interface StorageOptions {
  /** Requests on their way at once, over all stores of a pipeline. */
  readonly requestsMax: number;
  readonly s3: S3Options;
  readonly gcs: GcsOptions;
  readonly azure: AzureOptions;
}

/** What storage is built from. */
export interface StorageParts extends S3Parts, GcsParts, AzureParts {
  readonly disk: Disk;
}

/** A kind of store. */
export type StoreFamily = "local" | "s3" | "gcs" | "azure";

/** By scheme; other writers name the same stores by several. */
const FAMILIES: Readonly<Record<string, StoreFamily>> = {
  file: "local",
  s3: "s3",
  s3a: "s3",
  s3n: "s3",
  gs: "gcs",
  abfs: "azure",
  abfss: "azure",
  wasb: "azure",
  wasbs: "azure",
};

/** Whether locations of a scheme can be read and written. */
export function isStoreScheme(scheme: string): boolean {
  return FAMILIES[scheme] !== undefined;
}

/** The store that a location belongs to. Throws `usage` for schemes that are not known. */
export function familyOf(location: string): StoreFamily {
  const scheme = schemeOf(location);
  const family = FAMILIES[scheme];
  if (family !== undefined) return family;
  const known = [...Object.keys(FAMILIES)].join(", ");
  const sentence = `The storage scheme ${scheme}:// of ${location} is not known; known are ${known}`;
  throw fail("usage", sentence, { location });
}

/** Opens a storage that routes by scheme. Its calls throw `usage` for schemes that are not known. */
export function openStorage(options: StorageOptions, parts: StorageParts): Storage {
  const opened = new Map<StoreFamily, Promise<Storage>>();
  const route = (location: string): Promise<Storage> => {
    const family = familyOf(location);
    const known = opened.get(family) ?? openFamily(family, options, parts);
    opened.set(family, known);
    return known;
  };
  return {
    put: async (location, content) => (await route(location)).put(location, content),
    putIfAbsent: async (location, content) =>
      (await route(location)).putIfAbsent(location, content),
    writer: async (location) => (await route(location)).writer(location),
    get: async (location) => (await route(location)).get(location),
    getRange: async (location, start, length) =>
      (await route(location)).getRange(location, start, length),
    head: async (location) => (await route(location)).head(location),
    remove: async (locations) => {
      for (const own of Map.groupBy(locations, familyOf).values()) {
        const store = await route(own[0] ?? "");
        await store.remove(own);
      }
    },
    list: async function* (prefix) {
      yield* (await route(prefix)).list(prefix);
    },
    abortUploads: async (uploads) => {
      for (const own of Map.groupBy(uploads, ({ location }) => familyOf(location)).values()) {
        const store = await route(own[0]?.location ?? "");
        await store.abortUploads(own);
      }
    },
    leftUploads: async function* (prefix) {
      yield* (await route(prefix)).leftUploads?.(prefix) ?? [];
    },
    close: async () => {
      for (const store of opened.values()) await (await store).close();
    },
  };
}

async function openFamily(
  family: StoreFamily,
  options: StorageOptions,
  parts: StorageParts,
): Promise<Storage> {
  switch (family) {
    case "local":
      return createLocalStorage(parts);
    case "s3": {
      const { createS3Storage } = await import("./s3.ts");
      return createS3Storage(options.s3, parts);
    }
    case "gcs": {
      const { createGcsStorage } = await import("./gcs.ts");
      return createGcsStorage(options.gcs, parts);
    }
    case "azure": {
      const { createAzureStorage } = await import("./azure.ts");
      return createAzureStorage(options.azure, parts);
    }
  }
}
