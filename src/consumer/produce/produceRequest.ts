/**
 * Record batches produced (https://kafka.apache.org/protocol, Produce), by the load test and for dead-letter topics.
 */
import { type Request, request } from "#consumer/wire/protocol.ts";

const TIMEOUT_MS = 30_000;
/** Every replica that is in sync has the records before the broker answers. */
const ACKS_ALL = -1;

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
