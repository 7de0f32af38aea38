/** Row ids in memory, against a map of what was said of each row. */
import { expect, test } from "bun:test";
import { seededRandom } from "#base/random.ts";
import { RowSet } from "#iceberg/deletes/rowSet.ts";
import { NO_ROW_ID, RowIdColumn, RowIdColumns, wholeColumn } from "#keyindex/keptRowIds.ts";

/** Ids that are near each other, or far apart, or both. */
function someIds(count: number, below: (bound: number) => number): number[] {
  const far = [0, 2 ** 31 - 2, 2 ** 31, 2 ** 32, 2 ** 52];
  const kinds = far.slice(0, 1 + below(far.length));
  return Array.from({ length: count }, () =>
    below(7) === 0 ? NO_ROW_ID : (kinds[below(kinds.length)] ?? 0) + below(1000),
  );
}

/** A column, and what it was told. */
function someColumn(below: (bound: number) => number): {
  readonly column: RowIdColumn;
  readonly expected: Map<number, number>;
  readonly count: number;
} {
  const count = 1 + below(900);
  const rows = new RowSet(count);
  for (let row = 0; row < count; row++) if (below(3) > 0) rows.add(row);
  const isWhole = below(2) === 0;
  const column = new RowIdColumn(count, isWhole ? null : rows);
  const expected = new Map<number, number>();
  for (const [row, id] of someIds(count, below).entries()) {
    if (!isWhole && !rows.has(row)) continue;
    expected.set(row, id);
    column.set(row, id);
  }
  return { column, expected, count };
}

test("a column says of each row what it was told, and nothing of rows that died, however often it was packed", () => {
  const random = seededRandom(3);
  const below = (bound: number): number => Math.floor(random.unit() * bound);
  for (let round = 0; round < 200; round++) {
    const { column, expected, count } = someColumn(below);
    for (let turn = 0; turn < 5; turn++) {
      const found = Array.from({ length: count }, (_, row) => column.of(row));
      expect(found).toEqual(Array.from({ length: count }, (_, row) => expected.get(row)));
      const dead = Uint32Array.from({ length: below(count) }, () => below(count));
      column.leave(dead);
      for (const row of dead) expected.delete(row);
    }
  }
});

test("ids take four bytes a row that lives, with a quarter of dead ones at most", () => {
  const count = 100_000;
  const ids = Float64Array.from({ length: count }, (_, row) => 2 ** 40 + ((row * 7919) % count));
  const column = wholeColumn(ids);
  expect(column.bytes).toBe(4 * count);
  for (let row = 0; row < count - 1000; row++) column.leave(Uint32Array.of(row));
  expect(column.bytes).toBeLessThanOrEqual((4 * 1000 * 4) / 3 + count / 7);
  expect(column.of(count - 1)).toBe(ids[count - 1]);
});

test("beyond the bound columns are let go of, and some that are asked for in turn stay", () => {
  const columns = new RowIdColumns(() => 400);
  const files = Array.from({ length: 20 }, (_, n) => `file ${n}`);
  let found = 0;
  for (let turn = 0; turn < 100; turn++) {
    for (const file of files) {
      if (columns.of(file) !== undefined) found++;
      else columns.keep(file, wholeColumn(new Float64Array(10).fill(5)));
      expect(columns.bytes).toBeLessThanOrEqual(400);
    }
  }
  // Half of them fit: of those that were asked for longest ago none would be found.
  expect(found).toBeGreaterThan(400);
  columns.keep("none", null);
  expect(columns.of("none")).toBeNull();
  for (const file of [...files, "none"]) columns.forget(file);
  expect([columns.bytes, columns.of("none")]).toEqual([0, undefined]);
});

test("what died makes room", () => {
  const columns = new RowIdColumns(() => 1000);
  columns.keep("a", wholeColumn(new Float64Array(100).fill(5)));
  columns.leave(
    "a",
    Uint32Array.from({ length: 90 }, (_, row) => row),
  );
  columns.leave("unknown", Uint32Array.of(1));
  expect(columns.bytes).toBeLessThan(100);
  expect([columns.of("a")?.of(89), columns.of("a")?.of(90)]).toEqual([undefined, 5]);
});
