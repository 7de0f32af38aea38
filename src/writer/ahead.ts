/**
 * Rows that are written ahead of their flush: while a commit is not due, what fills a part of a data file
 * is encoded and sent to the store, so that the flush has little left to do (decision 0420).
 *
 * Nothing of it counts before the flush. A file that was begun has a name in the synced log and in the
 * ledger that the flush goes on with, and nothing is there under that name until the flush ends it. The
 * flush takes over the files of a feed only when they hold the first of its rows, in the form that the head
 * asks for; any others are given up, and their rows are written as if nothing had been begun. So every
 * failure here costs work that is done again, and no row.
 *
 * A file holds rows of one feed here: options that mix feeds, sort rows or fold changes write nothing ahead.
 */
import { assert } from "#base/assert.ts";
import { describe } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import { type FeedKey, feedKey, type OffsetRange } from "#base/offsets.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { splitChanges } from "#columns/changes.ts";
import { Ledger } from "#commit/ledger.ts";
import { logFlushStarted } from "#commit/logCommit.ts";
import type { OpenFile } from "#parquet/encoder.ts";
import { DataSink } from "./dataSink.ts";
import { type FileForm, fileForm } from "./fileForm.ts";
import type { FeedFlush, SealedSegment, WriterOptions, WriterParts } from "./parts.ts";
import {
  type BegunPlan,
  FilePlan,
  nameFile,
  OWN_UNIT,
  type PlannedFile,
  restOf,
  slicesOf,
} from "./plan.ts";
import { currentFields, rowShape } from "./schema.ts";

/** A closed segment whose memory stays as it is until it is released; a second time does nothing. */
export interface HeldSegment {
  readonly segment: SealedSegment;
  readonly release: () => void;
}

/** A data file of which a part is on its way. */
export interface BegunFile {
  readonly open: OpenFile;
  readonly sink: DataSink;
  readonly beganMs: number;
  /** Its first rows, which are encoded. */
  rows: number;
}

/** What a flush goes on with. */
export interface Begun {
  /** By number of the feed in the flush. */
  readonly plans: ReadonlyMap<number, BegunPlan>;
  readonly files: ReadonlyMap<PlannedFile, BegunFile>;
  /** Of the first file, ms since epoch: a store dates an upload by its first byte, and the commit is as old. */
  readonly beganMs: number;
}

/** The rows of one feed that came ahead. */
interface FeedAhead {
  readonly plan: FilePlan;
  readonly range: { -readonly [K in keyof OffsetRange]: OffsetRange[K] };
  readonly held: HeldSegment[];
  readonly files: Map<PlannedFile, BegunFile>;
  batches: number;
  rows: number;
  bytes: number;
}

/** Files below this size are soon whole: nothing of them is written ahead. */
const FILE_BYTES_MIN = 8 * LIMITS.aheadColumnBytes;

/** What of the rows that are encoded has to wait before more of a file is: its row groups grow with it. */
const GROWTH = 1 / 3;

/** What is written ahead of one flush of one table. */
export class Ahead {
  /** Of the flush, if that goes on with any of it. */
  readonly ledger: Ledger;
  readonly #parts: WriterParts;
  readonly #options: WriterOptions;
  readonly #table: LoadedTable;
  readonly #form: FileForm;
  readonly #feeds = new Map<FeedKey, FeedAhead>();
  #work: Promise<void> = Promise.resolve();
  /** A flush waits for it, it was ended, or has failed: what comes now is the flush's alone. */
  #isOver = false;

  private constructor(
    parts: WriterParts,
    options: WriterOptions,
    table: LoadedTable,
    form: FileForm,
  ) {
    this.#parts = parts;
    this.#options = options;
    this.#table = table;
    this.#form = form;
    this.ledger = new Ledger(parts.random.uuid());
  }

  /**
   * @param table the newest head seen
   * @returns null: the files of this table are written in one go
   */
  static begin(parts: WriterParts, options: WriterOptions, table: LoadedTable): Ahead | null {
    const { key = [], preserveKafkaPartitions, aheadBytes } = options;
    const form = fileForm(options, table);
    const isApart = preserveKafkaPartitions && key.length === 0 && form.sort.keys.length === 0;
    const isWanted = aheadBytes !== Number.POSITIVE_INFINITY && form.fileBytes >= FILE_BYTES_MIN;
    return isApart && isWanted ? new Ahead(parts, options, table, form) : null;
  }

  /**
   * Takes segments in the order in which they were closed, each feed's without a gap; resolves when what
   * shall be written of them is. Never rejects.
   */
  add(held: readonly HeldSegment[]): Promise<void> {
    return this.#then(async () => {
      for (const each of held) await this.#take(each);
    }, held);
  }

  /** A flush has it, and waits for what is under way: what still waits its turn is written by the flush. */
  close(): void {
    this.#isOver = true;
  }

  /** Gives up what came of a feed that is sought anew or taken away. */
  drop(key: FeedKey): Promise<void> {
    return this.#then(() => this.#dropFeed(key));
  }

  /**
   * What the flush of these segments may go on with; the rest is given up.
   * @param flushes of the segments, joined
   */
  async join(
    table: LoadedTable,
    flushes: readonly FeedFlush[],
    segments: readonly SealedSegment[],
  ): Promise<Begun> {
    await this.#work;
    const plans = new Map<number, BegunPlan>();
    const files = new Map<PlannedFile, BegunFile>();
    const isOfForm = fileForm(this.#options, table).id === this.#form.id;
    const segmentsOf = Map.groupBy(segments, ({ range }) => feedKey(range.feed));
    const indexOf = new Map(flushes.map((flush, index) => [feedKey(flush.feed), index]));
    for (const [key, feed] of this.#feeds) {
      const theirs = segmentsOf.get(key) ?? [];
      const isFirst = feed.held.every(({ segment }, at) => segment === theirs[at]);
      const index = indexOf.get(key) ?? -1;
      const flush = flushes[index];
      if (!isOfForm || !isFirst || flush === undefined || this.#isOld(feed)) {
        await this.#dropFeed(key);
        continue;
      }
      assert(feed.range.start === flush.start, "what came ahead begins where its flush begins");
      feed.range.end = flush.end;
      plans.set(index, feed);
      for (const [planned, file] of feed.files) files.set(planned, file);
    }
    const beganMs = Math.min(...files.values().map((file) => file.beganMs));
    return { plans, files, beganMs };
  }

  /** A commit with a file of so early a beginning would soon be dropped for its age (rule 10l). */
  #isOld({ files }: FeedAhead): boolean {
    const { filesAgeMsMax = Number.POSITIVE_INFINITY } = this.#options;
    const since = this.#parts.clock.nowMs() - filesAgeMsMax / 2;
    return files.values().some(({ beganMs }) => beganMs < since);
  }

  /** Gives up every file that is not durable, and lets all segments go. Never rejects. */
  end(): Promise<void> {
    this.#isOver = true;
    return this.#then(() => this.#dropAll());
  }

  /** One step after the other; after a failure nothing is written ahead any more. */
  #then(step: () => Promise<void>, held: readonly HeldSegment[] = []): Promise<void> {
    this.#work = this.#work.then(async () => {
      try {
        await step();
      } catch (error) {
        this.#isOver = true;
        for (const { release } of held) release();
        await this.#dropAll();
        const sentence = `Rows are written with their commit, not ahead of it: ${describe(error)}`;
        this.#parts.logger.log("warn", sentence, { table: this.#table.name.table });
      }
    });
    return this.#work;
  }

  async #take({ segment, release }: HeldSegment): Promise<void> {
    if (this.#isOver) return release();
    const { range, batch } = segment;
    const feed = this.#feedOf(range);
    feed.held.push({ segment, release });
    assert(feed.range.end === range.start, "segments of one feed follow each other without a gap");
    feed.range.end = range.end;
    if (batch === null || batch.rowCount === 0) return;
    const { rows } = splitChanges(batch);
    await feed.plan.add(this.#parts.clock, rows, null, { unit: OWN_UNIT, range: feed.range });
    feed.batches++;
    feed.rows += batch.rowCount;
    feed.bytes += batch.byteCount;
    for (const file of feed.plan.files) if (!this.#isOver) await this.#write(feed, file);
  }

  #feedOf({ feed, start }: OffsetRange): FeedAhead {
    const key = feedKey(feed);
    const known = this.#feeds.get(key);
    if (known !== undefined) return known;
    const added = {
      plan: new FilePlan(rowShape(this.#table)),
      range: { feed, start, end: start },
      held: [],
      files: new Map<PlannedFile, BegunFile>(),
      batches: 0,
      rows: 0,
      bytes: 0,
    };
    this.#feeds.set(key, added);
    return added;
  }

  /** Writes the rows of a file that wait, when they are enough. */
  async #write(feed: FeedAhead, planned: PlannedFile): Promise<void> {
    const { aheadBytes = LIMITS.aheadColumnBytes } = this.#options;
    const rowBytes = feed.bytes / feed.rows;
    const done = feed.files.get(planned)?.rows ?? 0;
    const waiting = (planned.rowCount - done) * rowBytes;
    if (waiting < Math.max(aheadBytes, done * rowBytes * GROWTH)) return;
    const file = feed.files.get(planned) ?? (await this.#begin(feed, planned));
    const rest = restOf(planned, done);
    const { fileBytes } = this.#form;
    if (file === null || rest === null || file.sink.bytes >= fileBytes) return;
    file.rows = planned.rowCount;
    await file.open.append(
      slicesOf(rest, fileBytes, () => false),
      file.sink.write,
    );
  }

  /** Begins a file, whose name is in the synced log first; null: not now. */
  async #begin(feed: FeedAhead, planned: PlannedFile): Promise<BegunFile | null> {
    const { storage } = this.#table;
    const open = this.#parts.encoder.open(currentFields(this.#table), this.#form.encode);
    if (open === null) return null;
    nameFile(this.#parts, this.#options, this.#table, planned, this.ledger.names.length, false);
    const sink = new DataSink(storage, planned.path);
    const file = { open, sink, beganMs: this.#parts.clock.nowMs(), rows: 0 };
    feed.files.set(planned, file);
    this.ledger.plan([planned.path]);
    const { commitId, names } = this.ledger;
    const end = { [feedKey(feed.range.feed)]: feed.range.end };
    await logFlushStarted(this.#parts, this.#table, commitId, names, end);
    return file;
  }

  async #dropFeed(key: FeedKey): Promise<void> {
    const feed = this.#feeds.get(key);
    this.#feeds.delete(key);
    for (const { open, sink } of feed?.files.values() ?? []) {
      open.discard();
      await sink.abort();
    }
    for (const { release } of feed?.held ?? []) release();
  }

  async #dropAll(): Promise<void> {
    for (const key of [...this.#feeds.keys()]) await this.#dropFeed(key);
  }
}
