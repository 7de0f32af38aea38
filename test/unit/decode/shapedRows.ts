/** Documents through decoders with `[source.transform]`. */
import { expect } from "bun:test";
import type { DecoderOptions } from "#decode/options.ts";
import type { ShapingOptions } from "#decode/shaping.ts";
import { recordBatch } from "../../support/records.ts";
import { type Decoded, decode, makeDecoder } from "./support.ts";

/** Fields are what they are; hashes are keyed. */
export const SHAPE: ShapingOptions = {
  select: [],
  exclude: [],
  rename: {},
  mask: [],
  hash: [],
  hashSalt: "salt",
  separator: ".",
  isStrict: false,
  ignoresCase: false,
};

/** Learns from the documents and decodes them, by the host alone and by the kernel. */
export function shaped(
  shape: Partial<ShapingOptions>,
  documents: readonly string[],
  more: Partial<DecoderOptions> = {},
): Decoded {
  const [host, kernel] = [false, "always" as const].map((which) => {
    const flat = more.flattenSeparator ?? null;
    const separator = flat ?? ".";
    const shaping = { ...SHAPE, separator, ...shape };
    const decoder = makeDecoder({ kernel: which, shaping, ...more });
    decoder.sample([recordBatch(documents)]);
    return decode(decoder, documents);
  });
  if (host === undefined || kernel === undefined) throw new Error("nothing was decoded");
  expect(kernel.rows).toEqual(host.rows);
  expect(kernel.reasons).toEqual(host.reasons);
  return host;
}
