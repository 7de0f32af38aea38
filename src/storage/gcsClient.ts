/**
 * Requests to Google Cloud Storage's JSON API (decision 0310), over `node:http`, which sends each once;
 * their calls go through `calls.ts`.
 */
import { type ByteAnswer, createTransport, type Transport } from "#base/http.ts";
import { type CallOptions, type CallParts, type Calls, createCalls } from "./calls.ts";
import { type GcsCredentials, gcsTokens } from "./gcsCredentials.ts";
import { type GcsTarget, gcsError, isGcsAccessRefusal, refusalOf, whereOf } from "./gcsErrors.ts";

/** Settings of Google Cloud Storage (SPEC section 4, `[storage.gcs]` and `[storage]`). */
export interface GcsOptions extends CallOptions {
  /** Null: `https://storage.googleapis.com`. */
  readonly endpoint: string | null;
  readonly credentials: GcsCredentials;
}

/** What Google Cloud Storage is built from. */
export interface GcsParts extends CallParts {
  /** Sends requests in place of the network; tests only. */
  readonly transport?: Transport;
}

/** A request to the API. */
export interface GcsRequest {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** A path behind the endpoint, or the whole URL of an upload's session. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: readonly Uint8Array[];
}

/** Calls to the API. */
export interface GcsCalls extends Calls<GcsTarget> {
  /** Sends one request. Throws `GcsRefusal` for an answer that is neither a success nor in `also`. */
  send(request: GcsRequest, signal: AbortSignal, also?: readonly number[]): Promise<ByteAnswer>;
  close(): void;
}

const ENDPOINT = "https://storage.googleapis.com";

/** Opens the client; nothing is sent yet. */
export function createGcsCalls(options: GcsOptions, parts: GcsParts): GcsCalls {
  const transport = parts.transport ?? createTransport(options.requestsMax);
  const tokens = gcsTokens(options.credentials);
  const endpoint = (options.endpoint ?? ENDPOINT).replace(/\/+$/, "");
  const calls = createCalls<GcsTarget>(options, parts, {
    store: "Google Cloud Storage",
    whereOf,
    errorOf: async (error, target) => gcsError(error, target, tokens.who),
    isAccessRefusal: isGcsAccessRefusal,
    refresh: tokens.refresh,
    worked: () => undefined,
  });
  return {
    ...calls,
    send: async ({ method, path, headers, body = [] }, signal, also = []) => {
      const token = await tokens.token();
      const signed = token === null ? {} : { authorization: `Bearer ${token}` };
      const url = path.startsWith("/") ? endpoint + path : path;
      const request = { method, url, headers: { ...headers, ...signed }, body };
      const answer = await transport.send(request, signal);
      if (answer.status >= 200 && answer.status < 300) return answer;
      if (also.includes(answer.status)) return answer;
      throw refusalOf(answer);
    },
    close: () => transport.close(),
  };
}

/** The path of an object's resource, or with an empty key of the bucket's objects. */
export function objectPath({ bucket, key }: { bucket: string; key: string }): string {
  const objects = `/storage/v1/b/${encodeURIComponent(bucket)}/o`;
  return key === "" ? objects : `${objects}/${encodeURIComponent(key)}`;
}
