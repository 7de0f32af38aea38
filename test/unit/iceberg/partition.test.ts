/** Splitting batches by partition, and the names of partitions in paths. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Column } from "#columns/batch.ts";
import type { Field, PrimitiveType } from "#columns/schema.ts";
import type { PartitionValue } from "#iceberg/manifest/manifest.ts";
import type { PartitionSpec } from "#iceberg/metadata/metadata.ts";
import { partitionPath, partitionRows } from "#iceberg/partition/partition.ts";
import { partitionKey } from "#iceberg/partition/partitionKey.ts";
import { applyTransform, parseTransform, transformAllows } from "#iceberg/partition/transform.ts";
import { batchOf, columnOf } from "../../support/columnOf.ts";

const INT64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n };
const bytes = (minLength: number, maxLength: number) => fc.uint8Array({ minLength, maxLength });

/** Every primitive type with values over its whole range. */
const TYPES: readonly (readonly [PrimitiveType, fc.Arbitrary<Exclude<PartitionValue, null>>])[] = [
  [{ kind: "boolean" }, fc.boolean()],
  [{ kind: "int" }, fc.integer()],
  [{ kind: "long" }, fc.oneof(fc.bigInt(INT64), fc.bigInt({ min: -50n, max: 50n }))],
  [{ kind: "float" }, fc.float({ noNaN: true })],
  [{ kind: "double" }, fc.double({ noNaN: true })],
  [
    { kind: "decimal", precision: 38, scale: 4 },
    fc.bigInt({ min: -(10n ** 38n), max: 10n ** 38n }),
  ],
  [{ kind: "decimal", precision: 9, scale: 2 }, fc.bigInt({ min: -300n, max: 300n })],
  [{ kind: "date" }, fc.integer({ min: -3_000_000, max: 3_000_000 })],
  [{ kind: "time" }, fc.bigInt({ min: 0n, max: 86_399_999_999n })],
  [{ kind: "timestamp", zone: true }, fc.bigInt({ min: -(2n ** 61n), max: 2n ** 61n })],
  [
    { kind: "timestamp", zone: false },
    fc.bigInt({ min: -200_000_000_000n, max: 200_000_000_000n }),
  ],
  [{ kind: "timestamp_ns", zone: true }, fc.bigInt(INT64)],
  [{ kind: "timestamp_ns", zone: false }, fc.bigInt({ min: -(10n ** 14n), max: 10n ** 14n })],
  [{ kind: "string" }, fc.string({ unit: "binary", maxLength: 6 })],
  // A byte order mark is a character like any other, at the beginning, too.
  [
    { kind: "string" },
    fc.string({ unit: fc.constantFrom("\ufeff", "a", "\u{10ffff}"), maxLength: 6 }),
  ],
  [{ kind: "uuid" }, bytes(16, 16)],
  [{ kind: "fixed", length: 3 }, bytes(3, 3)],
  [{ kind: "binary" }, bytes(0, 5)],
];

const TRANSFORMS = [
  "identity",
  "void",
  "bucket[1]",
  "bucket[7]",
  "bucket[2147483647]",
  "truncate[1]",
  "truncate[3]",
  "truncate[100000]",
  "truncate[2147483647]",
  "year",
  "month",
  "day",
  "hour",
];

function specOf(...transforms: string[]): PartitionSpec {
  return {
    specId: 0,
    fields: transforms.map((transform, index) => ({
      sourceId: index + 1,
      fieldId: 1000 + index,
      name: `p${index}`,
      transform,
    })),
  };
}

/** Splits row by row with `applyTransform`: the slow truth. */
function splitSlowly(
  spec: PartitionSpec,
  columns: readonly { type: PrimitiveType; values: readonly PartitionValue[] }[],
): Map<string, number[]> {
  const groups = new Map<string, number[]>();
  for (let row = 0; row < (columns[0]?.values.length ?? 0); row++) {
    const values = spec.fields.map(({ transform }, index) => {
      const { type, values: all } = columns[index] ?? { type: { kind: "int" }, values: [] };
      return applyTransform(parseTransform(transform), type, all[row] ?? null);
    });
    const key = partitionKey(values);
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return groups;
}

function splitFast(spec: PartitionSpec, columns: readonly Column[]): Map<string, number[]> {
  const fields = columns.map((column) => column.field);
  const parts = partitionRows(spec, fields, batchOf(...columns));
  const all = Array.from({ length: columns[0]?.length ?? 0 }, (_, row) => row);
  const groups = new Map(
    parts.map(({ partition, rows }) => [partitionKey(partition), rows === null ? all : [...rows]]),
  );
  expect(groups.size).toBe(parts.length);
  return groups;
}

describe("partitionRows", () => {
  for (const [type, values] of TYPES) {
    for (const transform of TRANSFORMS) {
      if (!transformAllows(parseTransform(transform), type)) continue;
      test(`${transform} of ${JSON.stringify(type)} splits as the transform of each value does`, () => {
        fc.assert(
          fc.property(fc.array(fc.option(values, { nil: null }), { minLength: 1 }), (rows) => {
            const spec = specOf(transform);
            const fast = splitFast(spec, [columnOf(1, type, rows)]);
            expect(fast).toEqual(splitSlowly(spec, [{ type, values: rows }]));
          }),
          { numRuns: 60 },
        );
      });
    }
  }

  test("combines several fields, each pair of values one partition", () => {
    const small = fc.array(
      fc.tuple(
        fc.option(fc.integer({ min: 0, max: 2 }), { nil: null }),
        fc.option(fc.constantFrom("a", "b", "é"), { nil: null }),
        fc.bigInt({ min: -90_000_000_000n, max: 90_000_000_000n }),
      ),
      { minLength: 1, maxLength: 40 },
    );
    fc.assert(
      fc.property(small, (rows) => {
        const columns = [
          { type: { kind: "int" } as const, values: rows.map((row) => row[0]) },
          { type: { kind: "string" } as const, values: rows.map((row) => row[1]) },
          { type: { kind: "timestamp", zone: true } as const, values: rows.map((row) => row[2]) },
        ];
        const spec = specOf("identity", "truncate[1]", "day");
        const arrow = columns.map(({ type, values }, index) => columnOf(index + 1, type, values));
        expect(splitFast(spec, arrow)).toEqual(splitSlowly(spec, columns));
      }),
    );
  });

  const instants = [
    { type: { kind: "timestamp", zone: true }, perHour: 3_600_000_000n },
    { type: { kind: "timestamp_ns", zone: true }, perHour: 3_600_000_000_000n },
  ] as const;
  for (const { type, perHour } of instants) {
    test(`${type.kind}s close to each other are parted where an hour or a day ends, and only there`, () => {
      const hours = fc.bigInt({ min: -2_000_000n, max: 2_000_000n });
      const least = fc.bigInt({ min: -5n, max: 5n });
      const beside = fc.tuple(fc.constantFrom(0n, 1n, 12n, 24n), least);
      const rows = fc.array(beside, { minLength: 1, maxLength: 12 });
      const form = fc.constantFrom("hour", "day");
      fc.assert(
        fc.property(form, hours, rows, (transform, hour, apart) => {
          const values = apart.map(([more, units]) => (hour + more) * perHour + units);
          const fast = splitFast(specOf(transform), [columnOf(1, type, values)]);
          expect(fast).toEqual(splitSlowly(specOf(transform), [{ type, values }]));
        }),
        { numRuns: 300 },
      );
    });
  }

  test("gives all rows as null when a batch is one partition, and nothing for no rows", () => {
    const type = { kind: "timestamp", zone: true } as const;
    const spec = specOf("day");
    const hour = 3_600_000_000n;
    const column = columnOf(1, type, [hour, 2n * hour, 23n * hour]);
    expect(partitionRows(spec, [column.field], batchOf(column))).toEqual([
      { partition: [0], rows: null },
    ]);
    const empty = columnOf(1, type, []);
    expect(partitionRows(spec, [empty.field], batchOf(empty))).toEqual([]);
    expect(partitionRows(specOf(), [column.field], batchOf(column))).toEqual([
      { partition: [], rows: null },
    ]);
  });

  test("finds a source column inside structs, null where any struct around it is null", () => {
    const inner = columnOf(1, { kind: "int" }, [7, 7, null, 8]);
    const field: Field = {
      id: 9,
      name: "s",
      required: false,
      type: { kind: "struct", fields: [inner.field] },
    };
    const struct: Column = {
      field,
      length: 4,
      nullCount: 1,
      validity: Uint8Array.of(0b1101),
      offsets: null,
      data: null,
      children: [inner],
    };
    const parts = partitionRows(specOf("identity"), [field], batchOf(struct));
    expect(parts.map(({ partition, rows }) => [partition, [...(rows ?? [])]])).toEqual([
      [[7], [0]],
      [[null], [1, 2]],
      [[8], [3]],
    ]);
  });

  test("codes thousands of distinct values as few", () => {
    const count = 5000;
    const names = Array.from({ length: 2 * count }, (_, row) => `name ${row % count}`);
    const column = columnOf(1, { kind: "string" }, names);
    const parts = partitionRows(specOf("identity"), [column.field], batchOf(column));
    expect(parts).toHaveLength(count);
    expect(parts[17]).toEqual({ partition: ["name 17"], rows: Int32Array.of(17, 17 + count) });
  });

  test("keeps NaN, -0 and 0 of floating point columns apart from null", () => {
    const column = columnOf(1, { kind: "double" }, [Number.NaN, -0, 0, null, Number.NaN]);
    const parts = partitionRows(specOf("identity"), [column.field], batchOf(column));
    expect(parts.map(({ partition }) => partition[0])).toEqual([Number.NaN, -0, 0, null]);
  });
});

describe("partitionPath", () => {
  const path = (transform: string, type: PrimitiveType, value: PartitionValue): string =>
    partitionPath(specOf(transform), [{ id: 1, name: "c", required: false, type }], [value]);

  test("names partitions as Java does", () => {
    const zoned: PrimitiveType = { kind: "timestamp", zone: true };
    const plain: PrimitiveType = { kind: "timestamp", zone: false };
    const nanos: PrimitiveType = { kind: "timestamp_ns", zone: false };
    const uuid = Buffer.from("f79c3e09677c4bbda47953f4a7ba6c1a", "hex");
    const cases: [string, PrimitiveType, PartitionValue, string][] = [
      ["day", zoned, 20_461, "2026-01-08"],
      ["day", zoned, -1, "1969-12-31"],
      ["month", zoned, -1, "1969-12"],
      ["year", zoned, -1, "1969"],
      ["hour", zoned, -1, "1969-12-31-23"],
      ["hour", zoned, 486_043, "2025-06-12-19"],
      ["bucket[16]", { kind: "string" }, 7, "7"],
      ["identity", { kind: "string" }, "a b/c=é+*~(x)", "a+b%2Fc%3D%C3%A9%2B*%7E%28x%29"],
      ["identity", { kind: "string" }, null, "null"],
      ["truncate[2]", { kind: "binary" }, Uint8Array.of(255, 254), "%2F%2F4%3D"],
      ["identity", { kind: "date" }, 0, "1970-01-01"],
      ["identity", { kind: "time" }, 36_775_038_194n, "10%3A12%3A55.038194"],
      ["identity", { kind: "time" }, 36_720_000_000n, "10%3A12"],
      ["identity", plain, 36_775_000_000n, "1970-01-01T10%3A12%3A55"],
      ["identity", zoned, -1000n, "1969-12-31T23%3A59%3A59.999%2B00%3A00"],
      ["identity", plain, 1_767_830_400_100_000n, "2026-01-08T00%3A00%3A00.1"],
      ["identity", plain, -62_170_156_800_000_000n, "-0001-11-28T00%3A00%3A00"],
      ["identity", plain, 506_804_601_600_000_000n, "%2B18029-12-31T00%3A00%3A00"],
      ["identity", { kind: "time" }, 36_775_100_000n, "10%3A12%3A55.100"],
      ["identity", { kind: "date" }, -800_000, "-221-09-04"],
      ["identity", { kind: "date" }, 5_000_000, "15659-07-15"],
      ["month", { kind: "date" }, -24_001, "-031-12"],
      ["identity", { kind: "double" }, 123_456_789.125, "1.23456789125E8"],
      ["identity", { kind: "float" }, Math.fround(3.4e38), "3.4E38"],
      ["identity", nanos, 1n, "1970-01-01T00%3A00%3A00.000000001"],
      ["identity", { kind: "decimal", precision: 9, scale: 2 }, 1420n, "14.20"],
      ["identity", { kind: "decimal", precision: 9, scale: 9 }, -12n, "-1.2E-8"],
      ["identity", { kind: "decimal", precision: 9, scale: 0 }, 5n, "5"],
      ["identity", { kind: "uuid" }, uuid, "f79c3e09-677c-4bbd-a479-53f4a7ba6c1a"],
      ["identity", { kind: "boolean" }, true, "true"],
      ["identity", { kind: "double" }, 1, "1.0"],
      ["identity", { kind: "double" }, 1e10, "1.0E10"],
      ["identity", { kind: "double" }, -0, "-0.0"],
      ["identity", { kind: "double" }, Number.NaN, "NaN"],
      ["identity", { kind: "float" }, Math.fround(0.1), "0.1"],
      ["void", { kind: "int" }, null, "null"],
    ];
    for (const [transform, type, value, text] of cases) {
      expect(path(transform, type, value)).toBe(`p0=${text}`);
    }
  });

  test("joins several fields with slashes and is empty without fields", () => {
    const fields: Field[] = [1, 2].map((id) => ({
      id,
      name: `c${id}`,
      required: false,
      type: { kind: "int" },
    }));
    expect(partitionPath(specOf("identity", "identity"), fields, [1, -2])).toBe("p0=1/p1=-2");
    expect(partitionPath(specOf(), fields, [])).toBe("");
  });
});
