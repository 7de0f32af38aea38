/** Helpers of the decoder's tests: documents in, rows and reasons out. */
import type { Field, Type } from "#columns/schema.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import type { DecodeResult, Decoder, RecordBytes } from "#decode/decoder.ts";
import { DECODER_DEFAULTS, type DecoderOptions } from "#decode/options.ts";
import { checkLayout, rowsOf, type Value } from "../../support/columnValues.ts";
import { type RecordInput, recordBatch } from "../../support/records.ts";

/** A provisional field. */
export function field(name: string, type: Type | Type["kind"], required = false): Field {
  const whole = typeof type === "string" ? ({ kind: type } as Type) : type;
  return { id: 0, name, required, type: whole };
}

/** A decoder without metadata columns, unless they are asked for. */
export function makeDecoder(options: Partial<DecoderOptions> = {}): Decoder {
  return createDecoder({ ...DECODER_DEFAULTS, metadataColumns: [], ...options });
}

/** What came of a batch. */
export interface Decoded {
  readonly rows: readonly { readonly [name: string]: Value }[];
  readonly reasons: readonly string[];
  readonly result: DecodeResult;
  readonly names: readonly string[];
}

/** Decodes one batch in a segment of its own and seals it. */
export function decode(
  decoder: Decoder,
  records: readonly (RecordInput | string | Uint8Array | null)[],
  overrides: Partial<RecordBytes> = {},
): Decoded {
  const segment = decoder.builder();
  const result = segment.decode(recordBatch(records, overrides));
  const sealed = segment.seal();
  checkLayout(sealed);
  const reasons = result.rejected.map((reject) => `${reject.offset} ${reject.reason}`);
  const names = sealed.fields.map((each) => each.name);
  return { rows: rowsOf(sealed), reasons, result, names };
}
