/**
 * Produces events at a steady rate for a while, pipelined, and says honestly what it reached: a batch is
 * sent when its time has come and the brokers still take more, never to make up for what cannot be made
 * up. Each partition in its turn gets a batch.
 *
 * Every batch is sent once: after an error nothing could be said of what the topic holds, so it ends.
 */
import type { Clock } from "#base/clock.ts";
import { fail } from "#base/errors.ts";
import type { PartitionBatch, ProduceAnswer } from "#consumer/produce/produceRequest.ts";

/** What to produce. */
export interface ProduceJob {
  /** Events a second. */
  readonly rate: number;
  readonly seconds: number;
  /** Partition -> its leader's node id. */
  readonly leaders: ReadonlyMap<number, number>;
  /** Events of a batch. */
  readonly rowsPerBatch: number;
}

/** How far it is. */
export interface Progress {
  /** Events that the brokers have acknowledged. */
  readonly rows: number;
  readonly bytes: number;
  /** How long ago what is to be sent next should have been sent, ms. */
  readonly behindMs: number;
}

/** What was produced. */
export interface Produced {
  readonly rows: number;
  /** Bytes of record batches. */
  readonly bytes: number;
  /** When it began, and when the last batch was acknowledged; ms since epoch. */
  readonly beganMs: number;
  readonly endedMs: number;
  /** Next offset of every partition; 0 where nothing was sent. */
  readonly ends: ReadonlyMap<number, bigint>;
}

/** The ports of a producer. */
export interface ProducerParts {
  readonly clock: Clock;
  /** The next batch of `rowsPerBatch` events, stamped with this time; valid until `send` returned. */
  batch(timestampMs: number, partition: number): Uint8Array;
  /** Sends to one broker; takes the bytes at once, resolves when they are acknowledged. */
  send(leader: number, batches: readonly PartitionBatch[]): Promise<readonly ProduceAnswer[]>;
  /** Called now and then. */
  progress(progress: Progress): void;
}

/** Sent and not acknowledged, at most: enough for a busy broker, small against memory. */
const UNACKNOWLEDGED_BYTES_MAX = 8 * 1024 * 1024;
const PROGRESS_MS = 250;
const NAP_MS = 1;

/** Produces until the time is over, or `stop`. Throws what `send` throws, and `kafka_refused`. */
export async function produce(
  job: ProduceJob,
  parts: ProducerParts,
  stop: AbortSignal,
): Promise<Produced> {
  return new Producer(job, parts).run(stop);
}

class Producer {
  readonly #job: ProduceJob;
  readonly #parts: ProducerParts;
  readonly #ends: Map<number, bigint>;
  readonly #partitions: readonly number[];
  #turn = 0;
  #sentRows = 0;
  #ackedRows = 0;
  #sentBytes = 0;
  #ackedBytes = 0;
  #endedMs = 0;
  #error: Error | null = null;
  #acknowledged: PromiseWithResolvers<void> = Promise.withResolvers<void>();

  constructor(job: ProduceJob, parts: ProducerParts) {
    this.#job = job;
    this.#parts = parts;
    this.#partitions = [...job.leaders.keys()];
    this.#ends = new Map(this.#partitions.map((partition) => [partition, 0n]));
  }

  async run(stop: AbortSignal): Promise<Produced> {
    const { clock } = this.#parts;
    const beganMs = clock.nowMs();
    const began = clock.monotonicMs();
    this.#endedMs = beganMs;
    let shown = began;
    const { rate, seconds, rowsPerBatch } = this.#job;
    const wanted = Math.floor(rate * seconds);
    while (!stop.aborted && this.#error === null) {
      const now = clock.monotonicMs();
      const passed = (now - began) / 1000;
      if (now - shown >= PROGRESS_MS) {
        shown = now;
        this.#show(passed);
      }
      if (passed >= seconds || this.#sentRows + rowsPerBatch > wanted) break;
      const due = Math.floor((passed * rate - this.#sentRows) / rowsPerBatch) + 1;
      await this.#step(due, wanted);
    }
    while (this.#error === null && this.#ackedRows < this.#sentRows) {
      await this.#acknowledged.promise;
    }
    if (this.#error !== null) throw this.#error;
    this.#show(seconds);
    const { bytes, rows } = { bytes: this.#ackedBytes, rows: this.#ackedRows };
    return { rows, bytes, beganMs, endedMs: this.#endedMs, ends: this.#ends };
  }

  /** Sends what is due, at most one batch for each partition; or waits for time or room. */
  async #step(due: number, wanted: number): Promise<void> {
    const { clock } = this.#parts;
    if (due <= 0) return clock.sleep(NAP_MS);
    if (this.#sentBytes - this.#ackedBytes >= UNACKNOWLEDGED_BYTES_MAX) {
      await this.#acknowledged.promise;
      return;
    }
    const left = Math.floor((wanted - this.#sentRows) / this.#job.rowsPerBatch);
    this.#send(Math.min(due, left, this.#partitions.length));
    await clock.turn();
  }

  #send(batches: number): void {
    const nowMs = this.#parts.clock.nowMs();
    const byLeader = new Map<number, PartitionBatch[]>();
    for (let i = 0; i < batches; i++) {
      const partition = this.#partitions[this.#turn++ % this.#partitions.length] ?? 0;
      const leader = this.#job.leaders.get(partition) ?? 0;
      const batch = { partition, bytes: this.#parts.batch(nowMs, partition) };
      byLeader.set(leader, [...(byLeader.get(leader) ?? []), batch]);
    }
    for (const [leader, group] of byLeader) void this.#exchange(leader, group);
  }

  async #exchange(leader: number, batches: readonly PartitionBatch[]): Promise<void> {
    const rows = batches.length * this.#job.rowsPerBatch;
    const bytes = batches.reduce((sum, batch) => sum + batch.bytes.length, 0);
    this.#sentRows += rows;
    this.#sentBytes += bytes;
    try {
      const answers = await this.#parts.send(leader, batches);
      for (const answer of answers) this.#note(answer);
      this.#ackedRows += rows;
      this.#ackedBytes += bytes;
      this.#endedMs = this.#parts.clock.nowMs();
    } catch (error) {
      this.#error ??= error instanceof Error ? error : fail("internal", String(error));
    }
    this.#acknowledged.resolve();
    this.#acknowledged = Promise.withResolvers<void>();
  }

  #note({ partition, code, baseOffset }: ProduceAnswer): void {
    if (code !== 0) {
      throw fail("kafka_refused", `Kafka refused what was produced to partition ${partition}`, {
        code,
      });
    }
    const end = baseOffset + BigInt(this.#job.rowsPerBatch);
    if (end > (this.#ends.get(partition) ?? 0n)) this.#ends.set(partition, end);
  }

  #show(passedSeconds: number): void {
    const missing = passedSeconds * this.#job.rate - this.#sentRows;
    const behindMs = Math.max(0, Math.round((missing / this.#job.rate) * 1000));
    this.#parts.progress({ rows: this.#ackedRows, bytes: this.#ackedBytes, behindMs });
  }
}
