/**
 * Requests that somebody else signs (Iceberg's remote signing): a catalog that keeps the store's keys to
 * itself is shown each request, and answers with its signature. It is asked with the headers that a
 * signature must cover, and with a body only where S3 says in it what is deleted.
 */
import type { S3ClientConfig } from "@aws-sdk/client-s3";

/** A request to S3 that is to be signed. */
export interface UnsignedRequest {
  readonly method: string;
  /** Query included. */
  readonly uri: string;
  readonly region: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Of `DeleteObjects`, whose body names what is deleted; else null. */
  readonly body: string | null;
}

/** What is sent in its place: the address, and headers that come on top. */
export type SignedRequest = Pick<UnsignedRequest, "uri" | "headers">;

/** Who signs. */
export interface RemoteSigner {
  /** Throws `storage_refused` with the status for a request that it does not sign. */
  readonly sign: (request: UnsignedRequest) => Promise<SignedRequest>;
  /** Finds out anew where it is asked: it, or the store its signature, refused a request. */
  readonly renew: () => Promise<unknown>;
}

/** The parts of the SDK's request that are used here. */
interface SdkRequest {
  method: string;
  protocol: string;
  hostname: string;
  port?: number;
  path: string;
  query?: Record<string, string | string[] | null>;
  headers: Record<string, string>;
  body?: unknown;
}

/** What the SDK's client is configured with. Its keys are asked for and never used. */
export function signerConfig(
  { sign }: RemoteSigner,
  region: string,
): Pick<S3ClientConfig, "credentials" | "signer"> {
  const signRequest = async (request: SdkRequest): Promise<SdkRequest> => {
    request.headers["x-amz-content-sha256"] ??= hashOf(request.body);
    const { method, headers } = request;
    const covered = Object.entries(headers)
      .map(([name, value]) => [name.toLowerCase(), value] as const)
      .filter(([name]) => COVERED.test(name));
    const isDelete = method === "POST" && request.query?.["delete"] !== undefined;
    const uri = uriOf(request);
    const signed = await sign({
      method,
      uri,
      region,
      headers: Object.fromEntries(covered),
      body: isDelete ? String(request.body) : null,
    });
    return withSignature(request, uri, signed);
  };
  const signer = { sign: signRequest } as unknown as NonNullable<S3ClientConfig["signer"]>;
  return { credentials: { accessKeyId: "none", secretAccessKey: "none" }, signer };
}

/** S3 asks for a signature over these, where they are there. */
const COVERED = /^(host|content-type|content-md5|x-amz-.*)$/;

function hashOf(body: unknown): string {
  const hash = new Bun.CryptoHasher("sha256");
  if (typeof body === "string" || body instanceof Uint8Array) hash.update(body);
  return hash.digest("hex");
}

function uriOf({ protocol, hostname, port, path, query = {} }: SdkRequest): string {
  const pairs = Object.entries(query).flatMap(([key, value]) =>
    [value].flat().map((each) => `${percentEncoded(key)}=${percentEncoded(each ?? "")}`),
  );
  const place = `${protocol}//${hostname}${port === undefined ? "" : `:${port}`}${path}`;
  return pairs.length === 0 ? place : `${place}?${pairs.sort().join("&")}`;
}

/** As signatures want it: all but letters, digits, and `-._~`. */
function percentEncoded(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function withSignature(request: SdkRequest, uri: string, signed: SignedRequest): SdkRequest {
  for (const [name, value] of Object.entries(signed.headers)) {
    for (const ours of Object.keys(request.headers))
      if (ours.toLowerCase() === name.toLowerCase()) delete request.headers[ours];
    request.headers[name.toLowerCase()] = value;
  }
  if (signed.uri === uri) return request;
  const { protocol, hostname, port, pathname, search } = new URL(signed.uri);
  request.protocol = protocol;
  request.hostname = hostname;
  if (port === "") delete request.port;
  else request.port = Number(port);
  request.path = pathname;
  request.query = Object.fromEntries(
    search
      .slice(1)
      .split("&")
      .filter((pair) => pair !== "")
      .map((pair) => {
        const [key = "", value = ""] = pair.split("=").map(decodeURIComponent);
        return [key, value] as const;
      }),
  );
  return request;
}
