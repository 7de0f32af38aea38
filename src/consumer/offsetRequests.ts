/**
 * Requests about positions: ListOffsets, OffsetFetch, OffsetCommit.
 */
import type { MemberId } from "./group/groupRequests.ts";
import { type Request, request } from "./wire/protocol.ts";

/** A partition of a topic. */
export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** Special timestamps of ListOffsets. */
export const AT = { latest: -1n, earliest: -2n } as const;

/** Items grouped by topic, as every request wants them. */
export function byTopic<T extends TopicPartition>(items: readonly T[]): [string, T[]][] {
  const topics = new Map<string, T[]>();
  for (const item of items) {
    const list = topics.get(item.topic);
    if (list === undefined) topics.set(item.topic, [item]);
    else list.push(item);
  }
  return [...topics];
}

/** An answer per partition; `offset` -1 means none. */
export interface PartitionOffset extends TopicPartition {
  readonly code: number;
  readonly offset: bigint;
}

/** ListOffsets v5: the first offset at or after `timestamp`, or one of {@link AT}. */
export function listOffsetsRequest(
  partitions: readonly TopicPartition[],
  timestamp: bigint,
  readCommitted: boolean,
): Request<PartitionOffset[]> {
  return request(
    "ListOffsets",
    (w) =>
      w
        .int32(-1)
        .int8(readCommitted ? 1 : 0)
        .array(byTopic(partitions), ([topic, items]) =>
          w.string(topic).array(items, ({ partition }) => {
            w.int32(partition).int32(-1).int64(timestamp);
          }),
        ),
    (answer) => {
      answer.int32();
      const topics = answer.array(() => {
        const topic = answer.string() ?? "";
        return answer.array(() => {
          const partition = answer.int32();
          const code = answer.int16();
          answer.int64();
          const offset = answer.int64();
          answer.int32();
          return { topic, partition, code, offset };
        });
      });
      return topics.flat();
    },
  );
}

/** OffsetFetch v5: the group's committed offsets. */
export function offsetFetchRequest(
  groupId: string,
  partitions: readonly TopicPartition[],
): Request<{ code: number; offsets: PartitionOffset[] }> {
  return request(
    "OffsetFetch",
    (w) =>
      w.string(groupId).array(byTopic(partitions), ([topic, items]) =>
        w.string(topic).array(items, ({ partition }) => {
          w.int32(partition);
        }),
      ),
    (answer) => {
      answer.int32();
      const topics = answer.array(() => {
        const topic = answer.string() ?? "";
        return answer.array(() => {
          const partition = answer.int32();
          const offset = answer.int64();
          answer.int32();
          answer.string();
          return { topic, partition, offset, code: answer.int16() };
        });
      });
      return { offsets: topics.flat(), code: answer.int16() };
    },
  );
}

/** OffsetCommit v7: answers the partitions' error codes. */
export function offsetCommitRequest(
  member: MemberId,
  offsets: readonly (TopicPartition & { offset: bigint })[],
): Request<number[]> {
  return request(
    "OffsetCommit",
    (w) =>
      w
        .string(member.groupId)
        .int32(member.generation)
        .string(member.memberId)
        .string(member.groupInstanceId)
        .array(byTopic(offsets), ([topic, items]) =>
          w.string(topic).array(items, ({ partition, offset }) => {
            w.int32(partition).int64(offset).int32(-1).string(null);
          }),
        ),
    (answer) => {
      answer.int32();
      const topics = answer.array(() => {
        answer.string();
        return answer.array(() => {
          answer.int32();
          return answer.int16();
        });
      });
      return topics.flat();
    },
  );
}
