/**
 * What the configuration asks of a table that is there already: its declared columns by
 * `schema_mismatch_action` (SPEC section 4), and our own columns.
 */
import { type AppError, fail } from "#base/errors.ts";
import { declaredDifferences } from "#columns/evolve.ts";
import type { Field } from "#columns/schema.ts";
import { commit, newCommit } from "#commit/commit.ts";
import type { CommitTable } from "#commit/commitTable.ts";
import { droppedPaths } from "#iceberg/metadata/droppedColumns.ts";
import { checkColumns, deleteModeRefusal } from "./deleteMode.ts";
import type { WriterOptions, WriterParts } from "./parts.ts";
import { type ColumnOptions, columnsFor, currentFields } from "./schema.ts";
import { formatRefusal } from "./tableProperties.ts";

/** Columns that are known before any record was read. */
export interface WantedSchema {
  /** Declared in `[schema]`. */
  readonly declared: readonly Field[];
  /** Ours: metadata columns, the value of formats `string` and `bytes`. */
  readonly own: readonly Field[];
  /** Throws for what only a table that is there could be right with. Default: nothing is. */
  readonly checkNew?: () => void;
}

/**
 * Holds them against those of the table; `evolve` makes the declared ones fit. What the table merely
 * lacks of our own is added with the first rows. What others dropped of it is brought back here:
 * rows alone never bring a dropped column back, and every row has ours (`source.metadata_columns`).
 * @throws AppError `table_schema` when they do not go together, `table_unsupported` when it wants other
 * files than Parquet, does not go together with the way to delete that was asked for, or
 * cannot be written anew where that is the way, or has a column by the name of row ids where these are kept; what a commit throws
 */
export async function reconcileSchema(
  parts: WriterParts,
  options: WriterOptions,
  table: CommitTable,
  { declared, own }: WantedSchema,
): Promise<void> {
  const { metadata, name } = table.head;
  const refusal =
    formatRefusal(table.name, metadata.properties) ??
    deleteModeRefusal(table.name, metadata, options);
  if (refusal !== null) throw refusal;
  const { formatVersion } = metadata;
  checkColumns(parts, options, { name, formatVersion }, currentFields(table.head));
  checkOwn(options, table, own);
  const dropped = new Set(droppedPaths(table.head.metadata));
  const lost = own.filter(({ name }) => dropped.has(name));
  if (lost.length > 0) await grow(parts, options, table, lost, "Our columns were dropped");
  const differences = declaredDifferences(currentFields(table.head), declared);
  if (differences.length === 0) return;
  const sentence = `The declared schema is not that of table ${table.name}`;
  return settleMismatch(parts, options, table, { sentence, differences, fields: declared });
}

/** Columns that do not go together with a table's. */
export interface Mismatch {
  /** Whose they are, and that they do not fit. */
  readonly sentence: string;
  /** How, one clause for each column. */
  readonly differences: readonly string[];
  /** The table's columns as they would have to be. */
  readonly fields: readonly Field[];
}

/**
 * Answers a mismatch by `schema_mismatch_action`.
 * @throws AppError `table_schema` when the table stops for it; what a commit throws
 */
export async function settleMismatch(
  parts: WriterParts,
  options: Pick<WriterOptions, "schemaMismatch"> & ColumnOptions,
  table: CommitTable,
  mismatch: Mismatch,
): Promise<void> {
  const sentence = `${mismatch.sentence}: ${mismatch.differences.join("; ")}`;
  switch (options.schemaMismatch) {
    case "fail":
      throw refused(table, `${sentence}. ${MISMATCH_HELP}`);
    case "warn":
      parts.logger.log("warn", `${sentence}; the table's types count`, { table: table.name });
      return;
    case "evolve":
      return grow(parts, options, table, mismatch.fields, sentence);
  }
}

/** Commits the columns. @param sentence why, for the error */
async function grow(
  parts: WriterParts,
  options: ColumnOptions,
  table: CommitTable,
  fields: readonly Field[],
  sentence: string,
): Promise<void> {
  const change = columnsFor(parts, [fields], { ...options, columnsBy: "declaration" });
  const result = await commit(table, newCommit(table, change));
  if (result.kind === "held") throw result.cause;
  if (result.kind === "committed" || result.kind === "paused") return;
  throw refused(table, `${sentence}; ${result.reason}, which Iceberg cannot change`);
}

const MISMATCH_HELP =
  "Correct one of them, or set iceberg.table_management.schema_mismatch_action: " +
  '"evolve" adds columns and widens types, "warn" goes on with the table\'s types';

function checkOwn(
  { schemaChanges }: Pick<WriterOptions, "schemaChanges">,
  table: CommitTable,
  own: readonly Field[],
): void {
  const fields = currentFields(table.head);
  const names = new Set(fields.map(({ name }) => name));
  const missing = own.filter(({ name }) => !names.has(name));
  if (missing.length > 0 && schemaChanges === "refuse") {
    const columns = missing.map(({ name }) => name).join(", ");
    throw refused(
      table,
      `Table ${table.name} lacks our columns ${columns}. Add them to the table, set ` +
        'iceberg.table_management.schema_mismatch_action = "evolve", or leave them out ' +
        "(source.metadata_columns)",
    );
  }
  const there = own.filter(({ name }) => names.has(name));
  const clashes = declaredDifferences(fields, there);
  if (clashes.length === 0) return;
  throw refused(
    table,
    `Our columns do not fit table ${table.name}: ${clashes.join("; ")}. Set ` +
      "source.metadata_prefix to give ours other names",
  );
}

function refused(table: CommitTable, sentence: string): AppError {
  return fail("table_schema", sentence, { table: table.name });
}
