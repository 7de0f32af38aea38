/**
 * Record batches that are built once and sent often: before each sending only the events' sequence
 * numbers, the batch's timestamps and its CRC-32C are written anew. A producer that builds every record
 * when it is sent would need as much CPU as what is to be measured.
 *
 * The batches are uncompressed: compressing anew for each sending costs more than it saves on one machine.
 * An event is one JSON object of strings, longs and a double, as long as was asked for to the byte:
 * `{"seq":100000420007,"user_id":..,"amount":..,"type":..,"country":..,"text":".."}`. Its sequence number
 * has twelve digits: eight of the batch, written at each sending, and four of the event in it.
 */
import { assert } from "#base/assert.ts";
import type { Random } from "#base/random.ts";
import type { Scratch } from "#consumer/codec/blocks.ts";
import { BuiltBatch } from "./builtBatch.ts";

/** An event's size, in bytes of its JSON text, that can be asked for. */
export const EVENT_BYTES: { readonly min: number; readonly max: number } = {
  min: 96,
  max: 100_000,
};

/** Bytes of one batch at most, unless one event is larger: what Kafka's own producers are tuned to. */
const BATCH_BYTES_MAX = 64 * 1024;
/** Four digits count the events of a batch. */
const ROWS_MAX = 10_000;
/** A batch holds the events of this time at most, so that low rates flow evenly. */
const BATCH_SECONDS_MAX = 0.01;
/** Batches of different content; more would leave the CPU's caches. */
const POOL_BATCHES = 24;
/** The first batch's number: eight digits without a leading zero. */
const FIRST_NUMBER = 10_000_000;

/** Lengths and deltas of one record around its value, at most. */
const RECORD_OVERHEAD = 16;
const SEQUENCE_AT = '{"seq":'.length;

const TYPES = ["view", "click", "search", "purchase", "login", "share"];
const COUNTRIES = ["US", "DE", "FR", "JP", "BR", "IN", "CN", "GB"];
const WORDS =
  "the order was sent with one item more than what had been asked for before noon today";

/** Events of one batch, at this rate and size. */
export function rowsPerBatch(rate: number, eventBytes: number): number {
  const bySize = Math.floor(BATCH_BYTES_MAX / (eventBytes + RECORD_OVERHEAD));
  return Math.max(1, Math.min(bySize, ROWS_MAX, Math.floor(rate * BATCH_SECONDS_MAX)));
}

/** Batches that take turns. */
export class BatchPool {
  readonly rows: number;
  readonly #batches: readonly EventBatch[];
  readonly #scratch: Scratch;
  #next = 0;

  /**
   * @param rows events of each batch
   * @param eventBytes bytes of each event, within {@link EVENT_BYTES}
   */
  constructor(rows: number, eventBytes: number, parts: { random: Random; scratch: Scratch }) {
    this.rows = rows;
    this.#scratch = parts.scratch;
    this.#batches = Array.from(
      { length: POOL_BATCHES },
      () => new EventBatch(rows, eventBytes, parts.random),
    );
  }

  /** The next batch, with sequence numbers of its own; valid until its turn comes again. */
  take(timestampMs: number): Uint8Array {
    const batch = this.#batches[this.#next % POOL_BATCHES];
    assert(batch !== undefined, "a pool has batches");
    batch.stamp(FIRST_NUMBER + this.#next, timestampMs, this.#scratch);
    this.#next++;
    return batch.bytes;
  }
}

/** One batch and where its sequence numbers stand. */
class EventBatch {
  readonly #batch: BuiltBatch;
  readonly #sequencesAt: Uint32Array;

  constructor(rows: number, eventBytes: number, random: Random) {
    const records = Array.from({ length: rows }, (_, i) => ({
      key: null,
      value: Buffer.from(eventText(i, eventBytes, random)),
    }));
    this.#batch = new BuiltBatch(records);
    this.#sequencesAt = Uint32Array.from(
      this.#batch.places,
      ({ valueAt }) => (valueAt ?? 0) + SEQUENCE_AT,
    );
  }

  get bytes(): Buffer {
    return this.#batch.bytes;
  }

  stamp(number: number, timestampMs: number, scratch: Scratch): void {
    const { view } = this.#batch;
    const digits = Buffer.from(String(number), "latin1");
    const high = digits.readUInt32BE(0);
    const low = digits.readUInt32BE(4);
    this.#sequencesAt.forEach((at) => {
      view.setUint32(at, high);
      view.setUint32(at + 4, low);
    });
    this.#batch.seal(timestampMs, scratch);
  }
}

/** An event of exactly `bytes` bytes; of its sequence number only the last four digits are its own. */
function eventText(index: number, bytes: number, random: Random): string {
  const pick = (words: readonly string[]): string =>
    words[(random.unit() * words.length) | 0] ?? "";
  const sequence = `${FIRST_NUMBER}${String(index).padStart(4, "0")}`;
  const user = Math.floor(random.unit() * 100_000);
  const amount = (random.unit() * 1000).toFixed(2);
  const start =
    `{"seq":${sequence},"user_id":${user},"amount":${amount},` +
    `"type":"${pick(TYPES)}","country":"${pick(COUNTRIES)}","text":"`;
  const room = bytes - start.length - 2;
  assert(room >= 0, "an event has room for its text");
  return `${start}${filling(room, random)}"}`;
}

function filling(bytes: number, random: Random): string {
  const words = WORDS.split(" ");
  let text = Math.floor(random.unit() * 1e9).toString(36);
  while (text.length < bytes) text += ` ${words[Math.floor(random.unit() * words.length)] ?? ""}`;
  return text.slice(0, bytes);
}
