/** Rows that wait in the kernel are in the columns for whoever looks at them. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { ColumnBuilder } from "#columns/builder.ts";
import { rowsUpTo } from "#columns/live.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import type { Decoder, SegmentBuilder } from "#decode/decoder.ts";
import { DECODER_DEFAULTS, type DecoderOptions } from "#decode/options.ts";
import { rowsOf } from "../../support/columnValues.ts";
import { recordBatch } from "../../support/records.ts";

const FIELDS = [{ id: 0, name: "a", required: false, type: { kind: "string" } }] as const;
const OPTIONS = { ...DECODER_DEFAULTS, fields: FIELDS, infer: false, metadataColumns: [] };

const decoder = (): Decoder => createDecoder({ ...OPTIONS, kernel: "always" });
const batchOf = (...values: readonly string[]) =>
  recordBatch(values.map((value) => `{"a":"${value}"}`));
const values = (batch: Parameters<typeof rowsOf>[0]) => rowsOf(batch).map((row) => row["a"]);

test("segments that take turns each keep their rows, in order", () => {
  const of = decoder();
  const [one, other] = [of.builder(), of.builder()];
  for (const [index, segment] of [one, one, other, one, other, other].entries()) {
    segment.decode(batchOf(`${index}`));
  }
  expect([one.rowCount, other.rowCount]).toEqual([3, 3]);
  expect(values(one.seal())).toEqual(["0", "1", "3"]);
  expect(values(other.seal())).toEqual(["2", "4", "5"]);
});

test("a reader of an open segment finds every row that was counted, those of later batches too", () => {
  const segment = decoder().builder();
  segment.decode(batchOf("first"));
  const columns = segment.live();
  expect(values(rowsUpTo(columns, segment.rowCount))).toEqual(["first"]);
  segment.decode(batchOf("next"));
  // The columns that it was given, not those of now: they have not moved.
  expect(values(rowsUpTo(columns, segment.rowCount))).toEqual(["first", "next"]);
});

test("a column that is asked for has the rows that were counted", () => {
  const segment = decoder().builder();
  segment.decode(batchOf("a", "b"));
  expect(segment.column("a")?.length).toBe(2);
  segment.decode(batchOf("c"));
  expect(segment.column("a")?.length).toBe(3);
});

test("what a segment is said to hold has room for the rows that wait, when they come later too", () => {
  const of = decoder();
  const [one, other] = [of.builder(), of.builder()];
  one.decode(batchOf(...Array.from({ length: 100 }, () => "x".repeat(500))));
  const { byteCount, usedBytes } = one;
  other.decode(batchOf("y"));
  expect(byteCount).toBeGreaterThan(50_000);
  expect(one.usedBytes).toBeGreaterThan(50_000);
  expect(usedBytes).toBeGreaterThanOrEqual(one.usedBytes);
});

test("rows are taken back from among those that wait", () => {
  const segment = decoder().builder();
  segment.decode(batchOf("a", "b"));
  segment.decode(batchOf("c", "d"));
  segment.truncate(3);
  segment.decode(batchOf("e"));
  expect(values(segment.seal())).toEqual(["a", "b", "c", "e"]);
});

test("a record that the kernel leaves comes behind the rows that wait", () => {
  const segment = decoder().builder();
  segment.decode(batchOf("a"));
  // Of a key that is there twice the last one counts, says the host.
  segment.decode(recordBatch(['{"a":"b"}', '{"a":"x","a":"c"}', '{"a":"d"}']));
  expect(values(segment.seal())).toEqual(["a", "b", "c", "d"]);
});

test("a record that is refused leaves the rows that wait where they are, and its refusal is the host's", () => {
  const records = ['{"a":"b"}', "{", '{"a":1}', '["a"]', '{"a":"\\ud800"}', '{"a":"c"}'];
  const segment = decoder().builder();
  segment.decode(batchOf("a"));
  const { rejected, rows } = segment.decode(recordBatch(records));
  expect(rows).toBe(2);
  expect(segment.hasWaiting).toBeTrue();
  const host = createDecoder({ ...OPTIONS, kernel: false }).builder();
  expect(rejected).toEqual(host.decode(recordBatch(records)).rejected as never);
  expect(rejected.length).toBeGreaterThan(2);
  expect(values(segment.seal())).toEqual(["a", "b", "c"]);
});

test("a record that the host takes after one that it has refused is a row once, and the next ones too", () => {
  const segment = decoder().builder();
  const records = ["{", '{"a":"x","a":"b"}', '{"a":"y","a":"c"}', "{", '{"a":"z","a":"d"}'];
  const { rows, rejected } = segment.decode(recordBatch(records));
  expect([rows, rejected.length]).toEqual([3, 2]);
  expect(values(segment.seal())).toEqual(["b", "c", "d"]);
});

test("however many records are refused, the others of their batch are the kernel's, and wait", () => {
  const segment = createDecoder({ ...OPTIONS, kernel: true }).builder();
  const records = Array.from({ length: 300 }, (_, i) => (i % 2 === 0 ? "{" : `{"a":"${i}"}`));
  expect(segment.decode(recordBatch(records)).rejected.length).toBe(150);
  expect(segment.hasWaiting).toBeTrue();
  segment.decode(recordBatch(records));
  expect(segment.hasWaiting).toBeTrue();
  expect(segment.rowCount).toBe(300);
});

test("rows of more than 256 KiB of records do not all wait", () => {
  const segment = decoder().builder();
  const long = batchOf(...Array.from({ length: 30 }, () => "x".repeat(10_000)));
  segment.decode(long);
  expect(segment.usedBytes).toBeGreaterThan(250_000);
});

test("rows before those that wait are taken back with them", () => {
  const segment = decoder().builder();
  segment.decode(batchOf("a", "b"));
  segment.column("a");
  segment.decode(batchOf("c"));
  segment.truncate(1);
  segment.decode(batchOf("d"));
  expect(values(segment.seal())).toEqual(["a", "d"]);
});

const DECODERS: readonly Partial<DecoderOptions>[] = [
  { kernel: "always" },
  { kernel: false },
  { kernel: "always", metadataColumns: ["offset", "headers"] },
  // Columns come with records, and go into segments that are there.
  { kernel: "always", infer: true },
];

test("what a segment is said to take is what its columns take, whatever has happened to it", () => {
  const long = "y".repeat(3000);
  const headers = [["h", "v".repeat(90)]] as const;
  const happenings = {
    rows: (segment: SegmentBuilder) => segment.decode(batchOf("a", "bb", "ccc")),
    many: (segment: SegmentBuilder) =>
      segment.decode(batchOf(...Array.from({ length: 40 }, () => long))),
    hosts: (segment: SegmentBuilder) => segment.decode(recordBatch(['{"a":"x","a":"b"}', "{"])),
    headers: (segment: SegmentBuilder) =>
      segment.decode(recordBatch([{ value: '{"a":"h"}', headers }])),
    nested: (segment: SegmentBuilder) =>
      segment.decode(recordBatch(['{"b":{"c":[1,2,3]},"d":true}', '{"e":2.5}'])),
    column: (segment: SegmentBuilder) => segment.column("a"),
    live: (segment: SegmentBuilder) => segment.live(),
    fewer: (segment: SegmentBuilder) => segment.truncate(segment.rowCount >> 1),
    looked: (segment: SegmentBuilder) => segment.byteCount + segment.usedBytes,
  };
  const names = Object.keys(happenings) as (keyof typeof happenings)[];
  const acts = fc.array(fc.tuple(fc.boolean(), fc.constantFrom(...names)), { maxLength: 30 });
  fc.assert(
    fc.property(fc.constantFrom(...DECODERS), acts, (options, all) => {
      const of = createDecoder({ ...OPTIONS, ...options });
      const [one, other] = [of.builder(), of.builder()] as const;
      for (const [isOther, name] of all) happenings[name](isOther ? other : one);
      for (const segment of [one, other]) {
        // Brings rows that wait into the columns.
        segment.column("a");
        const said = [segment.byteCount, segment.usedBytes];
        const columns = of.fields.flatMap(({ name }) => segment.column(name) ?? []);
        const sum = (take: (column: ColumnBuilder) => number): number =>
          columns.reduce((total, column) => total + take(column), 0);
        expect(said).toEqual([sum((each) => each.byteCount), sum((each) => each.usedBytes)]);
      }
    }),
    { numRuns: 400 },
  );
});
