/** The bounds of the program fit each other. */
import { expect, test } from "bun:test";
import { assertLimits, LIMITS } from "#base/limits.ts";

test("every bound is a whole number above 0, and their relations hold", () => {
  for (const [name, value] of Object.entries(LIMITS)) {
    expect([name, Number.isSafeInteger(value) && value > 0]).toEqual([name, true]);
  }
  expect(assertLimits).not.toThrow();
});
