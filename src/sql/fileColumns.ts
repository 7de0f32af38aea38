/**
 * Which data files can be read by field id. The others hold values that would come out as nulls, or as
 * those of another column: no answer and no rewrite is made of them.
 */
import { type AppError, fail } from "#base/errors.ts";
import type { ParquetNode } from "./parquetNodes.ts";
import type { StoredFile } from "./snapshotFiles.ts";

/**
 * Refuses a data file whose values are not all in it by field id.
 * @param wanted ids of the columns that are read
 * @throws AppError `query`
 */
export function checkColumns(
  file: Pick<StoredFile, "location" | "partitionColumns">,
  nodes: readonly ParquetNode[],
  wanted: readonly number[],
): void {
  const fault = faultOf(nodes);
  if (fault !== null) throw refusal(file, fault);
  const { partitionColumns = [] } = file;
  const missing = partitionColumns.find(
    (id) => wanted.includes(id) && !nodes.some((node) => has(node, id)),
  );
  if (missing !== undefined) {
    throw refusal(file, `column ${missing} is not in it, only in its partition`);
  }
}

/** Why no file of these columns can be read; most files of a table have the same, which are looked at once. */
function faultOf(nodes: readonly ParquetNode[]): string | null {
  const known = faults.get(nodes);
  if (known !== undefined) return known;
  const twin = twinOf(nodes);
  const ofTwin =
    twin === null ? null : `two of its columns are named ${twin}, but for upper and lower case`;
  const fault = nodes.some(hasIds)
    ? ofTwin
    : "its columns have no field ids, only names that the table maps";
  faults.set(nodes, fault);
  return fault;
}

const faults = new WeakMap<readonly ParquetNode[], string | null>();

function hasIds({ fieldId, children }: ParquetNode): boolean {
  return fieldId !== null || children.some(hasIds);
}

function has({ fieldId, children }: ParquetNode, id: number): boolean {
  return fieldId === id || children.some((child) => has(child, id));
}

/** A name that two fields of a struct share but for case: DuckDB finds the first one by both. */
function twinOf(siblings: readonly ParquetNode[]): string | null {
  const names = new Set<string>();
  for (const { name, children } of siblings) {
    const key = name.toLowerCase();
    if (names.has(key)) return name;
    names.add(key);
    const below = twinOf(children);
    if (below !== null) return below;
  }
  return null;
}

function refusal({ location }: Pick<StoredFile, "location">, reason: string): AppError {
  const sentence = `${location} cannot be read here: ${reason}. Rewrite it with another engine, e.g. Spark's rewrite_data_files`;
  return fail("query", sentence, { file: location });
}
