/**
 * What the process and its buffers may hold, by what the machine has.
 */
import { describe, expect, test } from "bun:test";
import { LIMITS } from "#base/limits.ts";
import { memoryBudget } from "#config/memory.ts";

const MIB = 1024 * 1024;

describe("the memory budget", () => {
  test("is 70 % of the machine; beside what the process needs anyway it bounds the buffer", () => {
    expect(memoryBudget("auto", 500, 8192 * MIB)).toMatchObject({
      limitBytes: Math.floor(8192 * MIB * 0.7),
      bufferBytes: 500 * MIB,
      openFilesMax: 12,
      rewriteBytes: 224 * MIB,
      warning: null,
    });
    const small = memoryBudget(1024, 500, 8192 * MIB);
    expect(small.bufferBytes).toBe(Math.floor((832 - 96) * 0.6 * MIB));
    expect(small.warning).toBe(
      "hot_buffer.max_size_mb is lowered from 500 to 441: what fits into the memory budget of 1024 MiB (memory.limit_mb)",
    );
    expect(memoryBudget(100, 500, 8192 * MIB).bufferBytes).toBe(MIB);
  });

  test("has room for children that rewrite files: a quarter of what the process leaves, less where less is enough", () => {
    const large = memoryBudget(8192, 5000, 8192 * MIB, 1);
    expect(large.rewriteBytes).toBe(224 * MIB);
    expect(large.bufferBytes).toBe(Math.floor((8000 - 96 - 448) * 0.6 * MIB));
    // Of three pipelines each has its share, and none so little that it could write nothing.
    expect(memoryBudget(2240, 5000, 8192 * MIB, 1).rewriteBytes).toBe(224 * MIB);
    expect(memoryBudget(2240, 5000, 8192 * MIB, 2).rewriteBytes).toBe(128 * MIB);
    expect(memoryBudget(2240, 5000, 8192 * MIB, 3).rewriteBytes).toBe(96 * MIB);
    const small = memoryBudget(592, 5000, 8192 * MIB, 1);
    expect(small.bufferBytes).toBe(Math.floor((400 - 48 - 100) * 0.6 * MIB));
  });

  test("has room for key indexes: what they take, buffers lose, as far as they had more than that", () => {
    const { bufferBytes, bufferBytesBeside } = memoryBudget(1024, 500, 8192 * MIB, 1);
    expect(bufferBytes).toBe(Math.floor((832 - 96 - 208) * 0.6 * MIB));
    expect(bufferBytesBeside(0, 1)).toBe(bufferBytes);
    expect(bufferBytesBeside(360 * MIB, 1)).toBe(Math.floor((832 - 96 - 208 - 360) * 0.6 * MIB));
    expect(bufferBytesBeside(5000 * MIB, 1)).toBe(32 * MIB);
    const roomy = memoryBudget(8192, 500, 8192 * MIB);
    expect(roomy.bufferBytesBeside(3000 * MIB, 1)).toBe(500 * MIB);
    const tiny = memoryBudget(100, 500, 8192 * MIB);
    expect(tiny.bufferBytesBeside(MIB, 1)).toBe(tiny.bufferBytes);
  });

  test("beside key indexes each of many pipelines keeps enough for flushes of many rows, never more than its share without them", () => {
    for (const limitMb of [512, 1024, 4096]) {
      const { bufferBytes, bufferBytesBeside } = memoryBudget(limitMb, 2000, 8192 * MIB);
      for (const pipelines of [1, 3, 16, 200]) {
        const share = Math.floor(bufferBytes / pipelines);
        expect(bufferBytesBeside(0, pipelines)).toBe(share);
        expect(bufferBytesBeside(9000 * MIB, pipelines)).toBe(Math.min(share, 32 * MIB));
      }
    }
  });

  test("has room for a part of each file that is written ahead, whatever its size: fewer files where it is small", () => {
    const files = [100, 256, 320, 512, 1024].map((limitMb) => {
      const { limitBytes, bufferBytes, openFilesMax } = memoryBudget(limitMb, 5000, 8192 * MIB);
      const parts = openFilesMax * LIMITS.uploadPartBytes;
      const needed = LIMITS.processBytes + bufferBytes / 0.6 + parts;
      if (limitMb > 192) expect(needed).toBeLessThanOrEqual(limitBytes + 1);
      return openFilesMax;
    });
    expect(files).toEqual([0, 1, 2, 5, 12]);
  });
});
