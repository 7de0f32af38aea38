/**
 * The two ways in which the decompression of a record batch fails.
 */
import { type AppError, fail } from "#base/errors.ts";

/** The error for more output than `bytesMax`. */
export function tooLarge(bytesMax: number): AppError {
  const sentence = `A record batch is larger than ${bytesMax} bytes after decompression`;
  return fail("batch_corrupt", `${sentence} (kafka.max_decompressed_batch_mb)`, { bytesMax });
}

/** The error for input that is cut off or altered. */
export function damaged(codec: string, cause?: unknown): AppError {
  return fail("batch_corrupt", `The ${codec} data of a record batch is damaged`, {}, cause);
}
