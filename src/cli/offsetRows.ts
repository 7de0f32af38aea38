/**
 * Which rows the table has already of the partitions whose offsets a person sets, so that a repair
 * can say how many of them it would write a second time (SPEC 2.5).
 *
 * The rows' own coordinates are counted. Where they cannot tell, the reason is a value: a repair must
 * not fail because a data file is missing or a column was never written.
 */
import { AppError } from "#base/errors.ts";
import type { Feed } from "#base/offsets.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import {
  type CoordinateColumns,
  coordinateFields,
  fileWithoutCoordinates,
  liveOffsets,
} from "#commit/liveRows.ts";
import { OffsetSet } from "#commit/offsetSet.ts";
import { headOf } from "#commit/progress.ts";
import type { ProgressDocument } from "#commit/progressDocument.ts";
import { readCoordinates } from "#writer/coordinates.ts";

/** The rows of one partition. */
export type PartitionRows =
  | { readonly kind: "known"; readonly offsets: OffsetSet }
  | { readonly kind: "unknown"; readonly reason: string };

/** The rows of any partition. */
export type FindRows = (feed: Feed) => PartitionRows;

/** Answers that nobody can tell. */
export function unknownRows(reason: string): FindRows {
  return () => ({ kind: "unknown", reason });
}

/**
 * Reads the coordinates of a branch's rows. Never throws for what is wrong with the table.
 * @param document the offsets as they will be: it names every topic that may have rows
 * @param from rows below it are of no interest
 */
export async function findRows(
  head: LoadedTable,
  columns: CoordinateColumns | null,
  document: ProgressDocument,
  from: bigint,
): Promise<FindRows> {
  const fields = coordinateFields(head.metadata, columns);
  if (fields === null) return unknownRows("the table has no columns of Kafka's coordinates");
  const snapshotId = headOf(head.metadata, document.branch);
  try {
    const without =
      snapshotId === null ? null : await fileWithoutCoordinates(head, snapshotId, fields, null);
    if (without !== null) {
      return unknownRows("some of the table's rows have no coordinates of Kafka");
    }
    const live =
      snapshotId === null
        ? new Map<string, Map<number, OffsetSet>>()
        : await liveOffsets(head, snapshotId, fields, readCoordinates, from);
    const keys = [...document.sources.keys()];
    return ({ topic, partition }) => {
      const alike = keys.filter((key) => fields.topic === null || key.endsWith(`/${topic}`));
      if (alike.length > 1) {
        return { kind: "unknown", reason: "rows of several topics cannot be told apart" };
      }
      const sets = live.get(fields.topic === null ? "" : topic);
      return { kind: "known", offsets: sets?.get(partition) ?? new OffsetSet() };
    };
  } catch (error) {
    if (error instanceof AppError) return unknownRows(error.message);
    throw error;
  }
}
