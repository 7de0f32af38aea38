/** The event time column: formats, patterns, and its place in the schema. */
import { expect, test } from "bun:test";
import { typeName } from "#columns/evolve.ts";
import type { Type } from "#columns/schema.ts";
import type { Value } from "../../support/columnValues.ts";
import { recordBatch } from "../../support/records.ts";
import { decode, field, makeDecoder } from "./support.ts";

const MICROS = 1_760_000_000_123_456n;

function times(format: string, values: readonly string[], type: Type | null = null): Value[] {
  const decoder = makeDecoder({
    eventTimeField: "ts",
    eventTimeFormat: format,
    fields: type === null ? null : [field("ts", type)],
  });
  const { rows, result } = decode(
    decoder,
    values.map((value) => `{"ts":${value}}`),
  );
  const rejected = new Set(result.rejected.map((each) => Number(each.offset)));
  let next = 0;
  return values.map((_, index) =>
    rejected.has(index) ? "refused" : (rows[next++]?.["ts"] ?? null),
  );
}

test("epoch formats read numbers, fractions and digits in strings", () => {
  expect(times("epoch_seconds", ["1760000000", "1760000000.123456", '"1760000000"', "-1"])).toEqual(
    [1_760_000_000_000_000n, MICROS, 1_760_000_000_000_000n, -1_000_000n],
  );
  expect(times("epoch_millis", ["1760000000123", "1760000000123.456", "null"])).toEqual([
    1_760_000_000_123_000n,
    MICROS,
    null,
  ]);
  expect(times("epoch_micros", ["1760000000123456"])).toEqual([MICROS]);
  expect(times("epoch_nanos", ["1760000000123456789", "-1"])).toEqual([MICROS, -1n]);
});

test("epoch formats refuse text that is no number, and what overflows 64 bits", () => {
  expect(
    times("epoch_millis", ['"2026-01-01"', "true", "1e30", "[]", "99999999999999999"]),
  ).toEqual(Array.from({ length: 5 }, () => "refused"));
  // Beyond 2^53 microseconds, but within 64 bits.
  expect(times("epoch_seconds", ["99999999999", "999999999999999", "-1.0000000001"])).toEqual([
    99_999_999_999_000_000n,
    "refused",
    -1_000_001n,
  ]);
});

test("a time in another format is refused with the key that says the format", () => {
  const decoder = makeDecoder({ eventTimeField: "meta.ts", eventTimeFormat: "epoch_millis" });
  const { result } = decode(decoder, ['{"meta":{"ts":"2026-01-31T23:59:59Z"}}']);
  expect(result.rejected[0]?.detail).toContain(
    'Field "meta.ts" is no time by source.event_time_format',
  );
  expect(result.rejected[0]?.detail).toContain("iso8601");
});

test("iso8601 takes any offset, and UTC where there is none", () => {
  const texts = [
    '"2025-10-09T08:53:20.123456Z"',
    '"2025-10-09T10:53:20.123456+02:00"',
    '"2025-10-09 08:53:20.123456"',
  ];
  expect(times("iso8601", [...texts, '"soon"', "1"])).toEqual([
    MICROS,
    MICROS,
    MICROS,
    "refused",
    "refused",
  ]);
});

test("patterns: tokens, literals, zone, date only", () => {
  expect(times("yyyy-MM-dd HH:mm:ss.SSSSSS", ['"2025-10-09 08:53:20.123456"', '"x"'])).toEqual([
    MICROS,
    "refused",
  ]);
  expect(times("dd/MM/yyyy'at'HH.mm", ['"09/10/2025at08.53"'])).toEqual([
    BigInt(Date.UTC(2025, 9, 9, 8, 53)) * 1000n,
  ]);
  expect(times("yyyyMMddHHmmssXXX", ['"20251009105320+02:00"'])).toEqual([1_760_000_000_000_000n]);
  expect(times("yyyy-MM-dd", ['"2025-10-09"', '"2025-02-30"'])).toEqual([
    BigInt(Date.UTC(2025, 9, 9)) * 1000n,
    "refused",
  ]);
});

test("a pattern that can't be one is a usage error that says what can be", () => {
  for (const format of ["epoch", "HH:mm", "yyyy-MM-dd yyyy", "yyyy-MM-dd Q", "yyyy-MM-dd'open"]) {
    expect(() => times(format, [])).toThrow("event_time_format");
  }
});

test("the column is a timestamptz from the start, whatever was inferred or declared as plain", () => {
  const decoder = makeDecoder({ eventTimeField: "ts" });
  expect(decoder.fields.map((each) => typeName(each.type))).toEqual(["timestamptz"]);
  decoder.sample([recordBatch(['{"a":1,"ts":1760000000123}'])]);
  expect(decoder.fields.map((each) => `${each.name} ${typeName(each.type)}`)).toEqual([
    "ts timestamptz",
    "a long",
  ]);
  expect(times("epoch_millis", ["1"], { kind: "long" })).toEqual([1000n]);
});

test("declared as timestamp, timestamptz_ns or something else it keeps its type", () => {
  expect(times("epoch_millis", ["1"], { kind: "timestamp", zone: false })).toEqual([1000n]);
  expect(times("epoch_millis", ["1"], { kind: "timestamp_ns", zone: true })).toEqual([1_000_000n]);
  expect(times("epoch_nanos", ["1234"], { kind: "timestamp_ns", zone: true })).toEqual([1234n]);
  expect(times("epoch_millis", ['"2026-01-01"'], { kind: "date" })).toEqual([20454]);
});

test("an event time inside objects is followed, declared or not, by the kernel and without it", () => {
  const declared = [
    field("meta", { kind: "struct", fields: [field("id", "long"), field("ts", "string")] }),
  ];
  const documents = ['{"meta":{"id":1,"ts":1760000000123}}', '{"meta":null}', '{"v":1}'];
  for (const kernel of [false, "always"] as const) {
    for (const fields of [null, declared, [field("meta", { kind: "struct", fields: [] })]]) {
      const decoder = makeDecoder({ fields, kernel, eventTimeField: "meta.ts" });
      const { rows, reasons } = decode(decoder, documents);
      expect(reasons).toEqual([]);
      expect(rows.map((row) => row["meta"])).toEqual([
        { id: 1n, ts: 1_760_000_000_123_000n },
        null,
        null,
      ]);
      const meta = decoder.fields.find(({ name }) => name === "meta");
      expect(meta === undefined ? "" : typeName(meta.type)).toContain("ts: timestamptz");
    }
  }
});

test("a column whose own name has dots is the event time when it is declared, or flattened", () => {
  const literal = makeDecoder({ fields: [field("m.ts", "long")], eventTimeField: "m.ts" });
  expect(decode(literal, ['{"m.ts":1}']).rows).toEqual([{ "m.ts": 1000n }]);
  const flat = makeDecoder({ flattenSeparator: "_", eventTimeField: "meta_ts" });
  expect(decode(flat, ['{"meta":{"ts":1}}', '{"meta_ts":2}']).rows).toEqual([
    { meta_ts: 1000n },
    { meta_ts: 2000n },
  ]);
});
