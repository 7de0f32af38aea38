/**
 * The rows of a range of records replaced by what the records are now: a replay (CHANGE_RULES 13). One
 * snapshot deletes the rows that its head has of the range and adds those that were read again; it moves
 * no offset.
 *
 * Everything is looked at on the head of each attempt: every row says which record it is; the range lies below the offset and above the beginning; the
 * side tables are read after the head; *no row goes whose record is not written again*, and none is
 * written of a record that only a side table has. Where another head says otherwise the change is
 * dropped, for its maker to begin anew; replacing twice is replacing once, so that an unknown outcome may be, too.
 */
import type { OffsetRange } from "#base/offsets.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import type { Attempt, Drop, Landing, SnapshotChange, StagedSnapshot } from "./change.ts";
import { logComplete, logLanded } from "./logCommit.ts";
import type { OffsetSet } from "./offsetSet.ts";
import type { CommitParts } from "./parts.ts";
import type { Progress } from "./progress.ts";
import { endOf, leaderEpochOf, withOffsets } from "./progressDocument.ts";
import { hasBegunBy, type RowWitness, requireCoordinates, rowsOfRange } from "./rangeRows.ts";
import { type WritePositionDeletes, writeDeletes } from "./rowDeletes.ts";
import { unreadable } from "./shares.ts";
import { stageSnapshot } from "./snapshot.ts";

/** How a replay looks at heads and writes deletes. */
export interface ReplayTools {
  readonly witness: RowWitness;
  /** Records of the range that side tables have now. */
  readonly aside: () => Promise<OffsetSet>;
  readonly writePositionDeletes: WritePositionDeletes;
}

/** What is written of the range. */
export interface ReplayedRows {
  /** The records, each of which is one row. */
  readonly offsets: OffsetSet;
  /** Durable, and in the ledger. */
  readonly files: readonly DataFile[];
}

/** Records between two turns of the event loop: about 5 ms. */
const OFFSETS_PER_TURN = 65_536;

/** One replay, over all its attempts. */
export class RangeReplacement implements SnapshotChange {
  readonly makes = "snapshot";
  readonly kind = "replay";
  readonly isHeldByPause = true;
  readonly #parts: CommitParts;
  readonly #tools: ReplayTools;
  readonly #range: OffsetRange;
  readonly #written: ReplayedRows;

  constructor(parts: CommitParts, tools: ReplayTools, range: OffsetRange, written: ReplayedRows) {
    this.#parts = parts;
    this.#tools = tools;
    this.#range = range;
    this.#written = written;
  }

  /** What lies at or past the head's offset is ingest's. */
  fence(head: LoadedTable, progress: Progress): Drop | null {
    if (progress.kind === "unreadable") throw unreadable(head, progress.reason);
    const isPassed = endOf(progress.document, this.#range.feed) >= this.#range.end;
    return isPassed ? null : { kind: "dropped", reason: CHANGED, by: progress.group };
  }

  async stage(attempt: Attempt): Promise<StagedSnapshot | Drop> {
    const { head, progress, options } = attempt;
    if (progress.kind === "unreadable") throw unreadable(head, progress.reason);
    const { document } = progress;
    const { witness, writePositionDeletes } = this.#tools;
    const range = this.#range;
    await requireCoordinates(head, options.branch, document, witness);
    const there = await rowsOfRange(head, options.branch, range, witness);
    const aside = await this.#tools.aside();
    const stands =
      (await hasBegunBy(head, options.branch, range, witness)) &&
      (await this.#isRight(there.offsets, aside));
    if (!stands) return { kind: "dropped", reason: CHANGED, by: progress.group };
    const { added, removed } = await writeDeletes(attempt, there.located, writePositionDeletes);
    const { offsets, files } = this.#written;
    const fresh = await this.#count(offsets, (offset) => !there.offsets.has(offset));
    const { feed } = range;
    const moved = {
      feed,
      offset: endOf(document, feed),
      rows: fresh,
      leaderEpoch: leaderEpochOf(document, feed),
    };
    const after = withOffsets(document, [moved]);
    return stageSnapshot(attempt, [...files, ...added], document, after, { removed });
  }

  /** Every row that goes is written again, and of a side table's records only those that are rows. */
  async #isRight(there: OffsetSet, aside: OffsetSet): Promise<boolean> {
    const { offsets } = this.#written;
    const lost = await this.#count(there, (offset) => !offsets.has(offset));
    const doubled = await this.#count(aside, (offset) => offsets.has(offset) && !there.has(offset));
    return lost === 0n && doubled === 0n;
  }

  async #count(offsets: OffsetSet, isCounted: (offset: bigint) => boolean): Promise<bigint> {
    let [count, looked] = [0n, 0];
    for (const offset of offsets.offsets()) {
      if (++looked % OFFSETS_PER_TURN === 0) await this.#parts.clock.turn();
      if (isCounted(offset)) count++;
    }
    return count;
  }

  async landed(landing: Landing): Promise<void> {
    const paths = this.#written.files.map(({ filePath }) => filePath);
    await logLanded(this.#parts, landing, paths, []);
    const { table, commitId, snapshotId } = landing;
    await logComplete(this.#parts, fullName(table.name), commitId, snapshotId, []);
  }
}

/** Why a replay is to be made anew. */
const CHANGED = "the table has other rows of the range by now";
