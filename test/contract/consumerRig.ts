/**
 * A Kafka consumer before a broker in memory, for the contract tests. Time runs fifty times faster
 * than the clock.
 */
import { type Clock, systemClock } from "#base/clock.ts";
import type { Observation } from "#base/events.ts";
import { silentLogger } from "#base/log.ts";
import type { Feed } from "#base/offsets.ts";
import { seededRandom } from "#base/random.ts";
import type { Consumer, ConsumerEvent, RecordBatch } from "#consumer/consumer.ts";
import { createKafkaConsumer } from "#consumer/kafkaConsumer.ts";
import type { KafkaConsumerOptions } from "#consumer/options.ts";
import { FakeKafka } from "../fakes/kafkaBroker.ts";
import { buildBatch, type FakeBatch } from "../fakes/recordBatches.ts";

const SPEED = 50;

/** The machine's clock, fifty times as fast. */
export const fastClock: Clock = {
  nowMs: () => systemClock.nowMs(),
  monotonicMs: () => systemClock.monotonicMs() * SPEED,
  sleep: (ms, signal) => systemClock.sleep(ms / SPEED, signal),
  turn: () => systemClock.turn(),
};

/** One broker, and the consumers made before it, one at a time. */
export class Rig {
  readonly broker: FakeKafka = new FakeKafka();
  readonly observations: Observation[] = [];
  private made: Consumer | null = null;

  get consumer(): Consumer {
    if (this.made === null) throw new Error("no consumer was made");
    return this.made;
  }

  create(more: Partial<KafkaConsumerOptions> = {}): Consumer {
    const options = {
      bootstrapServers: [this.broker.address],
      topics: ["t"],
      groupId: "g",
      fetchWaitMsMax: 20,
      ...more,
    };
    const observe = (observation: Observation): void => void this.observations.push(observation);
    const random = seededRandom(1);
    const parts = { clock: fastClock, random, log: silentLogger, observe };
    this.made = createKafkaConsumer(options, parts);
    return this.made;
  }

  /** The next event of one of these types; others are passed over. */
  async next<T extends ConsumerEvent["type"]>(
    ...types: T[]
  ): Promise<Extract<ConsumerEvent, { type: T }>> {
    for (;;) {
      const event = await this.consumer.next();
      if (event === null) throw new Error(`closed before ${types.join(" or ")}`);
      if ((types as string[]).includes(event.type)) {
        return event as Extract<ConsumerEvent, { type: T }>;
      }
    }
  }

  /** Opens, and starts all partitions at `offset`. */
  async reading(
    more: Partial<KafkaConsumerOptions> = {},
    offset: bigint = 0n,
  ): Promise<readonly Feed[]> {
    await this.create(more).open();
    const { feeds } = await this.next("assigned");
    this.consumer.start(feeds.map((feed) => ({ feed, offset })));
    return feeds;
  }

  async batch(): Promise<RecordBatch> {
    return (await this.next("batch")).batch;
  }

  /** Appends a batch of one record to partition 0 of topic `t`. */
  put(baseOffset: number, value: string = "v", more: Partial<FakeBatch> = {}): void {
    this.broker.append("t", 0, buildBatch({ baseOffset, records: [{ value }], ...more }));
  }

  async stop(): Promise<void> {
    await this.made?.close();
    this.broker.stop();
  }
}
