/**
 * One table's writer: opens or creates the table, reads progress, and takes flushes to their end.
 *
 * Calls are serialised: at most one commit of this writer is under way. Everything that decides
 * about rows is in `job.ts` and `rules.ts`; this file owns the order of the durable steps (SPEC
 * sections 2 and 8): files named in the log -> files stored -> attempt in the log -> commit ->
 * snapshot in the log. Kafka's offsets follow, outside.
 */
import { fail, policyOf } from "#base/errors.ts";
import { failpoint } from "#base/failpoint.ts";
import { type Feed, type FeedOffset, feedKey } from "#base/offsets.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import type { Field } from "#columns/schema.ts";
import { type AttemptTrail, attemptHost, newTrail } from "#commit/attempt.ts";
import { type CommitJob, commitJob, type JobResult, newJob, unreadable } from "#commit/job.ts";
import { Leftovers } from "#commit/leftovers.ts";
import { logFlushStarted } from "#commit/logFlush.ts";
import { type Progress, readProgress } from "#commit/progress.ts";
import { leaderEpochOf, offsetOf } from "#commit/progressDocument.ts";
import type { Advance } from "#commit/rules.ts";
import { createTable } from "./create.ts";
import type { SealedSegment, WriterOptions, WriterParts } from "./parts.ts";
import { currentFields, ensureColumns } from "./schema.ts";
import { joinSegments } from "./seal.ts";
import { type WrittenFiles, writeFiles } from "./write.ts";

/** A flush until its outcome is known; the caller keeps the rows until then. */
export interface Flush {
  commitId: string;
  readonly segments: readonly SealedSegment[];
  job: CommitJob | null;
  written: WrittenFiles;
  trail: AttemptTrail;
}

/** Fences by another group within this time are counted together. */
const FENCE_WINDOW_MS = 60_000;
const FENCES_MAX = 3;

/** Writes one table for one pipeline. */
export class TableWriter {
  readonly #parts: WriterParts;
  readonly #options: WriterOptions;
  readonly #leftovers: Leftovers;
  #uuid: string;
  #table: LoadedTable;
  #tail: Promise<unknown> = Promise.resolve();
  #fences: number[] = [];

  private constructor(
    parts: WriterParts,
    options: WriterOptions,
    table: LoadedTable,
    leftovers: Leftovers,
  ) {
    this.#parts = parts;
    this.#options = options;
    this.#table = table;
    this.#uuid = table.metadata.tableUuid;
    this.#leftovers = leftovers;
  }

  /**
   * Opens the table, creating it when it is missing and that is allowed, and takes over what an
   * earlier process of this state directory left open.
   * @param fields columns of a new table, in order; ids are assigned
   * @throws AppError `table_missing`, `table_unsupported`, `catalog_*`
   */
  static async open(
    parts: WriterParts,
    options: WriterOptions,
    fields: readonly Field[],
  ): Promise<TableWriter> {
    const found = await parts.catalog.load(options.name);
    const table = found ?? (await createTable(parts, options, fields));
    const leftovers = new Leftovers(parts, options);
    await leftovers.inherit(table);
    return new TableWriter(parts, options, table, leftovers);
  }

  /** Namespace and table as text. */
  get name(): string {
    return fullName(this.#options.name);
  }

  /** The newest metadata that this writer has seen; never used for commits or seeks. */
  get lastSeen(): LoadedTable {
    return this.#table;
  }

  /** Columns of the newest schema seen. */
  get fields(): readonly Field[] {
    return currentFields(this.#table);
  }

  /**
   * Committed offsets of these feeds, from a head loaded now; null where the table has none.
   * @throws AppError `progress` when only a person can say
   */
  async positions(feeds: readonly Feed[]): Promise<(bigint | null)[]> {
    const committed = await this.committed(feeds);
    return committed.map((each) => each?.offset ?? null);
  }

  /** As {@link positions}, with the leader epochs that were committed with them. */
  async committed(feeds: readonly Feed[]): Promise<(FeedOffset | null)[]> {
    const { document } = await this.#readable();
    for (const feed of feeds) this.#checkTopic(document, feed);
    return feeds.map((feed) => {
      const offset = offsetOf(document, feed);
      return offset === null ? null : { feed, offset, leaderEpoch: leaderEpochOf(document, feed) };
    });
  }

  /** Commits first positions in an empty snapshot, before anything is read (SPEC 2.5). */
  claim(positions: readonly FeedOffset[]): Promise<JobResult> {
    const advances = positions.map(({ feed, offset, leaderEpoch }) => ({
      feed,
      expect: null,
      next: offset,
      rows: 0n,
      leaderEpoch,
    }));
    return this.#serial(() => this.#commitEmpty(advances));
  }

  /** Puts an own empty snapshot on a foreign head (SPEC 2.2); false when the head is ours. */
  refresh(): Promise<boolean> {
    return this.#serial(async () => {
      const progress = await this.#readable();
      if (progress.headIsOurs || progress.document.sources.size === 0) return false;
      const result = await this.#commitEmpty([]);
      return result.kind === "committed";
    });
  }

  /** A new flush of sealed segments, contiguous per feed. */
  newFlush(segments: readonly SealedSegment[]): Flush {
    return {
      commitId: this.#parts.random.uuid(),
      segments,
      job: null,
      written: { units: [], paths: [] },
      trail: newTrail(),
    };
  }

  /**
   * Takes a flush as far as it goes. After `held` or `paused`, call again with the same flush.
   * @throws AppError whose policy is `stop`: the table stops, its offsets stay where they are
   */
  flush(flush: Flush): Promise<JobResult> {
    return this.#serial(async () => {
      const began = this.#parts.clock.monotonicMs();
      if (flush.job === null) {
        const held = await this.#prepare(flush);
        if (held !== null) return held;
      }
      if (flush.job === null) throw fail("internal", "A prepared flush has a job");
      const result = await this.#commitOrHold(flush, flush.job);
      if (result.kind === "committed") this.#observeFlush(flush, began);
      if (result.kind === "dropped") await this.#abandon(flush);
      return result;
    });
  }

  /** Writes the end of a flush to the log, after Kafka's offsets were written. */
  async complete(flush: Flush, result: JobResult & { kind: "committed" }): Promise<void> {
    failpoint("log_flush_complete");
    await this.#logComplete(flush.commitId, result);
  }

  /** Gives a flush up that was not decided (revoked, shutdown): its files are removed by the rules. */
  giveUp(flush: Flush): Promise<void> {
    return this.#serial(() => this.#abandon(flush));
  }

  /** Steps before the commit: schema, files. Returns `held` when the outside is away. */
  async #prepare(flush: Flush): Promise<JobResult | null> {
    try {
      failpoint("seal");
      const flushes = joinSegments(flush.segments);
      const shapes = flushes.flatMap((each) => each.batches.map((batch) => batch.fields));
      const load = (): Promise<LoadedTable> => this.#loadHead();
      const ready = await ensureColumns(this.#parts, this.#options, load, shapes);
      if (ready === "outdated") return await this.#outdated(flush);
      this.#table = ready;
      await writeFiles(
        this.#parts,
        this.#options,
        this.#table,
        flush.commitId,
        flushes,
        flush.written,
      );
      const advances = flushes.map(({ feed, start, end, batches, leaderEpoch }) => ({
        feed,
        expect: start,
        next: end,
        rows: batches.reduce((rows, batch) => rows + BigInt(batch.rowCount), 0n),
        leaderEpoch,
      }));
      flush.job = newJob(flush.commitId, advances, flush.written.units);
      return null;
    } catch (error) {
      // Nothing was sent: the names are given up, and the next try writes under a new commit id.
      await this.#abandon(flush);
      flush.commitId = this.#parts.random.uuid();
      flush.written = { units: [], paths: [] };
      if (policyOf(error).action !== "again") throw error;
      return { kind: "held", cause: error };
    }
  }

  /** Another writer's columns came first: the rows are read again and decoded by its types. */
  async #outdated(flush: Flush): Promise<JobResult> {
    await this.#abandon(flush);
    const fenced = [...new Set(flush.segments.map((segment) => segment.range.feed))];
    const reason = "another writer gave a new column another type";
    return { kind: "dropped", reason, fenced, by: "" };
  }

  async #commitEmpty(advances: readonly Advance[]): Promise<JobResult> {
    const job = newJob(this.#parts.random.uuid(), advances, []);
    const trail = newTrail();
    await logFlushStarted(this.#parts, this.#table, job.commitId, [], {});
    const result = await this.#commit(job, trail, []);
    if (result.kind === "committed") await this.#logComplete(job.commitId, result);
    else await this.#leaveTrail(job.commitId, trail, [], job);
    return result;
  }

  /** A commit that landed and could not be logged is held: the next call finds it in the table. */
  async #commitOrHold(flush: Flush, job: CommitJob): Promise<JobResult> {
    try {
      return await this.#commit(job, flush.trail, flush.written.paths);
    } catch (error) {
      if (policyOf(error).action !== "again") throw error;
      return { kind: "held", cause: error };
    }
  }

  async #commit(job: CommitJob, trail: AttemptTrail, paths: readonly string[]): Promise<JobResult> {
    const host = attemptHost(this.#parts, this.#options, trail, () => this.#loadHead());
    const result = await commitJob(host, job);
    if (result.kind === "committed") {
      this.#table = result.table;
      await this.#logCommitted(job, trail, result);
      const listed = new Set(filePaths(job));
      const unused = paths.filter((path) => !listed.has(path));
      await this.#leftovers.settle(result.table, trail, result.snapshotId, unused);
    }
    if (result.kind === "dropped") this.#countFence(result.by);
    return result;
  }

  async #logCommitted(
    job: CommitJob,
    trail: AttemptTrail,
    result: JobResult & { kind: "committed" },
  ): Promise<void> {
    failpoint("log_snapshot_created");
    await this.#parts.txlog.append(
      {
        type: "IcebergSnapshotCreated",
        table: this.name,
        commit_id: job.commitId,
        snapshot_id: result.snapshotId,
        files_added: filePaths(job),
        offsets: logOffsets(result.offsets),
      },
      true,
    );
    if (trail.landedUnanswered) {
      await this.#parts.txlog.append({
        type: "IdempotencyRecord",
        offsets: logOffsets(result.offsets),
        snapshot_id: result.snapshotId,
      });
    }
  }

  async #logComplete(commitId: string, result: JobResult & { kind: "committed" }): Promise<void> {
    await this.#parts.txlog.append({
      type: "FlushComplete",
      table: this.name,
      commit_id: commitId,
      offsets: logOffsets(result.offsets),
      snapshot_id: result.snapshotId,
    });
  }

  async #abandon({ commitId, trail, written, job }: Flush): Promise<void> {
    await this.#leaveTrail(commitId, trail, written.paths, job);
  }

  async #leaveTrail(
    commitId: string,
    trail: AttemptTrail,
    paths: readonly string[],
    job: CommitJob | null,
  ): Promise<void> {
    // Its files are the table's: only its end is not in the log, and the next start writes that.
    if (job !== null && job.landed !== null) return;
    const files = [...paths, ...trail.attempts.flatMap((attempt) => attempt.files)];
    await this.#leftovers.add(this.#table, { commitId, files, sent: job?.sent ?? null });
  }

  async #readable(): Promise<Progress & { kind: "readable" }> {
    const head = await this.#loadHead();
    const progress = readProgress(head.metadata, this.#options.branch);
    if (progress.kind === "unreadable") throw unreadable(head, progress.reason);
    return progress;
  }

  #checkTopic(document: (Progress & { kind: "readable" })["document"], feed: Feed): void {
    const source = document.sources.get(`${feed.clusterId}/${feed.topic}`);
    if (source === undefined || source.topicId === feed.topicId) return;
    throw fail(
      "progress",
      `Topic ${feed.topic} was re-created: ${this.name} holds offsets of topic id ` +
        `${source.topicId}, Kafka has ${feed.topicId}. To read the new topic from its beginning: ` +
        `kafka-iceberg offsets ${this.name} --accept-topic ${feed.topic}`,
      { table: this.name, topic: feed.topic },
    );
  }

  /** The head, which must still be the table that was opened. */
  async #loadHead(): Promise<LoadedTable> {
    const head = await this.#parts.catalog.load(this.#options.name);
    if (head === null) {
      throw fail(
        "table_gone",
        `Table ${this.name} was dropped; its rows are not written elsewhere`,
      );
    }
    if (head.metadata.tableUuid !== this.#uuid) {
      throw fail(
        "table_gone",
        `Table ${this.name} was replaced by another of the same name (UUID ` +
          `${head.metadata.tableUuid} instead of ${this.#uuid}); restart to use the new one`,
      );
    }
    this.#table = head;
    return head;
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

function filePaths(job: CommitJob): string[] {
  return job.units.flatMap((unit) => unit.files.map((file) => file.filePath));
}

function logOffsets(offsets: readonly FeedOffset[]): Record<string, bigint> {
  return Object.fromEntries(offsets.map(({ feed, offset }) => [feedKey(feed), offset]));
}
