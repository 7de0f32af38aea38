/** Single values as bytes and their order. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type PrimitiveType, parsePrimitive } from "#columns/schema.ts";
import type { PartitionValue } from "#iceberg/manifest/manifest.ts";
import {
  compareValues,
  decodeDecimal,
  decodeSingleValue,
  encodeDecimal,
  encodeSingleValue,
} from "#iceberg/singleValue.ts";

type Value = Exclude<PartitionValue, null>;

function type(text: string): PrimitiveType {
  return parsePrimitive(text) ?? { kind: "boolean" };
}

function hex(text: string, value: Value): string {
  return Buffer.from(encodeSingleValue(type(text), value)).toString("hex");
}

describe("single values", () => {
  test("are serialized as Appendix D says", () => {
    const cases: [string, Value, string][] = [
      ["boolean", true, "01"],
      ["boolean", false, "00"],
      ["int", 1, "01000000"],
      ["date", -1, "ffffffff"],
      ["long", 34n, "2200000000000000"],
      ["float", -4.5, "000090c0"],
      ["double", 1, "000000000000f03f"],
      ["time", 1n, "0100000000000000"],
      ["timestamp", -2n, "feffffffffffffff"],
      ["timestamptz_ns", 1n, "0100000000000000"],
      ["string", "ABCé", "414243c3a9"],
      [
        "uuid",
        Buffer.from("f79c3e09677c4bbda4793f349cb785e7", "hex"),
        "f79c3e09677c4bbda4793f349cb785e7",
      ],
      ["fixed[2]", Uint8Array.of(1, 2), "0102"],
      ["binary", Uint8Array.of(0, 255), "00ff"],
      ["decimal(9, 2)", 1420n, "058c"],
      ["decimal(9, 2)", 128n, "0080"],
      ["decimal(9, 2)", -128n, "80"],
      ["decimal(9, 2)", 0n, "00"],
    ];
    for (const [text, value, bytes] of cases) {
      expect([text, hex(text, value)]).toEqual([text, bytes]);
      expect(decodeSingleValue(type(text), encodeSingleValue(type(text), value))).toEqual(value);
    }
  });

  test("decimals of any size come back", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 130n), max: 2n ** 130n }), (unscaled) => {
        expect(decodeDecimal(encodeDecimal(unscaled))).toBe(unscaled);
      }),
    );
  });

  test("bounds written before a promotion are read as the wider type", () => {
    expect(decodeSingleValue(type("long"), encodeSingleValue(type("int"), -7))).toBe(-7n);
    expect(decodeSingleValue(type("double"), encodeSingleValue(type("float"), 0.5))).toBe(0.5);
  });

  test("bytes of a wrong length and values of a wrong type are refused", () => {
    expect(() => decodeSingleValue(type("int"), Uint8Array.of(1))).toThrow("int");
    expect(() => encodeSingleValue(type("int"), 1n)).toThrow("int");
    expect(() => encodeSingleValue(type("long"), 1)).toThrow("long");
    expect(() => encodeSingleValue(type("string"), 1)).toThrow("string");
    expect(() => encodeSingleValue(type("uuid"), "x")).toThrow("uuid");
  });
});

describe("the order of values", () => {
  test("is by number, by UTF-8 bytes, by unsigned bytes; NaN last, -0 before 0", () => {
    const sorted: [string, Value[]][] = [
      ["long", [-(2n ** 62n), -1n, 0n, 2n ** 62n]],
      ["double", [Number.NEGATIVE_INFINITY, -1, -0, 0, 1, Number.POSITIVE_INFINITY, Number.NaN]],
      ["string", ["", "A", "a", "aa", "é", "\uffff", "😀"]],
      ["binary", [Uint8Array.of(), Uint8Array.of(1), Uint8Array.of(1, 0), Uint8Array.of(128)]],
      ["boolean", [false, true]],
    ];
    for (const [text, values] of sorted) {
      for (const [i, left] of values.entries()) {
        for (const [j, right] of values.entries()) {
          expect(Math.sign(compareValues(type(text), left, right))).toBe(Math.sign(i - j));
        }
      }
    }
  });
});
