/**
 * Times as people write them.
 */
import { expect, test } from "bun:test";
import { timeOf } from "#sql/snapshotChoice.ts";

test("a time is read as it is written, in UTC where it names no zone", () => {
  const times = {
    "2026-01-08": "2026-01-08T00:00:00.000Z",
    "2026-01-08 12:30": "2026-01-08T12:30:00.000Z",
    "2026-01-08 12:30:15.123456": "2026-01-08T12:30:15.123Z",
    "2026-01-08T12:30:00Z": "2026-01-08T12:30:00.000Z",
    "2026-01-08 12:30:00+02": "2026-01-08T10:30:00.000Z",
    "2026-01-08 12:30:00-0530": "2026-01-08T18:00:00.000Z",
    " 2026-01-08 12:30:00 +02:00": "2026-01-08T10:30:00.000Z",
  };
  for (const [text, iso] of Object.entries(times)) {
    expect([text, new Date(timeOf(text)).toISOString()]).toEqual([text, iso]);
  }
  for (const text of ["", "yesterday", "2026-13-01", "2026-01-08 25:00", "1736337600000"]) {
    expect(() => timeOf(text)).toThrow("is no time");
  }
});
