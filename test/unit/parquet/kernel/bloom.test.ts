/**
 * Bloom filters of column chunks, read by hyparquet.
 */
import { expect, test } from "bun:test";
import { readBloomFilter, sbbfContains } from "hyparquet/src/bloom.js";
import { ChunkBloom } from "#parquet/kernel/bloom.ts";

/** PLAIN bytes of texts. */
function plainTexts(texts: readonly string[]): Uint8Array {
  const parts = texts.map((text) => {
    const bytes = new TextEncoder().encode(text);
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, bytes.length, true);
    return Buffer.concat([length, bytes]);
  });
  return new Uint8Array(Buffer.concat(parts));
}

function filterOf(bloom: ChunkBloom): Uint32Array {
  const bytes = bloom.end();
  if (bytes === null) throw new Error("there is a filter");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const filter = readBloomFilter({ view, offset: 0 });
  if (filter === undefined) throw new Error("hyparquet reads the filter");
  return filter.blocks;
}

const has = (blocks: Uint32Array, bytes: Uint8Array): boolean =>
  sbbfContains(blocks, Bun.hash.xxHash64(bytes));

test("a filter is as large as its distinct values need, and has every one of them", () => {
  const bloom = new ChunkBloom({ fieldId: 1, falsePositives: 0.01, bytesMax: 1 << 20 });
  const texts = Array.from({ length: 5000 }, (_, index) => `key ${index % 1000}`);
  bloom.add(plainTexts(texts.slice(0, 2500)), 0);
  bloom.add(plainTexts(texts.slice(2500)), 0);
  const blocks = filterOf(bloom);
  // 9.7 bits a value, to the next power of two.
  expect(blocks.byteLength).toBe(2048);
  const encoder = new TextEncoder();
  expect(texts.every((text) => has(blocks, encoder.encode(text)))).toBe(true);
  const others = Array.from({ length: 1000 }, (_, index) => encoder.encode(`other ${index}`));
  expect(others.filter((other) => has(blocks, other)).length).toBeLessThan(50);
});

test("with more values than are kept, a filter of the largest size has all of them", () => {
  const bloom = new ChunkBloom({ fieldId: 1, falsePositives: 0.01, bytesMax: 100_000 });
  const values = BigInt64Array.from({ length: 300_000 }, (_, index) => BigInt(index * 3));
  bloom.add(new Uint8Array(values.buffer), 8);
  const blocks = filterOf(bloom);
  expect(blocks.byteLength).toBe(65_536);
  const missing = values.filter(
    (value) => !has(blocks, new Uint8Array(BigInt64Array.of(value).buffer)),
  );
  expect(missing).toHaveLength(0);
});

test("a chunk without a value has none", () => {
  expect(new ChunkBloom({ fieldId: 1, falsePositives: 0.01, bytesMax: 100 }).end()).toBeNull();
});
