/**
 * The requests that only a load test sends: a topic created and removed, its group removed
 * (https://kafka.apache.org/protocol).
 */
import { type Request, request } from "#consumer/wire/protocol.ts";
import type { Reader } from "#consumer/wire/wire.ts";

const TIMEOUT_MS = 30_000;

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
