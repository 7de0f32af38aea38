/**
 * Metadata v12: brokers, cluster id, and per topic its id, error and partition leaders. One bad
 * topic never spoils the answer for the others. Topics are never created by asking.
 */
import type { BrokerAddress } from "./cluster.ts";
import { type Request, request } from "./protocol.ts";
import type { Reader } from "./wire.ts";

/** One topic of a metadata answer. */
export interface TopicAnswer {
  readonly code: number;
  readonly topic: string;
  readonly topicId: string;
  readonly internal: boolean;
  /** Leader's node id per partition, -1 when there is none now. */
  readonly leaders: ReadonlyMap<number, number>;
}

/** A metadata answer. */
export interface ClusterAnswer {
  readonly clusterId: string;
  readonly brokers: readonly BrokerAddress[];
  readonly topics: readonly TopicAnswer[];
}

const NO_TOPIC_ID = "00000000-0000-0000-0000-000000000000";

/** Asks for these topics, or for all when `topics` is null. */
export function metadataRequest(topics: readonly string[] | null): Request<ClusterAnswer> {
  return request(
    "Metadata",
    (w) => {
      if (topics === null) w.uvarint(0);
      else w.compactArray(topics, (topic) => w.uuid(NO_TOPIC_ID).compactString(topic).noTags());
      w.int8(0).int8(0).noTags();
    },
    decodeCluster,
  );
}

function decodeCluster(answer: Reader): ClusterAnswer {
  answer.int32();
  const brokers = answer.compactArray(() => {
    const nodeId = answer.int32();
    const host = answer.compactString() ?? "";
    const port = answer.int32();
    answer.compactString();
    answer.skipTags();
    return { nodeId, host, port };
  });
  const clusterId = answer.compactString() ?? "";
  answer.int32();
  return { brokers, clusterId, topics: answer.compactArray(() => decodeTopic(answer)) };
}

function decodeTopic(answer: Reader): TopicAnswer {
  const code = answer.int16();
  const topic = answer.compactString() ?? "";
  const topicId = answer.uuid();
  const internal = answer.int8() !== 0;
  const leaders = new Map<number, number>();
  answer.compactArray(() => {
    const partitionCode = answer.int16();
    const partition = answer.int32();
    const leader = answer.int32();
    answer.int32();
    for (let list = 0; list < 3; list++) answer.compactArray(() => answer.int32());
    answer.skipTags();
    // 5 LEADER_NOT_AVAILABLE: the partition exists, its leader is being elected.
    leaders.set(partition, partitionCode === 5 ? -1 : leader);
  });
  answer.int32();
  answer.skipTags();
  return { code, topic, topicId, internal, leaders };
}
