/** Copying single values from column to column, of whatever type. */
import type { Column } from "./batch.ts";
import { getBit } from "./bitmap.ts";
import type { ColumnBuilder } from "./builder.ts";

/** Appends a value of a column of the same type. */
export function appendCell(to: ColumnBuilder, from: Column, row: number): void {
  const { validity, offsets, children, field } = from;
  if (validity !== null && !getBit(validity, row)) {
    to.appendNull();
    return;
  }
  switch (field.type.kind) {
    case "struct":
      appendCells(to, children, row);
      to.endStruct();
      break;
    case "list":
    case "map": {
      const end = offsets?.[row + 1] ?? 0;
      for (let at = offsets?.[row] ?? 0; at < end; at++) appendCells(to, children, at);
      to.endList();
      break;
    }
    default:
      appendPrimitive(to, from, row);
  }
}

function appendPrimitive(to: ColumnBuilder, { data, offsets, field }: Column, row: number): void {
  if (data === null) to.appendNull();
  else if (field.type.kind === "boolean") to.appendBoolean(getBit(data, row));
  else if (offsets === null) to.appendBytes(data, row * to.width, (row + 1) * to.width);
  else to.appendBytes(data, offsets[row] ?? 0, offsets[row + 1] ?? 0);
}

function appendCells(to: ColumnBuilder, from: readonly Column[], row: number): void {
  for (const [index, child] of from.entries()) {
    const builder = to.children[index];
    if (builder !== undefined) appendCell(builder, child, row);
  }
}
