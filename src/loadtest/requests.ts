/**
 * The requests that only a load test sends: a topic created and removed, its group removed, and record
 * batches produced (https://kafka.apache.org/protocol).
 */
import { type Request, request } from "#consumer/wire/protocol.ts";
import type { Reader } from "#consumer/wire/wire.ts";

const TIMEOUT_MS = 30_000;
/** Every replica that is in sync has the records before the broker answers. */
const ACKS_ALL = -1;

/** CreateTopics v4, with the cluster's default replication; answers the error code. */
export function createTopicRequest(topic: string, partitions: number): Request<number> {
  return request(
    "CreateTopics",
    (w) => {
      w.array([topic], (name) => {
        w.string(name).int32(partitions).int16(-1);
        w.array([], () => undefined).array([], () => undefined);
      });
      w.int32(TIMEOUT_MS).int8(0);
    },
    (answer) => {
      answer.int32();
      return firstCode(answer, () => answer.string());
    },
    TIMEOUT_MS,
  );
}

/** DeleteTopics v3; answers the error code. */
export function deleteTopicRequest(topic: string): Request<number> {
  return request(
    "DeleteTopics",
    (w) => w.array([topic], (name) => w.string(name)).int32(TIMEOUT_MS),
    (answer) => {
      answer.int32();
      return firstCode(answer, () => undefined);
    },
    TIMEOUT_MS,
  );
}

/** DeleteGroups v1, to the group's coordinator; answers the error code. */
export function deleteGroupRequest(groupId: string): Request<number> {
  return request(
    "DeleteGroups",
    (w) => w.array([groupId], (name) => w.string(name)),
    (answer) => {
      answer.int32();
      return firstCode(answer, () => undefined);
    },
  );
}

/** The code in an answer of one name: name | code | what `rest` reads. */
function firstCode(answer: Reader, rest: () => unknown): number {
  const [code] = answer.array(() => {
    answer.string();
    const value = answer.int16();
    rest();
    return value;
  });
  return code ?? 0;
}

/** One record batch for one partition. */
export interface PartitionBatch {
  readonly partition: number;
  /** Whole, header included; copied when the request is built. */
  readonly bytes: Uint8Array;
}

/** What a broker did with a partition's batch. */
export interface ProduceAnswer {
  readonly partition: number;
  readonly code: number;
  /** Offset of its first record; -1 with an error. */
  readonly baseOffset: bigint;
}

/** Produce v7, one batch per partition, answered once all replicas in sync have it. */
export function produceRequest(
  topic: string,
  batches: readonly PartitionBatch[],
): Request<readonly ProduceAnswer[]> {
  return request(
    "Produce",
    (w) => {
      w.string(null).int16(ACKS_ALL).int32(TIMEOUT_MS);
      w.array([topic], (name) => {
        w.string(name).array(batches, ({ partition, bytes }) => w.int32(partition).bytes(bytes));
      });
    },
    (answer) => {
      const topics = answer.array(() => {
        answer.string();
        return answer.array(() => {
          const partition = answer.int32();
          const code = answer.int16();
          const baseOffset = answer.int64();
          answer.int64();
          answer.int64();
          return { partition, code, baseOffset };
        });
      });
      return topics.flat();
    },
    TIMEOUT_MS,
  );
}
