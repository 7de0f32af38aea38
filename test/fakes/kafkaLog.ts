/**
 * One partition's log of the broker in memory: whole batches, and what their leader epochs say.
 */

/** A partition's log: whole batches. */
export interface FakeLog {
  logStart: bigint;
  end: bigint;
  /** Last stable offset where it is not the end. */
  stable: bigint | null;
  batches: Buffer[];
  aborted: { producerId: bigint; firstOffset: bigint }[];
  preferredReplica: number;
  /** Where the next fetch answer says that the log parts from the reader's, as a late follower does. */
  divergesAt: bigint | null;
}

/** A log without batches. */
export function emptyLog(): FakeLog {
  const none = { batches: [], aborted: [], preferredReplica: -1, divergesAt: null };
  return { logStart: 0n, end: 0n, stable: null, ...none };
}

/** As a leader compares (KIP-595): the largest epoch of a log that is not above the one asked for, and its end; null: not compared. */
export function agreement(log: FakeLog, lastEpoch: number): { epoch: number; end: bigint } | null {
  if (lastEpoch < 0) return null;
  const late = log.divergesAt;
  if (late !== null && log.preferredReplica < 0) {
    log.divergesAt = null;
    return { epoch: lastEpoch, end: late };
  }
  const epochOf = (batch: Buffer): number => batch.readInt32BE(12);
  const newer = log.batches.find((batch) => epochOf(batch) > lastEpoch);
  const older = log.batches.findLast((batch) => epochOf(batch) <= lastEpoch);
  const end = newer?.readBigInt64BE(0) ?? log.end;
  return { epoch: older === undefined ? lastEpoch : epochOf(older), end };
}

/** Last offset of a batch + 1. */
export function endOf(batch: Buffer): bigint {
  return batch.readBigInt64BE(0) + BigInt(batch.readInt32BE(23)) + 1n;
}
