/**
 * One table of a pipeline at run time: decoder, hot buffer and writer, and the one flush that may be
 * under way.
 */
import { describe, kindOf, policyOf } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { type FeedKey, type FeedOffset, feedKey } from "#base/offsets.ts";
import { HotBuffer, type SealedRows } from "#buffer/hotBuffer.ts";
import { fullName, namespaceText } from "#catalog/names.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import type { JobResult } from "#commit/job.ts";
import type { RecordBatch } from "#consumer/consumer.ts";
import type { Decoder, SegmentBuilder } from "#decode/decoder.ts";
import type { WriterOptions, WriterParts } from "#writer/parts.ts";
import { type Flush, TableWriter } from "#writer/tableWriter.ts";

/** When a commit is due. */
export interface CommitPolicy {
  readonly intervalMs: number;
  /** 0: no bound. */
  readonly rowsMax: number;
  readonly bytesMax: number;
  /** A commit that only moves offsets waits this long. */
  readonly emptyIntervalMs: number;
}

/** What the table does now. */
export type TableState =
  | { readonly kind: "running" }
  | { readonly kind: "retrying"; readonly cause: unknown }
  | { readonly kind: "paused" }
  | { readonly kind: "stopped"; readonly error: unknown };

/** Batches that wait until the schema was inferred from them. */
interface Sample {
  readonly batches: RecordBatch[];
  records: number;
  bytes: number;
  readonly sinceMs: number;
}

/** A flush with the rows that the hot buffer keeps until it has ended. */
interface RunningFlush {
  readonly flush: Flush;
  readonly segments: readonly SealedRows[];
}

/** The first commit of a process comes early: whoever starts it sees rows, and that it works. */
const FIRST_COMMIT_MS = 200;

/** How often the size of the metadata is looked at. */
const MEASURE_MS = 60_000;

/** One table of a pipeline. */
export class TableRun {
  readonly name: string;
  readonly decoder: Decoder;
  readonly buffer: HotBuffer<SegmentBuilder> = new HotBuffer();
  readonly options: WriterOptions;
  readonly parts: WriterParts;
  readonly policy: CommitPolicy;
  state: TableState = { kind: "running" };
  writer: TableWriter | null = null;
  sample: Sample | null = null;
  lastCommitMs: number | null = null;
  lastSnapshotId: bigint | null = null;
  rowsCommitted = 0;
  /** Commit is due from then on (monotonic ms). */
  dueFromMs: number;
  /** True while the table's partitions are not read because a person paused it. */
  readingHeld = false;
  /** Topics that can no longer be read, and why; the table goes on while others feed it. */
  readonly failedTopics: Map<string, unknown> = new Map();
  #opening: Promise<TableWriter> | null = null;
  #held: RunningFlush | null = null;
  #measuredMs = Number.NEGATIVE_INFINITY;
  #flushing: Promise<JobResult | null> | null = null;

  constructor(options: WriterOptions, parts: WriterParts, decoder: Decoder, policy: CommitPolicy) {
    this.name = fullName(options.name);
    this.options = options;
    this.parts = parts;
    this.decoder = decoder;
    this.policy = policy;
    this.dueFromMs = parts.clock.monotonicMs() + Math.min(policy.intervalMs, FIRST_COMMIT_MS);
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
    this.writer = await TableWriter.open(this.parts, this.options, this.decoder.fields);
    this.decoder.adopt(this.writer.fields);
    return this.writer;
  }

  /** True while a flush is under way. */
  get flushing(): boolean {
    return this.#flushing !== null;
  }

  /** True when something waits for a commit. */
  get pending(): boolean {
    return this.#held !== null || this.flushing || this.buffer.moved;
  }

  /** True when a flush could begin ahead of its time; one that was held waits for its interval. */
  get ready(): boolean {
    return this.#held === null && !this.flushing && this.buffer.moved;
  }

  /** Bytes of memory that its rows and its sample hold. */
  get heldBytes(): number {
    return this.buffer.bytes + (this.sample?.bytes ?? 0);
  }

  /** Whether a flush is to begin now. */
  due(nowMs: number): boolean {
    if (this.state.kind === "stopped" || this.flushing || this.writer === null) return false;
    const { rowsMax, bytesMax } = this.policy;
    if (this.#held !== null) return nowMs >= this.dueFromMs;
    if (!this.buffer.moved) return false;
    if (rowsMax > 0 && this.buffer.waitingRows >= rowsMax) return true;
    if (this.buffer.waitingBytes >= bytesMax) return true;
    const wait = this.buffer.waitingRows > 0 ? 0 : this.policy.emptyIntervalMs;
    return nowMs >= this.dueFromMs + wait;
  }

  /**
   * Flushes what is buffered, or goes on with the flush that was held. Null: nothing to do.
   * A stop error is kept as the table's state, not thrown.
   */
  flush(): Promise<JobResult | null> {
    if (this.#flushing === null) {
      const beganMs = this.parts.clock.monotonicMs();
      this.#flushing = this.#flush().finally(() => {
        this.#flushing = null;
        // From beginning to beginning, so that a row waits for one interval and one flush; what did
        // not go through is tried again after a whole interval.
        const sinceMs = this.#held === null ? beganMs : this.parts.clock.monotonicMs();
        this.dueFromMs = sinceMs + this.policy.intervalMs;
      });
    }
    return this.#flushing;
  }

  /** Waits for the flush under way, then flushes the rest. */
  async flushAll(): Promise<JobResult[]> {
    const results: JobResult[] = [];
    for (let rounds = 0; rounds < 3 && this.pending; rounds++) {
      const result = await this.flush();
      if (result !== null) results.push(result);
      if (result === null || result.kind === "held" || result.kind === "paused") break;
    }
    return results;
  }

  /** Drops every row of these feeds that is not in a flush under way. */
  drop(keys: readonly FeedKey[]): void {
    for (const key of keys) this.buffer.drop(key);
    const gone = new Set(keys);
    if (this.sample !== null) {
      const kept = this.sample.batches.filter((batch) => !gone.has(batch.key));
      this.sample.batches.splice(0, this.sample.batches.length, ...kept);
    }
  }

  /** What a flush or start shows of the table; one that was stopped meanwhile stays so. */
  become(state: TableState): void {
    if (this.state.kind !== "stopped") this.state = state;
  }

  /** Stops this table; the others go on. */
  stop(error: unknown): void {
    this.state = { kind: "stopped", error };
    this.parts.logger.log("error", describe(error), { table: this.name, kind: kindOf(error) });
    this.parts.observe({ type: "error", kind: kindOf(error) });
  }

  async #flush(): Promise<JobResult | null> {
    const { writer } = this;
    if (writer === null || this.state.kind === "stopped") return null;
    const running = this.#held ?? this.#seal(writer);
    if (running === null) return null;
    const { flush, segments } = running;
    const began = this.parts.clock.monotonicMs();
    try {
      if (running !== this.#held) await this.#logBuffer(segments);
      const result = await writer.flush(flush);
      this.#settle(running, result, this.parts.clock.monotonicMs() - began);
      if (result.kind === "committed") this.#completing = { flush, result };
      return result;
    } catch (error) {
      if (policyOf(error).action === "again") {
        const result: JobResult = { kind: "held", cause: error };
        this.#settle(running, result, 0);
        return result;
      }
      this.#held = null;
      this.#observeOutcome("failed", this.parts.clock.monotonicMs() - began);
      this.buffer.release(segments);
      this.stop(error);
      return null;
    }
  }

  #completing: { flush: Flush; result: JobResult & { kind: "committed" } } | null = null;

  /** Writes the end of the last committed flush to the log, once Kafka's offsets were written. */
  async complete(): Promise<void> {
    const done = this.#completing;
    this.#completing = null;
    if (done === null) return;
    for (const { feed, offset } of done.result.offsets) {
      const { topic, partition } = feed;
      await this.parts.txlog.append({ type: "OffsetCommit", topic, partition, offset });
    }
    await this.writer?.complete(done.flush, done.result);
  }

  async #logBuffer(segments: readonly SealedRows[]): Promise<void> {
    const sum = (of: (batch: ColumnBatch) => number): number =>
      segments.reduce((total, { batch }) => total + (batch === null ? 0 : of(batch)), 0);
    await this.parts.txlog.append({
      type: "BufferSnapshot",
      record_count: sum((batch) => batch.rowCount),
      size_bytes: sum((batch) => batch.byteCount),
    });
  }

  #seal(writer: TableWriter): RunningFlush | null {
    const segments = this.buffer.seal();
    return segments.length === 0 ? null : { segments, flush: writer.newFlush(segments) };
  }

  #settle(running: RunningFlush, result: JobResult, durationMs: number): void {
    const { flush, segments } = running;
    const isFenced =
      result.kind === "dropped" || (result.kind === "committed" && result.fenced.length > 0);
    if (isFenced) this.#observeOutcome("fenced", durationMs);
    switch (result.kind) {
      case "committed": {
        const rows = committedRows(segments, result.offsets);
        this.rowsCommitted += rows;
        this.lastCommitMs = this.parts.clock.nowMs();
        this.lastSnapshotId = result.snapshotId;
        this.become({ kind: "running" });
        this.#held = null;
        this.buffer.recycle(segments, this.parts.clock.monotonicMs());
        this.#adoptSchema();
        this.#observeCommitted(segments);
        logFlush(
          this.parts.logger,
          { catalogType: this.parts.catalog.traits.type, committedMs: this.lastCommitMs },
          flush,
          result,
          rows,
          durationMs,
        );
        return;
      }
      case "dropped":
        this.#held = null;
        this.become({ kind: "running" });
        this.buffer.release(segments);
        this.#adoptSchema();
        this.parts.logger.log("warn", `Rows dropped, to be read again: ${result.reason}`, {
          table: this.name,
          feeds: result.fenced.map(feedKey),
        });
        return;
      case "held":
        this.#held = running;
        this.become({ kind: "retrying", cause: result.cause });
        this.parts.logger.log("warn", `Commit held: ${describe(result.cause)}`, {
          table: this.name,
        });
        return;
      case "paused":
        this.#held = running;
        this.become({ kind: "paused" });
        return;
    }
  }

  /** Outcomes of a flush as a whole; each attempt's own is observed where it is sent. */
  #observeOutcome(outcome: "fenced" | "failed", durationMs: number): void {
    const { clock, observe } = this.parts;
    const { namespace, table } = this.options.name;
    const where = { database: namespaceText(namespace), table };
    observe({ type: "commit", ...where, outcome, data: true, durationMs, atMs: clock.nowMs() });
  }

  /** How old the rows were when they were committed, and how large the table's metadata is by now. */
  #observeCommitted(segments: readonly SealedRows[]): void {
    const { clock, observe } = this.parts;
    for (const { oldestMs } of segments) {
      if (!Number.isFinite(oldestMs)) continue;
      observe({ type: "freshness", stage: "committed", ageMs: clock.nowMs() - oldestMs });
    }
    const table = this.writer?.lastSeen;
    const now = clock.monotonicMs();
    if (table === undefined || now - this.#measuredMs < MEASURE_MS) return;
    this.#measuredMs = now;
    const measure = async (): Promise<void> => {
      const bytes = (await table.storage.head(table.metadataLocation))?.bytes ?? 0;
      const snapshots = table.metadata.snapshots.length;
      const { namespace, table: name } = this.options.name;
      const where = { database: namespaceText(namespace), table: name };
      observe({ type: "table_state", ...where, snapshots, metadataBytes: bytes });
    };
    // A gauge only: the next measurement comes in a minute.
    void measure().catch(() => undefined);
  }

  #adoptSchema(): void {
    if (this.writer !== null) this.decoder.adopt(this.writer.fields);
  }
}

function committedRows(segments: readonly SealedRows[], offsets: readonly FeedOffset[]): number {
  const landed = new Set(offsets.map(({ feed }) => feedKey(feed)));
  return segments
    .filter((segment) => landed.has(feedKey(segment.range.feed)))
    .reduce((sum, segment) => sum + (segment.batch?.rowCount ?? 0), 0);
}

function logFlush(
  logger: Logger,
  { catalogType, committedMs }: { readonly catalogType: string; readonly committedMs: number },
  flush: Flush,
  result: JobResult & { kind: "committed" },
  rows: number,
  durationMs: number,
): void {
  const ranges: Record<string, string> = {};
  for (const { range } of flush.segments) {
    const key = `${range.feed.topic}/${range.feed.partition}`;
    const start = ranges[key]?.split("-")[0] ?? String(range.start);
    ranges[key] = `${start}-${range.end - 1n}`;
  }
  logger.log("info", "Flush committed", {
    trace_id: flush.commitId.replaceAll("-", ""),
    database: namespaceText(result.table.name.namespace),
    table: fullName(result.table.name),
    catalog_type: catalogType,
    committed_at: new Date(committedMs).toISOString(),
    records_flushed: rows,
    duration_ms: Math.round(durationMs),
    iceberg_snapshot_id: result.snapshotId,
    files_added: flush.job?.units.reduce((sum, unit) => sum + unit.files.length, 0) ?? 0,
    kafka_offset_range: ranges,
  });
}
