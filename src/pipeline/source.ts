/**
 * What makes rows of a topic's records for one table: its decoder, and the sample that the decoder
 * learns columns from before the first row. Topics of one table share it.
 */

import { assert } from "#base/assert.ts";
import { LIMITS } from "#base/limits.ts";
import type { FeedKey } from "#base/offsets.ts";
import type { RecordBatch } from "#consumer/consumer.ts";
import type { Decoder } from "#decode/decoder.ts";
import type { Outlet } from "./feeds.ts";
import type { Lateness } from "./lateRows.ts";

/** A batch that waits, with the table that it is for. */
export interface Sampled {
  readonly outlet: Outlet;
  readonly batch: RecordBatch;
}

/** Batches that wait until the schema was inferred from them. */
interface Sample {
  batches: Sampled[];
  records: number;
  bytes: number;
  readonly sinceMs: number;
}

/** One decoder with its sample. */
export class Source {
  readonly decoder: Decoder;
  /** How late rows are told; null: nobody asks for event times. */
  readonly lateness: Lateness | null;
  #sample: Sample | null = null;

  constructor(decoder: Decoder, lateness: Lateness | null = null) {
    this.decoder = decoder;
    this.lateness = lateness;
  }

  /** When the sample was begun (monotonic ms); null: nothing waits. */
  get sampledSinceMs(): number | null {
    return this.#sample?.sinceMs ?? null;
  }

  /** Records that wait in the sample. */
  get records(): number {
    return this.#sample?.records ?? 0;
  }

  /** Bytes that the sample holds. */
  get bytes(): number {
    return this.#sample?.bytes ?? 0;
  }

  /**
   * Whether a batch has to wait; one without records has nothing to infer from. Behind a sample all
   * do, also when the columns have been learned from the table meanwhile: what comes first is given
   * first.
   */
  samples(payload: Uint8Array | null): boolean {
    return this.#sample !== null || (this.decoder.needsSample && payload !== null);
  }

  /** Takes a copy of a batch, whose bytes the consumer uses again; true when the sample is full. */
  add(outlet: Outlet, batch: RecordBatch, nowMs: number, recordsMax: number): boolean {
    this.#sample ??= { batches: [], records: 0, bytes: 0, sinceMs: nowMs };
    const payload = batch.payload === null ? null : new Uint8Array(batch.payload);
    this.#sample.batches.push({ outlet, batch: { ...batch, payload } });
    this.#sample.records += payload === null ? 0 : batch.recordCount;
    this.#sample.bytes += payload?.length ?? 0;
    return this.#sample.records >= recordsMax || this.#sample.bytes >= LIMITS.sampleBytesMax;
  }

  /**
   * Learns the columns from what waits, and hands it over to be decoded, in order.
   * @throws AppError `batch_corrupt` when a batch cannot be taken apart
   */
  finish(): readonly Sampled[] {
    const sample = this.#sample;
    this.#sample = null;
    if (sample === null) return [];
    const records = sample.batches.flatMap(({ batch }) => {
      const { payload, feed } = batch;
      if (payload === null) return [];
      return [{ ...batch, payload, topic: feed.topic, partition: feed.partition }];
    });
    if (records.length > 0) this.decoder.sample(records);
    assert(records.length === 0 || !this.decoder.needsSample, "a sample ends the inference");
    return sample.batches;
  }

  /** Drops what waits of a feed that is sought anew or taken away. */
  drop(key: FeedKey): void {
    const sample = this.#sample;
    if (sample === null) return;
    sample.batches = sample.batches.filter(({ batch }) => batch.key !== key);
    sample.bytes = sample.batches.reduce((sum, { batch }) => sum + (batch.payload?.length ?? 0), 0);
  }
}
