/**
 * Stores that stand still: each holds the files of its own pipeline, nobody else's.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { systemClock } from "#base/clock.ts";
import { fail } from "#base/errors.ts";
import type { EncodeOptions } from "#parquet/encoder.ts";
import { createWorkerEncoder, type WorkerEncoder } from "#parquet/pool.ts";
import { allRows, batchOf, bytesOf, encodeWhole, field, whole } from "./rows.ts";

const FIELDS = [field("s", { kind: "string" })];
/** 8 MB of values that no encoding makes smaller. */
const LARGE = batchOf(
  FIELDS,
  Array.from({ length: 80_000 }, (_, i) => [`${i}-${Bun.hash(String(i))}`.repeat(5)]),
);
const SMALL = batchOf(FIELDS, [["one"], ["two"]]);

let encoder: WorkerEncoder;

afterEach(() => encoder.close());

/** A store that takes nothing until it is let go. */
function hungStore() {
  const gate = Promise.withResolvers<void>();
  gate.promise.catch(() => undefined);
  let bytes = 0;
  const sink = async (chunk: Uint8Array): Promise<void> => {
    await gate.promise;
    bytes += chunk.length;
  };
  return { sink, go: gate.resolve, fail: gate.reject, bytes: () => bytes };
}

for (const codec of ["zstd", "brotli"] as const) {
  const options: EncodeOptions = { codec, level: null, rowGroupRows: 20_000, metadata: {} };
  const inline = encodeWhole(FIELDS, [LARGE, LARGE], options);

  describe(`by ${codec === "zstd" ? "the kernel" : "parquet-wasm"}`, () => {
    test("ten hung stores stop none of the other pipelines, and are whole when they go on", async () => {
      encoder = createWorkerEncoder({ clock: systemClock });
      const stores = Array.from({ length: codec === "zstd" ? 10 : 2 }, hungStore);
      const held = stores.map(({ sink }, index) =>
        encoder.lane(`hung ${index}`).encode(FIELDS, [LARGE, LARGE].map(allRows), options, sink),
      );
      for (let file = 0; file < 3; file++) {
        const other = await whole((sink) =>
          encoder.lane("b").encode(FIELDS, [allRows(LARGE), allRows(LARGE)], options, sink),
        );
        expect(Buffer.compare(bytesOf(other), bytesOf(await inline))).toBe(0);
      }
      expect(stores.map(({ bytes }) => bytes())).toEqual(stores.map(() => 0));
      for (const store of stores) store.go();
      const { sha256, bytes } = await inline;
      for (const file of await Promise.all(held))
        expect([file.sha256, file.bytes]).toEqual([sha256, bytes]);
    }, 60_000);

    test("a store that fails ends its own file, not the one beside it", async () => {
      encoder = createWorkerEncoder({ clock: systemClock });
      const store = hungStore();
      const slow = hungStore();
      const lost = encoder.lane("a").encode(FIELDS, [allRows(LARGE)], options, store.sink);
      const beside = encoder
        .lane("b")
        .encode(FIELDS, [LARGE, LARGE].map(allRows), options, slow.sink);
      const error = fail("storage_unreachable", "the store is away");
      store.fail(error);
      expect(await lost.catch((reason: unknown) => reason)).toBe(error);
      slow.go();
      expect((await beside).sha256).toBe((await inline).sha256);
      const next = await whole((sink) =>
        encoder.lane("a").encode(FIELDS, [allRows(SMALL)], options, sink),
      );
      expect(next.rowCount).toBe(2);
    }, 60_000);
  });
}

test("files of one pipeline wait for each other, also for a store that stands still", async () => {
  encoder = createWorkerEncoder({ clock: systemClock });
  const options: EncodeOptions = { codec: "none", level: null, rowGroupRows: 20_000, metadata: {} };
  const store = hungStore();
  const lane = encoder.lane("a");
  const first = lane.encode(FIELDS, [allRows(SMALL)], options, store.sink);
  let begun = false;
  const second = lane.encode(FIELDS, [allRows(SMALL)], options, async () => {
    begun = true;
  });
  await whole((sink) => encoder.lane("b").encode(FIELDS, [allRows(SMALL)], options, sink));
  expect(begun).toBe(false);
  store.go();
  await Promise.all([first, second]);
  expect(begun).toBe(true);
});

test("several Workers share the lanes", async () => {
  encoder = createWorkerEncoder({ clock: systemClock, workersMax: 2 });
  const options: EncodeOptions = { codec: "none", level: null, rowGroupRows: 20_000, metadata: {} };
  const inline = await encodeWhole(FIELDS, [LARGE], options);
  const files = await Promise.all(
    ["a", "b", "c", "d"].map((name) =>
      whole((sink) => encoder.lane(name).encode(FIELDS, [allRows(LARGE)], options, sink)),
    ),
  );
  for (const file of files) expect(Buffer.compare(bytesOf(file), bytesOf(inline))).toBe(0);
});
