/** Declared types from their usual text forms: exact, or a type conflict. */
import { expect, test } from "bun:test";
import type { Type } from "#columns/schema.ts";
import type { Value } from "../../support/columnValues.ts";
import { decode, field, makeDecoder } from "./support.ts";

/** Rows of one column `v`; "conflict" where the record was rejected as a type conflict. */
function read(type: Type, values: readonly string[]): Value[] {
  const decoder = makeDecoder({ fields: [field("v", type)] });
  const { rows, result } = decode(
    decoder,
    values.map((value) => `{"v":${value}}`),
  );
  const rejected = new Map(result.rejected.map((each) => [Number(each.offset), each.reason]));
  let next = 0;
  return values.map((_, index) => {
    const reason = rejected.get(index);
    if (reason === undefined) return rows[next++]?.["v"] ?? null;
    return reason === "type_conflict" ? "conflict" : reason;
  });
}

/** Asserts text -> value, one by one. */
function expectEach(type: Type, cases: readonly (readonly [json: string, value: Value])[]): void {
  const values = read(
    type,
    cases.map(([json]) => json),
  );
  expect(values.map((value, index) => [cases[index]?.[0], value])).toEqual(cases as never);
}

test("long: 64 bits exactly, integers written otherwise, and nothing else", () => {
  expectEach({ kind: "long" }, [
    ["9223372036854775807", 2n ** 63n - 1n],
    ["-9223372036854775808", -(2n ** 63n)],
    ["9223372036854775808", "conflict"],
    ["9007199254740993", 9007199254740993n],
    ["999999999999999", 999999999999999n],
    ["1000000000000000", 1000000000000000n],
    ["-0", 0n],
    ["1.0", 1n],
    ["1e3", 1000n],
    ["12.50e1", 125n],
    ["0e99999999999999999999", 0n],
    ["1e99999999999999999999", "conflict"],
    ["1.5", "conflict"],
    ['"1"', "conflict"],
    ["true", "conflict"],
    ["[1]", "conflict"],
    ["null", null],
  ]);
});

test("int: 32 bits", () => {
  expectEach({ kind: "int" }, [
    ["2147483647", 2147483647],
    ["-2147483648", -2147483648],
    ["2147483648", "conflict"],
    ["999999999", 999999999],
    ["-999999999", -999999999],
    ["4294967296", "conflict"],
    ["1.0", 1],
    ["0.1", "conflict"],
  ]);
});

test("double is what JSON.parse gives; overflow is a conflict, not Infinity", () => {
  const numbers = ["0.1", "-0.0", "123456789012345680", "5e-324", "1.7976931348623157e308", "4.35"];
  const more = ["0.30000000000000004", "1e23", "9007199254740994", "123456789.12345678", "1e-400"];
  expectEach(
    { kind: "double" },
    [...numbers, ...more].map((text) => [text, JSON.parse(text) as number]),
  );
  expectEach({ kind: "double" }, [
    ["1e309", "conflict"],
    ['"1"', "conflict"],
    ["false", "conflict"],
  ]);
});

test("float is rounded once, overflow is a conflict", () => {
  expectEach({ kind: "float" }, [
    ["0.1", Math.fround(0.1)],
    ["16777217", 16777216],
    ["3.4028235e38", Math.fround(3.4028235e38)],
    ["3.5e38", "conflict"],
    // The double nearest to it lies halfway between two floats.
    ["1.000000059604644776", 1.0000001192092896],
  ]);
});

test("boolean and string take only their own kind", () => {
  expectEach({ kind: "boolean" }, [
    ["true", true],
    ["false", false],
    ["0", "conflict"],
    ['"true"', "conflict"],
    ["{}", "conflict"],
  ]);
  expectEach({ kind: "string" }, [
    ['"a\\u0000\\ud83d\\ude00\\/"', "a\u0000😀/"],
    ['"\\u007f\\u0080\\u07ff\\u0800\\uffff"', "\u007f\u0080\u07ff\u0800\uffff"],
    ["1", "conflict"],
    ["null", null],
  ]);
});

test("decimal: numbers and strings, exact at the scale, never rounded", () => {
  expectEach({ kind: "decimal", precision: 5, scale: 2 }, [
    ["1", 100n],
    ['"-12.30"', -1230n],
    ["999.99", 99999n],
    ["1000", "conflict"],
    ["0.001", "conflict"],
    ["1.2300", 123n],
    ["1.5e1", 1500n],
    ['"1,5"', "conflict"],
    ['""', "conflict"],
    ["true", "conflict"],
  ]);
  const widest: Type = { kind: "decimal", precision: 38, scale: 0 };
  expectEach(widest, [
    [`"${"9".repeat(38)}"`, 10n ** 38n - 1n],
    [`-${"9".repeat(38)}`, 1n - 10n ** 38n],
    [`1${"0".repeat(38)}`, "conflict"],
  ]);
});

test("date: real calendar dates only", () => {
  expectEach({ kind: "date" }, [
    ['"1970-01-01"', 0],
    ['"1969-12-31"', -1],
    ['"2024-02-29"', 19782],
    ['"0001-01-01"', -719162],
    ['"2023-02-29"', "conflict"],
    ['"2023-13-01"', "conflict"],
    ['"2023-1-1"', "conflict"],
    ['"2023-01-01T00:00"', "conflict"],
    ["19000", "conflict"],
  ]);
});

test("time: microseconds of the day, in UTC where the text has a zone", () => {
  expectEach({ kind: "time" }, [
    ['"00:00"', 0n],
    ['"23:59:59.999999"', 86_399_999_999n],
    ['"12:00:00.1234567"', 43_200_123_456n],
    ['"12:00:00Z"', 43_200_000_000n],
    ['"12:00:00.5z"', 43_200_500_000n],
    ['"12:00:00+01:30"', 37_800_000_000n],
    ['"00:30:00+02:00"', 81_000_000_000n],
    ['"23:30:00.000001-0100"', 1_800_000_001n],
    ['"00:00+00"', 0n],
    ['"12:00:00+19:00"', "conflict"],
    ['"12:00:00 Z"', "conflict"],
    ['"24:00"', "conflict"],
    ['"12:60"', "conflict"],
    ['"12:00:60"', "conflict"],
    ['"12"', "conflict"],
  ]);
});

test("timestamp has no zone, timestamptz has one: the other is a conflict", () => {
  const micros = BigInt(Date.UTC(2026, 0, 31, 23, 59, 59)) * 1000n;
  expectEach({ kind: "timestamp", zone: false }, [
    ['"2026-01-31T23:59:59"', micros],
    ['"2026-01-31 23:59:59.5"', micros + 500_000n],
    ['"2026-01-31T23:59"', micros - 59_000_000n],
    ['"2026-01-31T23:59:59Z"', "conflict"],
    ['"2026-01-31"', "conflict"],
    ["1769903999", "conflict"],
  ]);
  expectEach({ kind: "timestamp", zone: true }, [
    ['"2026-01-31T23:59:59Z"', micros],
    ['"2026-01-31T23:59:59+01:30"', micros - 5_400_000_000n],
    ['"2026-01-31T23:59:59-0100"', micros + 3_600_000_000n],
    ['"2026-01-31T23:59:59+01"', micros - 3_600_000_000n],
    ['"1969-12-31T23:59:59.9999999Z"', -1n],
    ['"2026-01-31T23:59:59"', "conflict"],
    ['"2026-01-31T23:59:59+19:00"', "conflict"],
  ]);
});

test("timestamp_ns keeps nanoseconds, and overflow of its 64 bits is a conflict", () => {
  expectEach({ kind: "timestamp_ns", zone: true }, [
    ['"1970-01-01T00:00:00.000000001Z"', 1n],
    ['"2262-04-11T23:47:16.854775807Z"', 2n ** 63n - 1n],
    ['"2262-04-11T23:47:16.854775808Z"', "conflict"],
    ['"1500-01-01T00:00:00Z"', "conflict"],
  ]);
});

test("uuid, fixed and binary", () => {
  expectEach({ kind: "uuid" }, [
    ['"00112233-4455-6677-8899-AABBCCDDEEFF"', "00112233445566778899aabbccddeeff"],
    ['"00112233445566778899aabbccddeeff"', "conflict"],
    ['"zz112233-4455-6677-8899-aabbccddeeff"', "conflict"],
  ]);
  expectEach({ kind: "binary" }, [
    ['""', ""],
    ['"/+8="', "ffef"],
    ['"\\/+8="', "ffef"],
    ['"_-8="', "conflict"],
    ['"abc"', "conflict"],
  ]);
  expectEach({ kind: "fixed", length: 2 }, [
    ['"/+8="', "ffef"],
    ['"AAAA"', "conflict"],
  ]);
});

test("maps keep their order; of duplicate keys the last value counts", () => {
  const type: Type = {
    kind: "map",
    key: field("key", "string", true),
    value: field("value", "long"),
  };
  expectEach(type, [
    [
      '{"b":1,"a":2,"b":3, "\\u0061" :4}',
      new Map([
        ["b", 3n],
        ["a", 4n],
      ]),
    ],
    ["{ }", new Map()],
    ['{"a":null}', new Map([["a", null]])],
    ['{"a":"x"}', "conflict"],
    ["[]", "conflict"],
  ]);
  expect(
    read(type, ['{"a":1', '{"a":1,}', '{"a" 1}', '{"a":1 "b":2}', '{"a\\x":1}', '{"a":}']),
  ).toEqual(Array.from({ length: 6 }, () => "bad_json"));
});

test("a map whose keys are no strings cannot come from JSON", () => {
  const type: Type = {
    kind: "map",
    key: field("key", "long", true),
    value: field("value", "long"),
  };
  expectEach(type, [['{"1":1}', "conflict"]]);
});

test("null elements of lists are kept, and refused where elements are required", () => {
  const list = (required: boolean): Type => ({
    kind: "list",
    element: field("element", "long", required),
  });
  expectEach(list(false), [["[1,null,2]", [1n, null, 2n]]]);
  expect(read(list(true), ["[1]", "[1,null]"])).toEqual([[1n], "missing_field"]);
});
