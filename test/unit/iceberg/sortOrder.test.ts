/**
 * Sort orders in the words of the configuration.
 */
import { expect, test } from "bun:test";
import type { Field } from "#columns/schema.ts";
import { isByColumns, missingSortColumns, sortOrderOf } from "#iceberg/metadata/sortOrder.ts";

const FIELDS: readonly Field[] = [
  { id: 1, name: "ts", required: false, type: { kind: "timestamp", zone: true } },
  {
    id: 2,
    name: "user",
    required: false,
    type: {
      kind: "struct",
      fields: [{ id: 3, name: "id", required: false, type: { kind: "long" } }],
    },
  },
];

test("a column is sorted upwards with nulls first, or downwards with nulls last, unless it says otherwise", () => {
  const { orderId, fields } = sortOrderOf(FIELDS, ["ts DESC", "user.id nulls last"]);
  expect(orderId).toBe(1);
  expect(fields).toEqual([
    { sourceId: 1, transform: "identity", direction: "desc", nullOrder: "nulls-last" },
    { sourceId: 3, transform: "identity", direction: "asc", nullOrder: "nulls-last" },
  ]);
  expect(sortOrderOf(FIELDS, []).orderId).toBe(0);
});

test("what cannot be sorted by is named, with what to write instead", () => {
  const sentence = (...forms: string[]): string => {
    try {
      return String(sortOrderOf(FIELDS, forms));
    } catch (error) {
      return String(error);
    }
  };
  expect(sentence("TS")).toContain('Sort order "TS": there is no column TS; did you mean ts?');
  expect(sentence("user")).toContain("user is a struct, which has no order");
  expect(sentence("day(ts)")).toContain("it is sorted by columns only");
  expect(sentence("ts", "ts desc")).toContain("an earlier one sorts by the same column");
  expect(sentence("  ")).toContain("it names no column");
});

test("columns that are still to come are known by name", () => {
  expect(missingSortColumns(FIELDS, ["ts desc", "region", "user.name"])).toEqual([
    "region",
    "user.name",
  ]);
});

test("an order with another engine's transform is none of columns alone", () => {
  const field = { sourceId: 1, direction: "asc", nullOrder: "nulls-first" } as const;
  expect(isByColumns({ orderId: 1, fields: [{ ...field, transform: "identity" }] })).toBe(true);
  expect(isByColumns({ orderId: 1, fields: [{ ...field, transform: "day" }] })).toBe(false);
});
