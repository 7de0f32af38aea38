import { describe, expect, test } from "bun:test";
import { Scratch } from "#consumer/codec/blocks.ts";
import { crcMatches, walkBatches } from "#consumer/fetch/recordBatch.ts";
import { buildBatch, type FakeBatch } from "../../fakes/recordBatches.ts";

const bytesOf = (...batches: FakeBatch[]): Buffer => Buffer.concat(batches.map(buildBatch));
const one = [{ value: "x" }];
const aborted = (...list: [producerId: number, firstOffset: number][]) =>
  list.map(([producerId, firstOffset]) => ({
    producerId: BigInt(producerId),
    firstOffset: BigInt(firstOffset),
  }));

/** Base offsets of the batches that a committed reader sees. */
function visible(records: Uint8Array, list = aborted(), position = 0n): number[] {
  return walkBatches(records, position, list, true)
    .batches.filter((batch) => batch.visible)
    .map((batch) => Number(batch.baseOffset));
}

describe("walking", () => {
  test("every batch moves the position to its last offset + 1, holes and empty batches included", () => {
    const records = bytesOf(
      { baseOffset: 10, records: [{ value: "a", offsetDelta: 4 }], lastOffsetDelta: 9 },
      { baseOffset: 20, records: [], lastOffsetDelta: 5 },
      { baseOffset: 26, control: "commit", producerId: 1 },
    );
    const { batches, malformed } = walkBatches(records, 10n, [], true);
    expect(malformed).toBeNull();
    expect(batches.map((b) => [b.baseOffset, b.nextOffset, b.recordCount, b.visible])).toEqual([
      [10n, 20n, 1, true],
      [20n, 26n, 0, false],
      [26n, 27n, 1, false],
    ]);
  });

  test("batches that end before the wanted offset are left out, one that reaches past it is not", () => {
    const three = [{ value: "a" }, { value: "b" }, { value: "c" }];
    const records = bytesOf({ baseOffset: 0, records: three }, { baseOffset: 3, records: three });
    const starts = walkBatches(records, 4n, [], true).batches.map((b) => b.baseOffset);
    expect(starts).toEqual([3n]);
  });

  test("a batch that is cut off at the end is ignored, at whichever byte", () => {
    const first = buildBatch({ baseOffset: 0, records: one });
    const second = buildBatch({ baseOffset: 1, records: one });
    for (let cut = 0; cut < second.length; cut++) {
      const walk = walkBatches(Buffer.concat([first, second.subarray(0, cut)]), 0n, [], true);
      expect([walk.batches.length, walk.malformed]).toEqual([1, null]);
    }
  });

  test("header fields come out as they went in", () => {
    const records = bytesOf({
      baseOffset: 7,
      records: one,
      codec: "gzip",
      logAppendTime: true,
      baseTimestampMs: 5,
      maxTimestampMs: 9,
    });
    const [batch] = walkBatches(records, 7n, [], true).batches;
    expect(batch).toMatchObject({
      codec: 1,
      logAppendTime: true,
      baseTimestampMs: 5,
      maxTimestampMs: 9,
    });
  });

  test("old message formats, unknown ones and impossible lengths are named, with what came before", () => {
    const good = buildBatch({ baseOffset: 0, records: one });
    for (const [change, reason] of [
      [(b: Buffer) => b.writeInt8(1, 16), "message format 1"],
      [(b: Buffer) => b.writeInt8(0, 16), "message format 0"],
      [(b: Buffer) => b.writeInt8(3, 16), "version 3 is unknown"],
      [(b: Buffer) => b.writeInt32BE(20, 8), "shorter than its header"],
      [(b: Buffer) => b.writeInt32BE(-100, 8), "shorter than its header"],
    ] as const) {
      const bad = buildBatch({ baseOffset: 1, records: one });
      change(bad);
      const walk = walkBatches(Buffer.concat([good, bad]), 0n, [], true);
      expect(walk.batches).toHaveLength(1);
      expect(walk.malformed?.offset).toBe(1n);
      expect(walk.malformed?.reason).toContain(reason);
    }
  });

  test("offsets that go back are refused", () => {
    const records = bytesOf({ baseOffset: 5, records: one }, { baseOffset: 2, records: one });
    const back = bytesOf({ baseOffset: 5, records: one }, { baseOffset: 5, lastOffsetDelta: 3 });
    expect(walkBatches(records, 0n, [], true).malformed?.reason ?? "left out").toMatch(/back/);
    expect(walkBatches(back, 0n, [], true).malformed?.reason).toMatch(/back/);
  });

  test("a changed byte anywhere behind the CRC is noticed", () => {
    const batch = buildBatch({ baseOffset: 0, records: [{ key: "k", value: "value" }] });
    const scratch = new Scratch();
    expect(crcMatches(batch, scratch)).toBe(true);
    for (let at = 17; at < batch.length; at++) {
      const changed = Buffer.from(batch);
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
      expect(crcMatches(changed, scratch)).toBe(false);
    }
  });
});

describe("transactions", () => {
  const data = (baseOffset: number, producerId: number): FakeBatch => ({
    baseOffset,
    producerId,
    transactional: true,
    records: one,
  });
  const end = (baseOffset: number, producerId: number, control: "abort" | "commit"): FakeBatch => ({
    baseOffset,
    producerId,
    control,
  });

  test("interleaved producers: each aborted transaction hides its own batches alone", () => {
    const records = bytesOf(
      data(0, 1),
      data(1, 2),
      data(2, 1),
      end(3, 1, "abort"),
      data(4, 2),
      data(5, 1),
      end(6, 2, "commit"),
      end(7, 1, "commit"),
    );
    expect(visible(records, aborted([1, 0]))).toEqual([1, 4, 5]);
  });

  test("two transactions that were open at the fetch offset are both hidden, in whichever order listed", () => {
    const records = bytesOf(
      data(50, 1),
      data(51, 2),
      end(52, 1, "abort"),
      data(53, 2),
      end(54, 2, "abort"),
      data(55, 1),
    );
    for (const list of [aborted([1, 3], [2, 9]), aborted([2, 9], [1, 3])]) {
      expect(visible(records, list, 50n)).toEqual([55]);
    }
  });

  test("an aborted transaction that begins inside a batch hides that batch", () => {
    const records = bytesOf({ ...data(0, 1), lastOffsetDelta: 9 });
    expect(visible(records, aborted([1, 5]))).toEqual([]);
  });

  test("a producer's next transaction is judged anew after its marker", () => {
    const records = bytesOf(
      data(0, 1),
      end(1, 1, "abort"),
      data(2, 1),
      end(3, 1, "commit"),
      data(4, 1),
      end(5, 1, "abort"),
    );
    expect(visible(records, aborted([1, 0], [1, 4]))).toEqual([2]);
  });

  test("only an ABORT marker ends an aborted transaction: a commit marker does not", () => {
    const records = bytesOf(data(0, 1), end(1, 1, "commit"), data(2, 1));
    expect(visible(records, aborted([1, 0]))).toEqual([]);
  });

  test("a user's key of four zero bytes is a key and not a marker", () => {
    const zero = [{ key: new Uint8Array(4), value: "x" }];
    const records = bytesOf(
      { ...data(0, 1), records: zero },
      data(1, 1),
      { baseOffset: 2, records: zero },
      end(3, 1, "abort"),
    );
    expect(visible(records, aborted([1, 0]))).toEqual([2]);
  });

  test("batches outside transactions are seen while their producer has an aborted one", () => {
    const records = bytesOf(data(0, 1), { baseOffset: 1, producerId: 1, records: one });
    expect(visible(records, aborted([1, 0]))).toEqual([1]);
  });

  test("an answer that is nothing but control batches still moves the position", () => {
    const records = bytesOf(end(8, 1, "abort"), end(9, 2, "commit"));
    const { batches } = walkBatches(records, 8n, [], true);
    expect(batches.map((b) => [b.nextOffset, b.visible])).toEqual([
      [9n, false],
      [10n, false],
    ]);
  });

  test("a control batch whose key is too short ends nothing", () => {
    const short = buildBatch({ ...data(1, 1), records: [{ key: "a" }] });
    short.writeInt16BE(48, 21);
    const records = Buffer.concat([buildBatch(data(0, 1)), short, buildBatch(data(2, 1))]);
    expect(visible(records, aborted([1, 0]))).toEqual([]);
  });

  test("reading uncommitted shows aborted records, and no control batches", () => {
    const records = bytesOf(data(0, 1), end(1, 1, "abort"), data(2, 2));
    const { batches } = walkBatches(records, 0n, aborted([1, 0]), false);
    expect(batches.map((b) => b.visible)).toEqual([true, false, true]);
  });
});
