/**
 * Damaged record batches: whatever the bytes, decoding ends with rows or with `batch_corrupt`, and
 * what was there before stays as it was.
 *
 * `FUZZ_RUNS` / 20 batches (default 10,000) from `FUZZ_SEED` (default: of today).
 */
import { expect, test } from "bun:test";
import { kindOf } from "#base/errors.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import type { RecordBytes, SegmentBuilder } from "#decode/decoder.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { checkLayout, rowsOf } from "../support/columnValues.ts";
import { recordBatch } from "../support/records.ts";
import { Documents } from "./jsonDocuments.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 200_000) / 20;
const SEED = Number(process.env["FUZZ_SEED"] ?? Math.floor(Date.now() / 86_400_000));

/** Rows that the batch gave; -1 when it was refused as corrupt. Any other error is a failure. */
function decodeDamaged(segment: SegmentBuilder, batch: RecordBytes): number {
  const before = segment.rowCount;
  try {
    const result = segment.decode(batch);
    expect(result.rows + result.skipped + result.rejected.length).toBe(batch.recordCount);
    return result.rows;
  } catch (error) {
    if (kindOf(error) !== "batch_corrupt") throw error;
    expect(segment.rowCount).toBe(before);
    return -1;
  }
}

test(`${RUNS} damaged batches never crash, hang or leave half a row (seed ${SEED})`, () => {
  const documents = new Documents(SEED);
  const { random } = documents;
  const below = (bound: number): number => Math.floor(random.unit() * bound);
  let corrupt = 0;
  for (let run = 0; run < RUNS; run++) {
    const records = Array.from({ length: 1 + below(5) }, (_, index) => ({
      value: documents.next(),
      key: index % 2 === 0 ? "key" : null,
      headers: [["h", index % 2 === 0 ? "v" : null]] as const,
    }));
    const good = recordBatch(records);
    const payload = good.payload.slice(0, below(8) === 0 ? below(good.payload.length) : undefined);
    for (let injuries = below(4); injuries > 0; injuries--) {
      payload[below(payload.length)] = below(3) === 0 ? 0xff : below(256);
    }
    const decoder = createDecoder({
      ...DECODER_DEFAULTS,
      metadataColumns: ["offset", "key", "headers"],
    });
    const segment = decoder.builder();
    segment.decode(recordBatch(['{"kept":1}']));
    const rows = decodeDamaged(segment, { ...good, payload });
    if (rows < 0) corrupt++;
    const sealed = segment.seal();
    checkLayout(sealed);
    expect(sealed.rowCount).toBe(1 + Math.max(0, rows));
    expect(rowsOf(sealed)[0]).toMatchObject({ kept: 1n, _kafka_offset: 0n, _kafka_headers: [] });
  }
  expect(corrupt).toBeGreaterThan(RUNS / 20);
  expect(corrupt).toBeLessThan(RUNS);
}, 600_000);
