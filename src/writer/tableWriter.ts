/**
 * One table's writer: opens or creates the table, reads progress, and takes flushes to their end.
 *
 * Calls are serialised: at most one commit of this writer is under way. What decides about rows is in
 * `commit/`; this file owns the order of the durable steps (SPEC sections 2 and 8): columns committed
 * -> files named in the log -> files stored -> the commit. Kafka's offsets follow, outside.
 */
import { fail, policyOf } from "#base/errors.ts";
import { failpoint } from "#base/failpoint.ts";
import type { Feed, FeedKey, FeedOffset } from "#base/offsets.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import type { Field } from "#columns/schema.ts";
import { Append } from "#commit/append.ts";
import type { CommitResult } from "#commit/change.ts";
import { type CommitVia, commit, giveUp, newCommit, type PendingCommit } from "#commit/commit.ts";
import { CommitTable } from "#commit/commitTable.ts";
import { type KeptStop, keepStopChange, keptLogEnd } from "#commit/keptStops.ts";
import { Ledger } from "#commit/ledger.ts";
import {
  type CoordinateColumns,
  type LiveOffsets,
  offsetsPast,
  type RowEnds,
} from "#commit/liveRows.ts";
import { logComplete } from "#commit/logCommit.ts";
import type { Progress } from "#commit/progress.ts";
import { leaderEpochOf, offsetOf, ownerOf } from "#commit/progressDocument.ts";
import type { Advance } from "#commit/rules.ts";
import { type AppendResult, unreadable } from "#commit/shares.ts";
import type { RowIndex } from "#keyindex/port.ts";
import { AheadOfFlushes, type FlushAhead } from "./aheadOfFlushes.ts";
import { readCoordinates } from "./coordinates.ts";
import { createTable } from "./create.ts";
import { isInFeedOrder } from "./deleteMode.ts";
import { type FlushChange, type KeyIndex, openKeyIndex, writeFlush } from "./flushChange.ts";
import { splitFlush } from "./keyedFlush.ts";
import type { SealedSegment, WriterOptions, WriterParts } from "./parts.ts";
import { type Mismatch, reconcileSchema, settleMismatch, type WantedSchema } from "./reconcile.ts";
import { columnsFor, currentFields } from "./schema.ts";
import { joinSegments } from "./seal.ts";
import { checkTopic } from "./topicIdentity.ts";

/** A position that a table is to be owned at. */
export interface OwnedPosition extends FeedOffset {
  /** False: the table has no offset of the feed yet, and this one becomes it. */
  readonly isKnown: boolean;
}

/** A flush until its outcome is known; the caller keeps the rows until then. */
export interface Flush extends FlushAhead {
  /** Its files; another one when it begins again. */
  ledger: Ledger;
  /** Who owned the feeds when their rows were read. */
  readonly owners: Owners;
  /** Null until its files are written. */
  pending: PendingCommit<FlushChange> | null;
}

/** The owners of feeds whose records go to several tables (SPEC 2.8); the others have none. */
export type Owners = ReadonlyMap<FeedKey, string>;

/** Fences by another group within this time are counted together. */
const FENCE_WINDOW_MS = 60_000;
const FENCES_MAX = 3;
/** Flushes in a row whose rows are not of the table's schema before the table stops. */
const MISFITS_MAX = 10;

/** Writes one table for one pipeline. */
export class TableWriter {
  readonly #parts: WriterParts;
  readonly #options: WriterOptions;
  readonly #table: CommitTable;
  /** Rows may be written before they are flushed. */
  readonly ahead: AheadOfFlushes;
  /** Opened by the first flush; null: rows are appended, or it is not yet. */
  #index: KeyIndex | null = null;
  #tail: Promise<unknown> = Promise.resolve();
  #fences: number[] = [];
  #misfits = 0;

  private constructor(parts: WriterParts, options: WriterOptions, table: CommitTable) {
    this.#parts = parts;
    this.#options = options;
    this.#table = table;
    this.ahead = new AheadOfFlushes(parts, options, {
      head: () => table.head,
      leave: (ledger) => table.leftovers.add(table.head, ledger),
    });
  }

  /**
   * Opens the table, creating it when it is missing and that is allowed, and takes over what an
   * earlier process of this state directory left open.
   * @param fields columns of a new table, in order; ids are assigned
   * @param wanted what a table that is there has to go together with; default: nothing
   * @throws AppError `table_missing`, `table_unsupported`, `table_schema`, `catalog_*`
   */
  static async open(
    parts: WriterParts,
    options: WriterOptions,
    fields: readonly Field[],
    wanted: WantedSchema = { declared: [], own: [] },
  ): Promise<TableWriter> {
    const found = await parts.catalog.load(options.name);
    if (found === null) wanted.checkNew?.();
    const head = found ?? (await createTable(parts, options, fields));
    const table = new CommitTable({ readCoordinates, ...parts }, options, head);
    await reconcileSchema(parts, options, table, wanted);
    await table.leftovers.inherit(table.head);
    return new TableWriter(parts, options, table);
  }

  /** Namespace and table as text. */
  get name(): string {
    return this.#table.name;
  }

  /** True when records are changes of rows, of which only their partition says which is later. */
  get isInFeedOrder(): boolean {
    return isInFeedOrder(this.#options);
  }

  /** Columns by which records change rows of the table; none: rows are appended. */
  get key(): readonly string[] {
    return this.#options.key ?? [];
  }

  /** The column that says which of two changes of a row is later; null: they come in their order. */
  get order(): string | null {
    return this.#options.order ?? null;
  }

  /** The newest metadata that this writer has seen; never used for commits or seeks. */
  get lastSeen(): LoadedTable {
    return this.#table.head;
  }

  /**
   * Committed offsets by a head that was seen; null where it names none, or cannot be read. For readers:
   * nothing is decided on it.
   */
  async offsetsSeen(head: LoadedTable): Promise<(feed: Feed) => bigint | null> {
    const progress = await this.progressSeen(head);
    return (feed) => (progress.kind === "readable" ? offsetOf(progress.document, feed) : null);
  }

  /** What a head that was seen says about progress. For readers. */
  progressSeen(head: LoadedTable): Promise<Progress> {
    return this.#table.progressOf(head);
  }

  /** Columns of the newest schema seen. */
  get fields(): readonly Field[] {
    return currentFields(this.#table.head);
  }

  /** Loads the head, whose schema is then the newest seen. */
  async lookAtHead(): Promise<void> {
    await this.#serial(() => this.#table.load());
  }

  /** Answers columns that do not go together with the table's. Throws as `settleMismatch`. */
  settle(mismatch: Mismatch): Promise<void> {
    return this.#serial(() => settleMismatch(this.#parts, this.#options, this.#table, mismatch));
  }

  /**
   * Committed offsets of these feeds, from a head loaded now; null where the table has none.
   * @throws AppError `progress` when only a person can say
   */
  async positions(feeds: readonly Feed[]): Promise<(bigint | null)[]> {
    const committed = await this.committed(feeds);
    return committed.map((each) => each?.offset ?? null);
  }

  /** As {@link positions}, with the leader epochs that were committed with them, and the owners. */
  async committed(feeds: readonly Feed[]): Promise<(FeedOffset | null)[]> {
    const { document } = await this.#readable();
    for (const feed of feeds) checkTopic(this.name, document, feed);
    return feeds.map((feed) => {
      const offset = offsetOf(document, feed);
      if (offset === null) return null;
      const leaderEpoch = leaderEpochOf(document, feed);
      return { feed, offset, leaderEpoch, owner: ownerOf(document, feed) };
    });
  }

  /** Where the log of a feed ended, if a stop of it is kept in the newest head seen; else null. */
  keptLogEnd({ feed, offset }: FeedOffset): bigint | null {
    return keptLogEnd(this.#table.head, this.#options.branch, feed, offset);
  }

  /** Keeps a stop in the table, for the processes to come. After `held` call again. */
  keepStop(stop: KeptStop): Promise<CommitResult> {
    const change = keepStopChange(this.#options.branch, stop);
    return this.#serial(() => commit(this.#table, newCommit(this.#table, change)));
  }

  /** Commits first positions in an empty snapshot, before anything is read (SPEC 2.5). */
  claim(positions: readonly FeedOffset[]): Promise<AppendResult> {
    const advances = positions.map(({ feed, offset, leaderEpoch }) => ({
      ...{ feed, expect: null, next: offset, rows: 0n, leaderEpoch },
    }));
    return this.#serial(() => this.#commitEmpty("claim", advances));
  }

  /**
   * Names a new owner of these feeds in an empty snapshot: what was read under an earlier one is fenced
   * from then on (SPEC 2.8).
   * @param positions where the table stands by the newest head; one that it does not know begins there
   */
  own(positions: readonly OwnedPosition[], owner: string): Promise<AppendResult> {
    const advances = positions.map(({ feed, offset, leaderEpoch, isKnown }) => ({
      feed,
      expect: isKnown ? offset : null,
      next: offset,
      rows: 0n,
      leaderEpoch,
      claims: owner,
    }));
    return this.#serial(() => this.#commitEmpty("claim", advances));
  }

  /** Rows of the newest head seen that lie at or past these ends, by partition. */
  rowsPast(ends: RowEnds, columns: CoordinateColumns): Promise<LiveOffsets> {
    const read = this.#parts.readCoordinates ?? readCoordinates;
    return offsetsPast(this.#table.head, this.#options.branch, ends, columns, read);
  }

  /** Puts an own empty snapshot on a foreign head (SPEC 2.2); false when the head is ours. */
  refresh(): Promise<boolean> {
    return this.#serial(async () => {
      const progress = await this.#readable();
      if (progress.headIsOurs || progress.document.sources.size === 0) return false;
      const result = await this.#commitEmpty("refresh", []);
      return result.kind === "committed";
    });
  }

  /**
   * A new flush of sealed segments, contiguous per feed.
   * @param owners of the feeds; default: they have none
   * @param before a flush of more segments that this one takes the place of
   */
  newFlush(segments: readonly SealedSegment[], owners?: Owners, before?: Flush): Flush {
    const ahead = before === undefined ? this.ahead.take() : before.ahead;
    return { ledger: this.#newLedger(), segments, owners: new Map(owners), pending: null, ahead };
  }

  /**
   * Takes a flush as far as it goes, its requests by `via`. After `held` or `paused`, call again with it.
   * @throws AppError whose policy is `stop`: the table stops, its offsets stay where they are
   */
  flush(flush: Flush, via: CommitVia = this.#parts.catalog): Promise<AppendResult> {
    return this.#serial(async () => {
      const began = this.#parts.clock.monotonicMs();
      const pending = flush.pending ?? (await this.#prepare(flush));
      if (!("change" in pending)) return pending;
      flush.pending = Object.assign(pending, { via });
      const result = await this.#commit(pending);
      if (result.kind === "committed") this.#observeFlush(flush, began);
      return result;
    });
  }

  /** Writes the end of a flush to the log, after Kafka's offsets were written. */
  async complete(flush: Flush, result: AppendResult & { kind: "committed" }): Promise<void> {
    failpoint("log_flush_complete");
    const { snapshotId, offsets } = result;
    await logComplete(this.#parts, this.name, flush.ledger.commitId, snapshotId, offsets);
  }

  /** Nothing is flushed for a while: what is kept in memory for it, the index of keys, goes until then. */
  rest(): Promise<void> {
    return this.#serial(async () => this.#index?.rows?.close());
  }

  /** Files of a compaction are told before they are committed (`RowIndex.rewritten`). */
  readonly rewritten: RowIndex["rewritten"] = async (files) => this.#index?.rows?.rewritten(files);

  /** Gives a flush up that was not decided (revoked, shutdown): its files are removed by the rules. */
  giveUp(flush: Flush): Promise<void> {
    return this.#serial(async () => {
      await this.ahead.leave(flush);
      await (flush.pending === null ? this.#abandon(flush) : giveUp(this.#table, flush.pending));
    });
  }

  /** Gives a flush up that has not begun: nobody has its rows any more. */
  forget(flush: Flush): Promise<void> {
    return this.#serial(() => this.ahead.leave(flush));
  }

  /** Steps before the commit: columns, files. Returns an end when there is nothing to commit yet. */
  async #prepare(flush: Flush): Promise<PendingCommit<FlushChange> | AppendResult> {
    try {
      failpoint("seal");
      const flushes = joinSegments(flush.segments).map(splitFlush);
      const shapes = flushes.flatMap((each) => each.batches.map((batch) => batch.fields));
      const columns = columnsFor(this.#parts, shapes, this.#options);
      const ready = await commit(this.#table, newCommit(this.#table, columns));
      if (ready.kind !== "committed") return await this.#unprepared(flush, ready);
      this.#misfits = 0;
      this.#index ??= await openKeyIndex(this.#parts, this.#options);
      const begun = await this.ahead.join(flush, ready.table, flushes);
      const input = { ...flush, flushes, begun };
      const beganMs = Math.min(begun.beganMs, this.#parts.clock.nowMs());
      const change = await writeFlush(this.#parts, this.#options, ready.table, this.#index, input);
      await this.ahead.leave(flush);
      return newCommit(this.#table, change, flush.ledger, beganMs);
    } catch (error) {
      // Nothing was sent: the names are given up, and the next try writes under a new commit id.
      await this.ahead.leave(flush);
      await this.#abandon(flush);
      flush.ledger = this.#newLedger();
      if (policyOf(error).action !== "again") throw error;
      return { kind: "held", cause: error };
    }
  }

  /** Dropped: the table's schema is another by now; the rows are read again, decoded by that one. */
  async #unprepared(
    flush: Flush,
    result: Exclude<CommitResult, { readonly kind: "committed" }>,
  ): Promise<AppendResult> {
    if (result.kind !== "dropped") return result;
    await this.ahead.leave(flush);
    const reason = `table ${this.name} has another schema by now: ${result.reason}`;
    // Rows that were decoded by the head's own schema fit it: more in a row cannot be a coincidence.
    if (++this.#misfits >= MISFITS_MAX) {
      throw fail(
        "table_schema",
        `Rows do not fit the table: ${reason}. Restart: it begins with the table's columns, and ` +
          "brings back those of ours that were dropped (source.metadata_columns)",
        { table: this.name },
      );
    }
    const fenced = [...new Set(flush.segments.map((segment) => segment.range.feed))];
    return { ...result, reason, fenced };
  }

  async #commitEmpty(
    kind: "claim" | "refresh",
    advances: readonly Advance[],
  ): Promise<AppendResult> {
    const pending = newCommit(this.#table, new Append(this.#parts, kind, advances, []));
    const result = await this.#commit(pending);
    // Nobody comes back to it: what it left is removed by the rules.
    if (result.kind === "held") await giveUp(this.#table, pending);
    return result;
  }

  async #commit(pending: PendingCommit<FlushChange>): Promise<AppendResult> {
    const result = pending.change.resultOf(await commit(this.#table, pending));
    if (result.kind === "dropped") this.#countFence(result.by);
    return result;
  }

  /** Before its commit has begun: no request was sent. */
  async #abandon({ ledger }: Flush): Promise<void> {
    await this.#table.leftovers.add(this.#table.head, ledger);
  }

  #newLedger(): Ledger {
    return new Ledger(this.#parts.random.uuid());
  }

  async #readable(): Promise<Progress & { kind: "readable" }> {
    const head = await this.#table.load();
    const progress = await this.#table.progressOf(head);
    if (progress.kind === "unreadable") throw unreadable(head, progress.reason);
    return progress;
  }

  #countFence(by: string): void {
    if (by === "" || by === this.#options.group) return;
    const now = this.#parts.clock.monotonicMs();
    this.#fences = [...this.#fences.filter((at) => now - at < FENCE_WINDOW_MS), now];
    if (this.#fences.length < FENCES_MAX) return;
    throw fail(
      "fenced",
      `Consumer groups ${this.#options.group} and ${by} both write the same partitions to ` +
        `${this.name}; stop one of them`,
      { table: this.name },
    );
  }

  #observeFlush(flush: Flush, began: number): void {
    const rows = flush.segments.reduce((sum, each) => sum + (each.batch?.rowCount ?? 0), 0);
    const durationMs = this.#parts.clock.monotonicMs() - began;
    this.#parts.observe({ type: "flush", durationMs, rows });
  }

  #serial<T>(action: () => Promise<T>): Promise<T> {
    const run = this.#tail.then(action, action);
    this.#tail = run.catch(() => undefined);
    return run;
  }
}
