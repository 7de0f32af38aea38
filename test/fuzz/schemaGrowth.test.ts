/**
 * Schemas that grow by any documents, at any column limit, beside another writer: decoding ends, every
 * record is a row or a reject, and what comes of it is a table that every engine can load.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { mergeFields } from "#columns/evolve.ts";
import { childFields, type Field, isPrimitive } from "#columns/schema.ts";
import { freshSchema, lastFieldId } from "#iceberg/metadata/newTable.ts";
import { recordBatch } from "../support/records.ts";
import { makeDecoder } from "../unit/decode/support.ts";

/** Few names, so that they meet: in another case, with dots, and as Iceberg calls members of lists. */
const name = fc.constantFrom(
  "a",
  "A",
  "b",
  "a.b",
  "a.b.c",
  "l",
  "l.element",
  "element",
  "value",
  "",
);
const { document } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom(1, 2.5, "x", true, null),
    fc.array(tie("value"), { maxLength: 2 }),
    tie("document"),
  ),
  document: fc.dictionary(name, tie("value"), { maxKeys: 4 }),
}));
const batches = fc.array(fc.array(document, { minLength: 1, maxLength: 4 }), { maxLength: 4 });

/** Every path in lower case, as PyIceberg's index by name goes through a schema. */
function paths(fields: readonly Field[], parent = ""): string[] {
  return fields.flatMap(({ name: own, type }) => {
    const path = `${parent}${own}`.toLowerCase();
    return [path, ...paths(childFields(type), `${path}.`)];
  });
}

function leaves(fields: readonly Field[]): number {
  return fields.reduce(
    (sum, { type }) => sum + (isPrimitive(type) ? 1 : leaves(childFields(type))),
    0,
  );
}

/** Documents of another writer, whose columns are in the table between two of our batches. */
const setup = fc.record({
  maxColumns: fc.integer({ min: 1, max: 8 }),
  flattenSeparator: fc.constantFrom(null, "_", "."),
  ours: batches,
  theirs: batches,
  kernel: fc.constantFrom<false | "always">(false, "always"),
});

test("any documents at any limit: decoding ends, and no two columns have one full name", () => {
  fc.assert(
    fc.property(setup, ({ maxColumns, flattenSeparator, ours, theirs, kernel }) => {
      const options = {
        maxColumns,
        flattenSeparator,
        kernel,
        metadataColumns: ["offset"],
      } as const;
      const decoder = makeDecoder(options);
      const other = makeDecoder({ ...options, maxColumns: 1000 });
      let table = freshSchema(decoder.fields).fields;
      const grow = (wanted: readonly Field[]): void => {
        const merged = mergeFields(table, wanted, lastFieldId(table), "records");
        if (merged.ok) table = merged.fields;
      };
      const segment = decoder.builder();
      for (let index = 0; index < Math.max(ours.length, theirs.length); index++) {
        const documents = (ours[index] ?? [{}]).map((each) => JSON.stringify(each));
        const { rows, rejected } = segment.decode(recordBatch(documents));
        expect(rows + rejected.length).toBe(documents.length);
        const foreign = (theirs[index] ?? [{}]).map((each) => JSON.stringify(each));
        other.builder().decode(recordBatch(foreign));
        if (theirs.length === 0) expect(leaves(decoder.fields)).toBeLessThanOrEqual(maxColumns);
        grow(other.fields);
        grow(decoder.fields);
        for (const fields of [decoder.fields, table]) {
          expect(new Set(paths(fields)).size).toBe(paths(fields).length);
        }
        decoder.adopt(table);
        other.adopt(table);
      }
      segment.seal();
    }),
    { numRuns: 250 },
  );
}, 60_000);

test("a new field that finds its table full is a reject, wherever the limit was reached", () => {
  const cases: readonly (readonly [maxColumns: number, before: string[], after: string])[] = [
    [3, ['{"a":1,"b":1,"c":1}'], '{"a":3,"d":1}'],
    [2, ['{"s":{"x":1}}', '{"s":{"y":1}}'], '{"s":{"z":1}}'],
    [1, ['{"l":[{"x":1}]}'], '{"l":[{"y":1}]}'],
    [1, ["{}"], '{"s":{"x":1,"y":1}}'],
  ];
  for (const [maxColumns, before, after] of cases) {
    const decoder = makeDecoder({ maxColumns });
    const segment = decoder.builder();
    for (const text of before) segment.decode(recordBatch([text]));
    const { rejected } = segment.decode(recordBatch([after]));
    expect(rejected.map((reject) => reject.reason)).toEqual(["too_many_columns"]);
  }
  const beside = makeDecoder({ maxColumns: 2 });
  const segment = beside.builder();
  segment.decode(recordBatch(['{"a":1}']));
  const theirs: Field[] = ["a", "b", "c"].map((each, index) => {
    return { id: index + 1, name: each, required: false, type: { kind: "long" } };
  });
  beside.adopt(theirs);
  const { rejected } = segment.decode(recordBatch(['{"a":1,"d":2}', '{"c":2}']));
  expect(rejected.map((reject) => reject.reason)).toEqual(["too_many_columns"]);
});

test("of two fields with one full name the later one refuses its records", () => {
  const cases: readonly (readonly [first: string, second: string])[] = [
    ['{"http":{"method":1}}', '{"http.method":2}'],
    ['{"http.method":2}', '{"http":{"method":1}}'],
    ['{"l":[1]}', '{"l.element":1}'],
    ['{"l.Element":1}', '{"l":[1]}'],
    ['{"a":{"b.c":1}}', '{"a":{"b":{"C":1}}}'],
    ['{"a":{"b.c":1}}', '{"a.b.c":1}'],
    ['{"userId":1}', '{"userid":1}'],
  ];
  for (const [first, second] of cases) {
    const segment = makeDecoder().builder();
    const { rows } = segment.decode(recordBatch([first]));
    const { rejected } = segment.decode(recordBatch([second, first]));
    expect([first, rows, rejected.map((reject) => reject.offset)]).toEqual([first, 1, [0n]]);
    expect(rejected[0]?.reason).toMatch(/^(ambiguous_field|bad_field_name)$/);
  }
});
