/**
 * Rewrites data files as one, in a process of its own (`child.ts`): their live rows by field id, with the columns
 * of the table as they are now, in the order of the table where the task has one, else of the files. The file
 * is not durable: it goes to the store from here.
 *
 * Each row takes along the place that it came from, as the last column of the file. From that is read where
 * the rows of each input are (`movedRows.ts`); the file is then used without it.
 */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { assert } from "#base/assert.ts";
import { describe, kindOf } from "#base/errors.ts";
import type { Field } from "#columns/schema.ts";
import { LINEAGE_FIELDS } from "#iceberg/metadata/lineage.ts";
import { withoutLastColumn } from "#parquet/lastColumn.ts";
import { metadataLength, TRAILER_BYTES } from "#parquet/layout.ts";
import { deletedRows } from "#sql/deletedRows.ts";
import { sqlText } from "#sql/duckdb/instance.ts";
import { judgingFields, selectOvertaken } from "#sql/latestRows.ts";
import { columnsOfFiles } from "#sql/parquetNodes.ts";
import { type FileColumns, POSITION_FIELD, selectRows } from "#sql/selectRows.ts";
import { copyStatement, floatLeaves, ordered } from "./copyStatement.ts";
import { type FooterKey, mergedKeys } from "./footerKeys.ts";
import { firstPositionsOf, movedRows } from "./movedRows.ts";
import { openEngine } from "./openEngine.ts";
import type { FloatValues, RewriteTask, Rewritten } from "./protocol.ts";

/**
 * Does a task. Rows that cannot be sorted, e.g. because the disk that this takes is more than they may take, stay as they
 * come: a file that is not sorted is better than many small ones.
 * @throws AppError `query`, `query_engine`: the engine refuses the files; `rewrite_process`: there is no engine now
 */
export async function rewriteFiles(task: RewriteTask): Promise<Rewritten> {
  if (task.sort.length === 0) return await written(task);
  try {
    return await written(task);
  } catch (error) {
    if (kindOf(error) === "rewrite_process") throw error;
    return await written({ ...task, sort: [] });
  }
}

async function written(task: RewriteTask): Promise<Rewritten> {
  const floats = await writeOutput(task);
  const { bytes, footer } = footerOf(task.output);
  return {
    ...withoutLastColumn(footer, bytes),
    ...{ isCopied: false, isSorted: task.sort.length > 0, floats },
    moved: await movedRows(task.output, bytes, task.rows),
  };
}

/** What the engine does: it is closed, and its memory free, when this returns. */
async function writeOutput(task: RewriteTask): Promise<FloatValues[]> {
  const { files, sort, spillBytesMax } = task;
  const instance = await openEngine(task, {
    keepsOrder: true,
    ...(sort.length > 0 && { spillBytesMax }),
  });
  try {
    const rows = (sql: string): (string | null)[][] => instance.rows(sql);
    const data = files.data.map(({ path }) => path);
    const deletes = files.equalityDeletes.map(({ path }) => path);
    const nodes = columnsOfFiles(rows, [...data, ...deletes]);
    const { lineage } = task;
    const fields: readonly Field[] = [
      ...task.fields,
      ...(lineage ? LINEAGE_FIELDS : []),
      POSITION_FIELD,
    ];
    const firstPositions = firstPositionsOf(task.rows);
    const more = { lineage, firstPositions };
    const rowsOfFiles = selectRows(task.fields, files, nodes, 0, more);
    const select = ordered(withoutOvertaken(rowsOfFiles, task, nodes), sort);
    const keys = mergedKeys(footerKeys(rows, data), task.commitId);
    const { output: path, codec, level } = task;
    const vectorRows = files.vectors.reduce((sum, each) => sum + each.rows, 0);
    const isWhole = vectorRows <= WHOLE_ROWS_MAX;
    writeWithin(task.rowGroupRows, (rowGroupRows) => {
      instance.hot.begin([deletedRows(files.vectors, isWhole)]);
      instance.execute(copyStatement(select, fields, { path, codec, level, rowGroupRows, keys }));
      instance.hot.end();
    });
    return floatValues(rows, path, task.fields);
  } finally {
    instance.close();
  }
}

/** Where the table says which is the newest row of a key, those that are it in these files. Their places are found by few columns, so that the others are read once. */
function withoutOvertaken(
  all: string,
  { fields, files, rows, latest }: RewriteTask,
  nodes: FileColumns,
): string {
  if (latest === null) return all;
  const firstPositions = firstPositionsOf(rows);
  const judging = judgingFields(fields, latest);
  const judged = selectRows(judging, files, nodes, 0, { firstPositions });
  const { name } = POSITION_FIELD;
  const overtaken = selectOvertaken(judged, latest, name);
  return `SELECT * FROM (${all}) r ANTI JOIN (${overtaken}) o ON r."${name}" = o."${name}"`;
}

/** Rows of files with vectors up to which the order of rows is kept: 24 MB for the vectors. */
const WHOLE_ROWS_MAX = 2 ** 26;

/** Rows of the smallest row groups that are tried: DuckDB's own default is 122,880. */
const ROW_GROUP_ROWS_MIN = 16_384;

/** By this DuckDB says that the disk is what does not suffice. */
const DISK_SETTING = "max_temp_directory_size";

/** A row group is in memory, unpacked, until it is written: where it does not fit, smaller ones do. */
function writeWithin(rowGroupRows: number, write: (rowGroupRows: number) => void): void {
  for (let rows = rowGroupRows; ; rows = Math.max(ROW_GROUP_ROWS_MIN, Math.ceil(rows / 4))) {
    try {
      write(rows);
      return;
    } catch (error) {
      const message = describe(error);
      const isSmaller = message.includes("Out of Memory") && !message.includes(DISK_SETTING);
      if (rows <= ROW_GROUP_ROWS_MIN || !isSmaller) throw error;
    }
  }
}

function footerKeys(rows: Rows, paths: readonly string[]): FooterKey[] {
  const list = paths.map(sqlText).join(", ");
  const found = rows(
    `SELECT decode(key), decode(value) FROM parquet_kv_metadata([${list}]) WHERE decode(key) LIKE 'kafka-iceberg.%'`,
  );
  return found.map(([key, value]) => ({ key: key ?? "", value: value ?? "" }));
}

type Rows = (sql: string) => (string | null)[][];

function footerOf(path: string): { readonly bytes: number; readonly footer: Uint8Array } {
  const bytes = statSync(path).size;
  const file = openSync(path, "r");
  try {
    const trailer = Buffer.alloc(TRAILER_BYTES);
    readSync(file, trailer, 0, TRAILER_BYTES, bytes - TRAILER_BYTES);
    const metadataBytes = metadataLength(trailer);
    assert(metadataBytes !== null, "DuckDB wrote a Parquet file");
    const footer = new Uint8Array(metadataBytes + TRAILER_BYTES);
    readSync(file, footer, 0, footer.length, bytes - footer.length);
    return { bytes, footer };
  } finally {
    closeSync(file);
  }
}

/** Reads the float columns of the new file once more. */
function floatValues(rows: Rows, path: string, fields: readonly Field[]): FloatValues[] {
  const leaves = floatLeaves(fields);
  if (leaves.length === 0) return [];
  const columns = leaves.flatMap(({ sql }) => [
    `(count(*) FILTER (isnan(${sql})))::VARCHAR`,
    `(min(${sql}) FILTER (NOT isnan(${sql})))::VARCHAR`,
    `(max(${sql}) FILTER (NOT isnan(${sql})))::VARCHAR`,
  ]);
  const source = `read_parquet(${sqlText(path)}, hive_partitioning = false)`;
  const [values = []] = rows(`SELECT ${columns.join(", ")} FROM ${source}`);
  return leaves.map(({ fieldId }, index) => {
    const [nanCount, min, max] = values.slice(3 * index, 3 * index + 3);
    return {
      fieldId,
      nanCount: Number(nanCount ?? 0),
      // DuckDB holds both zeros for equal: the bounds hold both.
      min: numberOf(min, Number.POSITIVE_INFINITY) || -0,
      max: numberOf(max, Number.NEGATIVE_INFINITY) || 0,
    };
  });
}

function numberOf(text: string | null | undefined, missing: number): number {
  if (text === null || text === undefined) return missing;
  if (text === "inf") return Number.POSITIVE_INFINITY;
  return text === "-inf" ? Number.NEGATIVE_INFINITY : Number(text);
}
