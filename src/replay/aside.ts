/**
 * Which records of a range the side tables of a table have: its dead letters. They are read anew for every look
 * at the table's head, and after it (CHANGE_RULES 13).
 */
import type { OffsetRange } from "#base/offsets.ts";
import type { Catalog } from "#catalog/catalog.ts";
import { offsetsPast, type RowEnds } from "#commit/liveRows.ts";
import { OffsetSet } from "#commit/offsetSet.ts";
import { letterTable } from "#config/letterTable.ts";
import { LETTER_COORDINATES } from "#decode/letters.ts";
import { readCoordinates } from "#writer/coordinates.ts";
import type { WriterOptions } from "#writer/parts.ts";

/** Letters of the range, marked ones included: what is a row of the table is the table's. */
export async function readAside(
  catalog: Pick<Catalog, "load">,
  table: WriterOptions,
  { feed, start, end }: OffsetRange,
): Promise<OffsetSet> {
  const { name, branch } = letterTable(table);
  const letters = await catalog.load(name);
  const found = new OffsetSet();
  if (letters === null) return found;
  const place = (offset: bigint): RowEnds =>
    new Map([[feed.topicId, new Map([[feed.partition, offset]])]]);
  const columns = LETTER_COORDINATES;
  const live = await offsetsPast(
    letters,
    branch,
    place(start),
    columns,
    readCoordinates,
    place(end - 1n),
  );
  for (const offset of live.get(feed.topicId)?.get(feed.partition)?.offsets() ?? []) {
    if (offset < end) found.add(offset);
  }
  return found;
}
