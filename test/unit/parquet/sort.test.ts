/**
 * Rows of a file in a table's order, for every type that has one.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Column } from "#columns/batch.ts";
import type { Field, PrimitiveType } from "#columns/schema.ts";
import type { PartitionValue } from "#iceberg/manifest/manifest.ts";
import { compareValues } from "#iceberg/singleValue.ts";
import type { SortKey } from "#parquet/encoder.ts";
import { sorted } from "#parquet/sort.ts";
import { columnOf } from "../../support/columnOf.ts";

type Kind = readonly [PrimitiveType, fc.Arbitrary<Exclude<PartitionValue, null>>];

const long = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });

const KINDS: readonly Kind[] = [
  [{ kind: "boolean" }, fc.boolean()],
  [{ kind: "int" }, fc.integer()],
  [{ kind: "date" }, fc.integer()],
  [{ kind: "float" }, fc.float()],
  [{ kind: "double" }, fc.double()],
  [{ kind: "long" }, fc.oneof(long, fc.constantFrom(0n, -1n, 2n ** 32n, 2n ** 31n))],
  [{ kind: "timestamp", zone: true }, long],
  [
    { kind: "decimal", precision: 38, scale: 2 },
    fc.bigInt({ min: -(10n ** 38n), max: 10n ** 38n }),
  ],
  [{ kind: "uuid" }, bytes(16)],
  [{ kind: "fixed", length: 3 }, bytes(3)],
  [{ kind: "string" }, fc.string({ unit: "grapheme", maxLength: 4 })],
  [{ kind: "binary" }, fc.uint8Array({ maxLength: 3 })],
];

/** A key column with few different values, some null, whether they ascend, and where nulls go. */
const keyColumn = fc.constantFrom(...KINDS).chain(([type, value]) =>
  fc.record({
    type: fc.constant(type),
    pool: fc.array(fc.option(value), { minLength: 1, maxLength: 8 }),
    isDescending: fc.boolean(),
    hasNullsFirst: fc.boolean(),
  }),
);

/** Row numbers in the order that the kernel's file would have. */
async function order(
  columns: readonly Column[],
  keys: readonly SortKey[],
  batches: readonly number[],
): Promise<number[]> {
  const fields: Field[] = columns.map(({ field }) => field);
  const rows: number[] = [];
  const pieces = batches.map((rowCount, index) => {
    const start = batches.slice(0, index).reduce((sum, count) => sum + count, 0);
    return {
      rowCount,
      byteCount: 100,
      columns: columns.map((column) => slice(column, start, rowCount)),
    };
  });
  for await (const batch of sorted(fields, pieces, keys)) {
    const numbers = batch.columns.at(-1)?.data;
    if (numbers == null) throw new Error("a row has its number");
    for (let row = 0; row < batch.rowCount; row++) {
      rows.push(new DataView(numbers.buffer, numbers.byteOffset).getInt32(4 * row, true));
    }
  }
  return rows;
}

/** Some rows of a column, as a column of their own. */
function slice(column: Column, start: number, length: number): Column {
  const values = VALUES.get(column) ?? [];
  return columnOf(
    column.field.id,
    column.field.type as PrimitiveType,
    values.slice(start, start + length),
  );
}

const VALUES = new Map<Column, readonly PartitionValue[]>();

function column(id: number, type: PrimitiveType, values: readonly PartitionValue[]): Column {
  const made = columnOf(id, type, values);
  VALUES.set(made, values);
  return made;
}

interface KeyColumn {
  readonly type: PrimitiveType;
  readonly isDescending: boolean;
  readonly hasNullsFirst: boolean;
}

function compareCells(key: KeyColumn, x: PartitionValue, y: PartitionValue): number {
  const { type, isDescending, hasNullsFirst } = key;
  if (x === null && y === null) return 0;
  if (x === null || y === null) return (x === null) === hasNullsFirst ? -1 : 1;
  const by = compareValues(type, x, y);
  return isDescending ? -by : by;
}

test("rows of several batches come in the order of the keys, equal ones as they came, nulls where they are wanted", async () => {
  const property = fc.asyncProperty(
    fc.array(keyColumn, { minLength: 1, maxLength: 3 }),
    fc.array(fc.array(fc.nat(), { minLength: 3, maxLength: 3 }), { minLength: 1, maxLength: 40 }),
    fc.nat(),
    async (keyColumns, picks, cut) => {
      VALUES.clear();
      const values = keyColumns.map(({ pool }, key) =>
        picks.map((pick) => pool[(pick[key] ?? 0) % pool.length] ?? null),
      );
      const columns = [
        ...keyColumns.map(({ type }, key) => column(key + 1, type, values[key] ?? [])),
        column(9, { kind: "int" }, [...picks.keys()]),
      ];
      const keys = keyColumns.map(({ isDescending, hasNullsFirst }, index) => ({
        path: [index],
        isDescending,
        hasNullsFirst,
      }));
      const expected = [...picks.keys()].sort((a, b) => {
        const orders = keyColumns.map((key, index) =>
          compareCells(key, values[index]?.[a] ?? null, values[index]?.[b] ?? null),
        );
        return orders.find((by) => by !== 0) ?? a - b;
      });
      const first = cut % picks.length;
      expect(await order(columns, keys, [first, picks.length - first])).toEqual(expected);
    },
  );
  await fc.assert(property, { numRuns: 400 });
});

test("a key inside a struct: rows whose struct is null are null there, whatever lies below", async () => {
  const inner = columnOf(2, { kind: "int" }, [5, 1, 0, 3]);
  const struct: Column = {
    field: { id: 1, name: "s", required: false, type: { kind: "struct", fields: [inner.field] } },
    length: 4,
    nullCount: 1,
    validity: Uint8Array.of(0b1011),
    offsets: null,
    data: null,
    children: [inner],
  };
  const numbers = columnOf(3, { kind: "int" }, [0, 1, 2, 3]);
  const batch = { rowCount: 4, byteCount: 100, columns: [struct, numbers] };
  const key = { path: [0, 0], isDescending: false, hasNullsFirst: false };
  const rows: number[] = [];
  for await (const piece of sorted([struct.field, numbers.field], [batch], [key])) {
    rows.push(...new Int32Array(piece.columns[1]?.data?.slice().buffer ?? new ArrayBuffer(0)));
  }
  expect(rows.slice(0, 4)).toEqual([1, 3, 0, 2]);
});
