/**
 * The door to the AWS SDK: one client, and how every call to S3 is made: with a time limit, with
 * our retries instead of the SDK's, with one refresh of credentials, and with our errors.
 *
 * Conditional writes may be retried too: `s3Upload.ts` can tell afterwards whose write won.
 * The SDK's handler for Bun is `node:http`, which sends a request once; Bun's `fetch` sends a PUT
 * again by itself when a kept connection breaks (measured, decision 0061), so it is not used here.
 */
import { S3, type S3ClientConfig } from "@aws-sdk/client-s3";
import type { Clock } from "#base/clock.ts";
import { AppError, describe, fail, kindOf } from "#base/errors.ts";
import type { Observe } from "#base/events.ts";
import type { Logger } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { type RetryOptions, retry } from "#base/retry.ts";

/** Settings of S3 (SPEC section 4, `[storage.s3]` and `[storage]`). Null: not set. */
export interface S3Options {
  /** For other stores than AWS: `http://host:port`. */
  readonly endpoint: string | null;
  /** Null: the provider chain's, or `us-east-1` when there is an endpoint. */
  readonly region: string | null;
  /** Null: the AWS provider chain. */
  readonly credentials: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken: string | null;
  } | null;
  /** `endpoint/bucket/key` instead of `bucket.endpoint/key`. */
  readonly pathStyle: boolean;
  /** `AES256`, `aws:kms` or null for the bucket's own setting. */
  readonly sse: "AES256" | "aws:kms" | null;
  readonly sseKmsKeyId: string | null;
  readonly retry: RetryOptions;
  /** Of one request, its answer included. */
  readonly requestTimeoutMs: number;
}

/** What S3 storage is built from. */
export interface S3Parts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Hears of failures before the retries are used up; default: nobody does. */
  readonly observe?: Observe;
  /** Sends requests in place of the network; tests only. */
  readonly requestHandler?: NonNullable<S3ClientConfig["requestHandler"]>;
}

/** Where a call goes, for its errors. */
export interface S3Target {
  /** The S3 operation, "PutObject"; it also names the permission that it needs. */
  readonly operation: string;
  readonly bucket: string;
  readonly key: string;
}

/** Calls to S3. */
export interface S3Calls {
  readonly client: S3;
  /** Runs one call until it succeeds or its retries are used up; it must be safe to repeat. */
  call<T>(target: S3Target, run: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

/** Opens the client; nothing is sent yet. */
export function createS3Calls(options: S3Options, parts: S3Parts): S3Calls {
  const client = createClient(options, parts);
  const once = <T>(target: S3Target, run: (signal: AbortSignal) => Promise<T>): Promise<T> =>
    withTimeout(parts.clock, options.requestTimeoutMs, target, run).catch((error: unknown) => {
      throw error instanceof AppError ? error : s3Error(error, target);
    });
  const refreshing = async <T>(
    target: S3Target,
    run: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> => {
    try {
      return await once(target, run);
    } catch (error) {
      if (kindOf(error) !== "storage_refused" || options.credentials !== null) throw error;
      await once(target, () => client.config.credentials({ forceRefresh: true }));
      return once(target, run);
    }
  };
  let isAway = false;
  const show = (trouble: unknown): void => {
    if (trouble === null && !isAway) return;
    isAway = trouble !== null;
    parts.observe?.({ type: "service", service: "storage", trouble });
  };
  const call = async <T>(
    target: S3Target,
    run: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> => {
    const onRetry = (error: unknown, attempt: number): void => {
      show(error);
      const again = { retry_attempt: attempt + 1, reason: describe(error) };
      parts.log.log("warn", "S3 is asked again", { ...target, ...again });
    };
    const result = await retry(parts, options.retry, () => refreshing(target, run), onRetry);
    show(null);
    return result;
  };
  return { client, call };
}

function createClient(options: S3Options, parts: S3Parts): S3 {
  const { endpoint, credentials } = options;
  const region = options.region ?? (endpoint === null ? null : "us-east-1");
  const client = new S3({
    ...(endpoint === null ? {} : { endpoint }),
    ...(region === null ? {} : { region }),
    ...(credentials === null
      ? {}
      : {
          credentials: {
            accessKeyId: credentials.accessKeyId,
            secretAccessKey: credentials.secretAccessKey,
            ...(credentials.sessionToken === null
              ? {}
              : { sessionToken: credentials.sessionToken }),
          },
        }),
    ...(parts.requestHandler === undefined ? {} : { requestHandler: parts.requestHandler }),
    forcePathStyle: options.pathStyle,
    followRegionRedirects: true,
    maxAttempts: 1,
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  });
  signWithOwnHash(client);
  return client;
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

/** Runs with a signal that aborts after `timeoutMs`; then rejects even if `run` ignores it. */
async function withTimeout<T>(
  clock: Clock,
  timeoutMs: number,
  target: S3Target,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const timeout = new AbortController();
  const done = new AbortController();
  const expired = clock.sleep(timeoutMs, done.signal).then((): never => {
    timeout.abort();
    const sentence = `S3 did not answer ${whereOf(target)} within ${timeoutMs} ms`;
    throw fail("storage_unreachable", sentence, { ...target });
  });
  try {
    return await Promise.race([run(timeout.signal), expired]);
  } finally {
    expired.catch(() => undefined);
    done.abort();
  }
}

/** Codes that stand for refused credentials with other status codes than 401 and 403. */
const REFUSED = new Set(["ExpiredToken", "InvalidToken", "TokenRefreshRequired"]);
/** The body did not arrive as it was sent; nothing was stored. */
const ALTERED = new Set([
  "BadDigest",
  "XAmzContentSHA256Mismatch",
  "InvalidDigest",
  "IncompleteBody",
]);
const FULL = new Set(["XMinioStorageFull", "QuotaExceeded", "InsufficientCapacity"]);

/** The HTTP status and S3 code of an error of {@link S3Calls.call}. */
export function s3Status(error: AppError): { status: number; code: string } {
  const { status, code } = error.context;
  return { status: typeof status === "number" ? status : 0, code: String(code ?? "") };
}

function s3Error(error: unknown, target: S3Target): AppError {
  const { operation, bucket, key } = target;
  const { status, code } = answerOf(error);
  const context = { operation, bucket, key, status, code };
  const where = whereOf(target);
  if (code === "CredentialsProviderError")
    return fail("storage_refused", "No AWS credentials were found for S3", context, error);
  if (status === 401 || status === 403 || REFUSED.has(code)) {
    const needed = `the permission s3:${permissionOf(operation)} on bucket ${bucket} is needed`;
    return fail("storage_refused", `S3 refused ${where} (${code}); ${needed}`, context, error);
  }
  if (code === "NoSuchBucket")
    return fail("storage_missing", `The bucket ${bucket} does not exist`, context, error);
  if (status === 404)
    return fail("storage_missing", `s3://${bucket}/${key} does not exist`, context, error);
  if (ALTERED.has(code) || status === 416)
    return fail("storage_corrupt", `${where} was short or altered (${code})`, context, error);
  if (status === 507 || FULL.has(code))
    return fail("storage_full", `S3 has no room for ${where}`, context, error);
  const isOurFault = status >= 400 && status < 500 && !isPassing(status, code);
  if (isOurFault || (status >= 300 && status < 400))
    return fail("storage_refused", `S3 refused ${where} (${status} ${code})`, context, error);
  return fail("storage_unreachable", `S3 did not do ${where}`, context, error);
}

function whereOf({ operation, bucket, key }: S3Target): string {
  return `${operation} on s3://${bucket}/${key}`;
}

/** 4xx answers that may be another one next time. */
function isPassing(status: number, code: string): boolean {
  return status === 408 || status === 409 || status === 429 || code === "RequestTimeout";
}

function permissionOf(operation: string): string {
  switch (operation) {
    case "HeadObject":
      return "GetObject";
    case "DeleteObjects":
      return "DeleteObject";
    case "ListObjectsV2":
      return "ListBucket";
    case "CreateMultipartUpload":
    case "UploadPart":
    case "CompleteMultipartUpload":
      return "PutObject";
    case "ListMultipartUploads":
      return "ListBucketMultipartUploads";
    default:
      return operation;
  }
}

function answerOf(error: unknown): { status: number; code: string } {
  if (!(error instanceof Error)) return { status: 0, code: "" };
  const { $metadata, name } = error as Error & { $metadata?: { httpStatusCode?: number } };
  return { status: $metadata?.httpStatusCode ?? 0, code: name };
}
