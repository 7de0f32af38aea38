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
import { AppError, describe, fail } from "#base/errors.ts";
import type { Observe } from "#base/events.ts";
import type { Logger } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { type RetryOptions, retry } from "#base/retry.ts";
import { credentialConfig, type S3Keys, s3Credentials, type VendedKeys } from "./s3Credentials.ts";
import { isAccessRefusal, type S3Target, s3Error, whereOf } from "./s3Errors.ts";

/** Settings of S3 (SPEC section 4, `[storage.s3]` and `[storage]`). Null: not set. */
export interface S3Options {
  /** For other stores than AWS: `http://host:port`. */
  readonly endpoint: string | null;
  /** Null: the provider chain's, or `us-east-1` when there is an endpoint. */
  readonly region: string | null;
  /** Keys of the configuration, keys that a catalog hands out, or null: the AWS provider chain. */
  readonly credentials: S3Keys | VendedKeys | null;
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

/** Calls to S3. */
export interface S3Calls {
  readonly client: S3;
  /** Runs one call until it succeeds or its retries are used up; it must be safe to repeat. */
  call<T>(target: S3Target, run: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

/** Opens the client; nothing is sent yet. */
export function createS3Calls(options: S3Options, parts: S3Parts): S3Calls {
  const client = createClient(options, parts);
  const credentials = s3Credentials(client, options.credentials);
  const once = async <T>(
    target: S3Target,
    run: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> => {
    try {
      const result = await withTimeout(parts.clock, options.requestTimeoutMs, target, run);
      credentials.worked();
      return result;
    } catch (error) {
      if (error instanceof AppError) throw error;
      throw s3Error(error, target, await credentials.describe());
    }
  };
  /** One refusal may be an expired key, a clock that the SDK now knows, or a gateway's bad moment. */
  const twice = async <T>(
    target: S3Target,
    run: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> => {
    try {
      return await once(target, run);
    } catch (error) {
      if (!isAccessRefusal(error)) throw error;
      parts.log.log("warn", "S3 is asked again", { ...target, reason: describe(error) });
      await once({ ...target, operation: "fresh credentials" }, () => credentials.refresh());
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
    const result = await retry(parts, options.retry, () => twice(target, run), onRetry);
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
    ...(credentials === null ? {} : { credentials: credentialConfig(credentials) }),
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
