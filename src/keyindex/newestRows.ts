/**
 * The row of each key that came last. As a rule a key has one; another engine may have written a second one
 * of its key.
 */
import type { LiveData } from "#iceberg/io/headFiles.ts";
import type { FoundPlaces } from "./keyTable.ts";

/** By number of a key: the number of its row's file, 0 where it has no row, and the position there. */
export interface NewestRows {
  readonly files: Uint32Array;
  readonly rows: Uint32Array;
}

/** Picks of the places of so many keys one for each. */
export function newestRows(
  places: FoundPlaces,
  count: number,
  fileOf: (number: number) => LiveData,
): NewestRows {
  const files = new Uint32Array(count);
  const rows = new Uint32Array(count);
  for (let n = 0; n < places.keys.length; n++) {
    const key = places.keys[n] as number;
    const file = places.files[n] as number;
    const row = places.rows[n] as number;
    const other = files[key] as number;
    const otherRow = rows[key] as number;
    if (other !== 0 && !isNewer(fileOf(file), row, fileOf(other), otherRow)) continue;
    files[key] = file;
    rows[key] = row;
  }
  return { files, rows };
}

/** Keys of a file that have a row there, by its number. */
export function keysByFile({ files }: NewestRows): Map<number, Uint32Array> {
  const counts = new Map<number, number>();
  files.forEach((file) => {
    if (file !== 0) counts.set(file, (counts.get(file) ?? 0) + 1);
  });
  const lists = new Map([...counts].map(([file, count]) => [file, new Uint32Array(count)]));
  for (let key = files.length - 1; key >= 0; key--) {
    const file = files[key] as number;
    const left = (counts.get(file) ?? 0) - 1;
    const list = lists.get(file);
    if (list === undefined) continue;
    counts.set(file, left);
    list[left] = key;
  }
  return lists;
}

function isNewer(file: LiveData, row: number, other: LiveData, otherRow: number): boolean {
  if (file.sequenceNumber !== other.sequenceNumber) {
    return file.sequenceNumber > other.sequenceNumber;
  }
  return file.path > other.path || (file.path === other.path && row > otherRow);
}
