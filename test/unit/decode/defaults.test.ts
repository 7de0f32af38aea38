/**
 * Format v3's `write-default`: what a column of every type gets in a record without its field, by the
 * kernel and by the TypeScript reader.
 */
import { describe, expect, test } from "bun:test";
import { AppError } from "#base/errors.ts";
import type { Field, PrimitiveType, Type } from "#columns/schema.ts";
import type { DecoderOptions } from "#decode/options.ts";
import { WRITE_DEFAULTS } from "../../support/writeDefaults.ts";
import { decode, field, makeDecoder } from "./support.ts";

function withDefault(name: string, type: Type, writeDefault: unknown, required: boolean): Field {
  return { ...field(name, type, required), writeDefault };
}

const nameOf = (type: PrimitiveType, isRequired: boolean): string =>
  `${type.kind}${isRequired ? ", required" : ""}`;

for (const kernel of ["always", false] as const) {
  const outcome = (fields: readonly Field[], records: string[], more?: Partial<DecoderOptions>) =>
    decode(makeDecoder({ fields, kernel, ...more }), records);

  describe(`write-default, kernel ${kernel}`, () => {
    for (const [type, json, value] of WRITE_DEFAULTS) {
      test.each([false, true])(
        `${nameOf(type, false)}, required %p: fills absent fields alone`,
        (required) => {
          const fields = [field("id", "long"), withDefault("d", type, json, required)];
          const { rows, reasons } = outcome(fields, ['{"id":1}', '{"id":2,"d":null}', "{}"]);
          const absent = [
            { id: 1n, d: value },
            { id: null, d: value },
          ];
          const written = { id: 2n, d: null };
          expect(rows).toEqual(
            required ? absent : [absent[0], written, absent[1]].flatMap((r) => r ?? []),
          );
          expect(reasons).toEqual(required ? ["1 missing_field"] : []);
        },
      );
    }

    test("members of structs and of lists' elements have theirs where the object is there", () => {
      const members: Type = {
        kind: "struct",
        fields: [field("a", "long"), withDefault("b", { kind: "string" }, "dft", true)],
      };
      const list: Type = { kind: "list", element: field("element", members) };
      const { rows } = outcome(
        [field("s", members), field("l", list)],
        ['{"s":{"a":1},"l":[{},{"b":"x"}]}', '{"l":[]}', "{}"],
      );
      expect(rows).toEqual([
        {
          s: { a: 1n, b: "dft" },
          l: [
            { a: null, b: "dft" },
            { a: null, b: "x" },
          ],
        },
        { s: null, l: [] },
        { s: null, l: null },
      ]);
    });

    test("a struct whose default is {} is a struct of its members' defaults", () => {
      const members: Type = {
        kind: "struct",
        fields: [field("a", "long"), withDefault("b", { kind: "int" }, 7, false)],
      };
      const { rows } = outcome(
        [withDefault("s", members, {}, true)],
        ["{}", '{"s":{"a":1,"b":null}}'],
      );
      expect(rows).toEqual([{ s: { a: null, b: 7 } }, { s: { a: 1n, b: null } }]);
    });

    test("flattened columns have theirs, however their name could be split", () => {
      const fields = [withDefault("a_b", { kind: "long" }, 5, true), field("a_c", "long")];
      const { rows } = outcome(fields, ['{"a":{"c":1}}', '{"a":{"b":2}}', "{}"], {
        flattenSeparator: "_",
      });
      expect(rows).toEqual([
        { a_b: 5n, a_c: 1n },
        { a_b: 2n, a_c: null },
        { a_b: 5n, a_c: null },
      ]);
    });

    test("a required column without a value and without a default refuses its record", () => {
      const fields = [field("id", "long", true), withDefault("d", { kind: "int" }, null, true)];
      expect(outcome(fields, ['{"id":1}']).reasons).toEqual(["0 missing_field"]);
    });

    test("a tombstone's row and a raw value's have the defaults of columns that they do not fill", () => {
      const fields = [withDefault("d", { kind: "int" }, 7, true), field("id", "long")];
      const json = makeDecoder({ fields, kernel, onTombstone: "null_row" });
      expect(decode(json, [null]).rows).toEqual([{ d: 7, id: null }]);
      const raw = makeDecoder({ format: "string", kernel, onTombstone: "null_row" });
      raw.adopt([field("value", "string"), ...fields]);
      expect(decode(raw, ["text", null]).rows).toEqual([
        { value: "text", d: 7, id: null },
        { value: null, d: 7, id: null },
      ]);
    });
  });
}

test("a segment does not go on when a column with a value in every row comes, or a default changes", () => {
  const id = field("id", "long");
  for (const now of [
    withDefault("d", { kind: "int" }, 8, false),
    withDefault("d", { kind: "int" }, 7, true),
    field("d", "int", true),
  ]) {
    const decoder = makeDecoder({ fields: [id] });
    const segment = decoder.builder();
    decoder.adopt([id, now]);
    expect(segment.isCurrent).toBe(false);
  }
  const decoder = makeDecoder({ fields: [id] });
  decoder.adopt([id, withDefault("d", { kind: "int" }, 7, false)]);
  const segment = decoder.builder();
  decoder.adopt([id, withDefault("d", { kind: "int" }, 8, false)]);
  expect(segment.isCurrent).toBe(false);
});

test("a default that its column's type does not have is refused by the column's name", () => {
  const refused = (type: Type, json: unknown): unknown => {
    try {
      decode(makeDecoder({ fields: [withDefault("d", type, json, false)], kernel: false }), ["{}"]);
    } catch (error) {
      return error instanceof AppError && [error.kind, error.message.includes("column d")];
    }
    return "taken";
  };
  const said = ["table_unsupported", true];
  expect(refused({ kind: "int" }, "7")).toEqual(said);
  expect(refused({ kind: "string" }, 7)).toEqual(said);
  expect(refused({ kind: "date" }, "yesterday")).toEqual(said);
  expect(refused({ kind: "binary" }, "0g")).toEqual(said);
  expect(refused({ kind: "fixed", length: 2 }, "00")).toEqual(said);
  expect(refused({ kind: "list", element: field("element", "int") }, [])).toEqual(said);
});
