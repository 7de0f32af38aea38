/**
 * An S3 service behind the SDK's HTTP handler: the real client, serializers and signatures run, and
 * only the network is replaced. Keeps what it is given in memory, checks the SHA-256 of bodies, and
 * fails on request, before or after a request is applied.
 */
import { Readable } from "node:stream";
import type { S3Options } from "#storage/s3Client.ts";

/** A request as hooks see it. */
export interface S3FakeRequest {
  readonly method: string;
  /** "PutObject", "UploadPart", ... */
  readonly operation: string;
  readonly bucket: string;
  readonly key: string;
}

/**
 * What happens to a request instead of its answer: an answer with a status and code that is not
 * applied; the connection lost before or after it was applied; no answer for ever, applied; or the
 * body altered on its way.
 */
export type S3Fault =
  | { readonly status: number; readonly code: string }
  | "lost_before"
  | "lost_after"
  | "hangs_after"
  | "altered";

interface StoredObject {
  readonly body: Buffer;
  readonly meta: Record<string, string>;
  readonly checksum: string | null;
}

interface StoredUpload {
  readonly bucket: string;
  readonly key: string;
  readonly meta: Record<string, string>;
  readonly parts: Map<number, Buffer>;
}

interface HttpIn {
  readonly method: string;
  readonly path: string;
  readonly query?: Record<string, string | string[] | null>;
  readonly headers: Record<string, string>;
  readonly body?: unknown;
}

interface HttpOut {
  readonly statusCode: number;
  readonly headers: Record<string, string>;
  readonly body: Readable;
}

/** Options for the fake: no waiting, few retries. */
export const s3FakeOptions: S3Options = {
  endpoint: "http://s3.invalid",
  region: null,
  credentials: { accessKeyId: "key", secretAccessKey: "secret", sessionToken: null },
  pathStyle: true,
  sse: null,
  requestsMax: 64,
  retry: { retriesMax: 3, baseDelayMs: 0, delayMsMax: 0 },
  requestTimeoutMs: 1000,
};

/** A fake with its contents and what was asked of it. */
export interface S3Fake {
  readonly requestHandler: { handle(request: unknown): Promise<{ response: HttpOut }> };
  /** By `bucket/key`. */
  readonly objects: Map<string, StoredObject>;
  readonly uploads: Map<string, StoredUpload>;
  /** From now on the object `bucket/key` may not be deleted. */
  readonly refuseDelete: (id: string) => void;
  readonly requests: (S3FakeRequest & { readonly headers: Record<string, string> })[];
}

/** Creates a service with empty buckets. */
export function createS3Fake(options: {
  readonly buckets: readonly string[];
  readonly fault?: (request: S3FakeRequest) => S3Fault | null;
  /** False: answers no checksums, as older stores do. Default true. */
  readonly echoes?: boolean;
}): S3Fake {
  const objects: S3Fake["objects"] = new Map();
  const uploads: S3Fake["uploads"] = new Map();
  const requests: S3Fake["requests"] = [];
  const echoes = options.echoes ?? true;
  const refusedDeletes = new Set<string>();
  let uploadCount = 0;

  const storeUnlessTaken = (id: string, object: StoredObject, headers: HttpIn["headers"]) => {
    if (headers["if-none-match"] === "*" && objects.has(id))
      return refusal(412, "PreconditionFailed");
    objects.set(id, object);
    return null;
  };

  const complete = (request: HttpIn, id: string, uploadId: string): HttpOut => {
    const upload = uploads.get(uploadId);
    if (upload === undefined) return refusal(404, "NoSuchUpload");
    const parts = [...upload.parts].sort(([a], [b]) => a - b).map(([, part]) => part);
    const digests = Buffer.concat(parts.map((part) => hash(part)));
    const checksum = `${hash(digests).toString("base64")}-${parts.length}`;
    const object = { body: Buffer.concat(parts), meta: upload.meta, checksum };
    const refused = storeUnlessTaken(id, object, request.headers);
    if (refused !== null) return refused;
    uploads.delete(uploadId);
    const field = echoes ? `<ChecksumSHA256>${checksum}</ChecksumSHA256>` : "";
    return xml(`<CompleteMultipartUploadResult>${field}</CompleteMultipartUploadResult>`);
  };

  const write = (request: HttpIn, at: S3FakeRequest, body: Buffer): HttpOut => {
    const { headers } = request;
    const given = headers["x-amz-checksum-sha256"];
    const checksum = hash(body).toString("base64");
    if (given !== undefined && given !== checksum) return refusal(400, "BadDigest");
    if (headers["x-amz-content-sha256"] !== hash(body).toString("hex"))
      return refusal(400, "XAmzContentSHA256Mismatch");
    const echo: Record<string, string> = echoes ? { "x-amz-checksum-sha256": checksum } : {};
    if (at.operation === "UploadPart") {
      const upload = uploads.get(queryOf(request, "uploadId"));
      if (upload === undefined) return refusal(404, "NoSuchUpload");
      upload.parts.set(Number(queryOf(request, "partNumber")), body);
      return answer(200, { ...echo, etag: `"${checksum}"` });
    }
    const object = { body, meta: metaOf(headers), checksum };
    const refused = storeUnlessTaken(`${at.bucket}/${at.key}`, object, headers);
    return refused ?? answer(200, { ...echo, etag: `"${checksum}"` });
  };

  const read = (request: HttpIn, at: S3FakeRequest): HttpOut => {
    const object = objects.get(`${at.bucket}/${at.key}`);
    if (object === undefined)
      return at.method === "HEAD" ? answer(404, {}) : refusal(404, "NoSuchKey");
    const headers = { ...headersOf(object, echoes) };
    const { range: wanted = "" } = request.headers;
    const range = /^bytes=(\d+)-(\d+)$/.exec(wanted);
    const start = Number(range?.[1] ?? 0);
    if (range !== null && start >= object.body.length) return refusal(416, "InvalidRange");
    const body = object.body.subarray(start, range === null ? undefined : Number(range[2]) + 1);
    headers["content-length"] = String(body.length);
    return answer(range === null ? 200 : 206, headers, at.method === "HEAD" ? "" : body);
  };

  const list = (at: S3FakeRequest, request: HttpIn): HttpOut => {
    const prefix = `${at.bucket}/${queryOf(request, "prefix")}`;
    const after = queryOf(request, "continuation-token");
    const found = [...objects.keys()].filter((id) => id.startsWith(prefix) && id > after).sort();
    const page = found.slice(0, 2);
    const items = page.map((id) => {
      const key = escapeXml(id.slice(at.bucket.length + 1));
      return `<Contents><Key>${key}</Key><Size>${objects.get(id)?.body.length}</Size></Contents>`;
    });
    const more = found.length > page.length;
    const token = more
      ? `<NextContinuationToken>${escapeXml(page.at(-1) ?? "")}</NextContinuationToken>`
      : "";
    const state = `<IsTruncated>${more}</IsTruncated>${token}`;
    return xml(`<ListBucketResult>${state}${items.join("")}</ListBucketResult>`);
  };

  const listUploads = (request: HttpIn, at: S3FakeRequest): HttpOut => {
    const prefix = queryOf(request, "prefix");
    const items = [...uploads].filter(
      ([, { bucket, key }]) => bucket === at.bucket && key.startsWith(prefix),
    );
    const found = items.map(
      ([id, upload]) =>
        `<Upload><Key>${escapeXml(upload.key)}</Key><UploadId>${id}</UploadId><Initiated>2026-01-08T00:00:00.000Z</Initiated></Upload>`,
    );
    return xml(`<ListMultipartUploadsResult>${found.join("")}</ListMultipartUploadsResult>`);
  };

  const removeMany = (at: S3FakeRequest, body: Buffer): HttpOut => {
    const keys = [...body.toString().matchAll(/<Key>(.*?)<\/Key>/gs)].map(
      (match) => match[1] ?? "",
    );
    const errors = keys.map((key) => {
      const id = `${at.bucket}/${unescapeXml(key)}`;
      if (!refusedDeletes.has(id)) objects.delete(id);
      return refusedDeletes.has(id)
        ? `<Error><Key>${key}</Key><Code>AccessDenied</Code></Error>`
        : "";
    });
    return xml(`<DeleteResult>${errors.join("")}</DeleteResult>`);
  };

  const apply = (request: HttpIn, at: S3FakeRequest, body: Buffer): HttpOut => {
    if (!options.buckets.includes(at.bucket)) return refusal(404, "NoSuchBucket");
    switch (at.operation) {
      case "PutObject":
      case "UploadPart":
        return write(request, at, body);
      case "CreateMultipartUpload": {
        const id = `upload-${++uploadCount}`;
        const meta = metaOf(request.headers);
        uploads.set(id, { bucket: at.bucket, key: at.key, meta, parts: new Map() });
        const field = `<UploadId>${id}</UploadId>`;
        return xml(`<InitiateMultipartUploadResult>${field}</InitiateMultipartUploadResult>`);
      }
      case "CompleteMultipartUpload":
        return complete(request, `${at.bucket}/${at.key}`, queryOf(request, "uploadId"));
      case "AbortMultipartUpload":
        return uploads.delete(queryOf(request, "uploadId"))
          ? answer(204, {})
          : refusal(404, "NoSuchUpload");
      case "DeleteObjects":
        return removeMany(at, body);
      case "ListObjectsV2":
        return list(at, request);
      case "ListMultipartUploads":
        return listUploads(request, at);
      default:
        return read(request, at);
    }
  };

  const handle = async (incoming: unknown): Promise<{ response: HttpOut }> => {
    const request = incoming as HttpIn;
    const at = describeRequest(request);
    requests.push({ ...at, headers: request.headers });
    const fault = options.fault?.(at) ?? null;
    await Promise.resolve();
    if (fault === "lost_before") throw lost();
    if (typeof fault === "object" && fault !== null) return { response: refusedFor(at, fault) };
    const body = await bodyOf(request);
    if (fault === "altered" && body.length > 0) body[0] = (body[0] ?? 0) ^ 1;
    const response = apply(request, at, body);
    if (fault === "lost_after") throw lost();
    if (fault === "hangs_after") return new Promise(() => undefined);
    return { response };
  };
  const refuseDelete = (id: string): void => void refusedDeletes.add(id);
  return { requestHandler: { handle }, objects, uploads, requests, refuseDelete };
}

/** Large bodies come as streams. */
async function bodyOf({ body = "" }: HttpIn): Promise<Buffer> {
  if (body instanceof Readable) return Buffer.concat(await Array.fromAsync<Uint8Array>(body));
  return Buffer.from(body as Uint8Array);
}

/** The answer to HEAD has no body. */
function refusedFor(
  { method }: S3FakeRequest,
  { status, code }: { readonly status: number; readonly code: string },
): HttpOut {
  return method === "HEAD" ? answer(status, {}) : refusal(status, code);
}

function describeRequest(request: HttpIn): S3FakeRequest {
  const [, bucket = "", ...rest] = request.path.split("/");
  const key = decodeURIComponent(rest.join("/"));
  const operation = operationOf(request.method, key, request.query ?? {});
  return { method: request.method, operation, bucket, key };
}

function operationOf(method: string, key: string, query: NonNullable<HttpIn["query"]>): string {
  const isUpload = "uploadId" in query;
  if (method === "PUT") return isUpload ? "UploadPart" : "PutObject";
  if (method === "DELETE") return "AbortMultipartUpload";
  if (method === "HEAD") return "HeadObject";
  if (method === "POST" && "delete" in query) return "DeleteObjects";
  if (method === "POST") return isUpload ? "CompleteMultipartUpload" : "CreateMultipartUpload";
  if (key !== "") return "GetObject";
  return "uploads" in query ? "ListMultipartUploads" : "ListObjectsV2";
}

function headersOf(object: StoredObject, echoes: boolean): Record<string, string> {
  const headers: Record<string, string> = { "last-modified": "Sat, 21 Nov 2026 11:00:00 GMT" };
  for (const [key, value] of Object.entries(object.meta)) headers[`x-amz-meta-${key}`] = value;
  if (echoes && object.checksum !== null) headers["x-amz-checksum-sha256"] = object.checksum;
  return headers;
}

function queryOf(request: HttpIn, name: string): string {
  return String(request.query?.[name] ?? "");
}

function metaOf(headers: Record<string, string>): Record<string, string> {
  const names = Object.keys(headers).filter((name) => name.startsWith("x-amz-meta-"));
  return Object.fromEntries(
    names.map((name) => [name.slice("x-amz-meta-".length), headers[name] ?? ""]),
  );
}

function hash(body: Uint8Array): Buffer {
  return new Bun.CryptoHasher("sha256").update(body).digest();
}

function lost(): Error {
  return Object.assign(new Error("socket hang up"), { code: "ECONNRESET" });
}

function answer(
  statusCode: number,
  headers: Record<string, string>,
  body: Uint8Array | string = "",
) {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  return { statusCode, headers, body: Readable.from([bytes]) };
}

function xml(text: string): HttpOut {
  return answer(200, { "content-type": "application/xml" }, `<?xml version="1.0"?>${text}`);
}

function refusal(status: number, code: string): HttpOut {
  const text = `<Error><Code>${code}</Code><Message>${code}</Message></Error>`;
  return answer(status, { "content-type": "application/xml" }, text);
}

function escapeXml(value: string): string {
  return value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function unescapeXml(value: string): string {
  return value.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}
