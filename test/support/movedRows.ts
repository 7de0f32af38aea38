/** Where rows of a file went, as an index is told. */
import { RowSet } from "#iceberg/deletes/rowSet.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import type { RewrittenFile } from "#keyindex/port.ts";

/** What an index is told of a file whose rows went into another. @param numbers of rows in the new file, by places before */
export function movedRows(
  { filePath: path, recordCount }: DataFile,
  numbers: ReadonlyMap<string, number>,
): RewrittenFile["inputs"][number] {
  const rows = Number(recordCount);
  const hidden = new RowSet(rows);
  const places: number[] = [];
  for (let row = 0; row < rows; row++) {
    const place = numbers.get(`${path}:${row}`);
    if (place === undefined) hidden.add(row);
    else places.push(place);
  }
  return { path, firstRowId: null, rows, places: Uint32Array.from(places), hidden: hidden.words };
}
