/** Random schemas and rows of them, for what encodes them and reads them back. */
import fc from "fast-check";
import type { Field, Type } from "#columns/schema.ts";
import { field, listOf, mapOf, type Row } from "../unit/parquet/rows.ts";

/** A type with values of it. */
interface Kind {
  readonly type: Type;
  readonly value: fc.Arbitrary<unknown>;
}

/** A schema, rows of it in several batches, and the rows of a row group. */
export interface RandomFile {
  readonly fields: readonly Field[];
  readonly batches: readonly (readonly Row[])[];
  readonly rowGroupRows: number;
}

const micros: fc.Arbitrary<unknown> = fc.bigInt({ min: -(2n ** 60n), max: 2n ** 60n });
const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });

const decimals: readonly Kind[] = [1, 9, 18, 19, 38].map((precision) => {
  const most = 10n ** BigInt(precision) - 1n;
  return {
    type: { kind: "decimal", precision, scale: 0 },
    value: fc.bigInt({ min: -most, max: most }),
  };
});

/** What hyparquet reads back exactly. */
const EXACT: readonly Kind[] = [
  { type: { kind: "boolean" }, value: fc.boolean() },
  { type: { kind: "int" }, value: fc.integer() },
  { type: { kind: "long" }, value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) },
  { type: { kind: "float" }, value: fc.float() },
  { type: { kind: "double" }, value: fc.double() },
  { type: { kind: "timestamp", zone: false }, value: micros },
  { type: { kind: "timestamp", zone: true }, value: micros },
  { type: { kind: "string" }, value: fc.string({ unit: "grapheme", maxLength: 40 }) },
  { type: { kind: "fixed", length: 7 }, value: bytes(7) },
  { type: { kind: "binary" }, value: fc.uint8Array({ maxLength: 40 }) },
];

const EVERY: readonly Kind[] = [
  ...EXACT,
  ...decimals,
  { type: { kind: "date" }, value: fc.integer({ min: -719_162, max: 2_932_896 }) },
  { type: { kind: "time" }, value: fc.bigInt({ min: 0n, max: 86_399_999_999n }) },
  { type: { kind: "timestamp_ns", zone: true }, value: micros },
  { type: { kind: "uuid" }, value: bytes(16) },
  { type: { kind: "fixed", length: 33 }, value: bytes(33) },
];

/** Not a number: hyparquet makes objects of maps, whose numeric keys would come first. */
const mapKey = fc.string({ maxLength: 5 }).map((text) => `k${text}`);

const orNull = (kind: Kind, isRequired: boolean): fc.Arbitrary<unknown> =>
  isRequired ? kind.value : fc.option(kind.value);

/** Types nested up to three deep. `required`: whether inner fields may be so. */
function kindsOf(primitives: readonly Kind[], required: fc.Arbitrary<boolean>) {
  return fc.letrec<{ kind: Kind }>((tie) => ({
    kind: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom(...primitives),
      fc.tuple(tie("kind"), required).map(([kind, isRequired]) => ({
        type: listOf(kind.type, isRequired),
        value: fc.oneof(
          { arbitrary: fc.array(orNull(kind, isRequired), { maxLength: 4 }), weight: 9 },
          fc.array(orNull(kind, isRequired), { minLength: 14, maxLength: 40 }),
        ),
      })),
      fc.tuple(tie("kind"), tie("kind"), required).map(([a, b, isRequired]) => ({
        type: {
          kind: "struct" as const,
          fields: [field("a", a.type, isRequired), field("b", b.type)],
        },
        value: fc.record({ a: orNull(a, isRequired), b: fc.option(b.value) }),
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
}

function filesOf(kinds: fc.Arbitrary<Kind>, required: fc.Arbitrary<boolean>, rowsMax: number) {
  const column = fc.tuple(kinds, required).chain(([kind, isRequired]) => {
    const value = orNull(kind, isRequired);
    // Few different values now and then, so that a dictionary is worth it.
    const few = fc
      .array(value, { minLength: 1, maxLength: 6 })
      .map((pool) => fc.constantFrom(...pool));
    return fc.record({
      type: fc.constant(kind.type),
      isRequired: fc.constant(isRequired),
      value: fc.oneof(fc.constant(value), few),
    });
  });
  return fc.array(column, { minLength: 1, maxLength: 4 }).chain((columns) =>
    fc.record({
      fields: fc.constant(
        columns.map(({ type, isRequired }, index) => field(`c${index}`, type, isRequired)),
      ),
      batches: fc.array(
        fc.array(fc.tuple(...columns.map((each) => each.value)), { maxLength: rowsMax }),
        { maxLength: 3 },
      ),
      rowGroupRows: fc.integer({ min: 1, max: 2 * rowsMax }),
    }),
  );
}

/** Files of types that hyparquet reads back exactly, all fields optional. */
export const exactFiles: fc.Arbitrary<RandomFile> = filesOf(
  kindsOf(EXACT, fc.constant(false)),
  fc.constant(false),
  20,
);

/** Files of every type, with required fields at every level. */
export const files: fc.Arbitrary<RandomFile> = filesOf(
  kindsOf(EVERY, fc.boolean()),
  fc.boolean(),
  60,
);
