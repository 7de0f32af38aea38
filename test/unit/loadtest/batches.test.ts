/**
 * Prebuilt record batches are what a broker and our own reader take, and every event differs.
 */
import { describe, expect, test } from "bun:test";
import { seededRandom } from "#base/random.ts";
import { Scratch } from "#consumer/codec/blocks.ts";
import { crcMatches, recordBytes, walkBatches } from "#consumer/fetch/recordBatch.ts";
import { BatchPool, EVENT_BYTES, rowsPerBatch } from "#loadtest/batches.ts";
import { decode, field, makeDecoder } from "../decode/support.ts";
import { recordsOf } from "./support.ts";

const STAMP_MS = 1_767_225_600_123;
const poolOf = (rows: number, bytes: number): BatchPool =>
  new BatchPool(rows, bytes, { random: seededRandom(7), scratch: new Scratch() });

describe("a batch", () => {
  test.each([true, false])("is whole by its header and its CRC (kernel: %p)", (kernel) => {
    const scratch = new Scratch(kernel);
    const pool = new BatchPool(500, 120, { random: seededRandom(7), scratch });
    for (let i = 0; i < 50; i++) {
      const { batches, malformed } = walkBatches(pool.take(STAMP_MS + i), 0n, [], true);
      expect(malformed).toBeNull();
      expect(batches).toHaveLength(1);
      const [batch] = batches;
      if (batch === undefined) return;
      expect(crcMatches(batch.bytes, scratch)).toBe(true);
      expect(batch).toMatchObject({ recordCount: 500, nextOffset: 500n, codec: 0, visible: true });
      expect(batch.baseTimestampMs).toBe(STAMP_MS + i);
      expect(batch.maxTimestampMs).toBe(STAMP_MS + i);
    }
  });

  test("holds events of exactly the size that was asked for, read back by our decoder", () => {
    for (const bytes of [EVENT_BYTES.min, 100, 270, 5000]) {
      const pool = poolOf(40, bytes);
      const rows = recordsOf(pool.take(STAMP_MS), 40);
      expect(rows).toHaveLength(40);
      for (const { value } of rows) expect(Buffer.byteLength(value)).toBe(bytes);
      const fields = [
        field("seq", "long"),
        field("user_id", "long"),
        field("amount", "double"),
        field("type", "string"),
        field("country", "string"),
        field("text", "string"),
      ];
      const values = rows.map(({ value }) => value);
      const decoded = decode(makeDecoder({ fields }), values);
      expect(decoded.names).toEqual(fields.map(({ name }) => name));
      expect(decoded.reasons).toEqual([]);
      expect(decoded.rows.map((row) => row["seq"])).toEqual(
        rows.map((_, i) => BigInt(100_000_000_000 + i)),
      );
    }
  });

  test("has sequence numbers that no other batch has, also when its turn comes again", () => {
    const pool = poolOf(300, 100);
    const seen = new Set<string>();
    for (let i = 0; i < 60; i++) {
      for (const { value } of recordsOf(pool.take(STAMP_MS), 300)) {
        seen.add((JSON.parse(value) as { seq: number }).seq.toString());
      }
    }
    expect(seen.size).toBe(60 * 300);
  });

  test("is as large as 64 KiB allow, and at low rates holds a hundredth of a second", () => {
    expect(rowsPerBatch(1_000_000, 100)).toBe(564);
    expect(poolOf(564, 100).take(STAMP_MS).length).toBeLessThanOrEqual(65_536);
    expect(rowsPerBatch(1_000_000, EVENT_BYTES.max)).toBe(1);
    expect(rowsPerBatch(20_000, 270)).toBe(200);
    expect(rowsPerBatch(7, 270)).toBe(1);
  });

  test("is decoded from its own bytes as a consumer hands them over", () => {
    const [batch] = walkBatches(poolOf(25, 150).take(STAMP_MS), 0n, [], true).batches;
    if (batch === undefined) throw new Error("no batch");
    const segment = makeDecoder({ fields: [field("seq", "long")] }).builder();
    const result = segment.decode({
      topic: "t",
      partition: 0,
      wantedOffset: 0n,
      baseOffset: 0n,
      recordCount: 25,
      payload: recordBytes(batch),
      baseTimestampMs: STAMP_MS,
      appendTimestampMs: null,
    });
    expect(result).toMatchObject({ rows: 25, skipped: 0, rejected: [], timestampMsMax: STAMP_MS });
  });
});
