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

/** Shapes that one object each is kept of. */
const SHAPES_MAX = 1000;

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

/** Reads the columns of files, by path. */
type ReadColumns = (
  paths: readonly string[],
) => Promise<ReadonlyMap<string, readonly ParquetNode[]>>;

/** The columns of the Parquet files that were asked for last: a file never changes. */
export class KnownColumns {
  readonly #known: Recent<string, readonly ParquetNode[]>;
  readonly #one = oneOfEachShape();

  /** @param filesMax that are remembered */
  constructor(filesMax: number) {
    this.#known = new Recent(filesMax);
  }

  /** By path; what is not known is read, and throws as `read` does. */
  async of(
    paths: readonly string[],
    read: ReadColumns,
  ): Promise<ReadonlyMap<string, readonly ParquetNode[]>> {
    const found = new Map<string, readonly ParquetNode[]>();
    const unknown: string[] = [];
    for (const path of paths) {
      const nodes = this.#known.get(path);
      if (nodes === undefined) unknown.push(path);
      else found.set(path, nodes);
    }
    if (unknown.length === 0) return found;
    for (const [path, columns] of await read(unknown)) {
      const nodes = this.#one(columns);
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
  if (paths.length === 0) return new Map();
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
  const one = oneOfEachShape();
  return new Map([...byFile].map(([file, of]) => [file, one(nodesOf(of))]));
}

/** Files of a table have few shapes: columns that are alike become one object, which is held and sent once. */
function oneOfEachShape(): (nodes: readonly ParquetNode[]) => readonly ParquetNode[] {
  const seen = new Recent<string, readonly ParquetNode[]>(SHAPES_MAX);
  return (nodes) => {
    const shape = shapeOf(nodes);
    const first = seen.get(shape);
    if (first === undefined) seen.set(shape, nodes);
    return first ?? nodes;
  };
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
  const known = shapes.get(nodes);
  if (known !== undefined) return known;
  const shape = JSON.stringify(
    nodes.map(({ name, type, fieldId, children }) => [name, type, fieldId, shapeOf(children)]),
  );
  shapes.set(nodes, shape);
  return shape;
}

const shapes = new WeakMap<readonly ParquetNode[], string>();
