/** Random schemas and rows through the encoder and back through hyparquet. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { parquetReadObjects } from "hyparquet";
import { strictUtf8Text, utf8Text } from "#base/text.ts";
import type { Type } from "#columns/schema.ts";
import { batchOf, bytesOf, canonical, encodeWhole, field } from "../unit/parquet/rows.ts";
import { exactFiles } from "./parquetRows.ts";

const RAW = {
  stringFromBytes: (bytes: Uint8Array | undefined): unknown => bytes && utf8Text(bytes),
  timestampFromMicroseconds: (value: bigint): unknown => value,
};

/** hyparquet's value in the shape of `rows.ts`: its missing values, and its maps as objects. */
function fromHyparquet(type: Type, value: unknown): unknown {
  if (value === undefined || value === null) return null;
  if (type.kind === "list") {
    return (value as unknown[]).map((element) => fromHyparquet(type.element.type, element));
  }
  if (type.kind === "map") {
    return Object.entries(value as object).map(([key, each]) => [
      key,
      fromHyparquet(type.value.type, each),
    ]);
  }
  if (type.kind !== "struct") return value;
  const members = value as Record<string, unknown>;
  return Object.fromEntries(
    type.fields.map(({ name, type: inner }) => [name, fromHyparquet(inner, members[name])]),
  );
}

test("what is encoded is what hyparquet reads, for any schema, batches and row groups", async () => {
  await fc.assert(
    fc.asyncProperty(exactFiles, async ({ fields, batches, rowGroupRows }) => {
      const types = fields.map((each) => each.type);
      const columns = batches.map((rows) => batchOf(fields, rows));
      const options = { codec: "snappy", level: null, rowGroupRows, metadata: {} } as const;
      const file = await encodeWhole(fields, columns, options);
      const read = await parquetReadObjects({
        file: bytesOf(file).buffer as ArrayBuffer,
        utf8: false,
        parsers: RAW as never,
      });
      const canon = (rows: readonly (readonly unknown[])[]): unknown =>
        rows.map((row) => types.map((type, index) => canonical(type, row[index])));
      const got = read.map((row) => types.map((type, i) => fromHyparquet(type, row[`c${i}`])));
      expect(canon(got)).toEqual(canon(batches.flat()));
      expect(file.rowCount).toBe(batches.flat().length);
    }),
    { numRuns: 150 },
  );
}, 60_000);

/** Every prefix of 16 code points; strings order by code point, as their UTF-8 bytes do. */
const cut = (text: string): string => [...text].slice(0, 16).join("");
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const byBytes = (a: string, b: string): number => Buffer.compare(utf8(a), utf8(b));

async function boundsOf(type: Type, values: readonly unknown[]) {
  const fields = [field("c", type)];
  const rows = values.map((value) => [value]);
  const options = { codec: "none", level: null, rowGroupRows: 5, metadata: {} } as const;
  const [metrics] = (await encodeWhole(fields, [batchOf(fields, rows)], options)).metrics;
  return { lower: metrics?.lowerBound ?? null, upper: metrics?.upperBound ?? null };
}

test("string bounds hold all values: the least cut, the greatest or just above its cut", async () => {
  const unit = fc.constantFrom(
    "\ufeff",
    "a",
    "\u007f",
    "é",
    "\u07ff",
    "\ud7ff",
    "\uffff",
    "🥊",
    "\u{10ffff}",
  );
  const texts = fc.array(fc.string({ unit, maxLength: 80 }), { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(texts, async (values) => {
      const sorted = values.toSorted(byBytes);
      const [least = "", greatest = ""] = [sorted[0], sorted.at(-1)];
      const { lower, upper } = await boundsOf({ kind: "string" }, values);
      expect(lower).toEqual(utf8(cut(least)));
      if (upper === null) {
        expect(cut(greatest)).toBe("\u{10ffff}".repeat(16));
        return;
      }
      const text = strictUtf8Text(upper);
      expect([...text].length).toBeLessThanOrEqual(16);
      expect(byBytes(text, greatest)).toBeGreaterThanOrEqual(0);
      if ([...greatest].length <= 16) expect(text).toBe(greatest);
    }),
    { numRuns: 300 },
  );
}, 60_000);

test("decimal bounds are exact at every precision, over row groups", async () => {
  const cases = fc.integer({ min: 1, max: 38 }).chain((precision) => {
    const most = 10n ** BigInt(precision) - 1n;
    const values = fc.array(fc.bigInt({ min: -most, max: most }), { minLength: 1, maxLength: 12 });
    return fc.record({ precision: fc.constant(precision), values });
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ precision, values }) => {
      const { lower, upper } = await boundsOf({ kind: "decimal", precision, scale: 0 }, values);
      const number = (bytes: Uint8Array | null): bigint =>
        BigInt.asIntN(8 * (bytes?.length ?? 0), BigInt(`0x${bytes?.toHex()}`));
      const sorted = values.toSorted((a, b) => (a < b ? -1 : Number(a > b)));
      expect([number(lower), number(upper)]).toEqual([sorted[0] ?? 0n, sorted.at(-1) ?? 0n]);
    }),
    { numRuns: 200 },
  );
}, 60_000);
