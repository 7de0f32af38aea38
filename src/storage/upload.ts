/**
 * One object on its way to a store, and the three ways of writing that every store offers, made
 * from it. What a store must bring is `start`.
 */
import { fail } from "#base/errors.ts";
import type { Storage, StoredObject } from "./storage.ts";

/** An object that gets its final name at the end; one call at a time. */
export interface Upload {
  /** Names what a crash would leave behind; null while that is nothing. */
  readonly id: string | null;
  write(chunk: Uint8Array): Promise<void>;
  /**
   * Makes the object durable under its final name; null when that name is taken.
   * @param sha256 of the whole object, where the caller has it ({@link ObjectWriter.close})
   */
  finish(sha256?: string): Promise<StoredObject | null>;
  /** Removes what was written so far. */
  discard(): Promise<void>;
}

/** `put`, `putIfAbsent` and `writer` of a store that can start an upload. */
export function writesOf(
  start: (location: string) => Promise<Upload>,
): Pick<Storage, "put" | "putIfAbsent" | "writer"> {
  const write = async (location: string, content: Uint8Array): Promise<StoredObject | null> => {
    const upload = await start(location);
    try {
      await upload.write(content);
      const stored = await upload.finish();
      if (stored === null) await upload.discard();
      return stored;
    } catch (error) {
      await upload.discard().catch(() => undefined);
      throw error;
    }
  };
  return {
    put: async (location, content) => (await write(location, content)) ?? taken(location),
    putIfAbsent: async (location, content) => (await write(location, content)) !== null,
    writer: async (location) => {
      const upload = await start(location);
      return {
        get uploadId(): string | null {
          return upload.id;
        },
        write: (chunk) => upload.write(chunk),
        close: async (sha256) => (await upload.finish(sha256)) ?? taken(location),
        abort: () => upload.discard(),
      };
    },
  };
}

function taken(location: string): never {
  const sentence = `${location} exists already; objects are never overwritten`;
  throw fail("storage_refused", sentence, { location });
}
