/**
 * The rows of an Iceberg snapshot as a SELECT: every live data file, read by field id, without the
 * rows that are deleted by vector, by position or by equality. Pure.
 *
 * Files of the same columns and kinds of deletes are read together; those without deletes pay nothing for
 * the others. What a file's columns are is asked once a file: its name never has other content (SPEC
 * section 2).
 */
import { fail } from "#base/errors.ts";
import type { Field } from "#columns/schema.ts";
import { LINEAGE_FIELDS } from "#iceberg/metadata/lineage.ts";
import { HotScan } from "./duckdb/hotScan.ts";
import { sqlName, sqlText } from "./duckdb/instance.ts";
import { checkColumns } from "./fileColumns.ts";
import { type ParquetNode, shapeOf } from "./parquetNodes.ts";
import { noRows, projectColumns } from "./projection.ts";
import type { EqualityDeletes, SnapshotFiles } from "./snapshotFiles.ts";

/** Columns of files, by path. */
export type FileColumns = ReadonlyMap<string, readonly ParquetNode[]>;

/**
 * A SELECT of a snapshot's rows.
 * @param nodes of each data file and each file of equality deletes
 * @param vectors number of the relation that holds `files.vectors` (`deletedRows`)
 * @throws AppError `query` for a column that hides what the engine says of a row's place, and as
 * `checkColumns`
 */
export function selectRows(
  fields: readonly Field[],
  files: SnapshotFiles,
  nodes: FileColumns,
  vectors: number,
  more: MoreColumns = {},
): string {
  const selects = selectsOfRows(fields, files, nodes, vectors, more);
  return selects.length === 0 ? noRows(fields) : selects.join(" UNION ALL ");
}

/** The same as several SELECTs, each of files that are read alike. Parameters and errors as of {@link selectRows}. */
export function selectsOfRows(
  fields: readonly Field[],
  files: SnapshotFiles,
  nodes: FileColumns,
  vectors: number,
  more: MoreColumns = {},
): string[] {
  const equality = equalityRelations(files, nodes);
  const context = {
    ...{ lineage: false, firstPositions: null },
    ...more,
    fields,
    files,
    vectors,
    equality,
  };
  const wanted = fields.map(({ id }) => id);
  const groups = groupFiles(files, nodes, context.equality, wanted);
  return groups.map((group) => selectGroup(context, group));
}

/** Columns behind those of the table. */
export interface MoreColumns {
  /** True: those of row lineage (Iceberg spec, "Row Lineage"). */
  readonly lineage?: boolean;
  /** Of each data file, the number of its first row: with {@link POSITION_FIELD}. */
  readonly firstPositions?: readonly number[] | null;
}

/** What is the same for all files of a statement's table. */
interface Context extends Required<MoreColumns> {
  readonly fields: readonly Field[];
  readonly files: SnapshotFiles;
  readonly vectors: number;
  readonly equality: readonly EqualityRelation[];
}

/** The number of a row among those of all data files, deleted ones included (Iceberg spec, "Reserved Field IDs"). */
export const POSITION_FIELD: Field = {
  ...{ id: 2_147_483_645, name: "_pos", required: true },
  type: { kind: "int" },
};

/** Data files that are read alike. */
interface Group {
  readonly nodes: readonly ParquetNode[];
  /** Places in `SnapshotFiles.data`. */
  readonly places: number[];
  readonly hasVectors: boolean;
  readonly hasPositions: boolean;
  readonly equality: readonly EqualityRelation[];
}

/** Deletes by the same columns, of all partitions or each of its own. */
interface EqualityRelation {
  readonly fields: readonly Field[];
  readonly isGlobal: boolean;
  /** The greatest sequence number, by partition; a global relation's stands at null. */
  readonly newest: ReadonlyMap<string | null, bigint>;
  /** Columns `k0`, `k1`, ...; `p`, the partition; `s`, the greatest sequence number. */
  readonly select: string;
}

function groupFiles(
  { data, positionDeletes, vectors }: SnapshotFiles,
  nodes: FileColumns,
  equality: readonly EqualityRelation[],
  wanted: readonly number[],
): Group[] {
  const withVector = new Set(vectors.map(({ file }) => file));
  const groups = new Map<string, Group>();
  for (const [place, file] of data.entries()) {
    const { path, partition, sequence } = file;
    const columns = nodes.get(path) ?? [];
    checkColumns(file, columns, wanted);
    const hasVectors = withVector.has(place);
    // A vector has all deletes by position of its file in it: others of that file count no more.
    const hasPositions = !hasVectors && positionDeletes.length > 0;
    const own = equality.filter(
      ({ isGlobal, newest }) => (newest.get(isGlobal ? null : partition) ?? -1n) > sequence,
    );
    const deletes = [hasVectors, hasPositions, own.map((each) => equality.indexOf(each))];
    const key = JSON.stringify([shapeOf(columns), deletes]);
    const group = groups.get(key);
    if (group !== undefined) group.places.push(place);
    else
      groups.set(key, { nodes: columns, places: [place], hasVectors, hasPositions, equality: own });
  }
  return [...groups.values()];
}

function selectGroup(context: Context, group: Group): string {
  const { fields, lineage, firstPositions } = context;
  const { nodes, hasVectors, hasPositions, equality } = group;
  const source = readParquet(group.places.map((place) => context.files.data[place]?.path ?? ""));
  if (
    !hasVectors &&
    !hasPositions &&
    equality.length === 0 &&
    !lineage &&
    firstPositions === null
  ) {
    return `SELECT ${projectColumns(fields, nodes)} FROM ${source}`;
  }
  checkPlaceNames(nodes);
  const columns = fields.map((field, at) => ({ ...field, name: `c${at}` }));
  const names = fields.map(({ name }, at) => `r.c${at} AS ${sqlName(name)}`);
  if (lineage) names.push(...LINEAGE);
  if (firstPositions !== null) names.push(`(r.b + r.n)::INTEGER AS "${POSITION_FIELD.name}"`);
  const inner = [
    ...(columns.length === 0 ? [] : [projectColumns(columns, nodes)]),
    ...(lineage ? [projectColumns(keyFields(LINEAGE_FIELDS, "w"), nodes)] : []),
    "file_row_number AS n",
    ...placeColumns(context, group),
    ...equality.map((each, at) => projectColumns(keyFields(each.fields, `e${at}_`), nodes)),
  ];
  const joins = equality.map((each, at) => antiJoin(each, at));
  if (hasPositions) {
    const deletes = readParquet(context.files.positionDeletes);
    joins.push(
      `ANTI JOIN (SELECT file_path, pos FROM ${deletes}) d ON d.pos = r.n AND d.file_path = r.l`,
    );
  }
  let where = "";
  if (hasVectors) {
    const vectors = HotScan.select(context.vectors);
    joins.unshift(`LEFT JOIN ${vectors} v ON v.file = r.f AND v.word = r.n >> 5`);
    where = " WHERE v.bits IS NULL OR (v.bits >> (r.n & 31)::INTEGER) & 1 = 0";
  }
  return `SELECT ${names.join(", ")} FROM (SELECT ${inner.join(", ")} FROM ${source}) r ${joins.join(" ")}${where}`;
}

/** A row's id and sequence number: its own where the file has them, else what the file gives it. */
const LINEAGE = [
  'coalesce(r.w0, r.i + r.n) AS "_row_id"',
  'coalesce(r.w1, CASE WHEN coalesce(r.w0, r.i) IS NOT NULL THEN r.s END) AS "_last_updated_sequence_number"',
];

/**
 * What is known of a row by its file: `f` its place, `l` its location, `s` sequence number, `p` partition,
 * `i` row id of its first row, `b` number of its first row among those of all files.
 */
function placeColumns({ files, lineage, firstPositions }: Context, group: Group): string[] {
  const ofFile = (values: readonly string[], name: string): string =>
    `[${values.join(", ")}][file_index::BIGINT + 1] AS ${name}`;
  const data = group.places.flatMap((place) => files.data[place] ?? []);
  const columns: string[] = [];
  if (group.hasVectors) columns.push(ofFile(group.places.map(String), "f"));
  if (group.hasPositions) {
    columns.push(
      ofFile(
        data.map(({ location }) => sqlText(location)),
        "l",
      ),
    );
  }
  if (group.equality.length > 0) {
    const numbers = partitionNumbers(files.equalityDeletes);
    const partitions = data.map(({ partition }) => `${numbers.get(partition) ?? -1}`);
    columns.push(ofFile(partitions, "p"));
  }
  if (group.equality.length > 0 || lineage) {
    const sequences = data.map(({ sequence }) => `${sequence}::BIGINT`);
    columns.push(ofFile(sequences, "s"));
  }
  if (lineage) {
    const firstIds = data.map(({ firstRowId }) => `${firstRowId ?? "NULL"}::BIGINT`);
    columns.push(ofFile(firstIds, "i"));
  }
  if (firstPositions !== null) {
    const positions = group.places.map((place) => `${firstPositions[place] ?? 0}::BIGINT`);
    columns.push(ofFile(positions, "b"));
  }
  return columns;
}

function antiJoin({ fields, isGlobal, select }: EqualityRelation, at: number): string {
  const name = `q${at}`;
  const isEqual = fields.map((_, key) => `r.e${at}_${key} IS NOT DISTINCT FROM ${name}.k${key}`);
  const where = isGlobal ? isEqual : [...isEqual, `${name}.p = r.p`];
  return `ANTI JOIN (${select}) ${name} ON ${where.join(" AND ")} AND ${name}.s > r.s`;
}

function equalityRelations(
  { equalityDeletes }: SnapshotFiles,
  nodes: FileColumns,
): EqualityRelation[] {
  const numbers = partitionNumbers(equalityDeletes);
  const groups = new Map<string, EqualityDeletes[]>();
  for (const each of equalityDeletes) {
    const key = JSON.stringify([each.partition === null, each.fields.map(({ id }) => id)]);
    groups.set(key, [...(groups.get(key) ?? []), each]);
  }
  return [...groups.values()].map((deletes) => {
    const fields = deletes[0]?.fields ?? [];
    const newest = new Map<string | null, bigint>();
    for (const { partition, sequence } of deletes) {
      if (sequence > (newest.get(partition) ?? -1n)) newest.set(partition, sequence);
    }
    const isGlobal = deletes[0]?.partition === null;
    const select = selectDeletes(deletes, fields, nodes, numbers);
    return { fields, isGlobal, newest, select };
  });
}

/** Each deleted key once, with the sequence number below which it deletes. */
function selectDeletes(
  deletes: readonly EqualityDeletes[],
  fields: readonly Field[],
  nodes: FileColumns,
  numbers: ReadonlyMap<string | null, number>,
): string {
  const shapes = Map.groupBy(deletes, ({ path }) => shapeOf(nodes.get(path) ?? []));
  const selects = [...shapes.values()].map((alike) => {
    const columns = nodes.get(alike[0]?.path ?? "") ?? [];
    checkPlaceNames(columns);
    const sequences = alike.map(({ sequence }) => `${sequence}::BIGINT`).join(", ");
    const partitions = alike.map(({ partition }) => numbers.get(partition) ?? -1).join(", ");
    return (
      `SELECT ${projectColumns(keyFields(fields, "k"), columns)}, ` +
      `[${partitions}][file_index::BIGINT + 1] AS p, [${sequences}][file_index::BIGINT + 1] AS s ` +
      `FROM ${readParquet(alike.map(({ path }) => path))}`
    );
  });
  const keys = fields.map((_, at) => `k${at}`).join(", ");
  return `SELECT ${keys}, p, max(s) AS s FROM (${selects.join(" UNION ALL ")}) GROUP BY ${keys}, p`;
}

/** Partitions that have deletes of their own, numbered: by all files of equality deletes, so that data and deletes agree. */
function partitionNumbers(deletes: readonly EqualityDeletes[]): Map<string | null, number> {
  const partitions = new Set(deletes.map(({ partition }) => partition));
  return new Map([...partitions].map((partition, number) => [partition, number]));
}

function keyFields(fields: readonly Field[], prefix: string): Field[] {
  return fields.map((field, at) => ({ ...field, name: `${prefix}${at}` }));
}

/** Names that DuckDB gives to a row's place: a file's own column would stand before them. */
const PLACE_NAMES = new Set(["file_row_number", "file_index"]);

function checkPlaceNames(nodes: readonly ParquetNode[]): void {
  const taken = nodes.find(({ name }) => PLACE_NAMES.has(name.toLowerCase()));
  if (taken === undefined) return;
  throw fail(
    "query",
    `A table with deleted rows and a column ${taken.name} cannot be read here. Ask another engine`,
  );
}

function readParquet(paths: readonly string[]): string {
  // A folder `day=007/` is no column: what DuckDB reads from it would take the place of the file's own.
  return `read_parquet([${paths.map(sqlText).join(", ")}], hive_partitioning = false)`;
}
