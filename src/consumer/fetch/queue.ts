/**
 * The bounded queue between fetching and the pipeline: events in order, batches counted in bytes.
 *
 * Fetches reserve room before they are sent, so that queued and expected bytes together stay within
 * the bound. Batches of a paused partition are set aside, still counted; when nothing else can be
 * handed over they are given up, to be fetched again after the pause, so that one paused table
 * cannot hold the others back.
 */
import type { ConsumerEvent } from "#consumer/consumer.ts";
import type { Signal } from "#consumer/signal.ts";
import type { AnswerBuffers } from "#consumer/wire/answers.ts";
import type { Partition, Partitions } from "./partitions.ts";
import type { BatchView } from "./recordBatch.ts";

/** A fetched batch with the state of its partition's log at that time. */
export interface QueuedBatch {
  readonly type: "fetched";
  readonly partition: Partition;
  readonly sequence: number;
  /** Null: bytes that cannot be a batch; `reason` says why. */
  readonly view: BatchView | null;
  readonly reason: string;
  readonly highWatermark: bigint;
  readonly lastStableOffset: bigint;
  /** When the answer had arrived (monotonic). */
  readonly arrivedMs: number;
  /** The last one of its partition in this answer. */
  readonly last: boolean;
}

/** What is queued: events as they are, batches still to be checked and decompressed. */
export type Queued = ConsumerEvent | QueuedBatch;

/** The queue. */
export class FetchQueue {
  private readonly arrived: Signal;
  private readonly room: Signal;
  private readonly buffers: AnswerBuffers;
  private readonly bytesMax: number;
  /** Undefined in front of `head`, so that what was handed over is not kept alive. */
  private items: (Queued | undefined)[] = [];
  private head = 0;
  private held: QueuedBatch[] = [];
  /** Handed over or dropped; the next `shift` gives their memory back. */
  private spent: QueuedBatch[] = [];
  private bytes = 0;
  private reserved = 0;
  /** What the last refused reservation asked for, 0 when none was refused. */
  private refused = 0;

  /**
   * @param arrived fires when something is queued
   * @param room fires when a refused reservation would be granted
   * @param buffers the memory of answers, held for every batch that is queued or just handed over
   * @param bytesMax of batches that are queued or expected
   */
  constructor(arrived: Signal, room: Signal, buffers: AnswerBuffers, bytesMax: number) {
    this.arrived = arrived;
    this.room = room;
    this.buffers = buffers;
    this.bytesMax = bytesMax;
  }

  push(item: Queued): void {
    this.items.push(item);
    if (item.type === "fetched") {
      this.bytes += sizeOf(item);
      if (item.view !== null) this.buffers.hold(item.view.bytes);
    }
    this.arrived.fire();
  }

  /** Takes room for an answer of at most `bytes`; false when there is none now. */
  reserve(bytes: number): boolean {
    if (!this.fits(bytes)) {
      this.refused = bytes;
      return false;
    }
    this.reserved += bytes;
    return true;
  }

  /** Gives reserved room back; the answer has been pushed, or there is none. */
  release(bytes: number): void {
    this.reserved -= bytes;
    this.announceRoom();
  }

  /** Whether a fetch waits for room. */
  get full(): boolean {
    return this.refused > 0;
  }

  /**
   * The next item that may be handed over; undefined when there is none now. The bytes of the one
   * before are void from here on.
   */
  shift(): Queued | undefined {
    for (const { view } of this.spent) if (view !== null) this.buffers.release(view.bytes);
    this.spent = [];
    while (this.head < this.items.length) {
      const item = this.items[this.head];
      this.items[this.head++] = undefined;
      if (this.head > 1024 && this.head * 2 > this.items.length) {
        this.items = this.items.slice(this.head);
        this.head = 0;
      }
      if (item === undefined || item.type !== "fetched") return item;
      if (item.sequence === item.partition.sequence && item.partition.paused) {
        this.held.push(item);
        continue;
      }
      this.forget(item);
      if (item.sequence === item.partition.sequence) return item;
    }
    return undefined;
  }

  /** Puts the batches that were set aside back in front, those still paused as well. */
  unhold(): void {
    if (this.held.length === 0) return;
    this.items = [...this.held, ...this.items.slice(this.head)];
    this.head = 0;
    this.held = [];
    this.arrived.fire();
  }

  /** Gives up what was set aside: its partitions fetch it again when they are resumed. */
  dropHeld(partitions: Partitions): void {
    const { held } = this;
    this.held = [];
    for (const item of held) {
      this.forget(item);
      const { partition } = item;
      if (item.sequence === partition.sequence) partitions.rewind(partition);
    }
  }

  private forget(item: QueuedBatch): void {
    this.spent.push(item);
    this.bytes -= sizeOf(item);
    this.announceRoom();
  }

  private fits(bytes: number): boolean {
    return this.bytes + this.reserved + bytes <= this.bytesMax;
  }

  private announceRoom(): void {
    if (this.refused === 0 || !this.fits(this.refused)) return;
    this.refused = 0;
    this.room.fire();
  }
}

function sizeOf(item: QueuedBatch): number {
  return item.view?.bytes.length ?? 0;
}
