/** Rows put together from several batches, and how they cross to another thread. */
import { expect, test } from "bun:test";
import { systemClock } from "#base/clock.ts";
import type { Column, ColumnBatch } from "#columns/batch.ts";
import type { Field } from "#columns/schema.ts";
import type { BatchData } from "#parquet/columnData.ts";
import type { RowSlice } from "#parquet/encoder.ts";
import { gather } from "#parquet/gather.ts";
import { parcels } from "#parquet/handover.ts";
import { allRows, batchOf, bytesOf, encodeWhole, everyTypeRows, field, type Row } from "./rows.ts";

const OPTIONS = { codec: "none", level: null, rowGroupRows: 1000, metadata: {} } as const;

async function fileOf(fields: readonly Field[], batch: BatchData): Promise<Uint8Array> {
  return bytesOf(await encodeWhole(fields, [batch as ColumnBatch], OPTIONS));
}

/** The batch with memory of its own, as batches of tests and null columns have it. */
function unshared(batch: ColumnBatch): ColumnBatch {
  const own = (column: Column): Column => ({
    ...column,
    validity: column.validity?.slice() ?? null,
    offsets: column.offsets === null ? null : Int32Array.from(column.offsets),
    data: column.data === null ? null : Uint8Array.from(column.data),
    children: column.children.map(own),
  });
  return { ...batch, columns: batch.columns.map(own) };
}

async function everyParcel(fields: readonly Field[], slices: readonly RowSlice[]) {
  return Array.fromAsync(parcels(fields, slices, systemClock));
}

test("chosen rows and whole runs of several batches are the batch of those rows, in every type", async () => {
  const { fields, rows } = everyTypeRows();
  const reversed = rows.toReversed();
  const [first, second] = [batchOf(fields, rows), batchOf(fields, reversed)];
  const chosen = Int32Array.from({ length: rows.length }, (_, i) => (i * 7 + 3) % rows.length);
  const runs = [
    { columns: first.columns, rows: chosen, start: 1, end: chosen.length - 1 },
    { columns: second.columns, rows: null, start: 2, end: rows.length },
    { columns: first.columns, rows: new Int32Array(0), start: 0, end: 0 },
    { columns: second.columns, rows: chosen, start: 0, end: 3 },
  ];
  const { batch: gathered } = gather(fields, runs, 1000);
  const at = (from: readonly Row[]) => (index: number) => from[index] ?? [];
  const wanted = [
    ...Array.from(chosen.subarray(1, -1), at(rows)),
    ...reversed.slice(2),
    ...Array.from(chosen.subarray(0, 3), at(reversed)),
  ];
  expect(gathered.rowCount).toBe(wanted.length);
  expect(await fileOf(fields, gathered)).toEqual(await fileOf(fields, batchOf(fields, wanted)));
});

test("the rows of a partition's files, put together, are all rows once", () => {
  const fields = [field("n", { kind: "int" })];
  const batch = batchOf(
    fields,
    Array.from({ length: 100 }, (_, i) => [i]),
  );
  const numbers = [0, 1, 2].flatMap((part) => {
    const rows = Int32Array.from(Array(100).keys()).filter((row) => row % 3 === part);
    const run = { columns: batch.columns, rows, start: 0, end: rows.length };
    const data = gather(fields, [run], 0).batch.columns[0]?.data?.slice();
    return [...new Int32Array(data?.buffer ?? new ArrayBuffer(0))];
  });
  expect(numbers.toSorted((a, b) => a - b)).toEqual([...Array(100).keys()]);
});

test("a large batch is handed over a megabyte at a time, many small ones together", async () => {
  const fields = [field("s", { kind: "string" })];
  const large = batchOf(
    fields,
    Array.from({ length: 30_000 }, () => ["x".repeat(100)]),
  );
  const pieces = await everyParcel(fields, [allRows(unshared(large))]);
  const sizes = pieces.flatMap(({ batches }) => batches.map((batch) => batch.byteCount));
  expect(Math.max(...sizes)).toBeLessThan(1.1 * 2 ** 20);
  expect(sizes.length).toBeGreaterThan(2);
  const small = batchOf(fields, [["a"], [null], ["c"]]);
  const together = await everyParcel(fields, Array(500).fill(allRows(small)));
  expect(together.map(({ batches }) => batches.map((batch) => batch.rowCount))).toEqual([[1500]]);
});

test("chosen rows of shared buffers are copied, a large shared batch goes as it is", async () => {
  const fields = [field("n", { kind: "long" }, true), field("m", { kind: "long" })];
  const rows = Array.from({ length: 40_000 }, (_, i) => [0n, BigInt(i)]);
  const batch = batchOf(fields, rows);
  const [n] = batch.columns;
  const [, copied] = unshared(batch).columns;
  if (n === undefined || copied === undefined) throw new Error("two columns");
  const mixed = { ...batch, columns: [n, copied] };
  const [whole] = await everyParcel(fields, [allRows(mixed)]);
  const views = whole?.batches.flatMap(({ columns }) => columns.map((c) => c.data));
  expect(views?.map((view) => view?.buffer === n.data?.buffer)).toEqual([true, false]);
  expect(whole?.transfer).toHaveLength(1);
  expect(whole?.transfer).not.toContain(copied.data?.buffer as ArrayBuffer);
  const [some] = await everyParcel(fields, [{ batch: mixed, rows: Int32Array.of(5, 7) }]);
  expect(some?.batches[0]?.rowCount).toBe(2);
  expect(some?.transfer.length).toBe(1);
});

test("shared batches go together, no more than went before and eight megabytes at most, in their order", async () => {
  const fields = [field("n", { kind: "long" })];
  const large = (first: number) =>
    batchOf(
      fields,
      Array.from({ length: 200_000 }, (_, i) => [BigInt(first + i)]),
    );
  const all = Array.from({ length: 20 }, (_, index) => large(index));
  const small = batchOf(fields, [[-1n]]);
  const handed = await everyParcel(fields, [...all, small, large(20)].map(allRows));
  const firsts = handed.map(({ batches }) =>
    batches.map(({ columns }) => new BigInt64Array(columns[0]?.data?.slice().buffer ?? [])[0]),
  );
  const inOrder = [...Array(20).keys(), -1, 20];
  expect(firsts.flat()).toEqual(inOrder.map(BigInt));
  let before = 0;
  for (const { batches } of handed) {
    const bytes = batches.reduce((sum, each) => sum + each.byteCount, 0);
    if (batches.length > 1) expect(bytes).toBeLessThanOrEqual(Math.min(before, 8 * 2 ** 20));
    before += bytes;
  }
  expect(handed.length).toBeLessThan(14);
  const copies = handed.map(({ transfer }) => transfer.length);
  expect(copies).toEqual([...Array(handed.length - 2).fill(0), 1, 0]);
});
