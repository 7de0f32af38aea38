/**
 * The columns of a Parquet file as DuckDB's `parquet_schema()` lists them: which names its fields have,
 * by Iceberg field id. Pure.
 */

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
export type SchemaRow = readonly [
  name: string,
  type: string,
  children: number,
  fieldId: number | null,
];

/** Columns of a file from the rows of its schema, which begin with its root, depth first. */
export function nodesOf(rows: readonly SchemaRow[]): readonly ParquetNode[] {
  let at = 0;
  const read = (): ParquetNode => {
    const [name = "", type = "", count = 0, fieldId = null] = rows[at++] ?? [];
    const children: ParquetNode[] = [];
    for (let child = 0; child < count && at < rows.length; child++) children.push(read());
    return { name, type, fieldId, children };
  };
  return read().children;
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
