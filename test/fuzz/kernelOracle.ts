/** The decode kernel, with a straight reader and without, against the TypeScript reader: all make the same of every batch. */
import { expect } from "bun:test";
import { createDecoder } from "#decode/createDecoder.ts";
import type { RecordBytes } from "#decode/decoder.ts";
import type { DecoderOptions } from "#decode/options.ts";
import { checkLayout, rowsOf } from "../support/columnValues.ts";

/** Everything that comes of batches in one segment after the other. */
function outcome(options: DecoderOptions, batches: readonly RecordBytes[]): unknown {
  const decoder = createDecoder(options);
  if (decoder.needsSample) decoder.sample(batches.slice(0, 1));
  const segment = decoder.builder();
  const results = batches.map((batch) => segment.decode(batch));
  const sealed = segment.seal();
  checkLayout(sealed);
  return { results, rows: rowsOf(sealed), fields: sealed.fields };
}

/** Fails with the first batches that the three ways do not agree about. */
export function compare(
  options: DecoderOptions,
  batches: readonly RecordBytes[],
  told: string,
): void {
  const host = outcome({ ...options, kernel: false }, batches);
  for (const kernel of ["always", "straight"] as const) {
    const made = outcome({ ...options, kernel }, batches);
    if (Bun.deepEquals(made, host, true)) continue;
    expect({ told, kernel, ...(made as object) }).toEqual({ told, kernel, ...(host as object) });
  }
}
