/** 64-bit numbers through JSON, by readers that keep them and by those that do not. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseJson, writeJson, writePortableJson } from "#base/json.ts";

const INT64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

test("what we write for ourselves comes back with every digit", () => {
  const property = fc.property(INT64, (value) => {
    const { n } = parseJson(writeJson({ n: value })) as { n: number | bigint };
    expect(BigInt(n)).toBe(value);
  });
  fc.assert(property);
});

test("what other programs read loses no digit, although their numbers are doubles", () => {
  const edges = [2n ** 53n - 1n, 2n ** 53n, 1n - 2n ** 53n, -(2n ** 53n)];
  const property = fc.property(fc.oneof(INT64, fc.constantFrom(...edges)), (value) => {
    const { n } = JSON.parse(writePortableJson({ n: value })) as { n: number | string };
    expect(BigInt(n)).toBe(value);
    expect(typeof n).toBe(value < 2n ** 53n && value > -(2n ** 53n) ? "number" : "string");
  });
  fc.assert(property);
});
