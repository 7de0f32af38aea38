/**
 * The rows of planned files: asked for slice by slice, and gone on with where a file was full.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { ColumnBatch } from "#columns/batch.ts";
import { CHANGE_TYPE } from "#columns/changes.ts";
import {
  keysOf,
  type PlannedBatch,
  type PlannedFile,
  planFiles,
  restOf,
  rowIdsOf,
  slicesOf,
} from "#writer/plan.ts";
import { AppRig } from "../../support/appRig.ts";
import { rejection } from "../../support/rejection.ts";

/** `batch:row` of all rows, in order; the file is full after so many slices. */
function taken(file: PlannedFile, fileBytes: number, slices = Number.POSITIVE_INFINITY): string[] {
  const rows: string[] = [];
  let count = 0;
  for (const slice of slicesOf(file, fileBytes, () => count++ >= slices)) {
    const index = file.batches.findIndex(({ batch }) => batch === slice.batch);
    const numbers = slice.rows ?? Array.from({ length: slice.batch.rowCount }, (_, row) => row);
    for (const row of numbers) rows.push(`${index}:${row}`);
  }
  return rows;
}

const batches = fc.array(
  fc.record({ rowCount: fc.integer({ min: 1, max: 40 }), ordered: fc.boolean() }),
  { minLength: 1, maxLength: 4 },
);

test("a file and the rest of it hold the rows of the whole, each once and in order, wherever it was full", () => {
  const property = fc.property(
    batches,
    fc.array(fc.tuple(fc.nat(), fc.nat(), fc.nat()), { minLength: 1, maxLength: 6 }),
    fc.integer({ min: 1, max: 2000 }),
    fc.integer({ min: 1, max: 5 }),
    (shapes, picks, fileBytes, slices) => {
      const planned = shapes.map(({ rowCount, ordered }): PlannedBatch => {
        const batch: ColumnBatch = { fields: [], columns: [], rowCount, byteCount: 10 * rowCount };
        return {
          batch,
          order: ordered ? Int32Array.from({ length: rowCount }, (_, n) => rowCount - 1 - n) : null,
          keys: null,
        };
      });
      const runs = picks.flatMap(([batch, from, count]) => {
        const index = batch % planned.length;
        const rows = planned[index]?.batch.rowCount ?? 0;
        const start = from % rows;
        return [index, start, start + 1 + (count % (rows - start))];
      });
      const rowCount = runs.reduce(
        (sum, value, at) => sum + (at % 3 === 2 ? value : at % 3 === 1 ? -value : 0),
        0,
      );
      const file: PlannedFile = {
        folder: "",
        path: "p",
        unit: 0,
        partition: [],
        ranges: [],
        batches: planned,
        runs,
        rowCount,
      };
      const whole = taken(file, Number.MAX_SAFE_INTEGER);
      expect(whole).toHaveLength(rowCount);
      const pieces: string[] = [];
      for (let rest: PlannedFile | null = file; rest !== null; ) {
        const rows = taken(rest, fileBytes, slices);
        expect(rows.length).toBeGreaterThan(0);
        pieces.push(...rows);
        rest = restOf(rest, rows.length);
      }
      expect(pieces).toEqual(whole);
    },
  );
  fc.assert(property, { numRuns: 300 });
});

test("a batch that still says what its rows do is never written", async () => {
  const { parts, world } = new AppRig();
  const table = world.loaded();
  const batch: ColumnBatch = { fields: [CHANGE_TYPE], columns: [], rowCount: 0, byteCount: 0 };
  const feed = world.feed(0);
  const flush = { feed, start: 0n, end: 1n, leaderEpoch: undefined, batches: [batch] };
  const options = { preserveKafkaPartitions: false };
  const planned = planFiles(parts, options, table, [flush]);
  expect(String(await rejection(planned))).toContain("control column");
});

test("keys and row ids that nobody asks for take no memory, however many rows there are", () => {
  const rowCount = 2 ** 50;
  const batch: ColumnBatch = { fields: [], columns: [], rowCount, byteCount: 0 };
  const file: PlannedFile = {
    ...{ folder: "", path: "p", unit: 0, partition: [], ranges: [] },
    batches: [{ batch, order: null, keys: null }],
    runs: [0, 0, rowCount],
    rowCount,
  };
  expect([keysOf(file, rowCount), rowIdsOf(file, rowCount)]).toEqual([null, null]);
});
