/** Deletion vectors: what other programs wrote, every form of a bitmap, and bytes that are no vector. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { readDeletionVector } from "#iceberg/deletes/deletionVector.ts";
import fixtures from "../../fixtures/deletes/pyroaring.json";
import { encodeVector, frame } from "../../support/deletionVectors.ts";

function rowsOf(blob: Uint8Array, deleted: number, rows = 2 ** 36): number[] {
  const found: number[] = [];
  readDeletionVector(blob, { puffin: "p.puffin", rows, deleted }, (word, bits) => {
    for (let bit = 0; bit < 32; bit++) if (((bits >>> bit) & 1) === 1) found.push(32 * word + bit);
  });
  return found;
}

for (const { name, ranges, bitmap } of fixtures) {
  test(`the rows of a bitmap that CRoaring wrote are found: ${name}`, () => {
    const expected = ranges.flatMap(([first = 0, end = 0, step = 1]) =>
      Array.from({ length: Math.ceil((end - first) / step) }, (_, n) => first + n * step),
    );
    const magic = Buffer.from("d1d33964", "hex");
    const blob = frame(Buffer.concat([magic, Buffer.from(bitmap, "base64")]));
    expect(rowsOf(blob, expected.length)).toEqual(expected);
  });
}

test("any rows, in any form, are found in ascending order", () => {
  const near = fc.integer({ min: 0, max: 400_000 });
  const far = fc.integer({ min: 0, max: 2 ** 35 });
  const some = fc.array(fc.oneof(near, far), { maxLength: 300 });
  const range = fc.tuple(near, fc.integer({ min: 1, max: 20_000 }));
  fc.assert(
    fc.property(some, range, fc.constantFrom("plain", "runs"), (single, [first, count], form) => {
      const rows = new Set([...single, ...Array.from({ length: count }, (_, n) => first + n)]);
      const expected = [...rows].sort((a, b) => a - b);
      expect(rowsOf(encodeVector(expected, form), expected.length)).toEqual(expected);
    }),
    { numRuns: 60 },
  );
});

test("an empty bitmap before the first that has rows, as Java writes it, is passed over", () => {
  const filled = Buffer.from(encodeVector([7], "plain")).subarray(20, -4);
  const head = Buffer.from("d1d33964020000000000000000000000", "hex");
  const empty = Buffer.from("3a30000000000000", "hex");
  const one = Buffer.from("01000000", "hex");
  expect(rowsOf(frame(Buffer.concat([head, empty, one, filled])), 1)).toEqual([2 ** 32 + 7]);
});

test("whatever is changed or cut off, it is damaged and says so in one sentence", () => {
  const rows = [1, 5, 9, 70_000, ...Array.from({ length: 5000 }, (_, n) => 140_000 + n)];
  const whole = encodeVector(rows, "runs");
  const change = fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }));
  const damaged = /^A deletion vector in p\.puffin is damaged: [^\n]+$/;
  fc.assert(
    fc.property(change, ([at, by]) => {
      const changed = whole.with(at, (whole[at] ?? 0) ^ by);
      expect(() => rowsOf(changed, rows.length)).toThrow(damaged);
      expect(() => rowsOf(whole.subarray(0, at), rows.length)).toThrow(damaged);
    }),
  );
});

test("content that has a right checksum and is no bitmap is damaged, too, and takes no memory", () => {
  const content = fc.uint8Array({ maxLength: 200 });
  fc.assert(
    fc.property(content, fc.boolean(), (bytes, hasMagic) => {
      const magic = Buffer.from(hasMagic ? "d1d33964" : "", "hex");
      let seen = 0;
      const blob = frame(Buffer.concat([magic, bytes]));
      try {
        const place = { puffin: "p.puffin", rows: 1000, deleted: 1 };
        readDeletionVector(blob, place, () => seen++);
      } catch (error) {
        expect(String(error)).toContain("A deletion vector in p.puffin is damaged: ");
      }
      expect(seen).toBeLessThanOrEqual(32);
    }),
    { numRuns: 2000 },
  );
});

test("more rows than the manifest counts, or a row that the file does not have, is refused", () => {
  const blob = encodeVector([3, 99], "plain");
  expect(() => rowsOf(blob, 1)).toThrow("it deletes 2 rows, its manifest says 1");
  expect(() => rowsOf(blob, 2, 99)).toThrow("it deletes row 99 of a file that has 99");
  expect(rowsOf(blob, 2, 100)).toEqual([3, 99]);
});
