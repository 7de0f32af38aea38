/** Keys that somebody chose to hurt the index: none is taken for another, and none crowds the table. */
import { expect, test } from "bun:test";
import type { Field } from "#columns/schema.ts";
import { keyFieldsOf } from "#keyindex/keyHasher.ts";
import type { KeySet } from "#keyindex/port.ts";
import { crowding, hashed, hostileKeys, troubles } from "../../support/hostileKeys.ts";

const SECRET = { k0: 0x1234_5678n, k1: 0x9abc_def0n };
const OTHER = { k0: 0x1234_5679n, k1: 0x9abc_def0n };

for (const set of hostileKeys(20_000)) {
  test(`each of ${set.count} keys is found, and no other: ${set.what}`, () => {
    expect(troubles(set, SECRET)).toEqual([]);
  });
}

test("keys lie evenly in the table, however alike they are", () => {
  for (const set of hostileKeys(20_000)) {
    // Of 16 parts with 1,250 keys each the fullest has some 5 % more.
    if (set.count >= 4000) expect(crowding(hashed(set, SECRET), 16)).toBeLessThan(1.25);
  }
});

function picked({ words }: KeySet, numbers: readonly number[]): KeySet {
  const some = numbers.flatMap((n) => [words[2 * n] ?? 0n, words[2 * n + 1] ?? 0n]);
  return { count: numbers.length, words: BigUint64Array.from(some) };
}

test("keys that were sought out to crowd one part of a table lie evenly under another secret", () => {
  const parts = 16;
  for (const set of hostileKeys(40_000)) {
    if (set.count < 40_000) continue;
    const known = hashed(set, SECRET);
    const halves = new Uint32Array(known.words.buffer);
    const numbers = Array.from({ length: set.count }, (_, n) => n);
    const chosen = numbers.filter((n) => (halves[4 * n + 1] ?? 0) % parts === 0);
    expect(crowding(picked(known, chosen), parts)).toBe(parts);
    expect(crowding(picked(hashed(set, OTHER), chosen), parts)).toBeLessThan(1.6);
  }
});

test("floating-point numbers are no keys: NaN is not itself, and zero has two forms", () => {
  for (const kind of ["float", "double"] as const) {
    const fields: Field[] = [{ id: 1, name: "x", required: true, type: { kind } }];
    expect(() => keyFieldsOf(fields, [1])).toThrow("cannot be part of a key");
  }
});
