/**
 * How every call to an object store is made: not more at once than is allowed, with a time limit, with
 * our retries instead of an SDK's, with one refresh of credentials, and with our errors.
 *
 * Conditional writes may be retried too: each store's upload can tell afterwards whose write won.
 */
import type { Clock } from "#base/clock.ts";
import { AppError, describe, type ErrorContext, fail } from "#base/errors.ts";
import type { Observe } from "#base/events.ts";
import type { Logger } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { type RetryOptions, retry } from "#base/retry.ts";
import { createGate, type Gate } from "./gate.ts";

/** How calls are made (SPEC section 4, `[storage]`). */
export interface CallOptions {
  readonly retry: RetryOptions;
  /** Of one request, its answer included. */
  readonly requestTimeoutMs: number;
  /** Requests on their way at once, at most; more wait for their turn. */
  readonly requestsMax: number;
}

/** What calls are made with. */
export interface CallParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Hears of failures before the retries are used up; default: nobody does. */
  readonly observe?: Observe;
  /** Shared by the stores of one pipeline; default: an own one of `requestsMax`. */
  readonly gate?: Gate;
}

/** Where a call goes: `operation` and what else names its place, for logs and errors. */
export type CallTarget = ErrorContext & { readonly operation: string };

/** What is particular to one store. */
export interface Dialect<Target extends CallTarget> {
  /** Its name in sentences: `S3`. */
  readonly store: string;
  /** `PutObject on s3://bucket/key`. */
  readonly whereOf: (target: Target) => string;
  /** What a thrown value means, in one sentence. */
  readonly errorOf: (error: unknown, target: Target) => Promise<AppError>;
  /** True for a refusal that other credentials, or the same a moment later, may not meet. */
  readonly isAccessRefusal: (error: unknown) => boolean;
  /** Gets credentials anew, once for all who wait. */
  readonly refresh: () => Promise<void>;
  /** Hears that a request was answered. */
  readonly worked: () => void;
}

/** Calls to one store. */
export interface Calls<Target extends CallTarget> {
  /** Runs one call until it succeeds or its retries are used up; it must be safe to repeat. */
  call<T>(target: Target, run: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

/** Makes the calls of one store; nothing is sent yet. */
export function createCalls<Target extends CallTarget>(
  options: CallOptions,
  parts: CallParts,
  dialect: Dialect<Target>,
): Calls<Target> {
  const gate = parts.gate ?? createGate(options.requestsMax);
  const translated = async <T>(target: Target, run: () => Promise<T>): Promise<T> => {
    try {
      return await run();
    } catch (error) {
      if (error instanceof AppError) throw error;
      throw await dialect.errorOf(error, target);
    }
  };
  const timed = <T>(target: Target, run: (signal: AbortSignal) => Promise<T>): Promise<T> =>
    translated(target, async () => {
      const late = (): AppError => {
        const sentence = `${dialect.store} did not answer ${dialect.whereOf(target)} within ${options.requestTimeoutMs} ms`;
        return fail("storage_unreachable", sentence, target);
      };
      return withTimeout(parts.clock, options.requestTimeoutMs, late, run);
    });
  const once = async <T>(target: Target, run: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    const result = await gate.through(() => timed(target, run));
    dialect.worked();
    return result;
  };
  const logAgain = (target: Target, error: unknown, more: ErrorContext): void =>
    parts.log.log("warn", `${dialect.store} is asked again`, {
      ...target,
      ...more,
      reason: describe(error),
    });
  /** One refusal may be an expired key, a clock that the SDK now knows, or a gateway's bad moment. */
  const twice = async <T>(target: Target, run: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    try {
      return await once(target, run);
    } catch (error) {
      if (!dialect.isAccessRefusal(error)) throw error;
      logAgain(target, error, {});
      await timed({ ...target, operation: "fresh credentials" }, dialect.refresh);
      return once(target, run);
    }
  };
  let isAway = false;
  const show = (trouble: unknown): void => {
    if (trouble === null && !isAway) return;
    isAway = trouble !== null;
    parts.observe?.({ type: "service", service: "storage", trouble });
  };
  return {
    call: async (target, run) => {
      const onRetry = (error: unknown, attempt: number): void => {
        show(error);
        logAgain(target, error, { retry_attempt: attempt + 1 });
      };
      const result = await retry(parts, options.retry, () => twice(target, run), onRetry);
      show(null);
      return result;
    },
  };
}

/** Runs with a signal that aborts after `timeoutMs`; then rejects even if `run` ignores it. */
async function withTimeout<T>(
  clock: Clock,
  timeoutMs: number,
  late: () => AppError,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const timeout = new AbortController();
  const done = new AbortController();
  const expired = clock.sleep(timeoutMs, done.signal).then((): never => {
    timeout.abort();
    throw late();
  });
  try {
    return await Promise.race([run(timeout.signal), expired]);
  } finally {
    expired.catch(() => undefined);
    done.abort();
  }
}
