/** Deletion vectors as we write them: CRoaring's own bytes, and back again whatever the rows. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { readDeletionVector } from "#iceberg/deletes/deletionVector.ts";
import { PuffinWriter } from "#iceberg/deletes/puffin.ts";
import { RowSet } from "#iceberg/deletes/rowSet.ts";
import { encodeDeletionVector } from "#iceberg/deletes/vectorWriter.ts";
import fixtures from "../../fixtures/deletes/pyroaring.json";

function setOf(rows: Iterable<number>, count: number): RowSet {
  const set = new RowSet(count);
  for (const row of rows) set.add(row);
  return set;
}

function read(blob: Uint8Array, rows: number, deleted: number): number[] {
  const set = new RowSet(rows);
  readDeletionVector(blob, { puffin: "p", rows, deleted }, (word, bits) => set.addWord(word, bits));
  return [...set];
}

const within32Bits = fixtures.filter(({ name }) => !name.startsWith("beyond 32 bits"));

for (const { name, ranges, bitmap } of within32Bits.filter((each) =>
  each.name.endsWith(", optimized"),
)) {
  test(`the bytes are those of CRoaring after runOptimize: ${name}`, () => {
    const rows = ranges.flatMap(([first = 0, end = 0, step = 1]) =>
      Array.from({ length: Math.ceil((end - first) / step) }, (_, n) => first + n * step),
    );
    const { blob, deleted } = encodeDeletionVector(setOf(rows, (rows.at(-1) ?? 0) + 1));
    expect(deleted).toBe(rows.length);
    expect(Buffer.from(blob.subarray(8, -4)).toString("base64")).toBe(bitmap);
  });
}

test("any rows come back, whatever forms they take", () => {
  const single = fc.array(fc.nat(400_000), { maxLength: 300 });
  const range = fc.tuple(fc.nat(300_000), fc.integer({ min: 1, max: 70_000 }), fc.nat(3));
  fc.assert(
    fc.property(single, fc.array(range, { maxLength: 3 }), (some, ranges) => {
      const wanted = new Set(some);
      for (const [first, count, step] of ranges) {
        for (let n = 0; n < count; n++) wanted.add(first + n * (step + 1));
      }
      const rows = [...wanted].sort((a, b) => a - b);
      const count = (rows.at(-1) ?? 0) + 1;
      const { blob, deleted } = encodeDeletionVector(setOf(rows, count));
      expect(deleted).toBe(rows.length);
      expect(read(blob, count, rows.length)).toEqual(rows);
    }),
    { numRuns: 60 },
  );
});

test("a row that the file does not have is refused", () => {
  const set = new RowSet(33);
  set.add(32);
  expect(() => set.add(33)).toThrow("a row of its file");
  expect(() => set.add(-1)).toThrow("a row of its file");
  expect([set.has(32), set.has(31), set.size]).toEqual([true, false, 1]);
});

test("vectors lie by size and apart: what DuckDB may read on behind one is always more than it again", () => {
  const writer = new PuffinWriter();
  const sizes = [1, 20_000, 3, 3, 70, 3, 20_000];
  for (const [index, size] of sizes.entries()) {
    writer.add(
      `f${index}`,
      setOf(
        Array.from({ length: size }, (_, n) => 3 * n),
        60_000,
      ),
    );
  }
  const { vectors } = writer.finish();
  for (const [index, vector] of vectors.entries()) {
    for (const behind of vectors.slice(index + 2)) {
      expect(behind.offset - vector.offset - vector.length).toBeGreaterThan(vector.length);
    }
  }
});

test("a Puffin file says where each vector lies, and of which data file", () => {
  const writer = new PuffinWriter();
  writer.add("s3://b/a.parquet", setOf([1, 5], 100));
  writer.add('s3://b/"b".parquet', setOf([70_000], 100_000));
  const { bytes, vectors } = writer.finish();
  const text = Buffer.from(bytes);
  expect(text.subarray(0, 4).toString()).toBe("PFA1");
  expect(text.subarray(-4).toString()).toBe("PFA1");
  const length = text.readInt32LE(text.length - 12);
  expect(text.readUInt32LE(text.length - 8)).toBe(0);
  const footer = text.subarray(-12 - length, -12);
  expect(text.subarray(-16 - length, -12 - length).toString()).toBe("PFA1");
  expect(JSON.parse(footer.toString()).blobs).toEqual(
    vectors.map(({ dataFile, offset, length: size, deleted }) => ({
      type: "deletion-vector-v1",
      fields: [2_147_483_645],
      "snapshot-id": -1,
      "sequence-number": -1,
      offset,
      length: size,
      properties: { "referenced-data-file": dataFile, cardinality: String(deleted) },
    })),
  );
  const found = vectors.map(({ offset, length: size, deleted }) =>
    read(bytes.subarray(offset, offset + size), 100_000, deleted),
  );
  expect(found).toEqual([[70_000], [1, 5]]);
});
