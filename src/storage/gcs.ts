/**
 * Storage on Google Cloud Storage: `gs://bucket/key`. Writes: `gcsUpload.ts`; how calls are made:
 * `gcsClient.ts`.
 */
import { fail, kindOf } from "#base/errors.ts";
import type { Json } from "#base/json.ts";
import { eachOf } from "./gate.ts";
import {
  createGcsCalls,
  type GcsCalls,
  type GcsOptions,
  type GcsParts,
  objectPath,
} from "./gcsClient.ts";
import { type GcsTarget, listingIn, membersOf, objectIn } from "./gcsErrors.ts";
import { GcsUpload } from "./gcsUpload.ts";
import { gcsAddress } from "./location.ts";
import type { ObjectInfo, Storage } from "./storage.ts";
import { writesOf } from "./upload.ts";

/** Opens Google Cloud Storage; nothing is sent yet. */
export function createGcsStorage(options: GcsOptions, parts: GcsParts): Storage {
  const calls = createGcsCalls(options, parts);
  return {
    ...writesOf(async (location) => new GcsUpload(location, calls, parts)),
    get: (location) => get(calls, location, null),
    getRange: async (location, start, length) =>
      length === 0 ? new Uint8Array() : get(calls, location, { start, length }),
    head: (location) => head(calls, location),
    remove: (locations) => eachOf(locations, (location) => remove(calls, location)),
    list: (prefix) => list(calls, prefix),
    // What is not finished is seen by nobody, and ends by itself.
    abortUploads: async () => undefined,
    close: async () => calls.close(),
  };
}

async function get(
  calls: GcsCalls,
  location: string,
  range: { readonly start: number; readonly length: number } | null,
): Promise<Uint8Array> {
  const target: GcsTarget = { operation: "get", ...gcsAddress(location) };
  const headers =
    range === null ? {} : { range: `bytes=${range.start}-${range.start + range.length - 1}` };
  const { body, wanted } = await calls.call(target, async (signal) => {
    const path = `${objectPath(target)}?alt=media`;
    const answer = await calls.send({ method: "GET", path, headers }, signal);
    const declared = Number(answer.headers["content-length"] ?? answer.body.length);
    return { body: answer.body, wanted: range?.length ?? declared };
  });
  if (body.length === wanted) return body;
  const sentence = `${location} gave ${body.length} bytes where ${wanted} were asked for`;
  throw fail("storage_corrupt", sentence, { location });
}

async function head(calls: GcsCalls, location: string): Promise<ObjectInfo | null> {
  const target: GcsTarget = { operation: "get", ...gcsAddress(location) };
  const path = `${objectPath(target)}?fields=size,updated`;
  try {
    const found = await calls.call(target, async (signal) =>
      objectIn(await calls.send({ method: "GET", path }, signal)),
    );
    return infoOf(location, found);
  } catch (error) {
    if (kindOf(error) === "storage_missing") return null;
    throw error;
  }
}

async function remove(calls: GcsCalls, location: string): Promise<void> {
  const target: GcsTarget = { operation: "delete", ...gcsAddress(location) };
  const path = objectPath(target);
  await calls.call(target, (signal) => calls.send({ method: "DELETE", path }, signal, [404]));
}

async function* list(calls: GcsCalls, prefix: string): AsyncGenerator<ObjectInfo> {
  const folder = prefix.endsWith("/") ? prefix : `${prefix}/`;
  const { bucket, key } = gcsAddress(folder);
  const base = folder.slice(0, folder.length - key.length);
  const target: GcsTarget = { operation: "list", bucket, key };
  let pageToken: string | null = null;
  do {
    const query = new URLSearchParams({
      prefix: key,
      fields: "kind,items(name,size,updated),nextPageToken",
      ...(pageToken === null ? {} : { pageToken }),
    });
    const path = `${objectPath({ bucket, key: "" })}?${query}`;
    const page = await calls.call(target, async (signal) =>
      listingIn(await calls.send({ method: "GET", path }, signal)),
    );
    const { items, nextPageToken } = membersOf(page);
    for (const item of Array.isArray(items) ? items : []) {
      const { name } = membersOf(item);
      // Names that end in a slash are the folder markers of consoles and file gateways.
      if (typeof name === "string" && !name.endsWith("/")) yield infoOf(base + name, item);
    }
    pageToken = tokenOf(nextPageToken);
  } while (pageToken !== null);
}

function tokenOf(value: Json | undefined): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

function infoOf(location: string, resource: Json): ObjectInfo {
  const { size, updated } = membersOf(resource);
  const modifiedMs = typeof updated === "string" ? Date.parse(updated) : Number.NaN;
  return {
    location,
    bytes: Number(size ?? 0),
    modifiedMs: Number.isNaN(modifiedMs) ? 0 : modifiedMs,
  };
}
