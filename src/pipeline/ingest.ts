/**
 * One record batch at a time into the open segments of the tables that its feed fills, after their
 * columns were learned where that is needed. Everything happens in one turn of the event loop, with two
 * exceptions: a format may need something before it can read a batch (a schema of a registry), and before
 * a record is given up because its table's schema refuses it, the table's head is loaded, since its
 * owner may have changed the schema meanwhile. The feed's later batches wait behind both.
 *
 * A batch that a table may not take (`dead_letter.action = "fail"`) leaves no row: what came before it
 * is flushed, then the table stops.
 */
import { assert } from "#base/assert.ts";
import { describe, kindOf, policyOf } from "#base/errors.ts";
import { type Feed, NO_LEADER_EPOCH } from "#base/offsets.ts";
import { backoffMs } from "#base/retry.ts";
import type { OpenSegment } from "#buffer/hotBuffer.ts";
import type { ColumnSize } from "#columns/size.ts";
import type { ConsumerEvent, RecordBatch } from "#consumer/consumer.ts";
import type { Growth, SegmentBuilder } from "#decode/decoder.ts";
import { selectRecords } from "#decode/records.ts";
import { Decoding, decoderInput, isJudgedByNewest, prepare } from "./decoding.ts";
import type { FeedRun, Feeds, Outlet } from "./feeds.ts";
import type { PipelineOptions, PipelineParts } from "./pipelineParts.ts";
import { Rejects } from "./rejects.ts";
import { type FanOut, type Offer, offersOf } from "./routes.ts";
import type { Sinks } from "./sinks.ts";
import type { Source } from "./source.ts";
import { takesRows } from "./states.ts";

/** Between two tries to get what records need. */
const PUT_OFF = { retriesMax: 0, baseDelayMs: 200, delayMsMax: 5000 };

/** Where a batch begins: the feed's position before it. */
type BatchStart = Pick<FeedRun, "leaderEpoch"> & { readonly offset: bigint };

/** Decodes record batches into the hot buffers of a pipeline's tables. */
export class Ingest {
  readonly #parts: PipelineParts;
  readonly #options: Pick<PipelineOptions, "rejects" | "inferRows" | "inferWaitMs">;
  readonly #feeds: Feeds;
  readonly #sinks: Sinks;
  readonly #readAgain: (feeds: readonly Feed[]) => void;
  readonly #rejects: Rejects;
  readonly #decoding: Decoding;
  readonly #fanOut: FanOut;
  /** Sources with a sample, the oldest first. */
  readonly #sampling = new Set<Source>();

  /** @param readAgain feeds are to be read again from their tables' offsets */
  constructor(
    parts: PipelineParts,
    options: Pick<PipelineOptions, "rejects" | "inferRows" | "inferWaitMs">,
    feeds: Feeds,
    sinks: Sinks,
    readAgain: (feeds: readonly Feed[]) => void,
    fanOut: FanOut,
  ) {
    this.#fanOut = fanOut;
    this.#parts = parts;
    this.#options = options;
    this.#feeds = feeds;
    this.#sinks = sinks;
    this.#readAgain = readAgain;
    this.#rejects = new Rejects(parts, options.rejects, sinks, readAgain);
    this.#decoding = new Decoding(parts, this.#rejects, sinks);
  }

  /**
   * One record batch into the open segment of each outlet of its feed. A promise only where its
   * format needs something, or a table's head has to be looked at first; the batch's bytes are needed until it resolves.
   */
  take(batch: RecordBatch): Promise<void> | undefined {
    const run = this.#feeds.get(batch.key);
    if (run === undefined || run.epoch === 0 || run.epoch !== batch.epoch) return undefined;
    assert(batch.nextOffset > run.position, "a batch moves its partition's position forward");
    const from = { offset: run.position, leaderEpoch: run.leaderEpoch };
    run.position = batch.nextOffset;
    run.leaderEpoch = batch.leaderEpoch;
    const [first] = run.outlets;
    if (first === undefined) return undefined;
    if (run.outlets.length > 1 || this.#fanOut.isOn) return this.#route(run, batch, from);
    return this.#offerRest(first, batch, from);
  }

  /** A batch to its table, without what a side table has of it since an earlier start. */
  #offerRest(outlet: Outlet, batch: RecordBatch, from: BatchStart): Promise<void> | undefined {
    const { taken } = outlet;
    if (taken === null) return this.#offer(outlet, batch, from);
    if (batch.baseOffset >= taken.end) outlet.taken = null;
    const { payload } = batch;
    if (payload === null) return this.#offer(outlet, batch, from);
    const bytes = decoderInput(batch, payload, outlet.end);
    const rest = selectRecords(bytes, (offset) => !taken.offsets.has(offset));
    return this.#offer(outlet, { ...batch, payload: null, recordCount: 0, ...rest }, from);
  }

  /** Learns columns from samples that have waited long enough. */
  finishDueSamples(): void {
    if (this.#sampling.size === 0) return;
    const now = this.#parts.clock.monotonicMs();
    for (const source of this.#sampling) {
      const sinceMs = source.sampledSinceMs;
      if (sinceMs !== null && now - sinceMs < this.#options.inferWaitMs) return;
      this.#finishSample(source);
    }
  }

  /** Learns columns from every sample, however small. */
  finishSamples(): void {
    for (const source of this.#sampling) this.#finishSample(source);
  }

  /** A damaged batch, read again in vain: skipped whole, or the end of its tables. */
  skip(event: Extract<ConsumerEvent, { type: "batch_corrupt" }>): void {
    const run = this.#feeds.get(event.key);
    if (run === undefined || run.epoch !== event.epoch) return;
    for (const { source } of run.outlets) this.#finishSample(source);
    const outlets = run.outlets.filter(({ sink }) => takesRows(sink.state));
    for (const outlet of outlets) {
      // A table that is ahead of its siblings has what the batch held.
      if (outlet.end >= event.nextOffset) continue;
      if (this.#rejects.takeCorrupt(outlet, event) === "later") return;
    }
    if (!outlets.some(({ sink }) => takesRows(sink.state))) return;
    run.position = event.nextOffset;
    // The damaged header is not believed: nobody knows the epoch of its last record.
    run.leaderEpoch = NO_LEADER_EPOCH;
    for (const outlet of outlets) {
      if (outlet.end >= event.nextOffset || !takesRows(outlet.sink.state)) continue;
      this.#move(outlet, this.#segment(outlet), event.nextOffset, NO_LEADER_EPOCH);
    }
    this.#parts.consumer.start([{ feed: run.feed, offset: event.nextOffset }]);
    run.epoch = this.#parts.consumer.epoch(run.key);
  }

  /** A batch to all outlets of its feed, at once, unless its records need something to say where they go. */
  #route(run: FeedRun, batch: RecordBatch, from: BatchStart): Promise<void> | undefined {
    const ready = this.#fanOut.prepare(batch);
    return ready === null
      ? this.#share(run, batch, from)
      : this.#shareWhenReady(run, batch, from, ready);
  }

  /** The same after what it needs is there. Any outlet may get a record of it: none may be taken for one without. */
  async #shareWhenReady(
    run: FeedRun,
    batch: RecordBatch,
    from: BatchStart,
    ready: Promise<void>,
  ): Promise<void> {
    const outlets = [...run.outlets];
    for (const outlet of outlets) outlet.waits = true;
    try {
      for (
        let next: Promise<void> | null = ready;
        next !== null;
        next = this.#fanOut.prepare(batch)
      ) {
        const putOff = (): void => this.#putOff(run, from);
        if (!(await this.#waited(outlets, batch, next, putOff, "unreadable"))) return;
      }
      run.waitedTimes = 0;
    } finally {
      for (const outlet of outlets) outlet.waits = false;
    }
    await this.#share(run, batch, from);
  }

  /** Each outlet's share of a batch; those without a record in it only learn that the feed has moved. */
  #share(run: FeedRun, batch: RecordBatch, from: BatchStart): Promise<void> | undefined {
    const { outlets } = run;
    const shares = this.#fanOut.split(batch, outlets);
    if (shares !== null && "missing" in shares) {
      // Records have named tables: the topic's feeds begin anew, with those.
      this.#readAgain(this.#fanOut.add(run.feed.topic, shares.missing));
      return undefined;
    }
    if (!run.noted) for (const { sink } of outlets) this.#sinks.touched.add(sink);
    run.noted = true;
    const { logs, others } = offersOf(batch, shares, outlets);
    const asked = this.#offerAll(logs, from);
    return asked === undefined
      ? this.#offerAll(others, from)
      : this.#offerAfter(asked, others, from);
  }

  /** Tables wait for what their log says of a batch: they are no tables without a record in it (`Sink.catchUp`). */
  async #offerAfter(
    asked: Promise<void>,
    offers: readonly Offer[],
    from: BatchStart,
  ): Promise<void> {
    for (const { outlet } of offers) outlet.waits = true;
    try {
      await asked;
    } finally {
      for (const { outlet } of offers) outlet.waits = false;
    }
    await this.#offerAll(offers, from);
  }

  /** Batches to their tables; those of a feed that is begun anew meanwhile are outdated. */
  #offerAll(offers: readonly Offer[], from: BatchStart): Promise<void> | undefined {
    const waiting = offers.flatMap(({ outlet, batch }) =>
      this.#isCurrent(outlet, batch) ? (this.#offerRest(outlet, batch, from) ?? []) : [],
    );
    return waiting.length === 0 ? undefined : Promise.all(waiting).then(() => undefined);
  }

  #isCurrent({ feed }: Outlet, { key, epoch }: RecordBatch): boolean {
    return this.#feeds.get(key) === feed && feed.epoch === epoch;
  }

  /** A batch to its table: at once, unless its format or its table's head is to be waited for. */
  #offer(outlet: Outlet, batch: RecordBatch, from: BatchStart): Promise<void> | undefined {
    const ready = prepare(outlet, batch);
    if (ready !== null) return this.#giveWhenReady(outlet, batch, from, ready);
    const isFinal = isJudgedByNewest(outlet, batch);
    return this.#give(outlet, batch, isFinal) ? undefined : this.#giveByHead(outlet, batch);
  }

  /**
   * Waits for what the format needs first, as often as it asks, and gives the batch then. Until it is
   * given, nothing may take its outlet for one that had no record in it (`Sink.catchUp`).
   */
  async #giveWhenReady(
    outlet: Outlet,
    batch: RecordBatch,
    from: BatchStart,
    ready: Promise<void>,
  ): Promise<void> {
    const { feed } = outlet;
    outlet.waits = true;
    try {
      for (let next: Promise<void> | null = ready; next !== null; next = prepare(outlet, batch)) {
        const putOff = (): void => this.#putOff(feed, from);
        const isThere = await this.#waited([outlet], batch, next, putOff, "unreadable");
        if (!isThere) return;
      }
      feed.waitedTimes = 0;
      if (!this.#give(outlet, batch)) await this.#giveByHead(outlet, batch);
    } finally {
      outlet.waits = false;
    }
  }

  /** Loads the head of a batch's table, and lets the schema there judge it. */
  async #giveByHead(outlet: Outlet, batch: RecordBatch): Promise<void> {
    outlet.waits = true;
    try {
      const head = outlet.sink.readSchema(batch.arrivedMs);
      const readAgain = (): void => this.#readAgain([outlet.feed.feed]);
      if (!(await this.#waited([outlet], batch, head, readAgain))) return;
      const growth = this.#growth(outlet, batch);
      if (growth === "given") return;
      if (growth !== null) {
        const settled = outlet.sink.answerGrowth(growth);
        if (!(await this.#waited([outlet], batch, settled, readAgain, "unreadable"))) return;
      }
      this.#give(outlet, batch, true);
    } finally {
      outlet.waits = false;
    }
  }

  /**
   * What the schemas of a batch's records still ask of the table as it is now; null: nothing. `given`: it
   * has been taken meanwhile.
   */
  #growth(outlet: Outlet, batch: RecordBatch): Growth | "given" | null {
    const { decoder } = outlet.source;
    if (decoder.takeGrowth() === null) return null;
    return this.#give(outlet, batch) ? "given" : decoder.takeGrowth();
  }

  /**
   * False when the batch is not to be given after that: what it waited for failed, or it is outdated.
   * @param again what is done where another try may help
   * @param stop what else it is to the table; `unreadable`: what it has is written first
   */
  async #waited(
    outlets: readonly Outlet[],
    batch: RecordBatch,
    until: Promise<unknown>,
    again: () => void,
    stop: "failed" | "unreadable" = "failed",
  ): Promise<boolean> {
    const [first] = outlets;
    const isWanted = (): boolean => first !== undefined && this.#isCurrent(first, batch);
    try {
      await until;
    } catch (error) {
      if (!isWanted()) return false;
      if (policyOf(error).action !== "again") {
        for (const { sink } of outlets) sink.apply({ kind: stop, error });
        return false;
      }
      // A registry tells of its trouble itself, once for all feeds that wait for it.
      const level = kindOf(error).startsWith("registry_") ? "debug" : "warn";
      const what = `Records wait for their table: ${describe(error)}`;
      this.#parts.logger.log(level, what, { table: outlets[0]?.sink.name ?? "" });
      again();
      return false;
    }
    return isWanted();
  }

  /**
   * Reads a feed again from a batch on whose needs cannot be met now, after a while: what is buffered of
   * it stays, and the other feeds go on.
   */
  #putOff(run: FeedRun, from: BatchStart): void {
    const { consumer, clock, random } = this.#parts;
    // Of several outlets each may have waited for its own needs.
    if (run.waits) return;
    run.waits = true;
    run.epoch = 0;
    run.position = from.offset;
    run.leaderEpoch = from.leaderEpoch;
    this.#feeds.changed.add(run);
    const ticket = run.starts;
    const begin = (): void => {
      run.waits = false;
      if (this.#feeds.get(run.key) !== run) return;
      this.#feeds.changed.add(run);
      // Somebody may have started it elsewhere meanwhile.
      if (run.starts !== ticket || run.epoch !== 0) return;
      consumer.start([{ feed: run.feed, ...from }]);
      run.epoch = consumer.epoch(run.key);
    };
    void clock.sleep(backoffMs(PUT_OFF, run.waitedTimes++, random)).then(begin);
  }

  /**
   * A batch, or an outlet's share of it, to its table; what the table has already is left out.
   * False when the table's schema refuses a record and that is not final: nothing has happened then.
   */
  #give(outlet: Outlet, batch: RecordBatch, isFinal = false): boolean {
    const { sink, source } = outlet;
    if (batch.nextOffset <= outlet.end || !takesRows(sink.state)) return true;
    this.#sinks.touched.add(sink);
    if (source.samples(batch.payload)) {
      const { clock } = this.#parts;
      this.#sampling.add(source);
      const isFull = source.add(outlet, batch, clock.monotonicMs(), this.#options.inferRows);
      if (isFull) this.#finishSample(source);
      return true;
    }
    const segment = this.#segment(outlet);
    const outcome =
      batch.payload === null
        ? "done"
        : this.#decoding.take(outlet, segment, batch, batch.payload, isFinal);
    if (outcome === "done") this.#move(outlet, segment, batch.nextOffset, batch.leaderEpoch);
    return outcome !== "refused";
  }

  /** The open segment that continues at an outlet's end. */
  #segment({ sink, source, feed, end }: Outlet): OpenSegment<SegmentBuilder> {
    const begin = (expected: readonly ColumnSize[]): SegmentBuilder =>
      source.decoder.builder(expected);
    const segment = sink.buffer.segment(feed.feed, end, begin);
    if (segment.rows.isCurrent) return segment;
    sink.buffer.closeOpen(feed.key);
    return sink.buffer.segment(feed.feed, end, begin);
  }

  /** Moves an outlet behind a batch whose rows are in this segment: another call might begin a new one. */
  #move(
    outlet: Outlet,
    segment: OpenSegment<SegmentBuilder>,
    end: bigint,
    leaderEpoch: number,
  ): void {
    outlet.sink.buffer.advance(segment, end, leaderEpoch);
    outlet.end = end;
    this.#sinks.touched.add(outlet.sink);
  }

  /** Learns the columns of a source's sample, then decodes it. */
  #finishSample(source: Source): void {
    this.#sampling.delete(source);
    try {
      for (const { outlet, batch } of source.finish()) {
        // The table was opened a moment ago, for this sample.
        if (this.#isCurrent(outlet, batch)) this.#give(outlet, batch, true);
      }
    } catch (error) {
      for (const sink of this.#sinks) {
        if (sink.sources.has(source)) sink.apply({ kind: "unreadable", error });
      }
    }
  }
}
