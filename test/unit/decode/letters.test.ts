import { expect, test } from "bun:test";
import { createDecoder } from "#decode/createDecoder.ts";
import { LetterRows } from "#decode/letters.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { headersOf, selectRecords } from "#decode/records.ts";
import { checkLayout, rowsOf } from "../../support/columnValues.ts";
import { recordBatch } from "../../support/records.ts";

function lettersOf(records: Parameters<typeof recordBatch>[0]): Record<string, unknown>[] {
  const batch = recordBatch(records);
  const result = createDecoder({ ...DECODER_DEFAULTS, infer: false })
    .builder()
    .decode(batch);
  const rows = new LetterRows([], new Map());
  for (const each of result.rejected) rows.append(each, "id", 5);
  const sealed = rows.seal();
  checkLayout(sealed);
  return rowsOf(sealed);
}

test("a letter has the coordinates and the very bytes of its record, and why it is there", () => {
  const bytes = new Uint8Array([0xff, 0, 0x7b]);
  const headers = [
    ["h", "v"],
    ["none", null],
  ] as const;
  const [first, second, ...more] = lettersOf([
    "{}",
    { value: bytes, key: "k", headers },
    { value: null, timestampDelta: 8_640_000_000_000_000 },
  ]);
  expect(more).toEqual([]);
  expect(first).toMatchObject({ topic: "events", topic_id: "id", partition: 3, offset: 1n });
  expect(first).toMatchObject({ reason: "bad_json", retried_at: null, retry_commit_id: null });
  expect(first).toMatchObject({ key: "6b", value: "ff007b" });
  expect(JSON.stringify(first?.["headers"])).toContain("none");
  expect(second).toMatchObject({ offset: 2n, value: null, key: null, timestamp: null });
});

test("headers that are damaged are null, not somebody else's bytes", () => {
  expect(headersOf(new Uint8Array([2, 0x61, 4, 0x62]))).toBeNull();
  expect(headersOf(new Uint8Array([0x80]))).toBeNull();
  expect(headersOf(new Uint8Array([1]))).toBeNull();
  expect(headersOf(new Uint8Array(0))).toEqual([]);
});

test("records that are selected keep their offsets and bytes, and the others leave no trace", () => {
  const batch = recordBatch(["a", "b", "c", "d", "e"], { baseOffset: 10n, wantedOffset: 11n });
  const share = selectRecords(batch, (offset) => offset !== 12n);
  const whole = recordBatch(["b", "d", "e"].map((value, at) => ({ value, ...PLACES[at] })));
  expect(share).toEqual({ payload: Buffer.from(whole.payload), recordCount: 3 });
  expect(selectRecords(batch, () => false)).toBeNull();
});

const PLACES = [1, 3, 4].map((at) => ({ offsetDelta: at, timestampDelta: at }));
