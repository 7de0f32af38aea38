import { expect, test } from "bun:test";
import { encodeRecords } from "#decode/encodeRecords.ts";
import { headersOf, RecordCursor } from "#decode/records.ts";

test("records that are framed again are read as they were", () => {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  const records = [
    { offset: 5n, timestampMs: 1_760_000_000_000, key: null, value: bytes("v"), headers: [] },
    {
      offset: 5n + 2n ** 30n,
      timestampMs: -1,
      key: bytes(""),
      value: null,
      headers: [{ key: bytes("h"), value: null }],
    },
  ];
  const batch = encodeRecords("t", 1, records);
  const cursor = new RecordCursor(batch);
  const seen: unknown[] = [];
  while (cursor.next()) {
    const part = (start: number, end: number): Uint8Array | null =>
      start < 0 ? null : batch.payload.slice(start, end);
    seen.push({
      offset: batch.baseOffset + BigInt(cursor.offsetDelta),
      timestampMs: cursor.timestampDelta,
      key: part(cursor.keyStart, cursor.keyEnd),
      value: part(cursor.valueStart, cursor.valueEnd),
      headers: headersOf(batch.payload.subarray(cursor.headersStart, cursor.nextPosition)),
    });
  }
  expect(seen).toEqual(
    records.map((each) => ({
      ...each,
      headers: each.headers.map((h) => ({ ...h, key: Buffer.from(h.key) })),
    })),
  );
});
