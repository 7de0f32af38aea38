/** Our transforms against PyIceberg's, on thousands of values of every type. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type PrimitiveType, parsePrimitive } from "#columns/schema.ts";
import type { PartitionValue } from "#iceberg/manifest/manifest.ts";
import { applyTransform, parseTransform, transformAllows } from "#iceberg/partition/transform.ts";
import { ask, jsonValue } from "../support/manifestTables.ts";

const INT64 = { min: -(2n ** 62n), max: 2n ** 62n };
const bytes = (minLength: number, maxLength: number) => fc.uint8Array({ minLength, maxLength });
const TYPES: readonly (readonly [string, fc.Arbitrary<Exclude<PartitionValue, null>>])[] = [
  ["int", fc.integer({ min: -(2 ** 30), max: 2 ** 30 })],
  ["long", fc.oneof(fc.bigInt(INT64), fc.bigInt({ min: -50n, max: 50n }))],
  ["decimal(9, 2)", fc.bigInt({ min: -999_999n, max: 999_999n })],
  ["decimal(38, 10)", fc.bigInt({ min: -(10n ** 27n), max: 10n ** 27n })],
  ["date", fc.integer({ min: -700_000, max: 2_000_000 })],
  ["time", fc.bigInt({ min: 0n, max: 86_399_999_999n })],
  ["timestamp", fc.bigInt({ min: -60_000_000_000_000_000n, max: 200_000_000_000_000_000n })],
  ["timestamptz", fc.bigInt({ min: -4_000_000_000_000n, max: 4_000_000_000_000n })],
  ["timestamp_ns", fc.bigInt(INT64)],
  ["timestamptz_ns", fc.bigInt({ min: -(10n ** 15n), max: 10n ** 15n })],
  ["string", fc.string({ unit: "grapheme", maxLength: 8 })],
  ["uuid", bytes(16, 16)],
  ["fixed[5]", bytes(5, 5)],
  ["binary", bytes(0, 9)],
];
const TRANSFORMS = [
  "identity",
  "bucket[16]",
  "bucket[1000003]",
  "truncate[3]",
  "truncate[1000]",
  "year",
  "month",
  "day",
  "hour",
];
const VALUES = 400;

function primitive(text: string): PrimitiveType {
  const type = parsePrimitive(text);
  if (type === null) throw new Error(`no type ${text}`);
  return type;
}

describe("transforms", () => {
  test("give what PyIceberg's give, value by value", async () => {
    const cases = TYPES.flatMap(([type, values]) =>
      TRANSFORMS.filter((transform) =>
        transformAllows(parseTransform(transform), primitive(type)),
      ).map((transform, index) => ({
        type,
        transform,
        values: fc.sample(values, { numRuns: VALUES, seed: 1000 + index }),
      })),
    );
    const answers = await ask<unknown[][]>({
      action: "transforms",
      cases: cases.map((one) => ({ ...one, values: one.values.map(jsonValue) })),
    });
    expect(cases.length).toBeGreaterThan(50);
    for (const [index, { type, transform, values }] of cases.entries()) {
      const ours = values.map((value) => {
        const result = applyTransform(parseTransform(transform), primitive(type), value);
        const shown = jsonValue(result);
        return typeof shown === "number" ? String(shown) : shown;
      });
      expect({ type, transform, results: ours }).toEqual({
        type,
        transform,
        results: answers[index] as (typeof ours)[number][],
      });
    }
  }, 300_000);
});
