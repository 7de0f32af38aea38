/**
 * Changes of keys: a flush whose rows take the place of the rows that the table has of their keys
 * (CHANGE_RULES 10a to 10m).
 *
 * Only data files live longer than an attempt (10f). Each attempt brings the index to its head, asks it for
 * all rows of the keys that are left after the fences, and writes the deletes of these anew (10e). The
 * index changes when a snapshot is known to have landed, and only if that was staged on what the index
 * says (10b).
 */
import { fail, kindOf } from "#base/errors.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import type { SnapshotId } from "#iceberg/metadata/metadata.ts";
import type { IndexChange, KeySet, LocatedRows, PlacedFile, RowIndex } from "#keyindex/port.ts";
import type {
  Attempt,
  CommitResult,
  Drop,
  Landing,
  SnapshotChange,
  StagedSnapshot,
} from "./change.ts";
import { stageEmptied } from "./emptied.ts";
import { joinedKeys, requireDistinct } from "./keySets.ts";
import { logLanded } from "./logCommit.ts";
import { type JudgedChanges, judgeOrder } from "./orderedKeys.ts";
import type { CommitParts } from "./parts.ts";
import { headOf, type Progress } from "./progress.ts";
import { withOffsets } from "./progressDocument.ts";
import type { DeleteRows, RowDeletes } from "./rowDeletes.ts";
import type { Advance } from "./rules.ts";
import { type AppendResult, type FileUnit, Shares, unreadable } from "./shares.ts";
import { stageSnapshot } from "./snapshot.ts";

/** Files with the keys of their rows, and the keys whose older rows go. */
export interface KeyedUnit extends FileUnit {
  /** Of all changes, deletions of keys included; each once, and, without orders, in no other unit of the commit. */
  readonly keys: KeySet;
  /** The same files as `files`. */
  readonly placed: readonly PlacedFile[];
  /** Before its changes every row of the table goes. */
  readonly empties: boolean;
  /**
   * Writes rows that take values, or their id, from the rows which they replace: for each attempt, whose head
   * says which those are (10f). Null: there are none.
   */
  readonly complete: ((attempt: Attempt) => Promise<readonly PlacedFile[]>) | null;
}

/** How an upsert finds rows and writes deletes. */
export interface UpsertPorts {
  readonly index: RowIndex;
  readonly deleteRows: DeleteRows;
}

/** What the last attempt would make of the index. */
interface StagedChange {
  readonly snapshotId: SnapshotId;
  readonly sequenceNumber: bigint;
  readonly change: IndexChange;
}

/** One flush of changes, which shrinks when feeds are fenced. */
export class Upsert implements SnapshotChange {
  readonly makes = "snapshot";
  readonly kind = "flush";
  readonly isHeldByPause = true;
  readonly #parts: CommitParts;
  readonly #ports: UpsertPorts;
  readonly #shares: Shares<KeyedUnit>;
  #staged: StagedChange | null = null;
  /** Data files with the rows of the last attempt. */
  #paths: readonly string[] = [];
  /** The head of which a file was not found. */
  #missingIn: SnapshotId | null | undefined;

  constructor(
    parts: CommitParts,
    ports: UpsertPorts,
    advances: readonly Advance[],
    units: readonly KeyedUnit[],
  ) {
    this.#parts = parts;
    this.#ports = ports;
    this.#shares = new Shares(advances, units);
  }

  /** Rule 3; the keys of a fenced feed leave with its rows. */
  fence(head: LoadedTable, progress: Progress): Drop | null {
    return this.#shares.fence(head, progress);
  }

  async stage(attempt: Attempt): Promise<StagedSnapshot> {
    const { head, progress, options } = attempt;
    if (progress.kind === "unreadable") throw unreadable(head, progress.reason);
    const { index } = this.#ports;
    const { moved } = this.#shares;
    const isEmptied = this.#shares.units.some(({ empties }) => empties);
    if (isEmptied) return await this.#stageEmptied(attempt);
    await index.bringTo(head, options.branch);
    const units = await this.#completed(attempt);
    const { keys, placed, dead } = await this.#judge(attempt, units);
    const located = await index.locate(keys);
    const { added, removed } = await this.#delete(attempt, [...located, ...dead]);
    const { document } = progress;
    const after = withOffsets(document, moved);
    const files = units.flatMap((unit) => unit.files);
    const all = [...files, ...added];
    const staged = await stageSnapshot(attempt, all, document, after, { removed });
    const { snapshotId, sequenceNumber } = staged.snapshot;
    const base = headOf(head.metadata, options.branch);
    const change = { base, keys, placed, addedDeletes: added, removedDeletes: removed };
    // Rows that moved into other files are read there when the index is brought to the next head.
    const isMoved = removed.some(({ content }) => content === "data");
    this.#staged = isMoved ? null : { snapshotId, sequenceNumber, change };
    this.#paths = files.map((file) => file.filePath);
    return staged;
  }

  /** The source was emptied. The index reads what landed as it reads anybody's commit. */
  async #stageEmptied(attempt: Attempt): Promise<StagedSnapshot> {
    this.#staged = null;
    const units = await this.#completed(attempt);
    const files = units.flatMap((unit) => unit.files);
    this.#paths = files.map((file) => file.filePath);
    const { moved } = this.#shares;
    return await this.#reading(attempt, () => stageEmptied(attempt, { files, moved }));
  }

  /** The units with all their rows. */
  async #completed(attempt: Attempt): Promise<KeyedUnit[]> {
    const units: KeyedUnit[] = [];
    for (const unit of this.#shares.units) {
      const { complete } = unit;
      const more = complete === null ? [] : await this.#reading(attempt, () => complete(attempt));
      const files = [...unit.files, ...more.map(({ file }) => file)];
      units.push({ ...unit, files, placed: [...unit.placed, ...more] });
    }
    return units;
  }

  /** Which changes count in the attempt's head. */
  async #judge(attempt: Attempt, units: readonly KeyedUnit[]): Promise<JudgedChanges> {
    const keys = joinedKeys(units.map((unit) => unit.keys));
    if (keys.orders !== null && keys.orders !== undefined) {
      const { storage } = attempt.head;
      const { clock } = attempt.parts;
      return await this.#reading(attempt, () =>
        judgeOrder(units, keys, this.#ports.index, storage, clock),
      );
    }
    if (units.length > 1) await requireDistinct(keys, attempt);
    return { keys, placed: units.flatMap((unit) => unit.placed), dead: [] };
  }

  /** Hides rows. */
  #delete(attempt: Attempt, located: readonly LocatedRows[]): Promise<RowDeletes> {
    return this.#reading(attempt, () => this.#ports.deleteRows(attempt, located));
  }

  /** Reads files of the head. @throws AppError `storage_unreachable` when one of them was removed meanwhile */
  async #reading<T>(attempt: Attempt, read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      const wanted = headOf(attempt.head.metadata, attempt.options.branch);
      if (kindOf(error) !== "storage_missing" || this.#missingIn === wanted) throw error;
      // Expiry may have been faster than we. A head that misses its file twice is damaged.
      this.#missingIn = wanted;
      const sentence = "A file of the table was removed while its rows were looked up";
      throw fail("storage_unreachable", sentence, {}, error);
    }
  }

  /** The index first: what cannot be written into the log is written again, and it takes a change once. */
  async landed(landing: Landing): Promise<void> {
    const { snapshotId } = landing;
    const staged = this.#staged;
    if (staged?.snapshotId === snapshotId) {
      const { change, sequenceNumber } = staged;
      await this.#ports.index.apply(change, { snapshotId, sequenceNumber });
    }
    await logLanded(this.#parts, landing, this.#paths, this.#shares.offsets);
  }

  /** What a commit's end means for the feeds. */
  resultOf(result: CommitResult): AppendResult {
    const ended = this.#shares.resultOf(result);
    return ended.kind === "committed" ? { ...ended, fileCount: this.#paths.length } : ended;
  }
}
