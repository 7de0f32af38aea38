/**
 * The metadata of a new, empty table (Iceberg spec, "Table Metadata"; defaults of SPEC section 4).
 */
import { fail } from "#base/errors.ts";
import { repeatedPath } from "#columns/paths.ts";
import { childFields, type Field, isPrimitive, type Schema, type Type } from "#columns/schema.ts";
import { checkSchemaFormat } from "./formatRules.ts";
import type { PartitionSpec, SortOrder, TableMetadata } from "./metadata.ts";
import { DELETE_AFTER_COMMIT } from "./properties.ts";

/** Partition field ids begin above it. */
export const PARTITION_FIELD_ID_NONE = 999;

/** A table without partitions. */
export const UNPARTITIONED: PartitionSpec = { specId: 0, fields: [] };

/** A table without sort order. */
export const UNSORTED: SortOrder = { orderId: 0, fields: [] };

/** What a new table is made from. */
export interface NewTable {
  readonly uuid: string;
  /** Root folder, without a slash at its end; the catalog says which. */
  readonly location: string;
  /** Columns; their ids are ignored, see {@link freshSchema}. */
  readonly fields: readonly Field[];
  /**
   * Top-level columns that identify a row. Those that are required, and of a type that may, become the
   * identifier fields, if that is all of them; default none.
   */
  readonly identifiers?: readonly string[];
  /** Asked with the columns as numbered: `(fields) => partitionSpecOf(fields, forms)`. */
  readonly spec: (fields: readonly Field[]) => PartitionSpec;
  /** Likewise; default unsorted. */
  readonly sortOrder?: (fields: readonly Field[]) => SortOrder;
  readonly formatVersion: 2 | 3;
  /** Added to our defaults, which they override. */
  readonly properties: Readonly<Record<string, string>>;
  readonly timestampMs: number;
}

/**
 * Builds the metadata of an empty table.
 * Throws `table_schema` for columns that the format version cannot hold and for duplicate names.
 */
export function newTableMetadata(table: NewTable): TableMetadata {
  const schema = withIdentifiers(freshSchema(table.fields), table.identifiers ?? []);
  checkSchemaFormat(schema, table.formatVersion);
  const spec = { ...table.spec(schema.fields), specId: 0 };
  const sortFields = table.sortOrder?.(schema.fields).fields ?? [];
  const sortOrder = sortFields.length === 0 ? UNSORTED : { orderId: 1, fields: sortFields };
  return {
    formatVersion: table.formatVersion,
    tableUuid: table.uuid,
    location: table.location,
    lastSequenceNumber: 0n,
    lastUpdatedMs: table.timestampMs,
    lastColumnId: lastFieldId(schema.fields),
    schemas: [schema],
    currentSchemaId: 0,
    partitionSpecs: [spec],
    defaultSpecId: 0,
    lastPartitionId: Math.max(PARTITION_FIELD_ID_NONE, ...spec.fields.map((f) => f.fieldId)),
    properties: { [DELETE_AFTER_COMMIT]: "true", ...table.properties },
    currentSnapshotId: null,
    snapshots: [],
    snapshotLog: [],
    metadataLog: [],
    sortOrders: [sortOrder],
    defaultSortOrderId: sortOrder.orderId,
    refs: {},
    nextRowId: table.formatVersion === 3 ? 0n : null,
    unknown: {},
  };
}

/**
 * A schema with field ids assigned afresh from 1, as Java does it: all fields of a struct, then
 * the fields inside each. Ids of `fields` are ignored.
 * Throws `table_schema` for columns of the same full name, upper and lower case as one.
 */
export function freshSchema(fields: readonly Field[]): Schema {
  checkNames(fields);
  let last = 0;
  const numbered = (siblings: readonly Field[]): Field[] => {
    const withIds = siblings.map((field) => {
      last++;
      return { ...field, id: last };
    });
    return withIds.map((field) => ({ ...field, type: inside(field.type) }));
  };
  const inside = (type: Type): Type => {
    if (isPrimitive(type)) return type;
    const children = numbered(childFields(type));
    const [first, second] = children;
    if (type.kind === "list" && first !== undefined) return { kind: "list", element: first };
    if (type.kind === "map" && first !== undefined && second !== undefined) {
      return { kind: "map", key: first, value: second };
    }
    return { kind: "struct", fields: children };
  };
  return { schemaId: 0, fields: numbered(fields), identifierFieldIds: [] };
}

/** The format allows identifier fields that are required, primitive, and no floating point numbers. */
function withIdentifiers(schema: Schema, names: readonly string[]): Schema {
  const found = names.map((name) => schema.fields.find((field) => field.name === name));
  const ids = found.flatMap((field) => (field !== undefined && mayIdentify(field) ? field.id : []));
  return ids.length === names.length ? { ...schema, identifierFieldIds: ids } : schema;
}

function mayIdentify({ required, type }: Field): boolean {
  return required && isPrimitive(type) && type.kind !== "float" && type.kind !== "double";
}

function checkNames(fields: readonly Field[]): void {
  const path = repeatedPath(fields);
  if (path === null) return;
  throw fail("table_schema", `Column ${path} appears twice`, { column: path });
}

/** The highest field id in use, nested ones included; 0 for none. */
export function lastFieldId(fields: readonly Field[]): number {
  return fields.reduce(
    (last, field) => Math.max(last, field.id, lastFieldId(childFields(field.type))),
    0,
  );
}
