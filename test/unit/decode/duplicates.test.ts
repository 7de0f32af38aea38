import { expect, test } from "bun:test";
import { withoutDuplicates } from "#decode/json/duplicates.ts";

/** The document without duplicates; null: it has none. */
function distinct(document: string): string | null {
  const bytes = Buffer.from(`  ${document}`);
  const found = withoutDuplicates(bytes, 2, bytes.length);
  return found === null ? null : Buffer.from(found).toString();
}

test("of a key that comes twice the last value stays, at any depth", () => {
  expect(distinct('{"a":1,"b":2,"a":3}')).toBe('{"b":2,"a":3}');
  expect(distinct('[{"x":{"a":[1],"a":{}}}]')).toBe('[{"x":{"a":{}}}]');
});

test("the same key in another object, or as a value, is no duplicate", () => {
  expect(distinct('{"a":{"a":"a"},"b":[{"a":1},{"a":2}]}')).toBeNull();
  expect(distinct('{"a":{"b":1},"c":{"b":2},"d":"a"}')).toBeNull();
});

test("keys are compared by what they say, however they are written", () => {
  expect(distinct('{"a":1,"\\u0061":2}')).toBe('{"\\u0061":2}');
  expect(distinct('{"a\\"b":1,"c":2}')).toBeNull();
});

test("keys whose hashes are equal are not taken for one", () => {
  // 31 * "A" + "a" = 31 * "B" + "B".
  expect(distinct('{"Aa":1,"BB":2}')).toBeNull();
  expect(distinct('{"Aa":1,"BB":2,"Aa":3}')).toBe('{"BB":2,"Aa":3}');
});

test("in an object of many keys the second of two is found as well", () => {
  const many = Array.from({ length: 100 }, (_, at) => `"k${at}":${at}`).join(",");
  expect(distinct(`{${many}}`)).toBeNull();
  expect(distinct(`{${many},"k99":0}`)).toBe(`{${many.replace(',"k99":99', "")},"k99":0}`);
});
