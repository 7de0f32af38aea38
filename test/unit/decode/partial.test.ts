/** Columns that are declared beside columns that are learned, and numbers that begin as whole ones. */
import { expect, test } from "bun:test";
import { typeName } from "#columns/evolve.ts";
import type { Decoder } from "#decode/decoder.ts";
import { recordBatch } from "../../support/records.ts";
import { decode, field, makeDecoder } from "./support.ts";

const describe = (decoder: Decoder): string[] =>
  decoder.fields.map((each) => `${each.name} ${typeName(each.type)}`);

test("declared columns keep their types, the others are learned from the sample", () => {
  const decoder = makeDecoder({ fields: [field("price", "double")] });
  expect(decoder.needsSample).toBe(true);
  decoder.sample([recordBatch(['{"n":1,"price":1}', '{"n":1.5,"price":2,"s":{"x":"y"}}'])]);
  expect(describe(decoder)).toEqual(["price double", "n double", "s struct<x: string>"]);
  expect(decode(decoder, ['{"n":1,"price":10.5}']).rows).toEqual([{ price: 10.5, n: 1, s: null }]);
  expect(decoder.declared).toEqual([field("price", "double")]);
});

test("without infer, or where the rest is ignored or refused, declared columns are all", () => {
  const fields = [field("a", "long")];
  for (const options of [
    { infer: false },
    { onUnknownField: "ignore" as const },
    { onUnknownField: "dead_letter" as const },
  ]) {
    expect(makeDecoder({ fields, ...options }).needsSample).toBe(false);
  }
  const ignoring = makeDecoder({ onUnknownField: "ignore" });
  ignoring.sample([recordBatch(['{"a":1}'])]);
  expect(decode(ignoring, ['{"a":2,"b":3}']).rows).toEqual([{ a: 2n }]);
});

test("a table that has rows needs no sample, whatever its columns", () => {
  const decoder = makeDecoder({ fields: [field("a", "long")] });
  const table = decoder.fields.map((each, index) => ({ ...each, id: index + 1 }));
  decoder.adopt(table, { dropped: [], hasRows: false });
  expect(decoder.needsSample).toBe(true);
  decoder.adopt(table, { dropped: [], hasRows: true });
  expect(decoder.needsSample).toBe(false);
});

test("infer_integers = double makes no long, at any depth, and takes fractions later", () => {
  const decoder = makeDecoder({ inferIntegers: "double" });
  const documents = ['{"n":1,"s":{"x":2},"l":[3]}', '{"n":1.5,"s":{"x":2.5},"l":[3.5]}'];
  expect(decode(decoder, documents).reasons).toEqual([]);
  expect(describe(decoder)).toEqual(["n double", "s struct<x: double>", "l list<double>"]);
});

test("a fraction in a column of whole numbers is a reject that says what helps", () => {
  for (const kernel of [false, "always"] as const) {
    const decoder = makeDecoder({ kernel });
    decode(decoder, ['{"p":1}']);
    const { reasons, result } = decode(decoder, ['{"p":10.5}', '{"p":"x"}']);
    expect(reasons).toEqual(["0 type_conflict", "1 type_conflict"]);
    expect(result.rejected[0]?.detail).toContain(
      'Field "p" is a number that its column of type long',
    );
    expect(result.rejected[0]?.detail).toContain('schema.infer_integers = "double"');
    expect(result.rejected[1]?.detail).not.toContain("infer_integers");
  }
});

test("whole numbers beyond 2^53 are in a double with every digit, as a double is printed, or refused", () => {
  const fits = [
    ...["9007199254740992", "-9007199254740994", "1000000000000000000", "1e300", "0.1"],
    ...["123456789012345680000", "-9007199254740992000"],
  ];
  const lossy = [
    "9007199254740993",
    "-9007199254740993",
    "1000000000000000001",
    "123456789012345680001",
    "1234567890123456789012345",
  ];
  const documents = (texts: readonly string[]): string[] => texts.map((text) => `{"d":${text}}`);
  for (const kernel of [false, "always"] as const) {
    const make = (kind: "double" | "float") =>
      makeDecoder({ kernel, fields: [field("d", kind)], infer: false });
    const doubles = make("double");
    expect(decode(doubles, documents(fits)).rows).toEqual(
      fits.map((text) => ({ d: Number(text) })),
    );
    expect(decode(doubles, documents(lossy)).reasons).toHaveLength(lossy.length);
    // A float is never inferred; whoever declares one knows that it rounds.
    expect(decode(make("float"), documents(lossy)).rows).toEqual(
      lossy.map((text) => ({ d: Math.fround(Number(text)) })),
    );
  }
});

test("match_columns = ignore-case: a field goes into the column that differs by case only, at every level", () => {
  const fields = [
    field("userid", "long"),
    field("s", { kind: "struct", fields: [field("X", "long")] }),
  ];
  const documents = ['{"userId":1,"S":{"x":2}}', '{"USERID":3}', '{"userid":4,"userId":5}'];
  for (const kernel of [false, "always"] as const) {
    for (const onUnknownField of ["evolve", "ignore", "dead_letter"] as const) {
      const decoder = makeDecoder({ fields, kernel, onUnknownField, matchColumns: "ignore-case" });
      const { rows, reasons } = decode(decoder, documents);
      expect(rows).toEqual([
        { userid: 1n, s: { X: 2n } },
        { userid: 3n, s: null },
      ]);
      expect(reasons).toEqual(["2 colliding_field"]);
      expect(decoder.fields.map(({ name }) => name)).toEqual(["userid", "s"]);
    }
    const learned = makeDecoder({ kernel, matchColumns: "ignore-case" });
    const { rows } = decode(learned, [
      '{"Id":1}',
      '{"id":2,"O":{"a":1}}',
      '{"ID":3,"o":{"A":2,"b":1}}',
    ]);
    expect(rows.map((row) => [row["Id"], row["O"] ?? null])).toEqual([
      [1n, null],
      [2n, { a: 1n, b: null }],
      [3n, { a: 2n, b: 1n }],
    ]);
  }
});
