/**
 * A storage in memory that keeps the port's promises, with faults on request: an error before or
 * after a write is applied.
 */
import { fail } from "#base/errors.ts";
import type { ObjectInfo, ObjectWriter, Storage, StoredObject } from "#storage/storage.ts";

/** What a fault hook may answer: nothing, or where the call fails. */
export type Fault = "before" | "after" | null;

/** Options of {@link createMemoryStorage}. */
export interface MemoryStorageOptions {
  /** Time of modification of new objects, ms; default 0. */
  readonly nowMs?: () => number;
  /** Asked for each write; default never fails. */
  readonly fault?: (operation: "put" | "putIfAbsent" | "remove", location: string) => Fault;
}

/** A storage with a window into what it holds and how often it was asked. */
export interface MemoryStorage extends Storage {
  readonly objects: Map<string, { content: Uint8Array; modifiedMs: number }>;
  /** What was removed, as it was, for judges of the past. */
  readonly removed: Map<string, Uint8Array>;
  /** Calls by operation. */
  readonly calls: Record<string, number>;
}

/** Creates an empty storage. */
export function createMemoryStorage(options: MemoryStorageOptions = {}): MemoryStorage {
  const objects: MemoryStorage["objects"] = new Map();
  const removed: MemoryStorage["removed"] = new Map();
  const calls: Record<string, number> = {};
  const nowMs = options.nowMs ?? (() => 0);
  const count = async (operation: string): Promise<void> => {
    calls[operation] = (calls[operation] ?? 0) + 1;
    await Promise.resolve();
  };
  const guarded = <T>(operation: "put" | "putIfAbsent" | "remove", at: string, run: () => T): T => {
    const fault = options.fault?.(operation, at) ?? null;
    if (fault === "before") throw fail("storage_unreachable", `${operation} did not arrive`);
    const result = run();
    if (fault === "after") throw fail("storage_unreachable", `${operation}: the answer was lost`);
    return result;
  };
  const store = (location: string, content: Uint8Array): boolean => {
    if (objects.has(location)) return false;
    objects.set(location, { content: new Uint8Array(content), modifiedMs: nowMs() });
    return true;
  };
  const read = (location: string): Uint8Array => {
    const object = objects.get(location);
    if (object === undefined) throw fail("storage_missing", `${location} does not exist`);
    return object.content;
  };
  const stored = (location: string, content: Uint8Array): StoredObject => ({
    location,
    bytes: content.length,
  });
  const put = async (location: string, content: Uint8Array): Promise<StoredObject> => {
    await count("put");
    const created = guarded("put", location, () => store(location, content));
    if (!created) throw fail("storage_refused", `${location} exists already`);
    return stored(location, content);
  };
  return {
    objects,
    removed,
    calls,
    put,
    putIfAbsent: async (location, content) => {
      await count("putIfAbsent");
      return guarded("putIfAbsent", location, () => store(location, content));
    },
    writer: async (location) => memoryWriter((content) => put(location, content)),
    get: async (location) => {
      await count("get");
      return new Uint8Array(read(location));
    },
    getRange: async (location, start, length) => {
      await count("getRange");
      const content = read(location);
      if (start + length > content.length) throw fail("storage_corrupt", `${location} is short`);
      return new Uint8Array(content.subarray(start, start + length));
    },
    head: async (location) => {
      await count("head");
      const object = objects.get(location);
      if (object === undefined) return null;
      return { location, bytes: object.content.length, modifiedMs: object.modifiedMs };
    },
    remove: async (locations) => {
      await count("remove");
      for (const location of locations) {
        guarded("remove", location, () => {
          const object = objects.get(location);
          if (object !== undefined) removed.set(location, object.content);
          return objects.delete(location);
        });
      }
    },
    list: async function* (prefix): AsyncGenerator<ObjectInfo> {
      await count("list");
      for (const [location, { content, modifiedMs }] of [...objects]) {
        if (location.startsWith(prefix)) yield { location, bytes: content.length, modifiedMs };
      }
    },
    abortUploads: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

function memoryWriter(finish: (content: Uint8Array) => Promise<StoredObject>): ObjectWriter {
  const chunks: Uint8Array[] = [];
  return {
    uploadId: null,
    write: async (chunk) => {
      chunks.push(new Uint8Array(chunk));
    },
    close: () => finish(Buffer.concat(chunks)),
    abort: async () => {
      chunks.length = 0;
    },
  };
}
