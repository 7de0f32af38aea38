/**
 * The door to the AWS SDK: one client, whose calls go through `calls.ts`.
 *
 * The SDK's handler for Bun is `node:http`, which sends a request once; Bun's `fetch` sends a PUT
 * again by itself when a kept connection breaks (measured, decision 0061), so it is not used here.
 */
import { Readable } from "node:stream";
import { S3, type S3ClientConfig } from "@aws-sdk/client-s3";
import { type CallOptions, type CallParts, type Calls, createCalls } from "./calls.ts";
import { credentialConfig, type S3Keys, s3Credentials, type VendedKeys } from "./s3Credentials.ts";
import { isAccessRefusal, type S3Target, s3Error, whereOf } from "./s3Errors.ts";
import { type RemoteSigner, signerConfig } from "./s3Signer.ts";

/** Settings of S3 (SPEC section 4, `[storage.s3]` and `[storage]`). Null: not set. */
export interface S3Options extends CallOptions {
  /** For other stores than AWS: `http://host:port`. */
  readonly endpoint: string | null;
  /** Null: the provider chain's, or `us-east-1` when there is an endpoint. */
  readonly region: string | null;
  /** Keys of the configuration, keys or signatures of a catalog, or null: the AWS provider chain. */
  readonly credentials: S3Keys | VendedKeys | RemoteSigner | null;
  /** `endpoint/bucket/key` instead of `bucket.endpoint/key`. */
  readonly pathStyle: boolean;
  readonly sse: S3Encryption | null;
}

/**
 * Encryption at rest; null: the bucket's own setting. `customer` (SSE-C): the store keeps no key, so
 * each request that writes or reads an object brings it.
 */
export type S3Encryption =
  | { readonly type: "AES256" }
  /** A null key: the account's own for S3. */
  | { readonly type: "aws:kms"; readonly keyId: string | null }
  /** 32 bytes, base64. */
  | { readonly type: "customer"; readonly secretKey: string };

/** What S3 storage is built from. */
export interface S3Parts extends CallParts {
  /** Sends requests in place of the network; tests only. */
  readonly requestHandler?: NonNullable<S3ClientConfig["requestHandler"]>;
}

/** Calls to S3. */
export interface S3Calls extends Calls<S3Target> {
  readonly client: S3;
  /** What requests for new objects say about encryption. */
  readonly encryption: Readonly<Record<string, string>>;
  /** What further requests for an encrypted object must say, reads too. */
  readonly customerKey: Readonly<Record<string, string>>;
}

/** Opens the client; nothing is sent yet. */
export function createS3Calls(options: S3Options, parts: S3Parts): S3Calls {
  const client = createClient(options, parts);
  const credentials = s3Credentials(client, options.credentials);
  const calls = createCalls<S3Target>(options, parts, {
    store: "S3",
    whereOf,
    errorOf: async (error, target) => s3Error(error, target, await credentials.describe()),
    isAccessRefusal,
    refresh: credentials.refresh,
    worked: credentials.worked,
  });
  const customerKey = customerKeyOf(options.sse);
  return { client, customerKey, encryption: encryptionOf(options.sse, customerKey), ...calls };
}

function customerKeyOf(sse: S3Encryption | null): Record<string, string> {
  if (sse?.type !== "customer") return {};
  const hash = new Bun.CryptoHasher("md5").update(Buffer.from(sse.secretKey, "base64"));
  return {
    SSECustomerAlgorithm: "AES256",
    SSECustomerKey: sse.secretKey,
    SSECustomerKeyMD5: hash.digest("base64"),
  };
}

function encryptionOf(
  sse: S3Encryption | null,
  customerKey: Record<string, string>,
): Record<string, string> {
  if (sse === null || sse.type === "customer") return customerKey;
  if (sse.type === "AES256" || sse.keyId === null) return { ServerSideEncryption: sse.type };
  return { ServerSideEncryption: sse.type, SSEKMSKeyId: sse.keyId };
}

function createClient(options: S3Options, parts: S3Parts): S3 {
  const { endpoint, credentials } = options;
  const region = options.region ?? (endpoint === null ? null : "us-east-1");
  const client = new S3({
    ...(endpoint === null ? {} : { endpoint }),
    ...(region === null ? {} : { region }),
    ...identityConfig(credentials, region ?? "us-east-1"),
    requestHandler: parts.requestHandler ?? connections(options.requestsMax),
    forcePathStyle: options.pathStyle,
    followRegionRedirects: true,
    maxAttempts: 1,
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    // The SDK would send `Expect: 100-continue` with larger bodies, each on a connection of its own.
    expectContinueHeader: false,
  });
  signWithOwnHash(client);
  sendInSlices(client);
  return client;
}

/** @param region what a remote signer is told */
function identityConfig(
  credentials: S3Options["credentials"],
  region: string,
): Pick<S3ClientConfig, "credentials" | "signer"> {
  if (credentials === null) return {};
  return "sign" in credentials
    ? signerConfig(credentials, region)
    : { credentials: credentialConfig(credentials) };
}

/** As many connections as requests: the SDK would else let fifty through, and warn on the console. */
function connections(maxSockets: number) {
  const agent = { keepAlive: true, maxSockets };
  return { httpAgent: agent, httpsAgent: agent };
}

/** The signature needs the body's SHA-256, which uploads have: it is not computed twice. */
function signWithOwnHash(client: S3): void {
  client.middlewareStack.add(
    (next) => (args) => {
      const { input, request } = args as {
        input: { ChecksumSHA256?: string; Body?: unknown };
        request: { headers: Record<string, string> };
      };
      if (input.ChecksumSHA256 !== undefined && input.Body !== undefined) {
        const hash = Buffer.from(input.ChecksumSHA256, "base64").toString("hex");
        request.headers["x-amz-content-sha256"] = hash;
      }
      return next(args);
    },
    { step: "build", name: "signWithOwnHash" },
  );
}

/** Bytes that a socket is given at once. */
const SLICE_BYTES = 256 * 1024;

/** A body that lies in several places. The SDK asks for nothing but its size; {@link sendInSlices} has the bytes. */
export class BodyPieces {
  readonly pieces: readonly Uint8Array[];
  readonly byteLength: number;

  private constructor(pieces: readonly Uint8Array[]) {
    this.pieces = pieces;
    this.byteLength = pieces.reduce((sum, piece) => sum + piece.length, 0);
  }

  /** As the SDK's types take it: one piece is itself. */
  static of(pieces: readonly Uint8Array[]): Uint8Array {
    const [first] = pieces;
    if (first !== undefined && pieces.length === 1) return first;
    return new BodyPieces(pieces) as unknown as Uint8Array;
  }
}

/**
 * A large body goes to its socket slice by slice, each when there is room for it: what a socket cannot
 * take at once the runtime copies, into as much fresh memory as the body has.
 */
function sendInSlices(client: S3): void {
  client.middlewareStack.add(
    (next) => (args) => {
      const { request } = args as { request: { body?: unknown } };
      const { body } = request;
      const pieces = body instanceof BodyPieces ? body.pieces : largeOf(body);
      if (pieces !== null) request.body = Readable.from(slices(pieces), { highWaterMark: 1 });
      return next(args);
    },
    { step: "deserialize", priority: "low", name: "sendInSlices" },
  );
}

function largeOf(body: unknown): readonly Uint8Array[] | null {
  return body instanceof Uint8Array && body.length > SLICE_BYTES ? [body] : null;
}

function* slices(pieces: readonly Uint8Array[]): Generator<Uint8Array> {
  for (const piece of pieces)
    for (let at = 0; at < piece.length; at += SLICE_BYTES)
      yield piece.subarray(at, at + SLICE_BYTES);
}
