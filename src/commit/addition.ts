/**
 * Rows that move no offset: dead letters that are brought in, and their marks (CHANGE_RULES 14). The
 * offsets are those of each head; what must hold of the head is looked at on every attempt.
 */
import { fail } from "#base/errors.ts";
import { type Feed, feedKey } from "#base/offsets.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import type { Attempt, Drop, Landing, SnapshotChange, StagedSnapshot } from "./change.ts";
import { type CoordinateColumns, type CoordinateReader, offsetsPast } from "./liveRows.ts";
import { logComplete, logLanded } from "./logCommit.ts";
import type { CommitParts } from "./parts.ts";
import type { Progress } from "./progress.ts";
import { endOf, leaderEpochOf, type ProgressDocument, withOffsets } from "./progressDocument.ts";
import { type FileUnit, unreadable } from "./shares.ts";
import { stageSnapshot } from "./snapshot.ts";

/** Records that are to become rows of a table whose offset has passed them. */
export interface AddedRecords {
  readonly feed: Feed;
  /** Ascending. */
  readonly offsets: readonly bigint[];
}

/** How the rows of the table are asked which records they are. */
export interface AddedWitness {
  readonly columns: CoordinateColumns;
  readonly read: CoordinateReader;
}

/** Rows for records that the head has passed and does not have. */
export class Addition implements SnapshotChange {
  readonly makes = "snapshot";
  readonly kind = "retry";
  readonly isHeldByPause = true;
  readonly #parts: CommitParts;
  readonly #records: readonly AddedRecords[];
  readonly #units: readonly FileUnit[];
  readonly #witness: AddedWitness | null;

  /**
   * @param records what the rows are of; none for rows that are no records (marks)
   * @param witness null: only without records
   */
  constructor(
    parts: CommitParts,
    records: readonly AddedRecords[],
    units: readonly FileUnit[],
    witness: AddedWitness | null,
  ) {
    this.#parts = parts;
    this.#records = records;
    this.#units = units;
    this.#witness = witness;
  }

  /** A record at or past the head's offset is ingest's to judge. */
  fence(head: LoadedTable, progress: Progress): Drop | null {
    if (progress.kind === "unreadable") throw unreadable(head, progress.reason);
    const isPassed = this.#records.every(({ feed, offsets }) => {
      const end = endOf(progress.document, feed);
      return offsets.every((offset) => offset < end);
    });
    return isPassed ? null : { kind: "dropped", reason: CHANGED, by: progress.group };
  }

  /** None of the records may be in this very head. */
  async stage(attempt: Attempt): Promise<StagedSnapshot | Drop> {
    const { head, progress, options } = attempt;
    if (progress.kind === "unreadable") throw unreadable(head, progress.reason);
    const { document } = progress;
    if (this.#witness !== null) {
      const there = await recordsIn(head, options.branch, this.#records, this.#witness);
      if (there.size > 0) return { kind: "dropped", reason: CHANGED, by: progress.group };
    }
    const files = this.#units.flatMap((unit) => unit.files);
    const moved = this.#records.map(({ feed, offsets }) => ({
      feed,
      offset: endOf(document, feed),
      rows: BigInt(offsets.length),
      leaderEpoch: leaderEpochOf(document, feed),
    }));
    return stageSnapshot(attempt, files, document, withOffsets(document, moved));
  }

  async landed(landing: Landing): Promise<void> {
    const paths = this.#units.flatMap((unit) => unit.files.map((file) => file.filePath));
    await logLanded(this.#parts, landing, paths, []);
    const { table, commitId, snapshotId } = landing;
    await logComplete(this.#parts, fullName(table.name), commitId, snapshotId, []);
  }
}

/** Why an addition is to be made anew. */
const CHANGED = "the table has other records by now";

/** `<feed>/<offset>` of the records that are rows of a branch's head. */
export async function recordsIn(
  head: LoadedTable,
  branch: string,
  records: readonly AddedRecords[],
  { columns, read }: AddedWitness,
): Promise<Set<string>> {
  const from = new Map<string, Map<number, bigint>>();
  const to = new Map<string, Map<number, bigint>>();
  const topicOf = ({ topic }: Feed): string => (columns.topic === null ? "" : topic);
  for (const { feed, offsets } of records) {
    const first = offsets[0];
    const last = offsets.at(-1);
    if (first === undefined || last === undefined) continue;
    const topic = topicOf(feed);
    from.set(topic, (from.get(topic) ?? new Map()).set(feed.partition, first));
    to.set(topic, (to.get(topic) ?? new Map()).set(feed.partition, last));
  }
  const there = new Set<string>();
  if (from.size === 0) return there;
  const live = await offsetsPast(head, branch, from, columns, read, to);
  for (const { feed, offsets } of records) {
    const set = live.get(topicOf(feed))?.get(feed.partition);
    for (const offset of offsets) if (set?.has(offset)) there.add(recordKey(feed, offset));
  }
  return there;
}

/** A record in a set. */
export function recordKey(feed: Feed, offset: bigint): string {
  return `${feedKey(feed)}/${offset}`;
}

/**
 * Coordinates of a table that tell its records apart.
 * @throws AppError `usage` when they cannot
 */
export function checkedCoordinates(
  table: string,
  columns: CoordinateColumns | null,
  document: ProgressDocument,
): CoordinateColumns {
  if (columns === null) {
    throw fail(
      "usage",
      `The rows of ${table} do not say which records they are, so none can be brought in once for ` +
        'certain: source.metadata_columns must hold "partition" and "offset". It helps only rows that are written ' +
        "from then on",
    );
  }
  if (columns.topic === null && document.sources.size > 1) {
    throw fail(
      "usage",
      `Several topics fill ${table}, and its rows do not say which one they are of: ` +
        'source.metadata_columns must hold "topic" as well. It helps only rows that are written from then on',
    );
  }
  return columns;
}
