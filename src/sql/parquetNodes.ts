/**
 * The columns of a Parquet file as DuckDB's `parquet_schema()` lists them: which names its fields have,
 * by Iceberg field id.
 */
import { Recent } from "#base/recent.ts";
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

/** Runs a statement and answers all its rows. */
type Query = (sql: string) => readonly (readonly (string | null)[])[];

/** The columns of the Parquet files that were asked for last: a file never changes. */
export class KnownColumns {
  readonly #known: Recent<string, readonly ParquetNode[]>;

  /** @param filesMax that are remembered */
  constructor(filesMax: number) {
    this.#known = new Recent(filesMax);
  }

  /** By path; what is not known is read. Throws as `query`. */
  of(paths: readonly string[], query: Query): ReadonlyMap<string, readonly ParquetNode[]> {
    const found = new Map<string, readonly ParquetNode[]>();
    const unknown: string[] = [];
    for (const path of paths) {
      const nodes = this.#known.get(path);
      if (nodes === undefined) unknown.push(path);
      else found.set(path, nodes);
    }
    if (unknown.length === 0) return found;
    for (const [path, nodes] of columnsOfFiles(query, unknown)) {
      this.#known.set(path, nodes);
      found.set(path, nodes);
    }
    return found;
  }
}

/** The columns of Parquet files, by path: they are read each time. */
export function columnsOfFiles(
  query: Query,
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
