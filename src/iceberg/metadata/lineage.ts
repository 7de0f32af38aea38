/** The two columns of row lineage (Iceberg spec v3, "Row Lineage" and "Reserved Field IDs"): a table has them without naming them. */
import type { Field } from "#columns/schema.ts";

/** Which row a row is; null in a file: the id of the file's first row, and the row's position. */
export const ROW_ID_FIELD: Field = {
  ...{ id: 2_147_483_540, name: "_row_id", required: false },
  type: { kind: "long" },
};

/** The commit that changed the row last; null in a file: that which added the file. */
const LAST_UPDATED_FIELD: Field = {
  ...{ id: 2_147_483_539, name: "_last_updated_sequence_number", required: false },
  type: { kind: "long" },
};

/** Both, in the order in which they stand behind the columns of a table. */
export const LINEAGE_FIELDS: readonly [rowId: Field, lastUpdated: Field] = [
  ROW_ID_FIELD,
  LAST_UPDATED_FIELD,
];
