/**
 * Azure Blob Storage in memory behind the SDK's HTTP client: the real client and its signatures run, and
 * only the network is replaced. Checks the MD5 of blocks, pages its listings, and fails on request.
 */
import { Readable } from "node:stream";
import { type Faults, faultsOf } from "./storeFaults.ts";

interface HttpIn {
  readonly url: string;
  readonly method: string;
  readonly headers: { get(name: string): string | undefined };
  readonly body?: unknown;
}

interface HttpOut {
  readonly request: HttpIn;
  readonly status: number;
  readonly headers: Headers;
  readonly bodyAsText?: string;
  readonly readableStreamBody?: Readable;
}

interface StoredBlob {
  readonly body: Buffer;
  readonly metadata: Readonly<Record<string, string>>;
}

type Answer = { status: number; headers?: Record<string, string>; body?: Buffer | string };

/** A fake with its contents and what was asked of it. */
export interface AzureFake {
  readonly httpClient: { sendRequest(request: HttpIn): Promise<HttpOut> };
  /** By `container/key`. */
  readonly blobs: Map<string, StoredBlob>;
  /** Blocks without a list, by `container/key`. */
  readonly blocks: Map<string, Map<string, Buffer>>;
  readonly requests: {
    readonly operation: string;
    readonly url: string;
    readonly authorization: string;
  }[];
  count(operation: string): number;
}

/** Creates a service with one container, `c`. Operations: put, block, commit, get, head, list, delete. */
export function createAzureFake(faults: Faults = {}): AzureFake {
  const blobs: AzureFake["blobs"] = new Map();
  const blocks: AzureFake["blocks"] = new Map();
  const requests: AzureFake["requests"] = [];
  const trouble = faultsOf(faults);

  const store = (id: string, blob: StoredBlob, request: HttpIn): Answer => {
    if (request.headers.get("if-none-match") !== "*") return refusal(400, "Unconditional");
    if (blobs.has(id)) return refusal(409, "BlobAlreadyExists");
    blobs.set(id, blob);
    blocks.delete(id);
    const md5 = new Bun.CryptoHasher("md5").update(blob.body).digest("base64");
    return { status: 201, headers: { etag: '"1"', "content-md5": md5 } };
  };

  const block = (id: string, url: URL, request: HttpIn): Answer => {
    const body = bodyOf(request);
    const md5 = new Bun.CryptoHasher("md5").update(body).digest("base64");
    if (request.headers.get("content-md5") !== md5) return refusal(400, "Md5Mismatch");
    const own = blocks.get(id) ?? new Map<string, Buffer>();
    blocks.set(id, own.set(url.searchParams.get("blockid") ?? "", body));
    return { status: 201 };
  };

  const commit = (id: string, request: HttpIn): Answer => {
    const ids = [
      ...bodyOf(request)
        .toString()
        .matchAll(/<Latest>(.*?)<\/Latest>/g),
    ];
    const own = ids.map(([, name = ""]) => blocks.get(id)?.get(name));
    // The list itself is looked at after the condition.
    if (blobs.has(id)) return refusal(409, "BlobAlreadyExists");
    const parts = own.filter((part) => part !== undefined);
    if (parts.length < own.length) return refusal(400, "InvalidBlockList");
    return store(id, { body: Buffer.concat(parts), metadata: metadataOf(request) }, request);
  };

  const read = (blob: StoredBlob, request: HttpIn): Answer => {
    const headers: Record<string, string> = { "last-modified": MODIFIED, etag: '"1"' };
    for (const [name, value] of Object.entries(blob.metadata)) headers[`x-ms-meta-${name}`] = value;
    const asked = request.headers.get("x-ms-range") ?? request.headers.get("range") ?? "";
    const range = /^bytes=(\d+)-(\d*)$/.exec(asked);
    const start = Number(range?.[1] ?? 0);
    if (start > 0 && start >= blob.body.length) return refusal(416, "InvalidRange");
    const end = range?.[2] === undefined || range[2] === "" ? undefined : Number(range[2]) + 1;
    const body = blob.body.subarray(start, end);
    headers["content-length"] = String(body.length);
    return { status: range === null ? 200 : 206, headers, body };
  };

  const list = (url: URL): Answer => {
    const prefix = `c/${url.searchParams.get("prefix") ?? ""}`;
    const after = url.searchParams.get("marker") ?? "";
    const found = [...blobs].filter(([id]) => id.startsWith(prefix) && id > after).sort();
    const page = found.slice(0, 2);
    const items = page.map(([id, { body, metadata }]) => {
      const meta = Object.entries(metadata).map(([name, value]) => `<${name}>${value}</${name}>`);
      const fields = `<Last-Modified>${MODIFIED}</Last-Modified><Content-Length>${body.length}</Content-Length>`;
      const name = escapeXml(id.slice(2));
      return `<Blob><Name>${name}</Name><Properties>${fields}</Properties><Metadata>${meta.join("")}</Metadata></Blob>`;
    });
    const next = found.length > page.length ? escapeXml(page.at(-1)?.[0] ?? "") : "";
    const text = `<?xml version="1.0"?><EnumerationResults><Blobs>${items.join("")}</Blobs><NextMarker>${next}</NextMarker></EnumerationResults>`;
    return { status: 200, headers: { "content-type": "application/xml" }, body: text };
  };

  const apply = (request: HttpIn, url: URL, operation: string): Answer => {
    const [, , container = "", ...rest] = url.pathname.split("/");
    if (container !== "c") return refusal(404, "ContainerNotFound");
    const id = `${container}/${decodeURIComponent(rest.join("/"))}`;
    switch (operation) {
      case "list":
        return list(url);
      case "put":
        return store(id, { body: bodyOf(request), metadata: metadataOf(request) }, request);
      case "block":
        return block(id, url, request);
      case "commit":
        return commit(id, request);
    }
    const blob = blobs.get(id);
    if (blob === undefined) return refusal(404, "BlobNotFound");
    if (operation !== "delete") return read(blob, request);
    blobs.delete(id);
    return { status: 202 };
  };

  const sendRequest = async (request: HttpIn): Promise<HttpOut> => {
    const url = new URL(request.url);
    const operation = operationOf(request.method, url);
    const authorization = request.headers.get("authorization") ?? "";
    requests.push({ operation, url: request.url, authorization });
    const fault = trouble.next(operation);
    await Promise.resolve();
    if (fault === "lost_before") throw lost();
    if (typeof fault === "object" && fault !== null)
      return answered(request, refusal(fault.status, fault.code));
    const answer = apply(request, url, operation);
    if (fault === "lost_after") throw lost();
    return answered(request, answer);
  };
  return { httpClient: { sendRequest }, blobs, blocks, requests, count: trouble.count };
}

const MODIFIED = "Sun, 29 Nov 2026 01:00:00 GMT";

function operationOf(method: string, url: URL): string {
  const what = url.searchParams.get("comp");
  if (what === "list" || what === "block") return what;
  if (what === "blocklist") return "commit";
  return method.toLowerCase();
}

function bodyOf({ body }: HttpIn): Buffer {
  const content: unknown = typeof body === "function" ? body() : body;
  return Buffer.from((content ?? "") as Uint8Array);
}

function metadataOf({ headers }: HttpIn): Record<string, string> {
  const name = "kafka_iceberg_write";
  const value = headers.get(`x-ms-meta-${name}`);
  return value === undefined ? {} : { [name]: value };
}

function answered(request: HttpIn, { status, headers = {}, body = "" }: Answer): HttpOut {
  const isText = typeof body === "string" || status >= 300;
  const stream = isText ? {} : { readableStreamBody: Readable.from([body]) };
  const own = request.method === "HEAD" ? {} : isText ? { bodyAsText: String(body) } : stream;
  return { request, status, headers: headersOf(headers), ...own };
}

function refusal(status: number, code: string): Answer {
  const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`;
  return { status, headers: { "x-ms-error-code": code, "content-type": "application/xml" }, body };
}

function lost(): Error {
  return Object.assign(new Error("socket hang up"), { code: "ECONNRESET" });
}

function escapeXml(value: string): string {
  return value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** The shape of headers that the SDK asks for. */
interface Headers {
  get(name: string): string | undefined;
  contains(name: string): boolean;
  toJson(): Record<string, string>;
  headersArray(): { readonly name: string; readonly value: string }[];
  headerNames(): string[];
  rawHeaders(): Record<string, string>;
  set(name: string, value: string): void;
  remove(name: string): boolean;
  clone(): Headers;
}

function headersOf(headers: Readonly<Record<string, string>>): Headers {
  const map = new Map(Object.entries(headers));
  const array = [...map].map(([name, value]) => ({ name, value }));
  return {
    get: (name: string): string | undefined => map.get(name.toLowerCase()),
    contains: (name: string): boolean => map.has(name.toLowerCase()),
    toJson: (): Record<string, string> => Object.fromEntries(map),
    headersArray: () => array,
    headerNames: (): string[] => [...map.keys()],
    rawHeaders: (): Record<string, string> => Object.fromEntries(map),
    set: (name: string, value: string): void => void map.set(name.toLowerCase(), value),
    remove: (name: string): boolean => map.delete(name.toLowerCase()),
    clone: () => headersOf(Object.fromEntries(map)),
  };
}
