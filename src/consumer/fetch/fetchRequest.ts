/**
 * Fetch v13: topics by id, so that a topic re-created under the same name is never read by mistake.
 * The answer keeps each partition's records as bytes; `recordBatch.ts` walks them.
 */
import { type Request, request } from "#consumer/wire/protocol.ts";
import type { Reader } from "#consumer/wire/wire.ts";

/** Tag of `DivergingEpoch` in an answer's partition (KIP-595). */
const TAG_DIVERGING_EPOCH = 0;

/** One partition of a fetch. */
export interface FetchPartition {
  readonly topicId: string;
  readonly partition: number;
  readonly offset: bigint;
  /**
   * Leader epoch of the last record below `offset`: the broker compares it with its log before it
   * answers records, and tells where the two part. `NO_LEADER_EPOCH`: it compares nothing.
   */
  readonly lastEpoch: number;
}

/** What holds for a whole fetch. Sizes in bytes. */
export interface FetchOptions {
  readonly waitMsMax: number;
  readonly bytesMax: number;
  readonly partitionBytesMax: number;
  readonly readCommitted: boolean;
  readonly rackId: string;
}

/** A transaction that was aborted, as the broker lists them beside the records. */
export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: bigint;
}

/** One partition of a fetch answer. */
export interface FetchedPartition {
  readonly topicId: string;
  readonly partition: number;
  readonly code: number;
  readonly highWatermark: bigint;
  readonly lastStableOffset: bigint;
  readonly aborted: readonly AbortedTransaction[];
  /** Node to read from instead, -1 for none. */
  readonly preferredReplica: number;
  /**
   * Where the broker's log ends as far as it agrees with what was read; null when it agrees. There
   * are no records then.
   */
  readonly divergesAt: bigint | null;
  readonly records: Uint8Array;
}

/** A fetch answer. */
export interface Fetched {
  readonly code: number;
  readonly partitions: readonly FetchedPartition[];
  /** What the partitions' records are views of. */
  readonly bytes: Uint8Array;
}

/** Builds a fetch. Partitions of one topic need not stand together. */
export function fetchRequest(
  partitions: readonly FetchPartition[],
  options: FetchOptions,
): Request<Fetched> {
  const topics = new Map<string, FetchPartition[]>();
  for (const item of partitions) {
    const list = topics.get(item.topicId);
    if (list === undefined) topics.set(item.topicId, [item]);
    else list.push(item);
  }
  return request(
    "Fetch",
    (w) => {
      w.int32(-1).int32(options.waitMsMax).int32(1).int32(options.bytesMax);
      w.int8(options.readCommitted ? 1 : 0)
        .int32(0)
        .int32(-1);
      w.compactArray([...topics], ([topicId, items]) => {
        w.uuid(topicId);
        w.compactArray(items, ({ partition, offset, lastEpoch }) => {
          w.int32(partition).int32(-1).int64(offset).int32(lastEpoch).int64(-1n);
          w.int32(options.partitionBytesMax).noTags();
        });
        w.noTags();
      });
      w.compactArray([], () => undefined);
      w.compactString(options.rackId).noTags();
    },
    decodeFetched,
    options.waitMsMax,
  );
}

function decodeFetched(answer: Reader): Fetched {
  answer.int32();
  const code = answer.int16();
  answer.int32();
  const topics = answer.compactArray(() => {
    const topicId = answer.uuid();
    const partitions = answer.compactArray(() => decodePartition(topicId, answer));
    answer.skipTags();
    return partitions;
  });
  return { code, partitions: topics.flat(), bytes: answer.whole };
}

function decodePartition(topicId: string, answer: Reader): FetchedPartition {
  const partition = answer.int32();
  const code = answer.int16();
  const highWatermark = answer.int64();
  const lastStableOffset = answer.int64();
  answer.int64();
  const aborted = answer.compactArray(() => {
    const producerId = answer.int64();
    const firstOffset = answer.int64();
    answer.skipTags();
    return { producerId, firstOffset };
  });
  const preferredReplica = answer.int32();
  const records = answer.compactBytes();
  let divergesAt: bigint | null = null;
  answer.tags((tag) => {
    if (tag === TAG_DIVERGING_EPOCH) divergesAt = decodeDivergence(answer);
  });
  return {
    topicId,
    partition,
    code,
    highWatermark,
    lastStableOffset,
    aborted,
    preferredReplica,
    divergesAt,
    records,
  };
}

/** EpochEndOffset: the largest epoch of the log that is not above the one asked for, and its end. */
function decodeDivergence(answer: Reader): bigint {
  answer.int32();
  return answer.int64();
}
