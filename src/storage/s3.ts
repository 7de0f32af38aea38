/**
 * Storage on S3 and stores that speak it (MinIO, versitygw). Writes: `s3Upload.ts`; how calls are
 * made: `s3Client.ts`. Needs a store whose `If-None-Match: *` is atomic.
 */
import { fail, kindOf } from "#base/errors.ts";
import { s3Address } from "./location.ts";
import { createS3Calls, type S3Calls, type S3Options, type S3Parts } from "./s3Client.ts";
import { answerOf } from "./s3Errors.ts";
import { abortUpload, S3Upload } from "./s3Upload.ts";
import type { LeftUpload, ObjectInfo, Storage } from "./storage.ts";
import { writesOf } from "./upload.ts";

/** Names in one DeleteObjects request, at most. */
const DELETE_BATCH = 1000;

/** Opens S3 as a storage for `s3://bucket/key` locations; nothing is sent yet. */
export function createS3Storage(options: S3Options, parts: S3Parts): Storage {
  const calls = createS3Calls(options, parts);
  return {
    ...writesOf(async (location) => new S3Upload(location, calls, parts)),
    get: (location) => get(calls, location, null),
    getRange: async (location, start, length) =>
      length === 0 ? new Uint8Array() : get(calls, location, { start, length }),
    head: (location) => head(calls, location),
    remove: (locations) => remove(calls, locations),
    list: (prefix) => list(calls, prefix),
    abortUploads: async (uploads) => {
      for (const { location, uploadId } of uploads) {
        const ids = uploadId === "" ? await uploadsOf(calls, location) : [uploadId];
        for (const id of ids) await abortUpload(calls, location, id);
      }
    },
    leftUploads: (prefix) => leftUploads(calls, prefix),
    close: async () => calls.client.destroy(),
  };
}

async function get(
  calls: S3Calls,
  location: string,
  range: { readonly start: number; readonly length: number } | null,
): Promise<Uint8Array> {
  const { bucket, key } = s3Address(location);
  const input = {
    Bucket: bucket,
    Key: key,
    ...calls.customerKey,
    ...(range === null ? {} : { Range: `bytes=${range.start}-${range.start + range.length - 1}` }),
  };
  const { bytes, wanted } = await calls.call(
    { operation: "GetObject", bucket, key },
    async (abortSignal) => {
      const answer = await calls.client.getObject(input, { abortSignal });
      const body = (await answer.Body?.transformToByteArray()) ?? new Uint8Array();
      return { bytes: body, wanted: range?.length ?? answer.ContentLength ?? body.length };
    },
  );
  if (bytes.length === wanted) return bytes;
  const sentence = `${location} gave ${bytes.length} bytes where ${wanted} were asked for`;
  throw fail("storage_corrupt", sentence, { location });
}

async function head(calls: S3Calls, location: string): Promise<ObjectInfo | null> {
  const { bucket, key } = s3Address(location);
  const input = { Bucket: bucket, Key: key, ...calls.customerKey };
  try {
    const found = await calls.call({ operation: "HeadObject", bucket, key }, (abortSignal) =>
      calls.client.headObject(input, { abortSignal }).catch((error: unknown) => {
        if (!isRefusal(error)) throw error;
        return firstByte(calls, input, abortSignal);
      }),
    );
    return {
      location,
      bytes: found.ContentLength ?? 0,
      modifiedMs: found.LastModified?.getTime() ?? 0,
    };
  } catch (error) {
    if (kindOf(error) === "storage_missing") return null;
    throw error;
  }
}

/** The answer to HEAD has no body, so a refusal has no code: expired, unknown, not allowed look alike. */
function isRefusal(error: unknown): boolean {
  return [400, 401, 403].includes(answerOf(error).status);
}

/** What HEAD would have answered, or the refusal with its code, by GET. */
async function firstByte(
  calls: S3Calls,
  input: { readonly Bucket: string; readonly Key: string },
  abortSignal: AbortSignal,
): Promise<{ ContentLength: number; LastModified: Date | undefined }> {
  const answer = await calls.client.getObject({ ...input, Range: "bytes=0-0" }, { abortSignal });
  await answer.Body?.transformToByteArray();
  const total = /\/(\d+)$/.exec(answer.ContentRange ?? "")?.[1];
  return {
    ContentLength: Number(total ?? answer.ContentLength ?? 0),
    LastModified: answer.LastModified,
  };
}

async function remove(calls: S3Calls, locations: readonly string[]): Promise<void> {
  const addresses = Map.groupBy(locations.map(s3Address), (address) => address.bucket);
  for (const [bucket, group] of addresses) {
    for (let at = 0; at < group.length; at += DELETE_BATCH)
      await removeBatch(
        calls,
        bucket,
        group.slice(at, at + DELETE_BATCH).map((address) => address.key),
      );
  }
}

async function removeBatch(calls: S3Calls, bucket: string, keys: readonly string[]): Promise<void> {
  const target = { operation: "DeleteObjects", bucket, key: keys[0] ?? "" };
  const input = {
    Bucket: bucket,
    Delete: { Objects: keys.map((key) => ({ Key: key })), Quiet: true },
  };
  await calls.call(target, async (abortSignal) => {
    const { Errors = [] } = await calls.client.deleteObjects(input, { abortSignal });
    const [failed] = Errors.filter((item) => item.Code !== "NoSuchKey");
    if (failed === undefined) return;
    const kind = failed.Code === "AccessDenied" ? "storage_refused" : "storage_unreachable";
    const sentence = `S3 did not delete s3://${bucket}/${failed.Key} (${failed.Code})`;
    throw fail(kind, sentence, { bucket, key: failed.Key, code: failed.Code });
  });
}

async function* list(calls: S3Calls, prefix: string): AsyncGenerator<ObjectInfo> {
  const folder = prefix.endsWith("/") ? prefix : `${prefix}/`;
  const { bucket, key } = s3Address(folder);
  const base = folder.slice(0, folder.length - key.length);
  let token: string | undefined;
  do {
    const input = {
      Bucket: bucket,
      Prefix: key,
      ...(token === undefined ? {} : { ContinuationToken: token }),
    };
    const page = await calls.call({ operation: "ListObjectsV2", bucket, key }, (abortSignal) =>
      calls.client.listObjectsV2(input, { abortSignal }),
    );
    for (const item of page.Contents ?? []) {
      // Names that end in a slash are the folder markers of consoles and file gateways.
      if (item.Key === undefined || item.Key.endsWith("/")) continue;
      const modifiedMs = item.LastModified?.getTime() ?? 0;
      yield { location: base + item.Key, bytes: item.Size ?? 0, modifiedMs };
    }
    token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
  } while (token !== undefined);
}

/** Multipart uploads below a prefix, page by page. */
async function* leftUploads(calls: S3Calls, prefix: string): AsyncGenerator<LeftUpload> {
  const folder = prefix.endsWith("/") ? prefix : `${prefix}/`;
  let marker: UploadMarker | null = {};
  while (marker !== null) {
    const page: UploadPage = await uploadPage(calls, folder, marker);
    yield* page.uploads;
    marker = page.next;
  }
}

/** Where a page of uploads begins. */
interface UploadMarker {
  readonly KeyMarker?: string;
  readonly UploadIdMarker?: string;
}

interface UploadPage {
  readonly uploads: readonly LeftUpload[];
  readonly next: UploadMarker | null;
}

async function uploadPage(
  calls: S3Calls,
  folder: string,
  marker: UploadMarker,
): Promise<UploadPage> {
  const { bucket, key } = s3Address(folder);
  const base = folder.slice(0, folder.length - key.length);
  const input = { Bucket: bucket, Prefix: key, ...marker };
  const page = await calls.call({ operation: "ListMultipartUploads", bucket, key }, (abortSignal) =>
    calls.client.listMultipartUploads(input, { abortSignal }),
  );
  const uploads = (page.Uploads ?? []).flatMap(({ Key, UploadId, Initiated }) =>
    Key === undefined || UploadId === undefined || Initiated === undefined
      ? []
      : [{ location: base + Key, uploadId: UploadId, beganMs: Initiated.getTime() }],
  );
  const { IsTruncated, NextKeyMarker, NextUploadIdMarker } = page;
  if (IsTruncated !== true || NextKeyMarker === undefined) return { uploads, next: null };
  const rest = NextUploadIdMarker === undefined ? {} : { UploadIdMarker: NextUploadIdMarker };
  return { uploads, next: { KeyMarker: NextKeyMarker, ...rest } };
}

/** The ids of all multipart uploads to one location. */
async function uploadsOf(calls: S3Calls, location: string): Promise<string[]> {
  const { bucket, key } = s3Address(location);
  const input = { Bucket: bucket, Prefix: key };
  const { Uploads = [] } = await calls.call(
    { operation: "ListMultipartUploads", bucket, key },
    (abortSignal) => calls.client.listMultipartUploads(input, { abortSignal }),
  );
  return Uploads.flatMap((upload) => (upload.Key === key ? [upload.UploadId ?? ""] : []));
}
