/** Files that are rewritten in the order of their table: which rows come first, and where each of them went. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LIMITS } from "#base/limits.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import type { Field } from "#columns/schema.ts";
import { rowsMoved } from "#commit/movedRows.ts";
import { RowSet } from "#iceberg/deletes/rowSet.ts";
import type { SortField } from "#iceberg/metadata/metadata.ts";
import type { RewrittenGroup } from "#maintenance/engine.ts";
import { parquetBytes, readColumns } from "#parquet/readColumns.ts";
import { RewriteRig } from "../../support/rewriteRig.ts";
import { field, type Row } from "../parquet/rows.ts";

const rig = new RewriteRig(mkdtempSync(join(tmpdir(), "sorted-")));
afterAll(() => rmSync(rig.folder, { recursive: true }));

const SORTS = { sortSpillBytesMax: 1e9 };
const ORDER_ID = 7;

function by(source: Field, more: Partial<SortField> = {}): SortField {
  const ascending = { direction: "asc", nullOrder: "nulls-first" } as const;
  return { sourceId: source.id, transform: "identity", ...ascending, ...more };
}

function tableOf(
  fields: readonly Field[],
  order: readonly SortField[],
  formatVersion: 2 | 3 = 3,
): LoadedTable {
  const table = rig.tableOf(fields, formatVersion);
  const sortOrders = [...table.metadata.sortOrders, { orderId: ORDER_ID, fields: order }];
  return {
    ...table,
    metadata: { ...table.metadata, sortOrders, defaultSortOrderId: ORDER_ID },
  };
}

/** The values of a column, row by row as they lie in the file. */
async function valuesIn({ output }: RewrittenGroup, column: Field): Promise<unknown[]> {
  if (output === null) return [];
  const stored = parquetBytes(rig.storage, output.filePath, Number(output.fileSizeBytes));
  const groups = await Array.fromAsync(readColumns(stored, [{ id: column.id, names: [] }]));
  return groups.flatMap(([values]) => Array.from(values ?? []));
}

const ID = field("id", { kind: "long" });

/** Ids of a file of some rows, each with its place among those of all files as its id, sorted by the other columns. */
async function idsSorted(
  columns: readonly Field[],
  files: readonly (readonly Row[])[],
  order: readonly SortField[],
): Promise<number[]> {
  const fields = [ID, ...columns];
  let id = 0;
  const inputs = [];
  for (const rows of files) {
    inputs.push(
      await rig.write(
        fields,
        rows.map((row) => [BigInt(id++), ...row]),
      ),
    );
  }
  const group = await rig.rewrite(tableOf(fields, order), inputs, SORTS);
  expect(group.output?.sortOrderId).toBe(ORDER_ID);
  return (await valuesIn(group, ID)).map(Number);
}

test("rows of all inputs are in the order of the table, the first column first; equal ones as they lay in the files", async () => {
  const [a, b] = [field("a", { kind: "int" }), field('b "c"', { kind: "string" })];
  const files = [
    [
      [2, "b"],
      [1, "é"],
      [null, "x"],
      [2, "B"],
    ],
    [
      [1, "z"],
      [2, null],
      [1, "😀"],
      [1, "\uffff"],
      [2, "b"],
    ],
  ];
  const order = [by(a, { direction: "desc", nullOrder: "nulls-last" }), by(b)];
  // Texts by their bytes, null before them: those of 2, of 1, of null.
  expect(await idsSorted([a, b], files, order)).toEqual([5, 3, 0, 8, 4, 1, 7, 6, 2]);
});

test("rows of a table whose order the engine does not know, or whose column is gone, stay as they come", async () => {
  const rows = [[3n], [1n], [2n]];
  for (const order of [
    [by(ID, { transform: "bucket[4]" })],
    [by(ID), { ...by(ID), sourceId: 9999 }],
  ]) {
    const group = await rig.rewrite(tableOf([ID], order), [await rig.write([ID], rows)], SORTS);
    expect((await valuesIn(group, ID)).map(Number)).toEqual([3, 1, 2]);
    expect(group.output?.sortOrderId).toBe(0);
  }
});

test("a file that ingest has to copy for deletes keeps its rows as they lie", async () => {
  const input = await rig.write([ID], [[3n], [1n], [2n]]);
  const group = await rig.rewrite(tableOf([ID], [by(ID)]), [input]);
  expect((await valuesIn(group, ID)).map(Number)).toEqual([3, 1, 2]);
  expect(group.output?.sortOrderId).toBe(0);
});

for (const formatVersion of [2, 3] as const) {
  test(`each row that is left is found where it was sorted to, and no other (format v${formatVersion})`, async () => {
    const name = field("name", { kind: "string" });
    const fields = [ID, name];
    const counts = [300, 33, 1, 64];
    const inputs = [];
    for (const [file, count] of counts.entries()) {
      const rows = Array.from({ length: count }, (_, n): Row => {
        const id = 1000 * file + n;
        return [BigInt(id), `row ${(id * 7919) % 397}`];
      });
      inputs.push(await rig.write(fields, rows, { firstRowId: BigInt(1000 * file) }));
    }
    const hidden = counts.map((count) => new RowSet(count));
    for (const row of [0, 31, 32, 299]) hidden[0]?.add(row);
    hidden[2]?.add(0);
    const table = tableOf(fields, [by(name, { direction: "desc" })], formatVersion);
    const group = await rig.rewrite(table, inputs, { ...SORTS, hidden });
    const ids = (await valuesIn(group, ID)).map(Number);
    const names = (await valuesIn(group, name)).map(String);
    expect(names).toEqual(names.toSorted().toReversed());
    expect(ids.length).toBe(300 + 33 + 64 - 4);
    if (formatVersion === 3) {
      const rowId = { ...ID, id: 2_147_483_540 };
      expect((await valuesIn(group, rowId)).map(Number)).toEqual(ids);
    }
    for (const [file, count] of counts.entries()) {
      const moved = group.moved?.[file];
      if (moved === undefined) throw new Error("each input is found");
      const all = new RowSet(count);
      const found = new Set<number | undefined>();
      for (let row = 0; row < count; row++) {
        const only = new RowSet(count);
        only.add(row);
        all.add(row);
        const places = [...rowsMoved(moved, only)];
        const isGone = hidden[file]?.has(row) === true;
        expect(places.map((place) => ids[place])).toEqual(isGone ? [] : [1000 * file + row]);
        for (const place of places) found.add(place);
      }
      expect([...rowsMoved(moved, all)]).toEqual([...found].map(Number).toSorted((a, b) => a - b));
    }
  });
}

test("rows that cannot be sorted within the disk that they may take stay as they come, and none is missing", async () => {
  const text = field("text", { kind: "string" });
  const fields = [ID, text];
  const count = 200_000;
  const rows = Array.from({ length: count }, (_, n): Row => {
    return [BigInt(count - n), Bun.hash(String(n)).toString(36).repeat(20)];
  });
  const little = new RewriteRig(rig.folder, 96 * 1024 ** 2);
  const inputs = [await little.write(fields, rows, {}, {}, 50_000)];
  const table = tableOf(fields, [by(text)]);
  const group = await little.rewrite(table, inputs, { sortSpillBytesMax: 1e6 });
  const ids = (await valuesIn(group, ID)).map(Number);
  expect(ids).toHaveLength(count);
  expect([ids[0], group.output?.sortOrderId]).toEqual([count, 0]);
});

test("so many rows have a place each as fit into 32 MiB", () => {
  expect(4 * LIMITS.sortedMapRowsMax).toBe(32 * 1024 ** 2);
});
