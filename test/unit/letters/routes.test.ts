/** Which table a letter's record is for. */
import { expect, test } from "bun:test";
import { fail } from "#base/errors.ts";
import { utf8Text } from "#base/text.ts";
import type { RouteField } from "#decode/routeField.ts";
import type { Letter } from "#letters/read.ts";
import { letterRoutes, placeOf } from "#letters/routes.ts";
import { rejection } from "../../support/rejection.ts";

const FIELD: RouteField = {
  prepare: null,
  of: (bytes, start, end) => utf8Text(bytes.subarray(start, end)) || null,
};
const ROUTES = letterRoutes(
  {
    tableOf: (topic, value) =>
      value === "none" ? null : { namespace: ["app"], table: `${topic}_${value}` },
  },
  FIELD,
  (topic) => `app.${topic}`,
);
const ready = () => Promise.resolve();

function letterOf(value: string | null): Letter {
  return {
    topic: "t",
    topicId: "",
    partition: 0,
    offset: 1n,
    rejectedMs: 0,
    reason: "type_conflict",
    detail: "",
    timestampMs: 0,
    key: null,
    value: value === null ? null : Buffer.from(value),
    headers: [],
  };
}

test("a letter is for the table that its record names, and for its topic's own where it names none", async () => {
  for (const [value, table] of [
    ["click", "app.t_click"],
    ["none", "app.t"],
    ["", "app.t"],
    [null, "app.t"],
  ] as const) {
    const letter = letterOf(value);
    expect(await placeOf(letter, table, ROUTES, ready)).toBe("own");
    expect(await placeOf(letter, "app.t_view", ROUTES, ready)).toBe("elsewhere");
  }
});

test("a letter whose schema is not there is for nobody, and trouble is thrown", async () => {
  const missing = () => Promise.reject(fail("data", "no schema"));
  expect(await placeOf(letterOf("click"), "app.t", ROUTES, missing)).toBe("unknown_schema");
  const trouble = () => Promise.reject(fail("registry_unreachable", "away"));
  const thrown = placeOf(letterOf("click"), "app.t", ROUTES, trouble);
  expect(await rejection(thrown)).toMatchObject({ kind: "registry_unreachable" });
});
