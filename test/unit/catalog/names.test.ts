import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  fullName,
  namespaceText,
  parseNamespace,
  parseTableName,
  tableLocation,
} from "#catalog/names.ts";

/** Names with what could be mistaken for their separators. */
const NAME = fc.string({ unit: fc.constantFrom("a", ".", "\\", "é", "😀", " "), minLength: 1 });

describe("names as text", () => {
  test("what is printed is read back as the same name, whatever dots it holds", () => {
    fc.assert(
      fc.property(fc.array(NAME, { minLength: 1, maxLength: 4 }), NAME, (namespace, table) => {
        expect(parseTableName(fullName({ namespace, table }))).toEqual({ namespace, table });
        expect(parseNamespace(namespaceText(namespace))).toEqual(namespace);
      }),
    );
  });

  test("two names never print alike", () => {
    fc.assert(
      fc.property(fc.array(NAME, { minLength: 2 }), fc.array(NAME, { minLength: 2 }), (a, b) => {
        expect(namespaceText(a) === namespaceText(b)).toBe(Bun.deepEquals(a, b));
      }),
    );
  });

  test("ordinary names print as people write them", () => {
    expect(fullName({ namespace: ["prod", "raw"], table: "orders" })).toBe("prod.raw.orders");
    expect(fullName({ namespace: ["db"], table: "orders.eu" })).toBe("db.orders\\.eu");
  });

  test("empty parts are no names", () => {
    for (const text of ["", ".", "a.", ".a", "a..b", "a"]) {
      expect(parseTableName(text)).toBeNull();
    }
    for (const text of ["", "a.", ".a", "a..b"]) expect(parseNamespace(text)).toBeNull();
  });
});

test("each level of a namespace is a folder, and none can leave it", () => {
  const at = (...namespace: string[]): string =>
    tableLocation("s3://b/wh/", { namespace, table: "t" });
  expect(at("a", "b.c")).toBe("s3://b/wh/a/b.c/t");
  for (const level of ["", ".", "..", "a/b", "a\\b"]) {
    expect(() => at("a", level)).toThrow("cannot be the name of a namespace");
  }
  expect(() => at()).toThrow("needs a namespace");
});
