/**
 * The producing process and the scratch topic of a load test, before a broker in memory.
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { systemClock } from "#base/clock.ts";
import { silentLogger } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import { walkBatches } from "#consumer/fetch/recordBatch.ts";
import { linesOf, type ProducerJob, type ProducerLine, runProducer } from "#loadtest/child.ts";
import { createTopic, openCluster, removeTopic, topicLeaders } from "#loadtest/scratchTopic.ts";
import { FakeKafka } from "../fakes/kafkaBroker.ts";
import { rejection } from "../support/rejection.ts";

let broker: FakeKafka;
beforeEach(() => {
  broker = new FakeKafka();
});
afterEach(() => broker.stop());

const kafkaOf = ({ address }: FakeKafka) => ({ bootstrapServers: [address], groupId: "g" });
const parts = { clock: systemClock, random: seededRandom(3), log: silentLogger };

/** Input that the test writes, line by line. */
class Input implements AsyncIterator<string> {
  readonly #lines: string[] = [];
  #ended = false;
  #arrived: PromiseWithResolvers<void> = Promise.withResolvers<void>();

  say(line: string): void {
    this.#lines.push(line);
    this.#arrived.resolve();
  }
  end(): void {
    this.#ended = true;
    this.#arrived.resolve();
  }
  async next(): Promise<IteratorResult<string>> {
    for (;;) {
      const line = this.#lines.shift();
      if (line !== undefined) return { done: false, value: line };
      if (this.#ended) return { done: true, value: undefined };
      this.#arrived = Promise.withResolvers<void>();
      await this.#arrived.promise;
    }
  }
}

/** A producing process in this one. */
function start(job: Partial<ProducerJob> = {}) {
  const input = new Input();
  const said: ProducerLine[] = [];
  const ended = runProducer({
    clock: systemClock,
    random: seededRandom(1),
    lines: input,
    write: (line) => {
      const parsed = JSON.parse(line) as ProducerLine;
      said.push(parsed);
      if (parsed.type === "ready") input.say("go");
    },
  });
  const defaults = { kafka: kafkaOf(broker), topic: "t", eventBytes: 120 };
  input.say(JSON.stringify({ ...defaults, rate: 20_000, seconds: 0.3, ...job }));
  return { input, said, ended };
}

describe("the producing process", () => {
  test("is ready, produces whole batches to every partition, and says where they end", async () => {
    const topic = broker.topic("t", 3);
    const { said, ended } = start();
    await ended;
    expect(said[0]).toEqual({ type: "ready" });
    const done = said.at(-1);
    if (done?.type !== "done") throw new Error(JSON.stringify(done));
    expect(done.rows).toBe(6000);
    const ends = topic.partitions.map(({ end }, partition) => [partition, String(end)]);
    expect(done.ends).toEqual(ends as never);
    for (const { batches, end } of topic.partitions) {
      const walk = walkBatches(Buffer.concat(batches), 0n, [], true);
      expect(walk.malformed).toBeNull();
      expect(walk.batches.at(-1)?.nextOffset).toBe(end);
    }
  });

  test("says why it failed: a topic that is not there to be written to", async () => {
    broker.topic("t");
    broker.failNext("Produce", 0, 29);
    const { said, ended } = start();
    await ended;
    expect(said.at(-1)).toEqual({
      type: "failed",
      kind: "kafka_refused",
      sentence: "Kafka refused what was produced to partition 0",
    });
  });

  test("ends with its owner, and with a word", async () => {
    broker.topic("t");
    for (const end of [(input: Input) => input.end(), (input: Input) => input.say("stop")]) {
      const { input, said, ended } = start({ seconds: 3600 });
      while (!said.some(({ type }) => type === "progress")) await Bun.sleep(10);
      end(input);
      await ended;
      expect(said.at(-1)).toMatchObject({ type: "done" });
    }
  });

  test("needs a job, and a word to begin", async () => {
    const input = new Input();
    input.end();
    const said: string[] = [];
    const write = (line: string): void => void said.push(line);
    await runProducer({ clock: systemClock, random: seededRandom(1), lines: input, write });
    expect(said.join("")).toContain("The load test's producer got no job");
  });

  test("reads lines from chunks that end anywhere", async () => {
    const chunks = async function* () {
      for (const text of ["a", "b\nc", "\n\n", "rest"]) yield new TextEncoder().encode(text);
    };
    expect(await Array.fromAsync(linesOf(chunks()))).toEqual(["ab", "c", ""]);
  });
});

describe("the scratch topic", () => {
  test("is created with its partitions, led, and removed with its group", async () => {
    const cluster = openCluster(kafkaOf(broker), parts);
    await createTopic(cluster, systemClock, "scratch", 4);
    expect([...(await topicLeaders(cluster, "scratch")).keys()]).toEqual([0, 1, 2, 3]);
    await removeTopic(cluster, "scratch", "scratch-group");
    expect([...broker.topics.keys()]).toEqual([]);
    expect(broker.removedGroups).toEqual(["scratch-group"]);
    cluster.close();
  });

  test("that the cluster refuses is told by the name of its error", async () => {
    const cluster = openCluster(kafkaOf(broker), parts);
    broker.failNext("CreateTopics", 29);
    expect((await rejection(createTopic(cluster, systemClock, "scratch", 4))).message).toContain(
      "Kafka did not create the topic scratch (TOPIC_AUTHORIZATION_FAILED)",
    );
    broker.failNext("DeleteTopics", 29);
    expect((await rejection(removeTopic(cluster, "scratch", "g"))).message).toContain(
      "did not remove the topic",
    );
    cluster.close();
  });

  test("that has gone already counts as removed, and a group that stays does no harm", async () => {
    const cluster = openCluster(kafkaOf(broker), parts);
    broker.failNext("DeleteTopics", 3);
    broker.failNext("FindCoordinator", 30);
    await removeTopic(cluster, "scratch", "g");
    expect(broker.removedGroups).toEqual([]);
    cluster.close();
  });
});
