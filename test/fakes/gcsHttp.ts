/**
 * Google Cloud Storage in memory behind the HTTP transport: its JSON API as far as it is used here, with
 * faults. A resumable upload takes its pieces in order, and whole multiples of 256 KiB until the last.
 */
import { crc32c } from "#base/crc32c.ts";
import { type ByteAnswer, type ByteRequest, NoAnswer, type Transport } from "#base/http.ts";
import { type Json, parseJson, writeJson } from "#base/json.ts";
import { type Faults, faultsOf } from "./storeFaults.ts";

interface StoredObject {
  readonly body: Buffer;
  readonly metadata: Json;
}

interface Session {
  readonly id: string;
  readonly metadata: Json;
  body: Buffer;
  /** Once it is over: what it answers from then on. */
  answer: ByteAnswer | null;
}

/** A fake with its contents and what was asked of it. */
export interface GcsFake {
  readonly transport: Transport;
  /** By `bucket/key`. */
  readonly objects: Map<string, StoredObject>;
  readonly sessions: Map<string, Session>;
  readonly requests: { readonly operation: string; readonly headers: ByteRequest["headers"] }[];
  count(operation: string): number;
}

/** Granularity of pieces. */
const STEP = 256 * 1024;

/**
 * Creates a service with one bucket, `b`. Operations: create, begin, piece, state, cancel, media, get, list, delete.
 * @param takesOnly a piece is taken up to so many bytes, once
 */
export function createGcsFake(faults: Faults = {}, takesOnly = 0): GcsFake {
  const objects: GcsFake["objects"] = new Map();
  const sessions: GcsFake["sessions"] = new Map();
  const requests: GcsFake["requests"] = [];
  const trouble = faultsOf(faults);
  let short = takesOnly;

  const store = (id: string, object: StoredObject): ByteAnswer => {
    if (objects.has(id)) return refusal(412, "conditionNotMet");
    objects.set(id, object);
    return json(resourceOf(id, object));
  };

  const create = (request: ByteRequest, url: URL, id: string): ByteAnswer => {
    const body = Buffer.concat([...request.body]);
    if (url.searchParams.get("ifGenerationMatch") !== "0") return refusal(400, "unconditional");
    if (url.searchParams.get("uploadType") === "resumable") {
      const session = `/session-${sessions.size + 1}`;
      const { metadata = null } = objectIn(body.toString());
      sessions.set(session, { id, metadata, body: Buffer.alloc(0), answer: null });
      return { ...json({}), headers: { location: `http://gcs.invalid${session}` } };
    }
    const boundary = /boundary=(.*)$/.exec(request.headers["content-type"] ?? "")?.[1] ?? "";
    const [, first = "", second = ""] = body.toString("latin1").split(`--${boundary}`);
    const content = (part: string): Buffer =>
      Buffer.from(part.slice(part.indexOf("\r\n\r\n") + 4, -2), "latin1");
    const { metadata = null } = objectIn(content(first).toString());
    return store(id, { body: content(second), metadata });
  };

  const piece = (request: ByteRequest, session: Session): ByteAnswer => {
    if (session.answer !== null) return session.answer;
    const range = rangeOf(request);
    if (range === null) return refusal(400, "noRange");
    const body = Buffer.concat([...request.body]);
    const isWhole = range.total !== null || body.length % STEP === 0;
    if (body.length > 0 && range.start !== session.body.length) return refusal(400, "notInOrder");
    if (!isWhole) return refusal(400, "notAMultiple");
    session.body = Buffer.concat([session.body, short > 0 ? body.subarray(0, short) : body]);
    short = 0;
    if (session.body.length === range.total) {
      session.answer = store(session.id, session);
      return session.answer;
    }
    return wantsMore(session);
  };

  const media = (request: ByteRequest, object: StoredObject): ByteAnswer => {
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers["range"] ?? "");
    if (range === null) return { status: 200, headers: {}, body: object.body };
    const start = Number(range[1]);
    if (start >= object.body.length) return refusal(416, "requestedRangeNotSatisfiable");
    return { status: 206, headers: {}, body: object.body.subarray(start, Number(range[2]) + 1) };
  };

  const list = (url: URL, bucket: string): ByteAnswer => {
    const prefix = `${bucket}/${url.searchParams.get("prefix") ?? ""}`;
    const after = url.searchParams.get("pageToken") ?? "";
    const found = [...objects].filter(([id]) => id.startsWith(prefix) && id > after).sort();
    const page = found.slice(0, 2);
    const next = found.length > page.length ? { nextPageToken: page.at(-1)?.[0] ?? "" } : {};
    const kind = { kind: "storage#objects" };
    if (page.length === 0) return json(kind);
    return json({ ...kind, items: page.map(([id, object]) => resourceOf(id, object)), ...next });
  };

  const inSession = (request: ByteRequest, url: URL, operation: string): ByteAnswer => {
    const session = sessions.get(url.pathname);
    if (session === undefined) return refusal(404, "notFound");
    if (operation !== "cancel") return piece(request, session);
    sessions.delete(url.pathname);
    return { status: 499, headers: {}, body: NOTHING };
  };

  const onObject = (request: ByteRequest, operation: string, id: string): ByteAnswer => {
    const object = objects.get(id);
    if (object === undefined) return refusal(404, "notFound", `No such object: ${id}`);
    if (operation === "media") return media(request, object);
    if (operation === "get") return json(resourceOf(id, object));
    objects.delete(id);
    return { status: 204, headers: {}, body: NOTHING };
  };

  const apply = (request: ByteRequest, url: URL, operation: string): ByteAnswer => {
    if (url.pathname.startsWith("/session-")) return inSession(request, url, operation);
    const [, bucket = "", name = ""] = /\/b\/([^/]+)\/o\/?(.*)$/.exec(url.pathname) ?? [];
    if (bucket !== "b") return refusal(404, "notFound", "The specified bucket does not exist.");
    if (operation === "list") return list(url, bucket);
    if (operation === "create" || operation === "begin")
      return create(request, url, `${bucket}/${url.searchParams.get("name")}`);
    return onObject(request, operation, `${bucket}/${decodeURIComponent(name)}`);
  };

  const send = async (request: ByteRequest): Promise<ByteAnswer> => {
    const url = new URL(request.url);
    const operation = operationOf(request, url);
    requests.push({ operation, headers: request.headers });
    const fault = trouble.next(operation);
    await Promise.resolve();
    if (fault === "lost_before") throw new NoAnswer("socket hang up", true);
    if (fault === "odd_before") return ODD;
    if (fault === "odd_json_before") return ODD_JSON;
    if (typeof fault === "object" && fault !== null) return refusal(fault.status, fault.code);
    const answer = apply(request, url, operation);
    if (fault === "lost_after") throw new NoAnswer("socket hang up", true);
    if (fault === "odd_json_after") return ODD_JSON;
    return fault === "odd_after" ? ODD : answer;
  };
  const transport = { send, close: () => undefined };
  return { transport, objects, sessions, requests, count: trouble.count };
}

const NOTHING = Buffer.alloc(0);

/** Of a proxy. */
const ODD: ByteAnswer = { status: 200, headers: {}, body: Buffer.from("<html>welcome</html>") };
const ODD_JSON: ByteAnswer = { ...ODD, body: Buffer.from('{"message":"welcome","size":7}') };

function wantsMore({ body }: Session): ByteAnswer {
  const headers = body.length === 0 ? {} : { range: `bytes=0-${body.length - 1}` };
  return { status: 308, headers, body: NOTHING };
}

/** `bytes 0-99/200`, the total open with `*`; null: none. */
function rangeOf({ headers }: ByteRequest): { start: number; total: number | null } | null {
  const found = /^bytes (?:(\d+)-\d+|\*)\/(\d+|\*)$/.exec(headers["content-range"] ?? "");
  if (found === null) return null;
  return { start: Number(found[1] ?? 0), total: found[2] === "*" ? null : Number(found[2]) };
}

function operationOf({ method, body }: ByteRequest, url: URL): string {
  if (url.pathname.startsWith("/session-")) {
    if (method === "DELETE") return "cancel";
    return body.every(({ length }) => length === 0) ? "state" : "piece";
  }
  if (method === "POST")
    return url.searchParams.get("uploadType") === "resumable" ? "begin" : "create";
  if (method === "DELETE") return "delete";
  if (/\/o\/?$/.test(url.pathname)) return "list";
  return url.searchParams.get("alt") === "media" ? "media" : "get";
}

function resourceOf(id: string, { body, metadata }: StoredObject): { [key: string]: Json } {
  const crc = Buffer.alloc(4);
  crc.writeUInt32BE(crc32c(body));
  const name = id.slice(id.indexOf("/") + 1);
  const updated = "2026-11-29T01:00:00.000Z";
  return { name, size: String(body.length), updated, crc32c: crc.toString("base64"), metadata };
}

function objectIn(text: string): { [key: string]: Json } {
  const value = parseJson(text);
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
}

function json(value: Json): ByteAnswer {
  return { status: 200, headers: {}, body: Buffer.from(writeJson(value)) };
}

function refusal(code: number, reason: string, message = reason): ByteAnswer {
  const body = { error: { code, message, errors: [{ reason, message }] } };
  return { ...json(body), status: code };
}
