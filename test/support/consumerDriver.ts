/**
 * Drives a real consumer in tests: hands its events on by type, and walks records by Kafka's format
 * alone, independently of the product's decoder.
 */
import { createHash, type Hash } from "node:crypto";
import { systemClock } from "#base/clock.ts";
import type { Observation } from "#base/events.ts";
import { silentLogger } from "#base/log.ts";
import type { Feed, FeedOffset } from "#base/offsets.ts";
import { systemRandom } from "#base/random.ts";
import type { Consumer, ConsumerEvent, RecordBatch } from "#consumer/consumer.ts";
import { createKafkaConsumer } from "#consumer/kafkaConsumer.ts";
import type { KafkaConsumerOptions } from "#consumer/options.ts";

/** A record as a test wants to see it. */
export interface SeenRecord {
  readonly offset: bigint;
  readonly timestampMs: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
}

/** The records of a batch at or above `wantedOffset`, by the format of record batch v2. */
export function recordsOf(batch: RecordBatch): SeenRecord[] {
  const { payload } = batch;
  if (payload === null) return [];
  const records: SeenRecord[] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = BigInt(payload[at++] ?? 0);
      value |= (byte & 127n) << shift;
      if (byte < 128n) return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n));
    }
  };
  const bytes = (): Uint8Array | null => {
    const length = Number(varint());
    if (length < 0) return null;
    at += length;
    return payload.subarray(at - length, at);
  };
  for (let i = 0; i < batch.recordCount; i++) {
    const length = Number(varint());
    const end = at + length;
    at++;
    const timestampMs = batch.baseTimestampMs + Number(varint());
    const offset = batch.baseOffset + varint();
    const record = { offset, timestampMs, key: bytes(), value: bytes() };
    for (let headers = Number(varint()); headers > 0; headers--) {
      bytes();
      bytes();
    }
    if (at !== end) throw new Error(`record at ${offset} ends at ${at}, not ${end}`);
    if (offset >= batch.wantedOffset) records.push(record);
  }
  if (at !== payload.length) throw new Error(`batch at ${batch.baseOffset} has bytes left over`);
  return records;
}

/** What was read of one partition. */
export interface SeenPartition {
  count: number;
  position: bigint;
  /** Over offset, key and value of every record, in order. */
  readonly digest: Hash;
}

/** A consumer under test, with everything that it said. */
export class Driver {
  readonly consumer: Consumer;
  readonly observations: Observation[] = [];
  readonly events: ConsumerEvent[] = [];
  readonly seen: Map<string, SeenPartition> = new Map();
  assigned: readonly Feed[] = [];
  /** Where assigned partitions begin; default: where reading got to, else the log start. */
  startAt: (feed: Feed) => Promise<bigint> = async (feed: Feed): Promise<bigint> => {
    const before = this.seen.get(`${feed.topic}/${feed.partition}`);
    if (before !== undefined) return before.position;
    const [bounds] = await this.consumer.bounds([feed]);
    return bounds?.logStart ?? 0n;
  };
  onRevoked: (feeds: readonly Feed[]) => Promise<void> = async () => undefined;
  onRecords: (records: readonly SeenRecord[], batch: RecordBatch) => void = () => undefined;
  ended: unknown = undefined;
  readonly running: Promise<void>;
  private opened: () => void = () => undefined;

  constructor(options: KafkaConsumerOptions) {
    const observe = (observation: Observation): void => void this.observations.push(observation);
    const parts = { clock: systemClock, random: systemRandom, log: silentLogger, observe };
    this.consumer = createKafkaConsumer(options, parts);
    const open = new Promise<void>((resolve) => {
      this.opened = resolve;
    });
    this.running = open.then(() => this.run());
  }

  async open(): Promise<this> {
    await this.consumer.open();
    this.opened();
    return this;
  }

  /** Waits until `done`; a failure names the last events. */
  async until(what: string, done: () => boolean, timeoutMs = 30_000): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!done()) {
      if (performance.now() > deadline) {
        const tail = this.events.filter(({ type }) => type !== "batch").slice(-5);
        throw new Error(`${what} did not happen: ${Bun.inspect(tail)} ${Bun.inspect(this.ended)}`);
      }
      await Bun.sleep(5);
    }
  }

  /** Events of one type, without batches' bytes being kept. */
  of<T extends ConsumerEvent["type"]>(type: T): Extract<ConsumerEvent, { type: T }>[] {
    return this.events.filter((event) => event.type === type) as Extract<
      ConsumerEvent,
      { type: T }
    >[];
  }

  position(topic: string, partition: number): bigint {
    return this.seen.get(`${topic}/${partition}`)?.position ?? -1n;
  }

  get count(): number {
    return [...this.seen.values()].reduce((sum, { count }) => sum + count, 0);
  }

  /** Count and digest per partition number of one topic. */
  summary(topic: string): Record<string, { count: number; digest: string }> {
    const entries = [...this.seen].filter(([key]) => key.startsWith(`${topic}/`));
    return Object.fromEntries(
      entries
        .map(([key, { count, digest }]) => {
          const at = key.slice(topic.length + 1);
          return [at, { count, digest: digest.copy().digest("hex") }] as const;
        })
        .sort(([a], [b]) => Number(a) - Number(b)),
    );
  }

  async close(): Promise<void> {
    await this.consumer.close();
    this.opened();
    await this.running;
  }

  private async run(): Promise<void> {
    try {
      for (;;) {
        const event = await this.consumer.next();
        if (event === null) return;
        if (event.type === "batch") this.take(event.batch);
        else this.events.push(event);
        if (event.type === "assigned") await this.begin(event.feeds);
        if (event.type === "revoked") {
          this.assigned = [];
          await this.onRevoked(event.feeds);
          this.consumer.released(event.feeds);
        }
      }
    } catch (error) {
      this.ended = error;
    }
  }

  private async begin(feeds: readonly Feed[]): Promise<void> {
    const offsets: FeedOffset[] = [];
    for (const feed of feeds) offsets.push({ feed, offset: await this.startAt(feed) });
    this.consumer.start(offsets);
    this.assigned = feeds;
  }

  private take(batch: RecordBatch): void {
    const key = `${batch.feed.topic}/${batch.feed.partition}`;
    const seen = this.seen.get(key) ?? { count: 0, position: 0n, digest: createHash("md5") };
    this.seen.set(key, seen);
    const records = recordsOf(batch);
    for (const { offset, key: recordKey, value } of records) {
      seen.digest.update(`${offset};`);
      seen.digest.update(recordKey ?? "-");
      seen.digest.update(";");
      seen.digest.update(value ?? "-");
    }
    seen.count += records.length;
    seen.position = batch.nextOffset;
    this.onRecords(records, batch);
  }
}
