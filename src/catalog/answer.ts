/**
 * How a call to a catalog's service ended, for those that answer with exceptions by name (Glue, the Hive Metastore).
 */
import type { Clock } from "#base/clock.ts";
import type { AppError } from "#base/errors.ts";
import type { Random } from "#base/random.ts";
import { type RetryOptions, retry } from "#base/retry.ts";

/**
 * `refused`: nothing was done, now or later; `code` is the exception's name, empty when nothing was sent. `lost`: it
 * may have been, or may still be, applied.
 */
export type Answer<T> =
  | { readonly kind: "done"; readonly value: T }
  | { readonly kind: "refused"; readonly code: string; readonly error: AppError }
  | { readonly kind: "lost"; readonly error: AppError };

/** What a read ends with: an answer, whatever it says. */
export type ReadAnswer<T> = Exclude<Answer<T>, { kind: "lost" }>;

/** Reads until there is an answer. Throws the last error when the tries are used up. */
export function readAnswer<T>(
  parts: { readonly clock: Clock; readonly random: Random },
  options: RetryOptions,
  read: () => Promise<Answer<T>>,
): Promise<ReadAnswer<T>> {
  return retry(parts, options, async () => {
    const answer = await read();
    if (answer.kind === "lost" || isPassing(answer)) throw answer.error;
    return answer;
  });
}

/** Whether another try may be answered otherwise: throttled, or never sent. */
function isPassing<T>(
  answer: ReadAnswer<T>,
): answer is Extract<ReadAnswer<T>, { kind: "refused" }> {
  return answer.kind === "refused" && answer.error.kind === "catalog_unreachable";
}
