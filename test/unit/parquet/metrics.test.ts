/** Column metrics: counts and bounds as Iceberg's specification wants them in manifests. */
import { expect, test } from "bun:test";
import type { Type } from "#columns/schema.ts";
import type { ColumnMetrics } from "#parquet/encoder.ts";
import { batchOf, encodeWhole, field, listOf, mapOf, structOf } from "./rows.ts";

/** The metrics of one column that holds these values, three to a row group. */
async function metricsOf(type: Type, values: readonly unknown[]): Promise<ColumnMetrics> {
  const [metrics] = await allMetrics(type, values);
  if (metrics === undefined) throw new TypeError("no leaf");
  return metrics;
}

async function allMetrics(
  type: Type,
  values: readonly unknown[],
): Promise<readonly ColumnMetrics[]> {
  const fields = [field("column", type)];
  const rows = values.map((value) => [value]);
  const options = { codec: "snappy", level: null, rowGroupRows: 3, metadata: {} } as const;
  const [file, reference] = await Promise.all(
    [true, false].map((kernel) =>
      encodeWhole(fields, [batchOf(fields, rows)], { ...options, kernel }),
    ),
  );
  const withoutSize = (metrics: readonly ColumnMetrics[] = []): unknown =>
    metrics.map((each) => ({ ...each, sizeBytes: 0n }));
  expect(withoutSize(file?.metrics)).toEqual(withoutSize(reference?.metrics));
  return file?.metrics ?? [];
}

/** Both bounds as hex digits. */
async function boundsOf(type: Type, values: readonly unknown[]): Promise<(string | null)[]> {
  const { lowerBound, upperBound } = await metricsOf(type, values);
  return [lowerBound?.toHex() ?? null, upperBound?.toHex() ?? null];
}

const utf8 = (text: string): string => Buffer.from(text).toString("hex");
const decimal = (precision: number): Type => ({ kind: "decimal", precision, scale: 2 });

test("integers and times are bounded by value, little endian, over all row groups", async () => {
  expect(await boundsOf({ kind: "int" }, [5, null, -1, 256, 7])).toEqual(["ffffffff", "00010000"]);
  expect(await boundsOf({ kind: "date" }, [-719_162, 3])).toEqual(["c606f5ff", "03000000"]);
  const extremes = [0n, 2n ** 63n - 1n, 1n, -(2n ** 63n)];
  const longBounds = ["0000000000000080", "ffffffffffffff7f"];
  for (const type of [
    { kind: "long" },
    { kind: "time" },
    { kind: "timestamp", zone: true },
    { kind: "timestamp_ns", zone: false },
  ] as const) {
    expect(await boundsOf(type, extremes)).toEqual(longBounds);
  }
});

test("booleans are bounded by one byte", async () => {
  expect(await boundsOf({ kind: "boolean" }, [true, false, null])).toEqual(["00", "01"]);
  expect(await boundsOf({ kind: "boolean" }, [true, null])).toEqual(["01", "01"]);
});

test("decimal bounds are unscaled, big endian, of the fewest bytes, at every precision", async () => {
  expect(await boundsOf(decimal(5), [0n, 127n])).toEqual(["00", "7f"]);
  expect(await boundsOf(decimal(9), [-128n, 128n, -129n])).toEqual(["ff7f", "0080"]);
  expect(await boundsOf(decimal(18), [-1n, 999_999_999_999_999_999n])).toEqual([
    "ff",
    "0de0b6b3a763ffff",
  ]);
  expect(await boundsOf(decimal(38), [10n ** 37n, 1n, -1n, -(10n ** 37n)])).toEqual([
    BigInt.asUintN(128, -(10n ** 37n)).toString(16),
    (10n ** 37n).toString(16).padStart(32, "0"),
  ]);
});

test("strings are cut at 16 code points, the upper bound incremented", async () => {
  const string: Type = { kind: "string" };
  expect(await boundsOf(string, ["b", "", "äöü"])).toEqual(["", utf8("äöü")]);
  const sixteen = "🥊".repeat(16);
  expect(await boundsOf(string, [sixteen])).toEqual([utf8(sixteen), utf8(sixteen)]);
  expect(await boundsOf(string, [`${sixteen}x`])).toEqual([
    utf8(sixteen),
    utf8(`${"🥊".repeat(15)}🥋`),
  ]);
  expect(await boundsOf(string, ["a".repeat(200)])).toEqual([
    utf8("a".repeat(16)),
    utf8(`${"a".repeat(15)}b`),
  ]);
});

test("an upper bound passes over surrogates and has no successor after the last code point", async () => {
  const string: Type = { kind: "string" };
  const [, afterSurrogates] = await boundsOf(string, [`${"\ud7ff".repeat(16)}x`]);
  expect(afterSurrogates).toBe(utf8(`${"\ud7ff".repeat(15)}\ue000`));
  const [, carried] = await boundsOf(string, [`a${"\u{10ffff}".repeat(20)}`]);
  expect(carried).toBe(utf8("b"));
  const [lower, none] = await boundsOf(string, ["\u{10ffff}".repeat(17)]);
  expect([lower, none]).toEqual([utf8("\u{10ffff}".repeat(16)), null]);
});

test("binary and fixed are cut at 16 bytes, uuid is whole and unsigned", async () => {
  const long = new Uint8Array(20).fill(7);
  const cut = ["07".repeat(16), `${"07".repeat(15)}08`];
  expect(await boundsOf({ kind: "binary" }, [long])).toEqual(cut);
  expect(await boundsOf({ kind: "fixed", length: 20 }, [long])).toEqual(cut);
  const full = new Uint8Array(100).fill(255);
  expect(await boundsOf({ kind: "binary" }, [full])).toEqual(["ff".repeat(16), null]);
  const low = new Uint8Array(16).fill(1);
  const high = new Uint8Array(16).fill(0x80);
  expect(await boundsOf({ kind: "uuid" }, [high, low])).toEqual(["01".repeat(16), "80".repeat(16)]);
});

test("float bounds leave NaN out and tell the zeros apart; NaN are counted", async () => {
  const double: Type = { kind: "double" };
  const zero = "0000000000000000";
  const minusZero = "0000000000000080";
  expect(await boundsOf(double, [0, -0, Number.NaN])).toEqual([minusZero, zero]);
  expect(await boundsOf(double, [-0, -0])).toEqual([minusZero, minusZero]);
  expect(await boundsOf(double, [0])).toEqual([zero, zero]);
  expect(await boundsOf({ kind: "float" }, [-Infinity, 1, Infinity])).toEqual([
    "000080ff",
    "0000807f",
  ]);
  expect(await boundsOf(double, [Number.NaN, null])).toEqual([null, null]);
  const metrics = await metricsOf(double, [Number.NaN, null, 1, Number.NaN, 2]);
  expect([metrics.valueCount, metrics.nullCount, metrics.nanCount]).toEqual([5n, 1n, 2n]);
  expect((await metricsOf({ kind: "int" }, [1])).nanCount).toBeNull();
});

test("a float below a null struct counts as null, never as zero", async () => {
  const [metrics] = await allMetrics(structOf({ inner: { kind: "double" } }), [
    null,
    { inner: 3 },
    { inner: null },
    null,
  ]);
  expect(metrics).toMatchObject({ valueCount: 4n, nullCount: 3n, nanCount: 0n });
  const three = Buffer.from(new Uint8Array(new Float64Array([3]).buffer));
  expect(Buffer.from(metrics?.lowerBound ?? [])).toEqual(three);
  expect(Buffer.from(metrics?.upperBound ?? [])).toEqual(three);
});

test("leaves in lists and maps have counts, as Java counts them, but no bounds", async () => {
  const [element] = await allMetrics(listOf({ kind: "double" }), [[1, Number.NaN, null], [], null]);
  expect(element).toMatchObject({ valueCount: 5n, nullCount: 3n, nanCount: 1n });
  expect([element?.lowerBound, element?.upperBound]).toEqual([null, null]);
  const entries = await allMetrics(mapOf({ kind: "string" }, { kind: "int" }), [
    [
      ["a", 1],
      ["b", null],
    ],
  ]);
  expect(entries.map((each) => [each.valueCount, each.nullCount, each.lowerBound])).toEqual([
    [2n, 0n, null],
    [2n, 1n, null],
  ]);
});

test("a column of nulls has counts and a size but no bounds", async () => {
  const metrics = await metricsOf({ kind: "string" }, [null, null, null, null]);
  expect(metrics).toMatchObject({
    valueCount: 4n,
    nullCount: 4n,
    lowerBound: null,
    upperBound: null,
  });
  expect(metrics.sizeBytes).toBeGreaterThan(0n);
});
