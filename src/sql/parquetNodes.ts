/**
 * The columns of a Parquet file as DuckDB's `parquet_schema()` lists them: which names its fields have,
 * by Iceberg field id.
 */
import { sqlText } from "./duckdb/instance.ts";

/** A field of a file. */
export interface ParquetNode {
  readonly name: string;
  /** Physical and logical type as DuckDB writes them; empty for rows in memory. */
  readonly type: string;
  /** Null in files of writers that know no ids. */
  readonly fieldId: number | null;
  readonly children: readonly ParquetNode[];
}

/** One row of `parquet_schema()`: name, type, number of children, field id. */
type SchemaRow = readonly [name: string, type: string, children: number, fieldId: number | null];

/** Columns of a file from the rows of its schema, which begin with its root, depth first. */
function nodesOf(rows: readonly SchemaRow[]): readonly ParquetNode[] {
  let at = 0;
  const read = (): ParquetNode => {
    const [name = "", type = "", count = 0, fieldId = null] = rows[at++] ?? [];
    const children: ParquetNode[] = [];
    for (let child = 0; child < count && at < rows.length; child++) children.push(read());
    return { name, type, fieldId, children };
  };
  return read().children;
}

/**
 * The columns of Parquet files, by path.
 * @param query runs a statement and answers all its rows
 */
export function columnsOfFiles(
  query: (sql: string) => readonly (readonly (string | null)[])[],
  paths: readonly string[],
): Map<string, readonly ParquetNode[]> {
  const rows = query(
    "SELECT file_name, name, concat_ws(' ', type, logical_type, converted_type), num_children::VARCHAR, field_id::VARCHAR " +
      `FROM parquet_schema([${paths.map(sqlText).join(", ")}])`,
  );
  const byFile = new Map<string, SchemaRow[]>();
  for (const [file, name, type, children, fieldId] of rows) {
    const of = byFile.get(file ?? "") ?? [];
    const id = fieldId === null || fieldId === undefined ? null : Number(fieldId);
    of.push([name ?? "", type ?? "", Number(children ?? 0), id]);
    byFile.set(file ?? "", of);
  }
  return new Map([...byFile].map(([file, of]) => [file, nodesOf(of)]));
}

/** The element of a list: `list (repeated) -> element`, or a repeated field itself, as old writers have it. */
export function elementOf(list: ParquetNode): ParquetNode | null {
  const [repeated] = list.children;
  if (repeated === undefined) return null;
  const [only] = repeated.children;
  const isWrapper = repeated.fieldId === null && repeated.children.length === 1;
  return isWrapper && only !== undefined ? only : repeated;
}

/** Key and value of a map. */
export function entryOf(map: ParquetNode): { key: ParquetNode; value: ParquetNode } | null {
  const [key, value] = map.children[0]?.children ?? [];
  return key === undefined || value === undefined ? null : { key, value };
}

/**
 * Text that is equal for files whose columns have the same names, ids and types. Of files that are read
 * together, DuckDB gives every column the type that it has in the first: a double would become a float.
 */
export function shapeOf(nodes: readonly ParquetNode[]): string {
  return JSON.stringify(
    nodes.map(({ name, type, fieldId, children }) => [name, type, fieldId, shapeOf(children)]),
  );
}
