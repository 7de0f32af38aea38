/**
 * The requests of a load test, answered by the broker in memory.
 */
import type { Reader, Writer } from "#consumer/wire/wire.ts";
import type { FakeKafka } from "./kafkaBroker.ts";

type Handler = (r: Reader, w: Writer, code: number) => void;

/** Handlers that change this broker's topics; with an error code nothing is changed. */
export function scratchHandlers(
  broker: FakeKafka,
): Record<"Produce" | "CreateTopics" | "DeleteTopics" | "DeleteGroups", Handler> {
  return {
    Produce: (r, w, code) => produce(broker, r, w, code),
    CreateTopics: (r, w, code) => {
      const [wanted] = r.array(() => ({ name: r.string() ?? "", partitions: r.int32() }));
      if (wanted !== undefined && code === 0) broker.topic(wanted.name, wanted.partitions);
      w.int32(0).array([wanted?.name ?? ""], (name) => {
        w.string(name).int16(code).string(null);
      });
    },
    DeleteTopics: (r, w, code) => {
      const names = r.array(() => r.string() ?? "");
      if (code === 0) for (const name of names) broker.topics.delete(name);
      w.int32(0).array(names, (name) => w.string(name).int16(code));
    },
    DeleteGroups: (r, w, code) => {
      const names = r.array(() => r.string() ?? "");
      broker.removedGroups.push(...names);
      w.int32(0).array(names, (name) => w.string(name).int16(code));
    },
  };
}

const UNKNOWN_TOPIC_OR_PARTITION = 3;

/** Gives every batch its offsets. */
function produce(broker: FakeKafka, r: Reader, w: Writer, code: number): void {
  r.string();
  r.int16();
  r.int32();
  const topics = r.array(() => ({
    name: r.string() ?? "",
    partitions: r.array(() => ({ partition: r.int32(), batch: Buffer.from(r.bytes()) })),
  }));
  w.array(topics, ({ name, partitions }) => {
    w.string(name).array(partitions, ({ partition, batch }) => {
      const log = broker.topics.get(name)?.partitions[partition];
      const base = log?.end ?? 0n;
      batch.writeBigInt64BE(base, 0);
      const answer = log === undefined ? UNKNOWN_TOPIC_OR_PARTITION : code;
      if (answer === 0) broker.append(name, partition, batch);
      w.int32(partition).int16(answer).int64(base).int64(-1n).int64(0n);
    });
  });
  w.int32(0);
}
