/**
 * How the rows of a table's files are sorted: by the table's default order, where it is of columns alone.
 */
import type { LoadedTable } from "#catalog/catalog.ts";
import { childFields, type Field } from "#columns/schema.ts";
import { isByColumns } from "#iceberg/metadata/sortOrder.ts";
import type { SortKey } from "#parquet/encoder.ts";
import type { WriterOptions } from "./parts.ts";
import { currentFields } from "./schema.ts";

/** The order of a file's rows, and its id in the table; without keys: as they come, id 0. */
export interface FileOrder {
  readonly orderId: number;
  readonly keys: readonly SortKey[];
}

const AS_THEY_COME: FileOrder = { orderId: 0, keys: [] };

/**
 * The order of new files; none for a table whose order has a transform, or a column that is gone. Rows of
 * a table with a key stay as they come: the key index has to know at which position each one lies.
 */
export function fileOrder(table: LoadedTable, { key = [] }: Pick<WriterOptions, "key">): FileOrder {
  if (key.length > 0) return AS_THEY_COME;
  const { sortOrders, defaultSortOrderId } = table.metadata;
  const order = sortOrders.find(({ orderId }) => orderId === defaultSortOrderId);
  if (order === undefined || !isByColumns(order)) return AS_THEY_COME;
  const fields = currentFields(table);
  const keys = order.fields.flatMap(({ sourceId, direction, nullOrder }): SortKey[] => {
    const path = pathOf(fields, sourceId);
    if (path === null) return [];
    return [
      { path, isDescending: direction === "desc", hasNullsFirst: nullOrder === "nulls-first" },
    ];
  });
  return keys.length === order.fields.length ? { orderId: order.orderId, keys } : AS_THEY_COME;
}

/** Where a column is, through structs; null: nowhere. */
function pathOf(fields: readonly Field[], id: number): readonly number[] | null {
  for (const [index, field] of fields.entries()) {
    if (field.id === id) return [index];
    if (field.type.kind !== "struct") continue;
    const below = pathOf(childFields(field.type), id);
    if (below !== null) return [index, ...below];
  }
  return null;
}
