/**
 * The output side that LZ4 and Snappy share: a buffer of fixed size, the copy of a match, and the
 * two ways in which decompression fails.
 */
import { type AppError, fail } from "#base/errors.ts";

/** Decompressed bytes so far. */
export interface Output {
  readonly bytes: Uint8Array;
  length: number;
}

/** Larger outputs are not kept for the next batch. */
const SCRATCH_BYTES_MAX = 4 * 1024 * 1024;

/**
 * Memory that one decompressed batch after the other is put into: a buffer of its own for each was
 * the largest part of the garbage of reading.
 */
export class Scratch {
  #bytes: Uint8Array = new Uint8Array(0);

  /** Exactly `length` bytes of any content, valid until the next call. */
  take(length: number): Uint8Array {
    if (length > SCRATCH_BYTES_MAX) return Buffer.allocUnsafeSlow(length);
    if (this.#bytes.length < length) {
      this.#bytes = Buffer.allocUnsafeSlow(Math.min(SCRATCH_BYTES_MAX, 2 * length));
    }
    return this.#bytes.subarray(0, length);
  }
}

/** From this length on, one call of the runtime beats a loop over bytes. */
const LONG = 32;

/** Appends `length` bytes of `source` from `at` on; the caller has checked that both have them. */
export function copyLiterals(source: Uint8Array, at: number, length: number, output: Output): void {
  const { bytes } = output;
  const to = output.length;
  if (length >= LONG) bytes.set(source.subarray(at, at + length), to);
  else for (let i = 0; i < length; i++) bytes[to + i] = source[at + i] as number;
  output.length = to + length;
}

/**
 * Appends `length` bytes that begin `offset` bytes before the end of the output; the two may
 * overlap, which repeats a pattern. The caller has checked that both fit.
 */
export function copyMatch(output: Output, offset: number, length: number): void {
  const { bytes } = output;
  const to = output.length;
  const from = to - offset;
  if (length >= LONG && offset >= length) bytes.copyWithin(to, from, from + length);
  else for (let i = 0; i < length; i++) bytes[to + i] = bytes[from + i] as number;
  output.length = to + length;
}

/** The error for more output than `bytesMax`. */
export function tooLarge(bytesMax: number): AppError {
  const sentence = `A record batch is larger than ${bytesMax} bytes after decompression`;
  return fail("batch_corrupt", `${sentence} (kafka.max_decompressed_batch_mb)`, { bytesMax });
}

/** The error for input that is cut off or altered. */
export function damaged(codec: string, cause?: unknown): AppError {
  return fail("batch_corrupt", `The ${codec} data of a record batch is damaged`, {}, cause);
}
