/** The decode kernel against the TypeScript reader: both make the same of every batch. */
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

/** Fails with the first record that the two ways do not agree about. */
export function compare(
  options: DecoderOptions,
  batches: readonly RecordBytes[],
  told: string,
): void {
  const kernel = outcome({ ...options, kernel: "always" }, batches);
  const host = outcome({ ...options, kernel: false }, batches);
  if (Bun.deepEquals(kernel, host, true)) return;
  expect({ told, ...(kernel as object) }).toEqual({ told, ...(host as object) });
}
