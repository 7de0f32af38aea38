/** What stays in memory of records that were refused. */
import { expect, test } from "bun:test";
import { createDecoder } from "#decode/createDecoder.ts";
import type { Decoder, SegmentBuilder } from "#decode/decoder.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { recordBatch } from "../../support/records.ts";

const FIELDS = [{ id: 0, name: "a", required: false, type: { kind: "string" } }] as const;
const OPTIONS = { ...DECODER_DEFAULTS, fields: FIELDS, infer: false, kernel: "always" } as const;
const TABLES = 50;

/** A table's decoder and open segment, of which a record was refused, and the bytes of its batch. */
function refusing(): { table: readonly [Decoder, SegmentBuilder]; bytes: WeakRef<Uint8Array> } {
  const decoder = createDecoder(OPTIONS);
  const segment = decoder.builder();
  const batch = recordBatch(['{"a":"x"}', "{", '{"a":"y"}']);
  expect(segment.decode(batch).rejected).toHaveLength(1);
  return { table: [decoder, segment], bytes: new WeakRef(batch.payload) };
}

test("no table keeps the bytes of the batches of which records were refused", async () => {
  const tables = Array.from({ length: TABLES }, refusing);
  // A weak reference holds what it refers to until the turn ends.
  await new Promise((resolve) => setTimeout(resolve, 0));
  Bun.gc(true);
  const kept = tables.filter(({ bytes }) => bytes.deref() !== undefined).length;
  // The one that judged last, and what a register or the stack happens to hold.
  expect(kept).toBeLessThan(TABLES / 5);
});
