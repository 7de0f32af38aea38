/** What a sample of documents is taken for: proposed only where the decoder takes every value seen. */
import { expect, test } from "bun:test";
import { typeName } from "#columns/evolve.ts";
import { Survey } from "#decode/json/survey.ts";

/** The proposed types of fields, from values of each. */
function typesOf(documents: readonly string[], separator: string | null = null) {
  const survey = new Survey();
  for (const document of documents) survey.add(document);
  const columns = survey.columns(separator);
  return Object.fromEntries(
    columns.map(({ name, type }) => [name, type === null ? null : typeName(type)]),
  );
}

/** The type proposed for a field of these JSON values. */
function typeOf(...values: string[]): string | null | undefined {
  return typesOf(values.map((value) => `{"x":${value}}`))["x"];
}

test("texts are times, UUIDs and decimals only when all of them are", () => {
  expect(typeOf('"2026-01-31"', '"2024-02-29"')).toBe("date");
  expect(typeOf('"2026-01-31"', '"2026-02-30"')).toBe("string");
  expect(typeOf('"2026-01-31T10:00:00Z"', '"2026-01-31 10:00:00.5+02:00"')).toBe("timestamptz");
  expect(typeOf('"2026-01-31T10:00:00"')).toBe("timestamp");
  expect(typeOf('"2026-01-31T10:00:00"', '"2026-01-31T10:00:00Z"')).toBe("string");
  expect(typeOf('"10:00"', '"23:59:59.25"')).toBe("time");
  expect(typeOf('"0e1c8a4e-58b5-4d9f-8a57-111111111111"')).toBe("uuid");
  expect(typeOf('"0e1c8a4e-58b5-4d9f-8a57-111111111111"', '""')).toBe("string");
});

test("decimals have room for larger values; versions, postcodes and bare numbers stay texts", () => {
  expect(typeOf('"12.50"', '"-0.99"')).toBe("decimal(18, 2)");
  expect(typeOf('"1234567890123.50"')).toBe("decimal(38, 2)");
  for (const text of ["1.2", "01234", "1234", "007.50", "1e5", "1.234,50"]) {
    expect([text, typeOf(`"${text}"`)]).toEqual([text, "string"]);
  }
  expect(typeOf('"1.20"', '"1.200"')).toBe("string");
});

test("numbers keep their digits; one fraction among them makes a double", () => {
  expect(typeOf("1", "9223372036854775807")).toBe("long");
  expect(typeOf("1", "1.5")).toBe("double");
  expect(typeOf("1", "1e300")).toBe("double");
  expect(typeOf("9223372036854775808")).toBe("decimal(38, 0)");
});

test("nothing is proposed where nothing was seen, and the most frequent kind counts", () => {
  expect(typeOf("null", "[]", "{}", "[null]")).toBeNull();
  expect(typeOf('"a"', '"b"', "1")).toBe("string");
  const survey = new Survey();
  for (const value of ['"a"', '"b"', "1", "null"]) survey.add(`{"x":${value}}`);
  expect(survey.columns(null).map(({ seen, misfits }) => [seen, misfits])).toEqual([[3, 1]]);
});

test("objects are structs, or columns of their own where they are flattened; many keys of one type are a map", () => {
  const documents = ['{"a":{"b":1,"c":{"d":"x"}},"l":[{"e":true},{"f":null}]}'];
  expect(typesOf(documents)).toEqual({
    a: "struct<b: long, c: struct<d: string>>",
    l: "list<struct<e: boolean>>",
  });
  expect(typesOf(documents, "_")["a_c_d"]).toBe("string");
  const dynamic = Array.from({ length: 100 }, (_, n) => `{"tags":{"key${n}":"${n}"}}`);
  expect(typesOf(dynamic)).toEqual({ tags: "map<string, string>" });
});

test("names that no column may have, and those that differ by case only, are left out", () => {
  expect(typesOf(['{"":1,"_file":1,"a":1,"A":1,"s":{"b":1,"B":1}}'])).toEqual({
    a: "long",
    s: "struct<b: long>",
  });
});

test("whole numbers are times by the unit that all of them fit", () => {
  const epochOf = (...values: number[]) => {
    const survey = new Survey();
    for (const value of values) survey.add(`{"x":${value}}`);
    return survey.columns(null)[0]?.epoch;
  };
  expect(epochOf(1_767_225_600, 1_767_225_601)).toBe("epoch_seconds");
  expect(epochOf(1_767_225_600_000)).toBe("epoch_millis");
  expect(epochOf(1_767_225_600_000_000)).toBe("epoch_micros");
  expect(epochOf(1_767_225_600, 5)).toBeNull();
  expect(epochOf(1_767_225_600.5)).toBeNull();
});

test("what is no JSON object is counted, and a deep document ends nothing", () => {
  const survey = new Survey();
  for (const text of ["", "[1]", "7", "{", "null"]) survey.add(text);
  survey.add(`{"x":${"[".repeat(100)}${"]".repeat(100)}}`);
  survey.add(`{"x":${"[".repeat(50_000)}${"]".repeat(50_000)}}`);
  expect([survey.documents, survey.unreadable]).toEqual([1, 6]);
  expect(survey.columns(null)).toHaveLength(1);
});
