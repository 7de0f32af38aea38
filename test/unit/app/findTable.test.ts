/** Which sinks are the table of a name. */
import { expect, test } from "bun:test";
import { findTable } from "#app/findTable.ts";
import type { Sink } from "#pipeline/sink.ts";

/** @param uuid of the table; null: it is not open */
function sink(table: string, uuid: string | null): Sink {
  const writer = uuid === null ? null : { lastSeen: { metadata: { tableUuid: uuid } } };
  const name = { namespace: ["db"], table };
  return { name: `db.${table}`, options: { name }, writer } as unknown as Sink;
}

test("every sink of the table is found, with or without its namespace, in upper or lower case", () => {
  const [one, two, other] = [sink("events", "a"), sink("events", "a"), sink("orders", "b")];
  for (const name of ["events", "db.events", "EVENTS", "Db.Events"]) {
    expect(findTable([one, other, two], name)).toEqual([one, two]);
  }
  expect(findTable([one, other, two], "orders")).toEqual([other]);
  expect(findTable([one], "nothing")).toEqual([]);
});

test("names that differ in case alone have to be written as they are", () => {
  const [small, large] = [sink("events", "a"), sink("Events", "b")];
  expect(findTable([small, large], "Events")).toEqual([large]);
  expect(findTable([small, large], "EVENTS")).toEqual([]);
});

test("a sink that is not open, and one of another table with this name, are not together with the first", () => {
  const [closed, open, foreign] = [sink("t", null), sink("t", "a"), sink("t", "b")];
  expect(findTable([closed, open, foreign], "t")).toEqual([open]);
  expect(findTable([closed], "T")).toEqual([closed]);
});
