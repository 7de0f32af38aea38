/**
 * The columns of a new file by those of the files that it is put together from, and of each row group the parts of
 * each leaf. Columns that only some files have are null in the rows of the others. Pure.
 */
import type { Field } from "#columns/schema.ts";
import { type FittedColumn, fitColumn, shapeOf } from "./fit.ts";
import type { ChunkPart } from "./parts.ts";
import { type SchemaNode, type SourceFile, type SourceGroup, unfit } from "./source.ts";

/** A file, and what the table gives its rows. */
export interface CopySource {
  readonly file: SourceFile;
  /** v3: row id of its first row; null: its rows have none. */
  readonly firstRowId: bigint | null;
  /** Its sequence number. */
  readonly sequence: bigint;
  /** Ids of columns that its partition holds the value of. */
  readonly partitionColumns: readonly number[];
}

/** The two columns of row lineage (Iceberg spec, "Row Lineage"), which have values in every row that has a row id. */
export interface LineageFields {
  readonly rowId: Field;
  readonly lastUpdated: Field;
}

/** A column of the new file. */
export interface CopiedColumn {
  /** As the files have it. */
  readonly field: Field;
  /** By file: its leaves' numbers there; null: the file lacks it. */
  readonly leaves: readonly (readonly number[] | null)[];
}

/**
 * The columns of a table's files.
 * @param fields of the table
 * @throws AppError `table_unsupported` when the files have them in several ways, or as others
 */
export function copiedColumns(
  fields: readonly Field[],
  lineage: LineageFields | null,
  sources: readonly CopySource[],
): CopiedColumn[] {
  for (const { file, partitionColumns } of sources) {
    if (!file.columns.some(hasIds)) throw unfit("a file has no field ids");
    const missing = partitionColumns.find((id) => !file.columns.some((node) => has(node, id)));
    if (missing !== undefined) throw unfit("a file lacks a column that its partition has");
  }
  const own = fields.map((field) => copiedColumn(field, sources));
  if (lineage === null) return own;
  const [rowId, lastUpdated] = [lineage.rowId, lineage.lastUpdated].map((field) =>
    copiedColumn(field, sources),
  );
  return rowId === undefined || lastUpdated === undefined ? own : [...own, rowId, lastUpdated];
}

function copiedColumn(field: Field, sources: readonly CopySource[]): CopiedColumn {
  const fitted = sources.map(({ file }) => fitColumn(field, file.columns));
  const present = fitted.filter((each): each is FittedColumn => each !== null);
  const [first, ...others] = present;
  const shape = first === undefined ? null : shapeOf(first.field);
  if (others.some((each) => shapeOf(each.field) !== shape)) {
    throw unfit(`column ${field.name} may be null in some files only`);
  }
  const isMissing = present.length < sources.length;
  const isRequired = first?.field.required ?? field.required;
  if (isMissing && (isRequired || (field.initialDefault ?? null) !== null)) {
    throw unfit(`a file lacks column ${field.name}, which is not null there`);
  }
  const leaves = fitted.map((each) => each?.leaves ?? null);
  return { field: first?.field ?? optional(field), leaves };
}

/** Of a column that no file has nothing is required. */
function optional(field: Field): Field {
  return { ...field, required: false };
}

function hasIds({ fieldId, children }: SchemaNode): boolean {
  return fieldId !== null || children.some(hasIds);
}

function has({ fieldId, children }: SchemaNode, id: number): boolean {
  return fieldId === id || children.some((child) => has(child, id));
}

/** A row group of a file, and the number of its first row there. */
export interface PlacedGroup {
  /** Number of the file. */
  readonly at: number;
  readonly firstRow: number;
  readonly group: SourceGroup;
}

/**
 * The part that a row group gives to a leaf.
 * @param leaf its number among those of the column
 * @throws AppError `table_unsupported` for row ids of which some are missing
 */
export function partOf(
  { field, leaves }: CopiedColumn,
  leaf: number,
  { file, firstRowId, sequence }: CopySource,
  { at, firstRow, group: { rows, chunks } }: PlacedGroup,
  lineage: LineageFields | null,
): ChunkPart {
  const number = leaves[at]?.[leaf];
  const isRowId = field.id === lineage?.rowId.id;
  const isLastUpdated = field.id === lineage?.lastUpdated.id;
  if (number !== undefined) {
    const chunk = chunks[number];
    if (chunk === undefined) throw unfit("a row group lacks a column");
    if ((isRowId || isLastUpdated) && chunk.nullCount > 0) throw unfit("some rows lack a row id");
    return { kind: "stored", rows, source: file.source, chunk };
  }
  if (isRowId && firstRowId !== null) {
    return { kind: "counter", rows, first: firstRowId + BigInt(firstRow) };
  }
  const hasRowIds =
    firstRowId !== null || file.columns.some(({ fieldId }) => fieldId === lineage?.rowId.id);
  if (isLastUpdated && hasRowIds) return { kind: "constant", rows, value: sequence };
  return { kind: "nulls", rows };
}
