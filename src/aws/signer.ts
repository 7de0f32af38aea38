/**
 * Signatures of AWS, version 4, of requests and of addresses. The door to the SDK's signer.
 */
import { createHash, createHmac } from "node:crypto";
import { SignatureV4 } from "@smithy/signature-v4";
import type { AwsIdentity } from "./credentials.ts";

/** What a signature is for. */
export interface SignatureScope {
  /** `glue`, `s3tables`, `execute-api`, `kafka-cluster`. */
  readonly service: string;
  readonly region: string;
}

/** A request as it will be sent. */
export interface UnsignedRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

/**
 * The headers that a request needs beside its own to be taken for one of `identity`: all of its own are signed, but for
 * those that proxies change.
 * @param nowMs the time of the signature, which holds for 5 minutes
 */
export async function signedHeaders(
  { method, url, headers, body }: UnsignedRequest,
  scope: SignatureScope,
  identity: AwsIdentity,
  nowMs: number,
): Promise<Readonly<Record<string, string>>> {
  const own = new Set(Object.keys(headers).map((name) => name.toLowerCase()));
  const signed = await signer(scope, identity).sign(
    { ...parts(url), method, headers: { ...headers, host: new URL(url).host }, body: body ?? "" },
    { signingDate: new Date(nowMs) },
  );
  const added = Object.entries(signed.headers).filter(
    ([name]) => name !== "host" && !own.has(name.toLowerCase()),
  );
  return Object.fromEntries(added);
}

/** An address with its signature among its parameters, which holds for `lifeSeconds`. */
export async function signedUrl(
  url: string,
  scope: SignatureScope,
  identity: AwsIdentity,
  time: { readonly nowMs: number; readonly lifeSeconds: number },
): Promise<string> {
  const { host } = new URL(url);
  const request = { ...parts(url), method: "GET", headers: { host } };
  const { query = {} } = await signer(scope, identity).presign(request, {
    signingDate: new Date(time.nowMs),
    expiresIn: time.lifeSeconds,
  });
  const pairs = Object.entries(query).map(
    ([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`,
  );
  return `${url.split("?")[0]}?${pairs.join("&")}`;
}

function signer(scope: SignatureScope, identity: AwsIdentity): SignatureV4 {
  // The body's hash is signed; only S3 wants it as a header, too.
  return new SignatureV4({ ...scope, credentials: identity, sha256: Sha256, applyChecksum: false });
}

function parts(url: string) {
  const { protocol, hostname, port, pathname, searchParams } = new URL(url);
  return {
    protocol,
    hostname,
    ...(port === "" ? {} : { port: Number(port) }),
    path: pathname,
    query: Object.fromEntries(searchParams),
  };
}

/** SHA-256 in the form that the signer asks for. */
class Sha256 {
  readonly #secret: string | Uint8Array | null;
  #hash: { update(data: Uint8Array | string): unknown; digest(): Buffer };

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#secret = secret === undefined ? null : bytesOf(secret);
    this.#hash = this.#begin();
  }

  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytesOf(data));
  }

  digest(): Promise<Uint8Array> {
    return Promise.resolve(new Uint8Array(this.#hash.digest()));
  }

  reset(): void {
    this.#hash = this.#begin();
  }

  #begin() {
    const secret = this.#secret;
    return secret === null ? createHash("sha256") : createHmac("sha256", secret);
  }
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): string | Uint8Array {
  if (typeof data === "string") return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
