/** What DuckDB says is passed on in one line, without the places in its code. */
import { expect, test } from "bun:test";
import { oneLine } from "#sql/duckdb/messages.ts";

test("a message is one line, without the statement", () => {
  expect(oneLine("Binder Error: no x\n  in t\n\nLINE 1: SELECT x\n               ^")).toBe(
    "Binder Error: no x in t",
  );
});

test("a fault of DuckDB's own is told without where in its code it was", () => {
  const message = "INTERNAL Error: index 3 of 2\n\nStack Trace:\n\n/lib/duckdb.so(+0x1)";
  expect(oneLine(message)).toBe("INTERNAL Error: index 3 of 2");
});

test("an allocation that failed is a statement that wants too much, a value of that text is none", () => {
  const told = /^Out of Memory Error: a part of the statement/;
  expect(oneLine("Memory allocation failure")).toMatch(told);
  expect(oneLine("INTERNAL Error: Memory allocation failure\nStack Trace: x")).toMatch(told);
  const value = "Conversion Error: Could not convert 'Memory allocation failure' to INT32";
  expect(oneLine(value)).toBe(value);
});
