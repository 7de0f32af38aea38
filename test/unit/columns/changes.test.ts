import { expect, test } from "bun:test";
import { ColumnBuilder, sealColumns } from "#columns/builder.ts";
import { CHANGE, CHANGE_TYPE, splitChanges } from "#columns/changes.ts";
import { isReservedName } from "#columns/names.ts";
import { rowsOf } from "../../support/columnValues.ts";

function batchOf(changes: readonly number[] | null) {
  const id = new ColumnBuilder({ id: 1, name: "id", required: true, type: { kind: "long" } });
  const control = new ColumnBuilder(CHANGE_TYPE);
  for (let row = 0; row < 3; row++) id.appendBigInt(BigInt(row));
  for (const change of changes ?? []) control.appendInt(change);
  return sealColumns(changes === null ? [id] : [control, id], 3);
}

test("the control column is taken from a batch, whose other columns stay as they are", () => {
  const split = splitChanges(batchOf([CHANGE.put, CHANGE.delete, CHANGE.put]));
  expect([...(split.changes ?? [])]).toEqual([0, 1, 0]);
  expect(split.rows.fields.map(({ name }) => name)).toEqual(["id"]);
  expect(rowsOf(split.rows)).toEqual([{ id: 0n }, { id: 1n }, { id: 2n }]);
});

test("a batch without the control column holds rows that are put, all of them", () => {
  const batch = batchOf(null);
  expect(splitChanges(batch)).toEqual({ rows: batch, changes: null });
});

test("no column of the data can have the control column's name", () => {
  expect(isReservedName(CHANGE_TYPE.name)).toBe(true);
});
