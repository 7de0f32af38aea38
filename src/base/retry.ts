/**
 * Exponential backoff with full jitter, for reads and idempotent writes. Commits never use it:
 * a commit that may have been sent twice has an unknown outcome (SPEC 2.4).
 */
import type { Clock } from "./clock.ts";
import { policyOf } from "./errors.ts";
import type { Random } from "./random.ts";

/** How often and how long apart to try again. */
export interface RetryOptions {
  /** Tries after the first; 0 with `forever` false means one try only. */
  readonly retriesMax: number;
  readonly baseDelayMs: number;
  readonly delayMsMax: number;
  /** Try until `signal` aborts; `retriesMax` is ignored. */
  readonly forever?: boolean;
}

/** The delay before try number `attempt` (0-based): uniform in [half, full] of the doubled base. */
export function backoffMs(options: RetryOptions, attempt: number, random: Random): number {
  const full = Math.min(options.delayMsMax, options.baseDelayMs * 2 ** Math.min(attempt, 30));
  return full / 2 + (full / 2) * random.unit();
}

/**
 * Runs `action` until it succeeds, its error's policy is not `again`, or the tries are used up.
 * @param onRetry called before each wait, for logs and metrics
 */
export async function retry<T>(
  parts: { clock: Clock; random: Random },
  options: RetryOptions,
  action: () => Promise<T>,
  onRetry: (error: unknown, attempt: number) => void = () => undefined,
  signal?: AbortSignal,
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await action();
    } catch (error) {
      const usedUp = options.forever !== true && attempt >= options.retriesMax;
      if (usedUp || signal?.aborted === true || policyOf(error).action !== "again") throw error;
      onRetry(error, attempt);
      await parts.clock.sleep(backoffMs(options, attempt, parts.random), signal);
    }
  }
}
