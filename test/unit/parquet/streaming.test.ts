/** A file's bytes on their way from the encoder to its sink. */
import { afterAll, expect, test } from "bun:test";
import { systemClock } from "#base/clock.ts";
import { fail } from "#base/errors.ts";
import { KERNELS_ON } from "#base/kernelSwitch.ts";
import type { EncodeOptions } from "#parquet/encoder.ts";
import { givePiece, isPiece, PIECE_BYTES, takePiece } from "#parquet/pieces.ts";
import { createWorkerEncoder } from "#parquet/pool.ts";
import { allRows, batchOf, bytesOf, encodeWhole, field, whole } from "./rows.ts";

const OPTIONS: EncodeOptions = { codec: "none", level: null, rowGroupRows: 20_000, metadata: {} };
const worker = createWorkerEncoder({ clock: systemClock });
afterAll(() => worker.close());

const fields = [field("s", { kind: "string" })];
/** 8 MB of values that no encoding makes smaller. */
const large = batchOf(
  fields,
  Array.from({ length: 80_000 }, (_, i) => [`${i}-${Bun.hash(String(i))}`.repeat(5)]),
);

test("chunks arrive in order, one call at a time, before the last row was asked for", async () => {
  let asked = 0;
  let askedAtFirstChunk = 0;
  let running = 0;
  const slices = function* () {
    for (; asked < 4; asked++) yield allRows(large);
  };
  const file = await whole((sink) =>
    worker.encode(fields, slices(), OPTIONS, async (chunk) => {
      if (askedAtFirstChunk === 0) askedAtFirstChunk = asked;
      expect(++running).toBe(1);
      await systemClock.turn();
      await sink(chunk);
      running--;
    }),
  );
  expect(file.chunks.length).toBeGreaterThan(10);
  expect(askedAtFirstChunk).toBeLessThan(4);
  const inline = await encodeWhole(fields, Array(4).fill(large), OPTIONS);
  expect(Buffer.compare(bytesOf(file), bytesOf(inline))).toBe(0);
  const digest = new Bun.CryptoHasher("sha256").update(bytesOf(file)).digest("hex");
  expect([file.sha256, file.bytes]).toEqual([digest, bytesOf(file).length]);
});

test("what the sink throws is what the file ends with; no call follows, and the next file is whole", async () => {
  const error = fail("storage_unreachable", "the store is away");
  let calls = 0;
  const failing = worker.encode(fields, Array(4).fill(allRows(large)), OPTIONS, async () => {
    await systemClock.turn();
    if (++calls === 3) throw error;
  });
  expect(await failing.catch((reason: unknown) => reason)).toBe(error);
  const next = await whole((sink) => worker.encode(fields, [allRows(large)], OPTIONS, sink));
  expect([calls, next.rowCount]).toEqual([3, 80_000]);
});

test("a file that ends by the Worker's death has no call of the sink under way", async () => {
  const mortal = createWorkerEncoder({ clock: systemClock });
  let running = 0;
  const writing = mortal.encode(fields, Array(4).fill(allRows(large)), OPTIONS, async () => {
    running++;
    void mortal.close();
    for (let turns = 0; turns < 20; turns++) await systemClock.turn();
    running--;
  });
  expect(String(await writing.catch((reason: unknown) => reason))).toContain("Worker ended");
  expect(running).toBe(0);
});

test("a chunk holds no more memory than four times its bytes, however small row groups are", async () => {
  const held: number[] = [];
  const options = { ...OPTIONS, rowGroupRows: 500 };
  await worker.encode(fields, [allRows(large)], options, async (chunk) => {
    held.push(chunk.buffer.byteLength / chunk.length);
  });
  // Without kernels a file is written in one go.
  expect(held.length).toBeGreaterThan(KERNELS_ON ? 100 : 0);
  expect(Math.max(...held)).toBeLessThanOrEqual(4);
});

test("pieces are used again, what was none is not", () => {
  const piece = takePiece();
  expect([piece.length, isPiece(piece.buffer)]).toEqual([PIECE_BYTES, true]);
  givePiece(piece.buffer);
  expect(takePiece().buffer).toBe(piece.buffer);
  const other = new ArrayBuffer(PIECE_BYTES - 1);
  givePiece(other);
  expect(isPiece(other)).toBe(false);
  expect(takePiece().buffer).not.toBe(other);
});
