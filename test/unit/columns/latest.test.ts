/** What a table says of its newest rows: by a property that is read as it was written, or not at all. */
import { expect, test } from "bun:test";
import {
  LATEST_PROPERTY,
  type LatestRows,
  latestOf,
  missingOf,
  orderOf,
  writeLatest,
} from "#columns/latest.ts";

const LATEST: LatestRows = {
  ...{ key: ["id", 'a "b'], orderField: null, partition: "p", offset: "o", deleted: "gone" },
};

test("the property is read as it was written", () => {
  for (const latest of [LATEST, { ...LATEST, orderField: "at", deleted: null }]) {
    expect(latestOf({ [LATEST_PROPERTY]: writeLatest(latest) })).toEqual(latest);
  }
  expect(latestOf({})).toBeNull();
});

test("a property that says less, or something else, says nothing", () => {
  const texts = [
    "",
    "{",
    "null",
    "[]",
    "3",
    "{}",
    '{"key": "id", "partition": "p", "offset": "o"}',
  ];
  const of = (more: object): string => JSON.stringify({ ...LATEST, ...more });
  const odd = [{ key: [] }, { key: [1] }, { partition: 1 }, { orderField: 1 }, { deleted: true }];
  for (const text of [...texts, ...odd.map(of)]) {
    expect([text, latestOf({ [LATEST_PROPERTY]: text })]).toEqual([text, null]);
  }
});

test("the order counts before the record, and a column that the table lacks is named", () => {
  expect(orderOf(LATEST)).toEqual(["p", "o"]);
  expect(orderOf({ ...LATEST, orderField: "at" })).toEqual(["at", "p", "o"]);
  const fields = ["id", 'a "b', "p", "o", "gone"].map((name, at) => {
    return { id: at + 1, name, required: false, type: { kind: "long" } as const };
  });
  expect(missingOf(LATEST, fields)).toBeUndefined();
  expect(missingOf(LATEST, fields.slice(0, 4))).toBe("gone");
});
