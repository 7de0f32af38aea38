import { ptr } from "bun:ffi";
import { expect, test } from "bun:test";
import { freeBufferBytes, giveBack, sharedBytes, trimBuffers } from "#columns/buffers.ts";
import { releaseBatch } from "#columns/release.ts";
import { SegmentMemory } from "#columns/segmentMemory.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { rowsOf } from "../../support/columnValues.ts";
import { recordBatch } from "../../support/records.ts";

const emptied = (): void => {
  for (let trims = 0; trims < 30; trims++) trimBuffers();
  expect(freeBufferBytes()).toBe(0);
};

test("memory that was given back is used again for the same size and a little less", () => {
  emptied();
  const first = sharedBytes(100_000);
  expect(first.length).toBeGreaterThanOrEqual(100_000);
  expect(first.length).toBeLessThanOrEqual(112_500);
  giveBack(first);
  expect(freeBufferBytes()).toBe(first.length);
  const again = sharedBytes(Math.ceil(first.length * 0.8));
  expect(again.buffer).toBe(first.buffer);
  expect(freeBufferBytes()).toBe(0);
  expect(sharedBytes(first.length).buffer).not.toBe(first.buffer);
});

test("what was not used for some trims goes, what is too small or not ours is not kept", () => {
  emptied();
  giveBack(sharedBytes(100_000));
  for (let trims = 0; trims < 20; trims++) trimBuffers();
  expect(freeBufferBytes()).toBeGreaterThan(0);
  for (let trims = 0; trims < 10; trims++) trimBuffers();
  expect(freeBufferBytes()).toBe(0);
  giveBack(sharedBytes(1000));
  giveBack(new Uint8Array(1 << 20));
  expect(freeBufferBytes()).toBe(0);
});

test("no more than a bound is kept free", () => {
  emptied();
  for (let i = 0; i < 200; i++) giveBack(new Uint8Array(new SharedArrayBuffer(1 << 20)));
  expect(freeBufferBytes()).toBe(144 << 20);
  emptied();
});

test("a buffer that grows gives its old memory back, and keeps its content", () => {
  emptied();
  const small = sharedBytes(64 * 1024).fill(7);
  const large = new SegmentMemory().grow(small, 65 * 1024);
  expect(large.length).toBeGreaterThanOrEqual(128 * 1024);
  expect(large.subarray(0, small.length).every((byte) => byte === 7)).toBe(true);
  expect(sharedBytes(64 * 1024).buffer === small.buffer).toBe(true);
});

test("what a held segment leaves is kept, counted, and given back when the last holder lets go", () => {
  emptied();
  const memory = new SegmentMemory();
  const small = sharedBytes(64 * 1024);
  memory.hold();
  memory.hold();
  memory.leave(memory.grow(small, 65 * 1024));
  expect([memory.keptBytes, memory.layout]).toEqual([(64 + 128) * 1024, 2]);
  memory.release();
  expect([memory.isHeld, freeBufferBytes()]).toEqual([true, 0]);
  memory.release();
  expect([memory.isHeld, memory.keptBytes]).toEqual([false, 0]);
  expect(freeBufferBytes()).toBe((64 + 128) * 1024);
});

test("column memory of every size lies at a multiple of 64 bytes, and is one long", () => {
  const kept: Uint8Array[] = [];
  for (const base of [0, 1, 7, 8, 63, 64, 100, 1000, 4095, 4096, 5000, 70_000, 1 << 20]) {
    for (let n = 0; n < 20; n++) kept.push(sharedBytes(base + n));
  }
  expect(kept.filter((bytes) => bytes.length % 64 > 0)).toEqual([]);
  expect(kept.filter((bytes) => bytes.length > 0 && Number(ptr(bytes)) % 64 > 0)).toEqual([]);
});

test("segments made of used memory hold what they were given: nulls, booleans, strings", () => {
  const options = { ...DECODER_DEFAULTS, metadataColumns: [] };
  const documents = (round: number): string[] =>
    Array.from({ length: 20_000 }, (_, row) => {
      const optional = (row + round) % (round + 2) === 0 ? `,"n":${row}` : "";
      return `{"s":"${"x".repeat((row * round) % 50)}","b":${row % (round + 2) > 0}${optional}}`;
    });
  const decoder = createDecoder(options);
  decoder.sample([recordBatch(documents(1))]);
  for (let round = 0; round < 5; round++) {
    const batch = recordBatch(documents(round));
    const segment = decoder.builder();
    segment.decode(batch);
    const sealed = segment.seal();
    const rows = rowsOf(sealed);
    expect(rows.length).toBe(20_000);
    documents(round).forEach((text, row) => {
      const wanted = { n: null, ...JSON.parse(text) };
      if (typeof wanted.n === "number") wanted.n = BigInt(wanted.n);
      if (!Bun.deepEquals(rows[row], wanted)) expect(rows[row]).toEqual(wanted);
    });
    releaseBatch(sealed, segment.memory);
  }
});
