/** Files whose rows come by and by, in the calling thread and in a Worker. */
import { afterAll, expect, test } from "bun:test";
import { systemClock } from "#base/clock.ts";
import { KERNELS_ON } from "#base/kernelSwitch.ts";
import { LIMITS } from "#base/limits.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import type { OpenFile, ParquetEncoder, RowSlice } from "#parquet/encoder.ts";
import { createWorkerEncoder } from "#parquet/pool.ts";
import { allRows, batchOf, bytesOf, encodeWhole, field, type WholeFile, whole } from "./rows.ts";

const OPTIONS = { codec: "snappy", level: null, rowGroupRows: 20_000 } as const;
const METADATA = { "kafka-iceberg.commit-id": "c" };
const WHOLE = { ...OPTIONS, metadata: METADATA };
const FIELDS = [field("n", { kind: "long" }), field("s", { kind: "string" })];

const worker = createWorkerEncoder({ clock: systemClock });
afterAll(() => worker.close());
const ENCODERS: readonly [string, ParquetEncoder][] = [
  ["in the calling thread", createInlineEncoder()],
  ["in a Worker", worker],
];

const rows = (from: number, count: number) =>
  batchOf(
    FIELDS,
    Array.from({ length: count }, (_, n) => [BigInt(from + n), `text ${(from + n) % 77}`]),
  );

function opened(encoder: ParquetEncoder): OpenFile {
  const file = encoder.open(FIELDS, OPTIONS);
  if (file === null) throw new Error("no file may be open");
  return file;
}

/** A file in as many calls as there are sections; `between` each two of them. */
function inSections(
  file: OpenFile,
  sections: readonly (readonly RowSlice[])[],
  between: () => Promise<unknown> = async () => undefined,
): Promise<WholeFile> {
  return whole(async (sink) => {
    for (const section of sections.slice(0, -1)) {
      await file.append(section, sink);
      await between();
    }
    return await file.finish(sections.at(-1) ?? [], METADATA, sink);
  });
}

if (KERNELS_ON) openFiles();
else {
  test("without kernels no file stays open: rows are written with their flush", () => {
    for (const [, encoder] of ENCODERS) expect(encoder.open(FIELDS, OPTIONS)).toBeNull();
  });
}

function openFiles(): void {
  for (const [where, encoder] of ENCODERS) {
    test(`a file that ends with its first rows is, byte for byte, the one that is encoded in one go, ${where}`, async () => {
      const [first, second] = [rows(0, 30_000), rows(30_000, 500)];
      const file = await inSections(opened(encoder), [[allRows(first), allRows(second)]]);
      const inOneGo = await encodeWhole(FIELDS, [first, second], WHOLE);
      expect(Buffer.compare(bytesOf(file), bytesOf(inOneGo))).toBe(0);
      expect(file.sha256).toBe(inOneGo.sha256);
    });

    test(`rows that come by and by are the bytes of the same row groups in one go, ${where}`, async () => {
      // Sections of whole row groups: the cuts are where they would be anyway.
      const batches = [rows(0, 20_000), rows(20_000, 40_000), rows(60_000, 7)];
      const sections = batches.map((batch) => [allRows(batch)]);
      const file = await inSections(opened(encoder), sections);
      const inOneGo = await encodeWhole(FIELDS, batches, WHOLE);
      expect(Buffer.compare(bytesOf(file), bytesOf(inOneGo))).toBe(0);
      expect(file.splitOffsets).toHaveLength(4);
      expect([file.metrics, file.rowCount]).toEqual([inOneGo.metrics, 60_007]);
    });

    test(`open files do not mix with each other, nor with those in one go, ${where}`, async () => {
      const [a, b] = [rows(0, 20_000), rows(5, 20_000)];
      const inOneGo = async () => {
        const other = await whole((sink) => encoder.encode(FIELDS, [allRows(b)], WHOLE, sink));
        expect(other.rowCount).toBe(20_000);
      };
      const lost = opened(encoder);
      await lost.append([allRows(a)], async () => undefined);
      const files = await Promise.all([
        inSections(opened(encoder), [[allRows(a)], [allRows(b)]], inOneGo),
        inSections(opened(encoder), [[allRows(b)], [allRows(a)]], inOneGo),
      ]);
      lost.discard();
      const expected = await Promise.all([
        encodeWhole(FIELDS, [a, b], WHOLE),
        encodeWhole(FIELDS, [b, a], WHOLE),
      ]);
      expect(files.map(({ sha256 }) => sha256)).toEqual(expected.map(({ sha256 }) => sha256));
    });

    test(`a file of which no row came first ends with those that come last, ${where}`, async () => {
      const file = await inSections(opened(encoder), [[], [], [allRows(rows(0, 3))]]);
      const inOneGo = await encodeWhole(FIELDS, [rows(0, 3)], WHOLE);
      expect(file.sha256).toBe(inOneGo.sha256);
    });

    test(`files that the kernel does not write are encoded in one go only, ${where}`, () => {
      expect(encoder.open(FIELDS, { ...OPTIONS, codec: "brotli" })).toBeNull();
    });
  }

  test("so many files are open at once, and one that ended or is discarded makes room", async () => {
    const files = Array.from({ length: LIMITS.openFilesMax }, () => opened(worker));
    expect(worker.lane("other").open(FIELDS, OPTIONS)).toBeNull();
    const [first, ...others] = files;
    if (first !== undefined) await inSections(first, [[allRows(rows(0, 1))]]);
    for (const file of others) file.discard();
    for (const file of files.map(() => opened(worker))) file.discard();
  });

  test("where memory is little fewer files are open at once, or none", async () => {
    for (const openFilesMax of [0, 2]) {
      const small = createWorkerEncoder({ clock: systemClock, openFilesMax });
      for (let file = 0; file < openFilesMax; file++) opened(small);
      expect(small.open(FIELDS, OPTIONS)).toBeNull();
      await small.close();
    }
  });

  test("a file whose sink fails is lost, the Worker and other open files are not", async () => {
    const [failing, other] = [opened(worker), opened(worker)];
    const sink = () => Promise.reject(new Error("the store is away"));
    await other.append([allRows(rows(0, 20_000))], async () => undefined);
    const error = await failing.append([allRows(rows(0, 20_000))], sink).catch((e: unknown) => e);
    expect(String(error)).toContain("the store is away");
    failing.discard();
    const done = await whole((to) => other.finish([allRows(rows(20_000, 10))], METADATA, to));
    expect(done.rowCount).toBe(20_010);
  });

  test("open files end with their Worker, also one that grew too large, and the next ones are whole", async () => {
    const mortal = createWorkerEncoder({ clock: systemClock, memoryBytesMax: 0 });
    const file = opened(mortal);
    // Its Worker is too large from the first job on, and is kept for it.
    const whole1 = await inSections(file, [[allRows(rows(0, 20_000))], [allRows(rows(20_000, 5))]]);
    expect(whole1.rowCount).toBe(20_005);
    const begun = opened(mortal);
    await begun.append([allRows(rows(0, 20_000))], async () => undefined);
    await mortal.close();
    const error = await begun.finish([], METADATA, async () => undefined).catch((e: unknown) => e);
    expect(String(error)).toContain("closed");
  });
}
