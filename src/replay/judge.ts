/**
 * Whether a range of a table can be replayed exactly (CHANGE_RULES 13), by what its head says. Whatever is
 * refused here is refused with the reason and, where there is one, the way on.
 */
import { fail } from "#base/errors.ts";
import type { OffsetRange } from "#base/offsets.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import { checkedCoordinates } from "#commit/addition.ts";
import type { CoordinateReader } from "#commit/liveRows.ts";
import type { Progress } from "#commit/progress.ts";
import { offsetOf, type ProgressDocument, sourceKey } from "#commit/progressDocument.ts";
import { hasBegunBy, type RowWitness, requireCoordinates } from "#commit/rangeRows.ts";
import { unreadable } from "#commit/shares.ts";
import type { WriterOptions } from "#writer/parts.ts";

/**
 * How the rows of a table are told apart, if a range of it can be replayed.
 * @param isVouchedFor a person says that all rows of the partition are of the topic as it is
 * @param read the coordinates of a file
 * @throws AppError `usage`, `progress`, `table_unsupported`
 */
export async function judgeRange(
  head: LoadedTable,
  progress: Progress,
  { branch, coordinates }: WriterOptions,
  range: OffsetRange,
  isVouchedFor: boolean,
  read: CoordinateReader,
): Promise<RowWitness> {
  const table = fullName(head.name);
  if (progress.kind === "unreadable") throw unreadable(head, progress.reason);
  const { document } = progress;
  if (head.metadata.formatVersion < 2) {
    const sentence = `Table ${table} has Iceberg format 1, in which no row can be deleted`;
    throw fail("table_unsupported", sentence);
  }
  const columns = checkedCoordinates(table, coordinates ?? null, document);
  requireFeed(table, document, range);
  requireOneLife(table, document, range, isVouchedFor);
  const witness = { columns, read };
  await requireCoordinates(head, branch, document, witness);
  if (!(await hasBegunBy(head, branch, range, witness))) throw beforeTheFirst(table, range);
  return witness;
}

/** The table has passed the range, in this very topic, and its rows tell it from others. */
function requireFeed(table: string, document: ProgressDocument, { feed, end }: OffsetRange): void {
  const { topic, partition } = feed;
  const source = document.sources.get(sourceKey(feed));
  if (source === undefined) throw fail("usage", `Topic ${topic} has not filled table ${table}`);
  if (source.topicId !== feed.topicId) {
    const sentence = `Topic ${topic} was deleted and created again since it filled table ${table}`;
    throw fail("usage", sentence, { topic });
  }
  const namesakes = [...document.sources.keys()].filter((key) => key.endsWith(`/${topic}`));
  if (namesakes.length > 1) {
    const sentence = `Topics named ${topic} of several clusters fill table ${table}: its rows do not say which one they are of`;
    throw fail("usage", sentence, { topic });
  }
  const committed = offsetOf(document, feed);
  if (committed !== null && end <= committed) return;
  throw fail(
    "usage",
    `Table ${table} is committed up to offset ${committed ?? "none"} of ${topic}/${partition}: the range may ` +
      `not end at ${end}`,
    { topic, partition },
  );
}

/**
 * Where a person has set offsets back, or accepted a topic that was created again, the count of rows is
 * missing: rows of an earlier topic may have the coordinates of this one's records.
 */
function requireOneLife(
  table: string,
  document: ProgressDocument,
  { feed }: OffsetRange,
  isVouchedFor: boolean,
): void {
  const { topic, partition } = feed;
  if (isVouchedFor || document.sources.get(sourceKey(feed))?.rows.has(partition) === true) return;
  throw fail(
    "usage",
    `The offsets of ${topic}/${partition} in table ${table} were once set by a person: rows of an earlier topic of ` +
      "this name may have the offsets of the range, and would be replaced by this one's records. Where " +
      "the topic was never deleted and created again, add --yes",
    { topic, partition },
  );
}

function beforeTheFirst(table: string, { feed, start }: OffsetRange): Error {
  const { topic, partition } = feed;
  return fail(
    "usage",
    `Nothing in table ${table} shows that it was to have the records of ${topic}/${partition} from offset ${start} ` +
      "on: it has no row at or below it, and no retained snapshot that stood there. Begin the range with the " +
      "partition's first row",
    { topic, partition, offset: start },
  );
}
