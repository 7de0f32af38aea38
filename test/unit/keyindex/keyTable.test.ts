/** The key table in WebAssembly beside a map. */
import { expect, test } from "bun:test";
import { RANGES } from "#keyindex/keyTable.ts";
import type { KeySet } from "#keyindex/port.ts";
import { createWasmKeyTable } from "#keyindex/wasmKeyTable.ts";
import { KeyTableWalk, type Spread } from "../../support/keyTableWalk.ts";

const SPREADS: readonly Spread[] = ["even", "clustered", "one home"];

for (const spread of SPREADS) {
  test(`the table does what a map does, from a few slots on and while it grows by any factor; hashes: ${spread}`, () => {
    for (let seed = 1; seed <= 12; seed++) {
      const walk = new KeyTableWalk(seed, spread);
      for (let step = 1; step <= 150; step++) {
        walk.step();
        if (step % 30 === 0) walk.compare();
      }
    }
  });
}

function keysFrom(first: number, count: number): KeySet {
  const words = new BigUint64Array(2 * count);
  for (let n = 0; n < count; n++) {
    words[2 * n] = BigInt.asUintN(64, BigInt(first + n) * 0x9e37_79b9_7f4a_7c15n);
    words[2 * n + 1] = BigInt(first + n);
  }
  return { count, words };
}

function rowsFrom(first: number, count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, n) => first + n);
}

test("at every size up to 5,000 keys the table is sound and finds each key, also while it grows", () => {
  const table = createWasmKeyTable({ slotsFirst: 1 });
  for (let size = 0; size < 5000; size++) {
    table.add(keysFrom(size, 1), 1, rowsFrom(size, 1));
    if (size % 7 === 0) expect(table.isSound()).toBe(true);
    if (size % 500 !== 0) continue;
    const { files, rows } = table.locate(keysFrom(0, size + 2));
    expect(files.length).toBe(size + 1);
    expect(rows).toEqual(rowsFrom(0, size + 1));
  }
});

test("a million keys take at most 37 bytes each; room that was asked for at once is not exceeded", () => {
  for (const reserved of [0, 1_000_000]) {
    const table = createWasmKeyTable();
    const empty = table.bytes;
    table.reserve(reserved);
    for (let file = 1; file <= 10; file++) {
      table.add(keysFrom(file * 100_000, 100_000), file, rowsFrom(0, 100_000));
    }
    expect(table.size).toBe(1_000_000);
    expect((table.bytes - empty) / 1_000_000).toBeLessThan(37);
    expect(table.isSound()).toBe(true);
  }
}, 60_000);

test("keys that were made to fill one place are refused in words, and those before stay as they are", () => {
  const table = createWasmKeyTable();
  const words = BigUint64Array.from({ length: 20_000 }, (_, n) =>
    n % 2 === 0 ? 0xffff_ffff_ffff_ffffn : BigInt(n),
  );
  expect(() => table.add({ count: 10_000, words }, 1, rowsFrom(0, 10_000))).toThrow(
    "too many have nearly the same hash",
  );
  expect(table.isSound()).toBe(true);
});

test("room that is asked for is a hint: what is over the bound is refused when it comes, and up to it all fits", () => {
  const table = createWasmKeyTable({ slotsFirst: 50, slotsMax: 64 });
  table.reserve(1000);
  table.reserve(1000);
  const slow = createWasmKeyTable({ slotsFirst: 60, slotsMax: 64, growth: 2 });
  for (const each of [table, slow]) {
    for (let n = 0; n < 48; n++) each.add(keysFrom(n, 1), 1, rowsFrom(n, 1));
    expect(each.isSound()).toBe(true);
    expect(() => each.add(keysFrom(48, 1), 1, rowsFrom(48, 1))).toThrow("at most 48 keys");
    expect(each.locate(keysFrom(0, 48)).rows).toEqual(rowsFrom(0, 48));
  }
});

test("more data files than have numbers stop the table in words, not the process", () => {
  const table = createWasmKeyTable();
  table.add(keysFrom(0, 1), 2 ** 20 - 1, rowsFrom(0, 1));
  const error = thrownBy(() => table.add(keysFrom(1, 1), 2 ** 20, rowsFrom(1, 1)));
  expect(error).toMatchObject({ kind: "state" });
  expect(String(error)).toContain("1048575 data files");
});

function thrownBy(run: () => void): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return null;
}

test("the ranges together have each row with its key, and rows are counted by file, those of one key included", () => {
  const table = createWasmKeyTable({ slotsFirst: 64 });
  table.add(keysFrom(0, 1000), 1, rowsFrom(0, 1000));
  table.add(keysFrom(900, 200), 2, rowsFrom(5000, 200));
  table.add(keysFrom(950, 10), 3, rowsFrom(0, 10));
  const found: string[] = [];
  for (let range = 0; range < RANGES; range++) {
    const { keys, files, rows } = table.range(range);
    for (let n = 0; n < files.length; n++)
      found.push(`${keys.words[2 * n + 1]}/${files[n]}/${rows[n]}`);
  }
  const wanted = [
    ...Array.from({ length: 1000 }, (_, n) => `${n}/1/${n}`),
    ...Array.from({ length: 200 }, (_, n) => `${900 + n}/2/${5000 + n}`),
    ...Array.from({ length: 10 }, (_, n) => `${950 + n}/3/${n}`),
  ];
  expect(found.sort()).toEqual(wanted.sort());
  expect([...table.countRows()]).toEqual([
    [1, 1000],
    [2, 200],
    [3, 10],
  ]);
});
