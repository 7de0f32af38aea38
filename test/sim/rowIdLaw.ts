/**
 * The law of row ids (format v3): no id is there twice; an update keeps the id of the row that it replaces, a key that
 * is new, or was deleted, gets one that no row had; nothing else changes ids.
 */
import type { Snapshot } from "#iceberg/metadata/metadata.ts";
import type { PlacedRow } from "./upsertLaw.ts";

/** Whether a key's row is another one by now. */
export type Becomes = "updated" | "new";

/** What is wrong with the ids of any snapshot. */
export function doubledIds({ snapshotId }: Snapshot, rows: readonly PlacedRow[]): string[] {
  const ids = rows.flatMap(({ id = null }) => (id === null ? [] : [id]));
  const doubled = ids.filter((id, at) => ids.indexOf(id) < at);
  return doubled.map((id) => `IDS: snapshot ${snapshotId} has row id ${id} twice`);
}

/**
 * What is wrong with the ids that a commit of ours has kept, or given.
 * @param before the rows of its parent
 * @param changes what became of the keys that it changed
 */
export function lostIds(
  { snapshotId, firstRowId }: Snapshot,
  before: readonly PlacedRow[],
  after: readonly PlacedRow[],
  changes: ReadonlyMap<number, Becomes>,
): string[] {
  const byKey = Map.groupBy(before, ({ key }) => key);
  return after.flatMap(({ key, n, id = null }) => {
    const rows = (byKey.get(key) ?? []).toSorted(byAge);
    const kept = changes.get(key) === "updated" ? rows.slice(-1) : rows;
    const wanted = changes.get(key) === "new" ? [] : kept.map((row) => row.id ?? null);
    const isRight = wanted.length > 0 ? wanted.includes(id) : (id ?? -1n) >= (firstRowId ?? 0n);
    if (isRight) return [];
    const what = wanted.length > 0 ? wanted.join(" or ") : `one from ${firstRowId} on`;
    return [`IDS: snapshot ${snapshotId} gives row ${key}:${n} id ${id}, not ${what}`];
  });
}

/** The newest last, as the key index has it. */
function byAge(a: PlacedRow, b: PlacedRow): number {
  const [left, right] = [a.file, b.file];
  if (left.sequenceNumber !== right.sequenceNumber) {
    return left.sequenceNumber < right.sequenceNumber ? -1 : 1;
  }
  const [path, other] = [left.file.filePath, right.file.filePath];
  return path === other ? a.position - b.position : path < other ? -1 : 1;
}
