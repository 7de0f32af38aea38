/**
 * Changes of keys at a high rate, and what a fold of them has: record batches that are built once and of
 * which only keys and numbers are written anew before each sending, as those of the load test are
 * (`src/loadtest/builtBatch.ts`), so that the producer takes little of the CPU that is measured.
 *
 * A record's Kafka key is `{"id":..}`, its value `{"id":..,"n":..,"name":..,"amount":..,"at":..}`, or nothing:
 * a delete. Ids have eight digits; `n` counts the records, and tells which change of a key was the last.
 * Key k is in partition k % partitions.
 */
import type { Random } from "#base/random.ts";
import { Scratch } from "#consumer/codec/blocks.ts";
import { BuiltBatch } from "#loadtest/builtBatch.ts";

/** The id of the first key. */
export const FIRST_ID = 10_000_000;
/** What the column `n` of record 0 would hold. */
export const FIRST_N = 100_000_000_000n;
/** Keys at most: ids have eight digits. */
export const KEYS_MAX = 90_000_000;

/** One of so many records is a delete. */
const DELETE_EVERY = 50;
/** Batches of a kind that take turns, so that they are not all alike. */
const POOL_BATCHES = 16;
const DIGITS = Uint32Array.from({ length: 10_000 }, (_, n) =>
  Buffer.from(String(n).padStart(4, "0"), "latin1").readUInt32BE(0),
);
/** What {@link KeyedChanges} are of. */
export interface KeyedChangesJob {
  readonly keys: number;
  readonly partitions: number;
  readonly rowsPerBatch: number;
  readonly random: Random;
  /** What earlier batches made of the model; default: nothing was sent. */
  readonly before?: KeyedModel;
}

/** What a fold of all batches has. */
export interface KeyedModel {
  /** By key: the number of the record that put it last; 0: it has no row. */
  readonly last: Uint32Array;
  /** Records so far. */
  readonly sent: number;
}

/** Makes batches, and keeps the model. */
export class KeyedChanges {
  readonly #last: Uint32Array;
  readonly #job: KeyedChangesJob;
  readonly #scratch = new Scratch();
  readonly #puts: readonly KeyedBatch[];
  readonly #changes: readonly KeyedBatch[];
  readonly #inserted: number[];
  #sent = 0;
  #turn = 0;

  constructor(job: KeyedChangesJob) {
    this.#job = job;
    this.#last = job.before?.last ?? new Uint32Array(job.keys);
    this.#sent = job.before?.sent ?? 0;
    this.#inserted = Array.from({ length: job.partitions }, () => 0);
    const pool = (deletes: boolean): KeyedBatch[] =>
      Array.from({ length: POOL_BATCHES }, () => new KeyedBatch(job, deletes));
    this.#puts = pool(false);
    this.#changes = pool(true);
  }

  get model(): KeyedModel {
    return { last: this.#last, sent: this.#sent };
  }

  /** Each key once, a batch of keys of this partition. */
  insert(timestampMs: number, partition: number): Uint8Array {
    const { partitions, keys } = this.#job;
    const next = (): number => {
      const nth = this.#inserted[partition] ?? 0;
      this.#inserted[partition] = nth + 1;
      return (nth * partitions + partition) % keys;
    };
    return this.#take(this.#puts, timestampMs, next);
  }

  /** Changes of keys of this partition, chosen evenly. */
  change(timestampMs: number, partition: number): Uint8Array {
    const { partitions, keys, random } = this.#job;
    const perPartition = Math.floor(keys / partitions);
    const next = (): number => Math.floor(random.unit() * perPartition) * partitions + partition;
    return this.#take(this.#changes, timestampMs, next);
  }

  #take(pool: readonly KeyedBatch[], timestampMs: number, next: () => number): Uint8Array {
    const batch = pool[this.#turn++ % pool.length] as KeyedBatch;
    this.#sent = batch.write(this.#sent, next, this.#last);
    batch.seal(timestampMs, this.#scratch);
    return batch.bytes;
  }
}

const ID_AT = '{"id":'.length;
const N_AT = '{"id":10000000,"n":1000'.length;

class KeyedBatch {
  readonly #batch: BuiltBatch;

  constructor({ rowsPerBatch, random }: KeyedChangesJob, deletes: boolean) {
    const key = Buffer.from(`{"id":${FIRST_ID}}`);
    const records = Array.from({ length: rowsPerBatch }, (_, i) => {
      const isDelete = deletes && Math.floor(random.unit() * DELETE_EVERY) === 0;
      return { key, value: isDelete ? null : Buffer.from(valueText(i, random)) };
    });
    this.#batch = new BuiltBatch(records);
  }

  get bytes(): Buffer {
    return this.#batch.bytes;
  }

  /** Writes keys and numbers; answers the number of the last record. */
  write(first: number, next: () => number, last: Uint32Array): number {
    let n = first;
    for (const { keyAt, valueAt } of this.#batch.places) {
      const key = next();
      n++;
      this.#digits((keyAt ?? 0) + ID_AT, FIRST_ID + key);
      last[key] = valueAt === null ? 0 : n;
      if (valueAt === null) continue;
      this.#digits(valueAt + ID_AT, FIRST_ID + key);
      this.#digits(valueAt + N_AT, n);
    }
    return n;
  }

  seal(timestampMs: number, scratch: Scratch): void {
    this.#batch.seal(timestampMs, scratch);
  }

  /** Eight digits. */
  #digits(at: number, value: number): void {
    const { view } = this.#batch;
    view.setUint32(at, DIGITS[Math.floor(value / 10_000)] ?? 0);
    view.setUint32(at + 4, DIGITS[value % 10_000] ?? 0);
  }
}

function valueText(index: number, random: Random): string {
  const amount = (random.unit() * 1000).toFixed(2);
  const at = 1_767_225_600_000 + index;
  const name = `customer ${Math.floor(random.unit() * 1e9).toString(36)}`;
  return `{"id":${FIRST_ID},"n":${FIRST_N},"name":"${name}","amount":${amount},"at":${at}}`;
}
