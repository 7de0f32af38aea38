/**
 * Which records of a range the side tables of a table have: its dead letters, and its late rows. They are read
 * anew for every look at the table's head, and after it (CHANGE_RULES 13).
 */
import type { OffsetRange } from "#base/offsets.ts";
import type { Catalog, TableName } from "#catalog/catalog.ts";
import { type CoordinateColumns, offsetsPast, type RowEnds } from "#commit/liveRows.ts";
import { OffsetSet } from "#commit/offsetSet.ts";
import type { PipelineOptions } from "#config/buildPipeline.ts";
import { letterTable } from "#config/letterTable.ts";
import { LETTER_COORDINATES } from "#decode/letters.ts";
import { readCoordinates } from "#writer/coordinates.ts";
import type { WriterOptions } from "#writer/parts.ts";

/** A side table, whose rows say by the topic's id which topic they are of. */
export interface AsideTable {
  readonly name: TableName;
  readonly branch: string;
  readonly columns: CoordinateColumns;
}

/** The side tables that a table of a topic may have. */
export function asideTables(
  { late }: Pick<PipelineOptions, "late">,
  topic: string,
  table: WriterOptions,
): AsideTable[] {
  const { name, branch } = letterTable(table);
  const letters = { name, branch, columns: LETTER_COORDINATES };
  const { coordinates = null } = table;
  if (late?.tableOf == null || coordinates === null) return [letters];
  const rows = late.tableOf(topic, table);
  const columns = { ...coordinates, topic: late.topicId.name };
  return [letters, { name: rows.name, branch: rows.branch, columns }];
}

/** The records of a range in side tables; letters that were brought in are among them: what is a row of the table is the table's. */
export async function readAside(
  catalog: Pick<Catalog, "load">,
  tables: readonly AsideTable[],
  { feed, start, end }: OffsetRange,
): Promise<OffsetSet> {
  const found = new OffsetSet();
  const place = (offset: bigint): RowEnds =>
    new Map([[feed.topicId, new Map([[feed.partition, offset]])]]);
  for (const { name, branch, columns } of tables) {
    const side = await catalog.load(name);
    if (side === null) continue;
    const ends = [place(start), place(end - 1n)] as const;
    const live = await offsetsPast(side, branch, ends[0], columns, readCoordinates, ends[1]);
    for (const offset of live.get(feed.topicId)?.get(feed.partition)?.offsets() ?? []) {
      if (offset < end) found.add(offset);
    }
  }
  return found;
}
