/**
 * The table of all changes beside a table that follows changes (`source.track_changes`, SPEC section 4): what
 * it is called, how its rows are decoded, and how it is written.
 */
import type { TableName } from "#catalog/catalog.ts";
import type { CoordinateColumns } from "#commit/liveRows.ts";
import type { DecoderOptions, MetadataColumn } from "#decode/options.ts";
import type { WriterOptions } from "#writer/parts.ts";
import type { PipelineValues } from "./keys.ts";
import { knownTableFor } from "./tableNames.ts";

/** What the name of a table's change log ends with. */
export const CHANGES_SUFFIX = "__changes";

/** How the change logs of a pipeline's tables are made. */
export interface ChangeLogOptions {
  readonly decoder: DecoderOptions;
  /** Settings of the log beside a table. */
  readonly tableOf: (main: WriterOptions) => WriterOptions;
}

/**
 * Those of a pipeline; null: nobody asks for them.
 * @param decoder of its tables
 */
export function changeLogOptions(
  values: PipelineValues,
  decoder: DecoderOptions,
): ChangeLogOptions | null {
  const { changes } = decoder;
  if (changes === null || !values["source.track_changes"]) return null;
  const prefix = values["source.metadata_prefix"];
  const fields = decoder.fields?.map((field) => ({ ...field, required: false })) ?? null;
  const own: DecoderOptions = {
    ...decoder,
    // What is not known of a deleted row is null.
    fields,
    changes: { ...changes, onDelete: "log" },
    metadataColumns: columnsOf(decoder),
  };
  return { decoder: own, tableOf: (main) => changeLogOf(main, prefix) };
}

/** The name of the change log of a table. */
function nameOf({ namespace, table }: TableName): TableName {
  return { namespace, table: `${table}${CHANGES_SUFFIX}` };
}

/** The tables that a topic feeds, by names that are known before anything runs. */
export function knownTablesFor(values: PipelineValues, topic: string): readonly TableName[] {
  const table = knownTableFor(values, topic);
  if (table === null) return [];
  return values["source.track_changes"] ? [table, nameOf(table)] : [table];
}

/**
 * Rows are appended, and name their records. Partitioned by the day of the record, so that old changes can be deleted
 * without a rewrite.
 */
function changeLogOf(table: WriterOptions, prefix: string): WriterOptions {
  return {
    ...table,
    name: nameOf(table.name),
    key: [],
    latest: null,
    order: null,
    coordinates: changeCoordinates(prefix),
    create: { ...table.create, partitionForms: [`day(${prefix}timestamp)`], sortForms: [] },
  };
}

/** Columns that say which record a change is. @param prefix `source.metadata_prefix` */
export function changeCoordinates(prefix: string): CoordinateColumns {
  return { topic: null, partition: `${prefix}partition`, offset: `${prefix}offset` };
}

/** What says of a change which one it is, where it came from, and what it did; and what the table has. */
function columnsOf({ changes, metadataColumns }: DecoderOptions): readonly MetadataColumn[] {
  const columns = new Set<MetadataColumn>(["partition", "offset", "timestamp", ...metadataColumns]);
  if (changes?.mode !== "cdc") return [...columns];
  columns.add("op");
  if (changes.opField !== null) return [...columns];
  for (const column of ["source_ts", "source_lsn", "source_table"] as const) columns.add(column);
  return [...columns];
}
