/**
 * The settings of the dead-letter table beside a table.
 */
import type { TableName } from "#catalog/catalog.ts";
import type { CoordinateColumns } from "#commit/liveRows.ts";
import type { WriterOptions } from "#writer/parts.ts";

/** What the name of a table's dead-letter table ends with (SPEC section 4). */
export const LETTERS_SUFFIX = "__dead_letter";

/** Columns that say which record a letter is about. */
export const LETTER_COORDINATES: CoordinateColumns = {
  topic: "topic",
  partition: "partition",
  offset: "offset",
};

/** The name of the dead-letter table of a table. */
export function lettersOf({ namespace, table }: TableName): TableName {
  return { namespace, table: `${table}${LETTERS_SUFFIX}` };
}

/**
 * It is written as its table is, apart from what is about that one's columns. Partitioned by the day on
 * which a record was refused, so that old letters can be deleted without a rewrite.
 */
export function letterTable(table: WriterOptions): WriterOptions {
  return {
    ...table,
    name: lettersOf(table.name),
    key: [],
    latest: null,
    coordinates: LETTER_COORDINATES,
    schemaMismatch: "evolve",
    schemaChanges: "evolve",
    create: {
      ...table.create,
      partitionForms: ["day(rejected_at)"],
      sortForms: [],
      learnsColumns: false,
    },
  };
}
