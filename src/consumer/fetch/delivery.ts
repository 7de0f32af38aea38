/**
 * The last step of reading: a queued batch is checked (CRC), decompressed and handed over, or read
 * again, or reported as damaged. Runs when the pipeline asks, so that its pace is the pipeline's.
 */
import type { Clock } from "#base/clock.ts";
import { type AppError, fail } from "#base/errors.ts";
import type { Observe } from "#base/events.ts";
import { Scratch } from "#consumer/codec/blocks.ts";
import { decompress } from "#consumer/codec/compression.ts";
import type { ConsumerEvent, RecordBatch } from "#consumer/consumer.ts";
import type { Settings } from "#consumer/options.ts";
import type { Partitions } from "./partitions.ts";
import type { QueuedBatch } from "./queue.ts";
import { type BatchView, crcMatches, recordBytes } from "./recordBatch.ts";

/** How often damaged bytes are fetched again: the damage may be the network's. */
const READS_MAX = 4;
const READ_AGAIN_MS = 100;

/** The parts that come in. */
export interface DeliveryParts {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly observe: Observe;
  readonly partitions: Partitions;
}

/** Turns queued batches into events. */
export class Delivery {
  private readonly parts: DeliveryParts;
  private readonly scratch: Scratch;

  constructor(parts: DeliveryParts) {
    this.parts = parts;
    this.scratch = new Scratch(parts.settings.kernel);
  }

  /** The event for a queued batch; null when it is fetched again instead. */
  deliver(item: QueuedBatch): ConsumerEvent | null {
    const { partition, view } = item;
    if (view === null) return this.readAgain(item, item.reason);
    if (!crcMatches(view.bytes, this.scratch))
      return this.readAgain(item, "its CRC-32C does not match");
    let payload: Uint8Array | null = null;
    try {
      const bytesMax = this.parts.settings.decompressedBatchBytesMax;
      if (view.visible) payload = decompress(view.codec, recordBytes(view), bytesMax, this.scratch);
    } catch (error) {
      return this.damaged(item, error as AppError);
    }
    const batch = recordBatch(item, view, payload);
    partition.position = view.nextOffset;
    partition.positionEpoch = view.leaderEpoch;
    partition.badReads = 0;
    this.count(item, view);
    return { type: "batch", batch };
  }

  private readAgain(item: QueuedBatch, reason: string): ConsumerEvent | null {
    const { partition } = item;
    const { clock, partitions } = this.parts;
    if (++partition.badReads >= READS_MAX) {
      return this.damaged(item, fail("batch_corrupt", reason));
    }
    partitions.rewind(partition);
    partition.notBeforeMs = clock.monotonicMs() + READ_AGAIN_MS;
    return null;
  }

  private damaged(item: QueuedBatch, cause: AppError): ConsumerEvent {
    const { partition, view, highWatermark } = item;
    const { feed, key, epoch, position } = partition;
    const { topic } = feed;
    const at = `${topic} partition ${feed.partition} offset ${position}`;
    const context = { topic, partition: feed.partition, offset: position };
    const error = fail("batch_corrupt", `The record batch at ${at} is damaged`, context, cause);
    this.parts.partitions.halt(partition);
    return {
      type: "batch_corrupt",
      feed,
      key,
      epoch,
      position,
      nextOffset: offsetBehind(view, position, highWatermark),
      error,
    };
  }

  private count(item: QueuedBatch, view: BatchView): void {
    const { partition, highWatermark, lastStableOffset, last } = item;
    partition.bytes += view.bytes.length;
    if (view.visible) partition.records += view.recordCount;
    if (!last) return;
    const { records, bytes } = partition;
    partition.records = 0;
    partition.bytes = 0;
    const { topic, partition: number } = partition.feed;
    const { observe } = this.parts;
    observe({ type: "consumed", topic, partition: number, records, bytes });
    partition.timestampMs = Math.max(0, view.maxTimestampMs);
    observe({
      type: "position",
      topic,
      partition: number,
      position: partition.position,
      highWatermark,
      lastStableOffset,
      timestampMs: partition.timestampMs,
    });
  }
}

function recordBatch(
  { partition, arrivedMs }: QueuedBatch,
  view: BatchView,
  payload: Uint8Array | null,
): RecordBatch {
  return {
    feed: partition.feed,
    key: partition.key,
    epoch: partition.epoch,
    wantedOffset: partition.position,
    baseOffset: view.baseOffset,
    nextOffset: view.nextOffset,
    leaderEpoch: view.leaderEpoch,
    recordCount: payload === null ? 0 : view.recordCount,
    payload,
    baseTimestampMs: view.baseTimestampMs,
    appendTimestampMs: view.logAppendTime ? view.maxTimestampMs : null,
    arrivedMs,
  };
}

/** Where reading goes on without the batch; its header may be damaged too, so it is not believed blindly. */
function offsetBehind(view: BatchView | null, position: bigint, highWatermark: bigint): bigint {
  const stated = view?.nextOffset ?? position + 1n;
  return stated > position && stated <= highWatermark ? stated : position + 1n;
}
