/** Transforms and the bucket hash, against the values that the specification gives. */
import { describe, expect, test } from "bun:test";
import { type PrimitiveType, parsePrimitive } from "#columns/schema.ts";
import type { PartitionValue } from "#iceberg/manifest/manifest.ts";
import {
  applyTransform,
  hashValue,
  parseTransform,
  resultType,
  truncateWidthMax,
} from "#iceberg/partition/transform.ts";
import { encodeSingleValue } from "#iceberg/singleValue.ts";

function type(text: string): PrimitiveType {
  return parsePrimitive(text) ?? { kind: "boolean" };
}

function apply(transform: string, source: string, value: PartitionValue): PartitionValue {
  return applyTransform(parseTransform(transform), type(source), value);
}

/** Microseconds of 2017-11-16T22:31:08 UTC. */
const NOVEMBER = 1_510_871_468_000_000n;

describe("bucket hash", () => {
  test("is what Appendix B of the specification lists", () => {
    const uuid = Buffer.from("f79c3e09677c4bbda4793f349cb785e7", "hex");
    const cases: [string, Exclude<PartitionValue, null>, number][] = [
      ["int", 34, 2_017_239_379],
      ["long", 34n, 2_017_239_379],
      ["decimal(9, 2)", 1420n, -500_754_589],
      ["date", 17_486, -653_330_422],
      ["time", 81_068_000_000n, -662_762_989],
      ["timestamp", NOVEMBER, -2_047_944_441],
      ["timestamp", NOVEMBER + 1n, -1_207_196_810],
      ["timestamptz", NOVEMBER, -2_047_944_441],
      ["timestamptz", NOVEMBER + 1n, -1_207_196_810],
      ["timestamp_ns", NOVEMBER * 1000n, -2_047_944_441],
      ["timestamp_ns", NOVEMBER * 1000n + 1001n, -1_207_196_810],
      ["timestamptz_ns", NOVEMBER * 1000n + 1001n, -1_207_196_810],
      ["string", "iceberg", 1_210_000_089],
      ["uuid", uuid, 1_488_055_340],
      ["fixed[4]", Uint8Array.of(0, 1, 2, 3), -188_683_207],
      ["binary", Uint8Array.of(0, 1, 2, 3), -188_683_207],
    ];
    for (const [source, value, hash] of cases) {
      expect([source, hashValue(type(source), value)]).toEqual([source, hash]);
    }
  });

  test("takes nanoseconds before 1970 down to the microsecond", () => {
    expect(hashValue(type("timestamp_ns"), -1n)).toBe(hashValue(type("timestamp"), -1n));
    expect(hashValue(type("timestamp_ns"), -1001n)).toBe(hashValue(type("timestamp"), -2n));
  });
});

describe("transforms", () => {
  test("time units count from 1970 and go down, not towards zero, before it", () => {
    const cases: [string, string, PartitionValue, number][] = [
      ["year", "timestamp", NOVEMBER, 47],
      ["month", "timestamp", NOVEMBER, 574],
      ["day", "timestamp", NOVEMBER, 17_486],
      ["hour", "timestamp", NOVEMBER, 419_686],
      ["year", "timestamp_ns", -1n, -1],
      ["month", "timestamptz", -1n, -1],
      ["day", "timestamptz_ns", -1n, -1],
      ["hour", "timestamptz", -1n, -1],
      ["hour", "timestamptz", -3_600_000_000n, -1],
      ["year", "date", -1, -1],
      ["month", "date", -32, -2],
      ["month", "date", 0, 0],
      ["day", "date", -5, -5],
      ["month", "date", 59, 2],
      ["year", "date", 2_932_896, 8029],
    ];
    for (const [transform, source, value, result] of cases) {
      expect([transform, value, apply(transform, source, value)]).toEqual([
        transform,
        value,
        result,
      ]);
    }
  });

  test("a truncate of decimals that is allowed has no result beyond the bytes of its type", () => {
    for (let precision = 1; precision <= 38; precision++) {
      const type: PrimitiveType = { kind: "decimal", precision, scale: 0 };
      const most = 10n ** BigInt(precision) - 1n;
      const widest = Math.min(Number(truncateWidthMax(type)), 0x7fff_ffff);
      for (const width of [1, 2, 7, 10, widest - 1, widest].filter((each) => each > 0)) {
        const transform = parseTransform(`truncate[${width}]`);
        expect(resultType(transform, type)).toEqual(type);
        for (const value of [-most, 1n - most, -1n, 0n, most]) {
          const bytes = encodeSingleValue(type, applyTransform(transform, type, value));
          expect(bytes.length).toBeLessThanOrEqual(encodeSingleValue(type, most).length);
        }
      }
      if (widest === 0x7fff_ffff) continue;
      const beyond = parseTransform(`truncate[${widest + 2}]`);
      expect(() => resultType(beyond, type)).toThrow(`use a width of at most ${widest}`);
    }
  });

  test("truncate goes down for negative numbers and never cuts a code point", () => {
    expect(apply("truncate[10]", "int", 1)).toBe(0);
    expect(apply("truncate[10]", "int", -1)).toBe(-10);
    expect(apply("truncate[10]", "long", -1n)).toBe(-10n);
    expect(apply("truncate[50]", "decimal(9, 2)", 1065n)).toBe(1050n);
    expect(apply("truncate[50]", "decimal(9, 2)", -1n)).toBe(-50n);
    expect(apply("truncate[3]", "string", "iceberg")).toBe("ice");
    expect(apply("truncate[2]", "string", "a😀b")).toBe("a😀");
    expect(apply("truncate[3]", "binary", Uint8Array.of(1, 2, 3, 4))).toEqual(
      Uint8Array.of(1, 2, 3),
    );
  });

  test("null stays null, and void makes everything null", () => {
    for (const transform of ["identity", "bucket[4]", "truncate[4]", "void"]) {
      expect(apply(transform, "string", null)).toBe(null);
    }
    expect(apply("void", "string", "x")).toBe(null);
  });

  test("result types are those of the specification", () => {
    const of = (transform: string, source: string): string =>
      resultType(parseTransform(transform), type(source)).kind;
    expect(of("identity", "uuid")).toBe("uuid");
    expect(of("void", "string")).toBe("string");
    expect(of("truncate[4]", "decimal(9, 2)")).toBe("decimal");
    expect(of("bucket[4]", "string")).toBe("int");
    expect(of("day", "timestamp")).toBe("date");
    expect(of("hour", "timestamp_ns")).toBe("int");
  });

  test("refuses what the specification does not define, naming it", () => {
    expect(() => parseTransform("zorder")).toThrow("zorder");
    expect(() => parseTransform("bucket[0]")).toThrow("bucket[0]");
    expect(() => parseTransform("bucket[99999999999]")).toThrow("bucket");
    expect(() => resultType(parseTransform("hour"), type("date"))).toThrow("date");
    expect(() => resultType(parseTransform("bucket[4]"), type("double"))).toThrow("double");
    expect(() => resultType(parseTransform("truncate[4]"), type("uuid"))).toThrow("uuid");
  });
});
