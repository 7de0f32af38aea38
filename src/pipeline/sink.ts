/**
 * One table at run time, as the place that rows go to: its hot buffer, its writer, its state, and the
 * one flush that may be under way. What makes the rows is apart (`source.ts`).
 *
 * Rows are sealed (`seal`) apart from being written (`flush`), so that tables with a common feed are
 * cut at one point and committed one after the other (`commits.ts`).
 */
import { describe, kindOf, policyOf, traceOf } from "#base/errors.ts";
import { type FeedKey, feedKey } from "#base/offsets.ts";
import { HotBuffer } from "#buffer/hotBuffer.ts";
import type { GrowingRows, SealedRows } from "#buffer/segment.ts";
import { fullName } from "#catalog/names.ts";
import type { CommitVia } from "#commit/commit.ts";
import { type AppendResult, FENCED } from "#commit/shares.ts";
import type { Decoder, Growth } from "#decode/decoder.ts";
import { droppedPaths } from "#iceberg/metadata/droppedColumns.ts";
import { hasRows } from "#iceberg/metadata/metadata.ts";
import type { WriterOptions, WriterParts } from "#writer/parts.ts";
import { type Flush, TableWriter } from "#writer/tableWriter.ts";
import { lags, type Outlet, type Side } from "./feeds.ts";
import { FlushReport } from "./flushReport.ts";
import type { CommitPolicy, CommitRank } from "./pipelineParts.ts";
import type { Source } from "./source.ts";
import {
  type FlushEvent,
  type Flushed,
  type FlushState,
  type Landed,
  nextFlush,
  nextState,
  type SealedFlush,
  type TableEvent,
  type TableState,
  takesRows,
} from "./states.ts";

/** The part of a decoder that a table has to do with. */
type Columns = Pick<Decoder, "fields" | "declared" | "own" | "adopt"> &
  Partial<Pick<Decoder, "checkNew">>;

/** The first commit of a process comes early: whoever starts it sees rows, and that it works. */
const FIRST_COMMIT_MS = 200;

/** One table of a pipeline. */
export class Sink {
  readonly name: string;
  readonly options: WriterOptions;
  readonly parts: WriterParts;
  readonly policy: CommitPolicy;
  readonly rank: CommitRank;
  readonly buffer: HotBuffer<GrowingRows>;
  /** Its outlets, one for each assigned feed; `feeds.ts` keeps them. */
  readonly outlets: Map<FeedKey, Outlet> = new Map();
  /** Where it is beside an outlet: a side table has no outlets of its own; `feeds.ts` keeps them. */
  readonly sides: Map<FeedKey, Side> = new Map();
  /** Under which owner its feeds are read, until they are started anew; `starts.ts` sets it. */
  readonly owners: Map<FeedKey, string> = new Map();
  /** Names of the topics that fill it, in the order of their coming; `sinks.ts` keeps them. */
  readonly topics: Set<string> = new Set();
  /** What makes its rows; `sinks.ts` keeps them. */
  readonly sources: Set<Source> = new Set();
  /** All tables that have a feed in common with it, by way of others too: itself at least. */
  kin: readonly Sink[] = [this];
  /** Topics that can no longer be read, and why; the table goes on while others feed it. */
  readonly failedTopics: Map<string, unknown> = new Map();
  /** Told after each change of its state. */
  changed: (before: TableState, event: TableEvent) => void = () => undefined;
  readonly #columns: Columns;
  readonly #report: FlushReport;
  #state: TableState = { kind: "running" };
  #flush: FlushState = { kind: "idle" };
  #writer: TableWriter | null = null;
  #opening: Promise<TableWriter> | null = null;
  #dueFromMs: number;
  #awaited = 0;
  /** Id of the schema that the decoder has; null: none yet. */
  #schemaId: number | null = null;
  /** When the load of that schema's head began (monotonic). */
  #schemaReadMs = Number.NEGATIVE_INFINITY;

  /** @param columns what the table is created with, and what takes its schema when it has changed */
  constructor(
    options: WriterOptions,
    parts: WriterParts,
    columns: Columns,
    policy: CommitPolicy,
    rank: CommitRank = "main",
  ) {
    this.name = fullName(options.name);
    this.options = options;
    this.parts = parts;
    this.#columns = columns;
    this.policy = policy;
    this.rank = rank;
    this.buffer = new HotBuffer(policy.keepMs ?? 0, options.aheadBytes);
    this.#report = new FlushReport(options.name, parts);
    this.#dueFromMs = parts.clock.monotonicMs() + Math.min(policy.intervalMs, FIRST_COMMIT_MS);
  }

  get state(): TableState {
    return this.#state;
  }

  /** Its end waits for this work, which never fails. */
  async awaits(work: Promise<void>): Promise<void> {
    this.#awaited++;
    await work;
    this.#awaited--;
  }

  /** Null until it was opened. */
  get writer(): TableWriter | null {
    return this.#writer;
  }

  /** Rows that this process has committed. */
  get rowsCommitted(): number {
    return this.#report.rowsCommitted;
  }

  /** When it was committed last (UTC ms); null: not yet by this process. */
  get lastCommitMs(): number | null {
    return this.#report.lastCommitMs;
  }

  get lastSnapshotId(): bigint | null {
    return this.#report.lastSnapshotId;
  }

  /** Bytes of memory that its rows and its samples hold. */
  get heldBytes(): number {
    return this.sources.values().reduce((sum, { bytes }) => sum + bytes, this.buffer.bytes);
  }

  /** True while a flush is being written. */
  get flushing(): boolean {
    return this.#flush.kind === "flushing";
  }

  /** True when sealed rows wait to be written, for the first time or again. */
  get sealed(): boolean {
    return this.#flush.kind === "sealed" || this.#flush.kind === "held";
  }

  /** True when something waits for a commit. */
  get pending(): boolean {
    return this.#flush.kind !== "idle" || this.#awaited > 0 || this.#moved();
  }

  /** True when a flush could begin ahead of its time; one that was held waits for its interval. */
  get ready(): boolean {
    return this.#flush.kind === "idle" && this.#isOpen() && this.#moved();
  }

  /** True while records that were read for it wait, for its columns or its head, and are in no segment. */
  get waits(): boolean {
    if (!takesRows(this.#state)) return false;
    for (const { waits, source } of this.outlets.values()) {
      if (waits || source.sampledSinceMs !== null) return true;
    }
    return false;
  }

  /** When a flush is to begin (monotonic ms); null: nothing waits, or one is under way. */
  get dueMs(): number | null {
    if (!this.#isOpen() || this.flushing) return null;
    if (this.sealed) return this.#dueFromMs;
    if (!this.#moved()) return null;
    const { rowsMax, bytesMax, emptyIntervalMs } = this.policy;
    const { waitingRows, waitingBytes } = this.buffer;
    const isFull = (rowsMax > 0 && waitingRows >= rowsMax) || waitingBytes >= bytesMax;
    if (isFull || this.#state.kind === "draining") return 0;
    return this.#dueFromMs + (waitingRows > 0 ? 0 : emptyIntervalMs);
  }

  /** Opens (or creates) the table once, whoever asks meanwhile; the decoder takes its schema. */
  open(): Promise<TableWriter> {
    this.#opening ??= this.#openOnce().catch((error: unknown) => {
      this.#opening = null;
      throw error;
    });
    return this.#opening;
  }

  async #openOnce(): Promise<TableWriter> {
    const readMs = this.parts.clock.monotonicMs();
    const columns = this.#columns;
    this.#writer = await TableWriter.open(this.parts, this.options, columns.fields, columns);
    this.#adoptSchema(readMs);
    return this.#writer;
  }

  /** Whether the decoder knows the table's schema as it was at `sinceMs` or later (monotonic). */
  hasSchemaOf(sinceMs: number): boolean {
    return this.#schemaReadMs >= sinceMs;
  }

  /**
   * Makes sure that the decoder knows the table's schema as it was at `sinceMs` or later (monotonic):
   * the head is loaded unless one was since then.
   */
  async readSchema(sinceMs: number): Promise<void> {
    if (this.#writer === null || this.hasSchemaOf(sinceMs)) return;
    const readMs = this.parts.clock.monotonicMs();
    await this.#writer.lookAtHead();
    this.#adoptSchema(readMs);
  }

  /** Answers what schemas of records ask of its columns. Throws as `TableWriter.settle`. */
  async answerGrowth({ by, settled, ...mismatch }: Growth): Promise<void> {
    await this.#writer?.settle({ sentence: `${by} does not fit table ${this.name}`, ...mismatch });
    this.#adoptSchema();
    settled();
  }

  /** The only way in which its state changes. */
  apply(event: TableEvent): void {
    const before = this.#state;
    this.#state = nextState(before, event);
    if (this.#state === before) return;
    if (event.kind === "unreadable" || event.kind === "failed") {
      const { error } = event;
      const kind = kindOf(error);
      const where = { table: this.name, kind, ...traceOf(error) };
      this.parts.logger.log("error", describe(error), where);
      this.parts.observe({ type: "error", kind });
    }
    this.changed(before, event);
  }

  /** Hands what was closed to the writer, to be written before it is due; not while a commit is held. */
  writeAhead(): void {
    if (this.#writer === null || this.#flush.kind === "held" || !this.buffer.hasFull) return;
    void this.#writer.ahead.add(this.buffer.takeFull());
  }

  /** Cuts what is buffered off: rows that come later belong to the next flush. False: nothing is there. */
  seal(): boolean {
    if (this.#flush.kind !== "idle" || this.#writer === null || !this.#isOpen()) return false;
    this.catchUp();
    const segments = this.buffer.seal();
    if (segments.length === 0) return false;
    this.#become({ kind: "seal", work: this.#workOf(this.#writer, segments) });
    return true;
  }

  /**
   * Writes what is sealed, or goes on with the flush that was held. A stop error becomes the state.
   * @param intervalMs to the next one's beginning @param via where its requests go; default: to the catalog
   * @returns null: nothing is sealed, or the table has stopped
   */
  async flush(intervalMs: number, via?: CommitVia): Promise<Flushed | null> {
    const state = this.#flush;
    if (this.#writer === null || (state.kind !== "sealed" && state.kind !== "held")) return null;
    const { work } = state;
    if (this.#state.kind === "stopped") {
      this.#become({ kind: "end" });
      this.#forget(work.flush);
      this.buffer.release(work.segments);
      return null;
    }
    const beganMs = this.parts.clock.monotonicMs();
    this.#become({ kind: "begin" });
    try {
      if (state.kind === "sealed") await this.#report.sealed(work.segments);
      const result = await this.#writer.flush(work.flush, via);
      const landed = result.kind === "committed" ? { work, result } : null;
      this.#settle(work, result, this.parts.clock.monotonicMs() - beganMs);
      this.#dueFromMs = (this.sealed ? this.parts.clock.monotonicMs() : beganMs) + intervalMs;
      return { result, landed };
    } catch (error) {
      if (policyOf(error).action === "again") {
        this.#settle(work, { kind: "held", cause: error }, 0);
        this.#dueFromMs = this.parts.clock.monotonicMs() + intervalMs;
        return { result: { kind: "held", cause: error }, landed: null };
      }
      this.#become({ kind: "end" });
      this.#forget(work.flush);
      this.#report.ended("failed", this.parts.clock.monotonicMs() - beganMs);
      this.buffer.release(work.segments);
      this.apply({ kind: "failed", error });
      return null;
    }
  }

  /** Sealed rows wait for `ms` from now. */
  postpone(ms: number): void {
    if (this.sealed) this.#dueFromMs = this.parts.clock.monotonicMs() + ms;
  }

  /** Writes the end of a flush to the log, also when Kafka did not take its offsets. */
  async complete({ work, result }: Landed, isAcknowledged: boolean): Promise<void> {
    for (const { feed, offset } of isAcknowledged ? result.offsets : []) {
      const { topic, partition } = feed;
      await this.parts.txlog.append({ type: "OffsetCommit", topic, partition, offset });
    }
    await this.#writer?.complete(work.flush, result);
  }

  /** Drops every row of a feed that is not being written: the head decides about those that are. */
  drop(key: FeedKey): void {
    this.buffer.drop(key);
    void this.#writer?.ahead.drop(key);
    if (this.#flush.kind !== "sealed" || this.#writer === null) return;
    const { segments, flush } = this.#flush.work;
    const kept = segments.filter(({ range }) => feedKey(range.feed) !== key);
    if (kept.length === segments.length) return;
    this.buffer.release(segments.filter((segment) => !kept.includes(segment)));
    const left = kept.length > 0 ? this.#workOf(this.#writer, kept, flush) : null;
    if (left === null) this.#forget(flush);
    this.#become(left === null ? { kind: "end" } : { kind: "seal", work: left });
  }

  /** A flush that nobody will write; where its log cannot be written, the next start knows. */
  #forget(flush: Flush): void {
    void this.#writer?.forget(flush).catch(() => undefined);
  }

  #workOf(writer: TableWriter, segments: readonly SealedRows[], before?: Flush): SealedFlush {
    return { segments, flush: writer.newFlush(segments, this.owners, before) };
  }

  #isOpen(): boolean {
    return this.#state.kind !== "stopped" && this.#writer !== null;
  }

  #become(event: FlushEvent): void {
    this.#flush = nextFlush(this.#flush, event);
  }

  /** Rows wait, or a position moved: of a feed that fills several tables perhaps without a row here. */
  #moved(): boolean {
    if (this.buffer.moved) return true;
    if (this.kin.length === 1 || !takesRows(this.#state)) return false;
    return this.outlets.values().some(lags);
  }

  /** Moves outlets behind the batches that had no row for this table: not done one by one. */
  catchUp(): void {
    if (this.kin.length === 1 || this.#writer === null || !takesRows(this.#state)) return;
    for (const outlet of this.outlets.values()) {
      const { feed, source, end } = outlet;
      feed.noted = false;
      if (!lags(outlet)) continue;
      const segment = this.buffer.segment(feed.feed, end, (sizes) => source.decoder.builder(sizes));
      this.buffer.advance(segment, feed.position, feed.leaderEpoch);
      outlet.end = feed.position;
    }
  }

  #settle(work: SealedFlush, result: AppendResult, durationMs: number): void {
    const { logger } = this.parts;
    if (result.kind === "dropped" || (result.kind === "committed" && result.fenced.length > 0)) {
      this.#report.ended("fenced", durationMs);
      const reason = result.kind === "dropped" ? result.reason : FENCED;
      logger.log("warn", `Rows dropped, to be read again: ${reason}`, {
        table: this.name,
        feeds: result.fenced.map(feedKey),
      });
    }
    switch (result.kind) {
      case "committed":
        this.#become({ kind: "end" });
        this.#report.committed(work, result, durationMs, this.#writer?.lastSeen ?? null);
        this.buffer.recycle(work.segments, this.parts.clock.monotonicMs());
        this.#adoptSchema();
        this.apply({ kind: "went_through" });
        break;
      case "dropped":
        this.#become({ kind: "end" });
        this.buffer.release(work.segments);
        this.#adoptSchema();
        this.apply({ kind: "went_through" });
        break;
      case "held":
        this.#become({ kind: "hold" });
        logger.log("warn", `Commit held: ${describe(result.cause)}`, { table: this.name });
        this.parts.observe({ type: "error", kind: kindOf(result.cause) });
        this.apply({ kind: "held", cause: result.cause });
        break;
      case "paused":
        this.#become({ kind: "hold" });
        this.apply({ kind: "paused" });
        break;
    }
  }

  /** @param readMs when the load of the newest head began; default: before now */
  #adoptSchema(readMs: number = this.#schemaReadMs): void {
    if (this.#writer === null) return;
    this.#schemaReadMs = readMs;
    const { metadata } = this.#writer.lastSeen;
    if (metadata.currentSchemaId === this.#schemaId) return;
    this.#schemaId = metadata.currentSchemaId;
    const history = { dropped: droppedPaths(metadata), hasRows: hasRows(metadata) };
    this.#columns.adopt(this.#writer.fields, history);
  }
}
