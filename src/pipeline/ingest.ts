/**
 * One record batch at a time into the open segment of its feed, after its schema was inferred where
 * that is needed. Pure of waiting: everything here happens in one turn of the event loop.
 */
import { assert } from "#base/assert.ts";
import { describe } from "#base/errors.ts";
import { NO_LEADER_EPOCH } from "#base/offsets.ts";
import type { OpenSegment } from "#buffer/hotBuffer.ts";
import type { ConsumerEvent, RecordBatch } from "#consumer/consumer.ts";
import type { SegmentBuilder } from "#decode/decoder.ts";
import type { FeedRun, Feeds } from "./feeds.ts";
import type { PipelineOptions, PipelineParts } from "./pipelineParts.ts";
import { handleRejects } from "./rejects.ts";
import type { TableRun } from "./tableRun.ts";

/** Bytes of a sample: records may be large, and it is not part of the hot buffer. */
const SAMPLE_BYTES_MAX = 16 * 1024 * 1024;

/** Decodes record batches into the hot buffers of a pipeline's tables. */
export class Ingest {
  readonly #parts: PipelineParts;
  readonly #options: PipelineOptions;
  readonly #feeds: Feeds;
  readonly #stopped: () => void;

  /** @param stopped called after a table was stopped by its records */
  constructor(parts: PipelineParts, options: PipelineOptions, feeds: Feeds, stopped: () => void) {
    this.#parts = parts;
    this.#options = options;
    this.#feeds = feeds;
    this.#stopped = stopped;
  }

  /** One record batch into the open segment of its feed. */
  take(batch: RecordBatch): void {
    const run = this.#feeds.get(batch.key);
    if (run === undefined || run.epoch === 0 || run.epoch !== batch.epoch) return;
    const { table } = run;
    if (table.state.kind === "stopped" || table.failedTopics.has(run.feed.topic)) return;
    // Without records (control batches, aborted transactions) there is nothing to infer from.
    if (table.decoder.needsSample && (batch.payload !== null || table.sample !== null)) {
      this.#sample(table, batch);
      return;
    }
    assert(batch.nextOffset > run.position, "a batch moves its partition's position forward");
    const segment = this.#segment(run);
    if (batch.payload !== null && !this.#decode(run, segment, batch, batch.payload)) {
      table.drop([run.key]);
      this.#stopped();
      return;
    }
    table.buffer.advance(segment, batch.nextOffset, batch.leaderEpoch);
    run.position = batch.nextOffset;
  }

  /** The open segment that continues at a feed's position. */
  #segment({ table, feed, position }: FeedRun): OpenSegment<SegmentBuilder> {
    return table.buffer.segment(feed, position, (expected) => table.decoder.builder(expected));
  }

  /** False when its records stopped the table. */
  #decode(
    run: FeedRun,
    segment: OpenSegment<SegmentBuilder>,
    batch: RecordBatch,
    payload: Uint8Array,
  ): boolean {
    const { topic, partition } = run.feed;
    const bytes = { ...batch, payload, topic, partition, wantedOffset: run.position };
    try {
      const result = segment.rows.decode(bytes);
      if (result.rows > 0) {
        const stampMs = batch.appendTimestampMs ?? batch.baseTimestampMs;
        segment.oldestMs = Math.min(segment.oldestMs, stampMs);
        const ageMs = this.#parts.clock.nowMs() - stampMs;
        this.#parts.observe({ type: "freshness", stage: "queryable", ageMs });
      }
      if (result.rejected.length === 0) return true;
      return handleRejects(this.#parts, this.#options.rejects, run.table, result);
    } catch (error) {
      run.table.stop(error);
      return false;
    }
  }

  /** A damaged batch, read again in vain: skipped whole, or the end of its table. */
  skip(event: Extract<ConsumerEvent, { type: "batch_corrupt" }>): void {
    const run = this.#feeds.get(event.key);
    if (run === undefined || run.epoch !== event.epoch) return;
    if (this.#options.rejects.action === "fail") {
      run.table.stop(event.error);
      this.#stopped();
      return;
    }
    this.finishSample(run.table);
    this.#parts.observe({ type: "rejected", reason: "batch_corrupt", records: 1 });
    this.#parts.logger.log("warn", `Record batch skipped: ${describe(event.error)}`, {
      table: run.table.name,
      ...event.error.context,
    });
    const segment = this.#segment(run);
    // The damaged header is not believed: nobody knows the epoch of its last record.
    run.table.buffer.advance(segment, event.nextOffset, NO_LEADER_EPOCH);
    run.position = event.nextOffset;
    this.#parts.consumer.start([{ feed: run.feed, offset: event.nextOffset }]);
    run.epoch = this.#parts.consumer.epoch(run.key);
  }

  /** Collects batches until the schema can be inferred, then ingests them. */
  #sample(table: TableRun, batch: RecordBatch): void {
    const sinceMs = this.#parts.clock.monotonicMs();
    table.sample ??= { batches: [], records: 0, bytes: 0, sinceMs };
    // The bytes are the consumer's, and it will use them for the next batch.
    const payload = batch.payload === null ? null : new Uint8Array(batch.payload);
    table.sample.batches.push({ ...batch, payload });
    table.sample.records += batch.payload === null ? 0 : batch.recordCount;
    table.sample.bytes += payload?.length ?? 0;
    const { records, bytes } = table.sample;
    if (records >= this.#options.inferRows || bytes >= SAMPLE_BYTES_MAX) this.finishSample(table);
  }

  finishSample(table: TableRun): void {
    const { sample } = table;
    table.sample = null;
    if (sample === null) return;
    const records = sample.batches.flatMap((batch) => {
      const { payload, feed } = batch;
      if (payload === null) return [];
      return [{ ...batch, payload, topic: feed.topic, partition: feed.partition }];
    });
    try {
      if (records.length > 0) table.decoder.sample(records);
    } catch (error) {
      table.stop(error);
      this.#stopped();
      return;
    }
    for (const batch of sample.batches) this.take(batch);
  }
}
