/** Random schemas and rows through the encoder and back through hyparquet. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { parquetReadObjects } from "hyparquet";
import type { Field, Type } from "#columns/schema.ts";
import { encodeParquet } from "#parquet/encode.ts";
import {
  batchOf,
  bytesOf,
  canonical,
  field,
  listOf,
  mapOf,
  structOf,
} from "../unit/parquet/rows.ts";

interface Kind {
  readonly type: Type;
  readonly value: fc.Arbitrary<unknown>;
}

const micros: fc.Arbitrary<unknown> = fc.bigInt({ min: -(2n ** 60n), max: 2n ** 60n });

const PRIMITIVES: readonly Kind[] = [
  { type: { kind: "boolean" }, value: fc.boolean() },
  { type: { kind: "int" }, value: fc.integer() },
  { type: { kind: "long" }, value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) },
  { type: { kind: "float" }, value: fc.float() },
  { type: { kind: "double" }, value: fc.double() },
  { type: { kind: "timestamp", zone: false }, value: micros },
  { type: { kind: "timestamp", zone: true }, value: micros },
  { type: { kind: "string" }, value: fc.string({ unit: "grapheme", maxLength: 40 }) },
  { type: { kind: "fixed", length: 7 }, value: fc.uint8Array({ minLength: 7, maxLength: 7 }) },
  { type: { kind: "binary" }, value: fc.uint8Array({ maxLength: 40 }) },
];

const primitive: fc.Arbitrary<Kind> = fc.constantFrom(...PRIMITIVES);

/** Not a number: hyparquet makes objects of maps, whose numeric keys would come first. */
const mapKey = fc.string({ maxLength: 5 }).map((text) => `k${text}`);

/** A type with values of it, nested up to three deep. */
const kinds: fc.Arbitrary<Kind> = fc.letrec<{ kind: Kind }>((tie) => ({
  kind: fc.oneof(
    { maxDepth: 3 },
    primitive,
    tie("kind").map(({ type, value }) => ({
      type: listOf(type),
      value: fc.array(fc.option(value), { maxLength: 4 }),
    })),
    fc.tuple(tie("kind"), tie("kind")).map(([a, b]) => ({
      type: structOf({ a: a.type, b: b.type }),
      value: fc.record({ a: fc.option(a.value), b: fc.option(b.value) }),
    })),
    tie("kind").map(({ type, value }) => ({
      type: mapOf({ kind: "string" }, type),
      value: fc.uniqueArray(fc.tuple(mapKey, fc.option(value)), {
        maxLength: 3,
        selector: ([key]) => key,
      }),
    })),
  ),
})).kind;

/** Rows of one schema, in several batches, and the rows of a row group. */
const files = fc.array(kinds, { minLength: 1, maxLength: 4 }).chain((columns) =>
  fc.record({
    types: fc.constant(columns.map((column) => column.type)),
    batches: fc.array(
      fc.array(fc.tuple(...columns.map((column) => fc.option(column.value))), { maxLength: 20 }),
      { maxLength: 3 },
    ),
    rowGroupRows: fc.integer({ min: 1, max: 30 }),
  }),
);

const RAW = {
  stringFromBytes: (bytes: Uint8Array | undefined): unknown =>
    bytes && new TextDecoder().decode(bytes),
  timestampFromMicroseconds: (value: bigint): unknown => value,
};

/** hyparquet's value in the shape of `rows.ts`: its missing values, and its maps as objects. */
function fromHyparquet(type: Type, value: unknown): unknown {
  if (value === undefined || value === null) return null;
  if (type.kind === "list") {
    return (value as unknown[]).map((element) => fromHyparquet(type.element.type, element));
  }
  if (type.kind === "map") {
    return Object.entries(value as object).map(([key, each]) => [
      key,
      fromHyparquet(type.value.type, each),
    ]);
  }
  if (type.kind !== "struct") return value;
  const members = value as Record<string, unknown>;
  return Object.fromEntries(
    type.fields.map(({ name, type: inner }) => [name, fromHyparquet(inner, members[name])]),
  );
}

test("what is encoded is what hyparquet reads, for any schema, batches and row groups", async () => {
  await fc.assert(
    fc.asyncProperty(files, async ({ types, batches, rowGroupRows }) => {
      const fields: Field[] = types.map((type, index) => field(`c${index}`, type));
      const columns = batches.map((rows) => batchOf(fields, rows));
      const options = { codec: "snappy", level: null, rowGroupRows, metadata: {} } as const;
      const file = await encodeParquet(fields, columns, options);
      const read = await parquetReadObjects({
        file: bytesOf(file).buffer as ArrayBuffer,
        utf8: false,
        parsers: RAW as never,
      });
      const canon = (rows: readonly (readonly unknown[])[]): unknown =>
        rows.map((row) => types.map((type, index) => canonical(type, row[index])));
      const got = read.map((row) => types.map((type, i) => fromHyparquet(type, row[`c${i}`])));
      expect(canon(got)).toEqual(canon(batches.flat()));
      expect(file.rowCount).toBe(batches.flat().length);
    }),
    { numRuns: 150 },
  );
}, 60_000);
