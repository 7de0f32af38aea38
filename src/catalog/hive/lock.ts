/**
 * The metastore's lock on a table, by which Iceberg's writers through Hive take turns (Iceberg's `MetastoreLock`): it
 * is waited for, kept alive in the background, and given back.
 *
 * The metastore keeps a lock that nobody gives back for 5 minutes. Two leave one behind, and whoever waits gives it back:
 * - a process that was killed: the next process on its state directory knows it by the directory's id;
 * - a metastore that was away when the lock was taken or given back: it is one of {@link LockParts.unreturned}.
 *
 * A lock that the metastore has taken away is lost for good: whoever wrote meanwhile does not know whether somebody
 * else did, too.
 */
import { hostname } from "node:os";
import type { Clock } from "#base/clock.ts";
import { type AppError, describe, fail } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { Answer } from "#catalog/answer.ts";
import type { Metastore } from "./metastore.ts";
import type { LockResponse } from "./metastoreApi.ts";

/** A lock that is held. */
export interface HeldLock {
  /** True: the metastore has said that it is gone, or has not answered for too long. */
  readonly isLost: boolean;
  /** Gives it back; never throws. Tells by `isLost` whether it was still there. */
  release(): Promise<void>;
}

/** What taking a lock needs. */
export interface LockParts {
  readonly metastore: Metastore;
  readonly clock: Clock;
  readonly log: Logger;
  /** Who takes it, for people who look at the metastore's locks. */
  readonly user: string;
  /** Of the state directory, which one process at a time has; empty: of none. */
  readonly instanceId: string;
  /** Tells our locks apart: new for each. */
  readonly uuid: string;
  /** Agents of locks that this process needs no more and that the metastore may still have; one set for all locks. */
  readonly unreturned: Set<string>;
}

const STATE = { acquired: 1, waiting: 2 } as const;
/** Iceberg's writers exclude each other by it; readers do not wait. */
const EXCL_WRITE = 4;
const TABLE_LEVEL = 2;
/** Longest wait for somebody else's, ms. */
const WAIT_MS_MAX = 60_000;
/** Looked so often for locks that were left behind while another is waited for; what a killed process had sent is done by then, ms. */
const LEFT_BEHIND_MS = 2000;
/** Locks that are looked for later, at most. */
const UNRETURNED_MAX = 1000;
/** Tells the processes on one state directory apart. */
const RUN = Math.round(performance.timeOrigin).toString(36);
const CHECK_MS = 50;
const CHECK_MS_MAX = 500;
/** The metastore takes a lock away that nobody speaks of for 5 minutes (`metastore.txn.timeout`), ms. */
const HEARTBEAT_MS = 20_000;
/** A lock that the metastore has not spoken of for so long is not believed in, ms. */
const SILENCE_MS_MAX = 90_000;

/** Takes the lock. Throws `catalog_unreachable` when it is not to be had now, `catalog_refused`. */
export async function takeLock(
  database: string,
  table: string,
  parts: LockParts,
): Promise<HeldLock> {
  const { metastore, user, clock } = parts;
  const agentInfo = `${agentOf(parts.instanceId)}${RUN}-${parts.uuid}`;
  const component = [{ type: EXCL_WRITE, level: TABLE_LEVEL, dbname: database, tablename: table }];
  const asked = await metastore.lock({ component, user, hostname: hostname(), agentInfo });
  if (asked.kind === "refused") throw asked.error;
  if (asked.kind === "lost") {
    markUnreturned(agentInfo, parts);
    await giveBack(database, table, parts);
    throw asked.error;
  }
  const lockid = asked.value.lockid ?? 0n;
  const own = { lockid, agentInfo };
  const left = (): Promise<void> => giveBack(database, table, parts);
  const trouble = await waitForLock(asked, { lockid, left, metastore, clock });
  if (trouble === null) return keepLock(own, parts);
  await unlock(own, parts);
  if (trouble !== "held") throw trouble;
  const sentence = `${database}.${table} is locked in the Hive Metastore by another writer`;
  throw fail("catalog_unreachable", sentence, { lockid });
}

/**
 * Null once the lock is ours; why it is not.
 * @param left gives back what was left behind; called when it takes longer
 */
async function waitForLock(
  first: Answer<LockResponse>,
  parts: Pick<LockParts, "metastore" | "clock"> & {
    readonly lockid: bigint;
    readonly left: () => Promise<void>;
  },
): Promise<"held" | AppError | null> {
  const { metastore, clock, lockid, left } = parts;
  const began = clock.monotonicMs();
  let looked = 0;
  let answer = first;
  for (let waitMs = CHECK_MS; ; waitMs = Math.min(waitMs * 2, CHECK_MS_MAX)) {
    if (answer.kind !== "done") return answer.error;
    if (answer.value.state === STATE.acquired) return null;
    const passedMs = clock.monotonicMs() - began;
    if (answer.value.state !== STATE.waiting || passedMs > WAIT_MS_MAX) return "held";
    if (passedMs > (looked + 1) * LEFT_BEHIND_MS) {
      looked++;
      await left();
    }
    await clock.sleep(waitMs);
    answer = await metastore.checkLock(lockid);
  }
}

function agentOf(instanceId: string): string {
  return `kafka-iceberg ${instanceId} `;
}

/** Whether a lock is of an earlier process on our state directory. */
function isLeftBehind(agent: string, { instanceId }: LockParts): boolean {
  const own = agentOf(instanceId);
  return instanceId !== "" && agent.startsWith(own) && !agent.startsWith(`${own}${RUN}-`);
}

/** A lock of ours. */
interface OwnLock {
  readonly lockid: bigint;
  readonly agentInfo: string;
}

/** Gives a lock back that is needed no more. When the metastore does not say that it is gone, it is looked for later. */
async function unlock(lock: OwnLock, parts: LockParts): Promise<Answer<unknown>> {
  markUnreturned(lock.agentInfo, parts);
  const answer = await parts.metastore.unlock(lock.lockid);
  if (answer.kind === "done" || isGone(answer)) parts.unreturned.delete(lock.agentInfo);
  return answer;
}

/** While the metastore is away for long, each try adds one: the oldest are those that it has forgotten by itself. */
function markUnreturned(agentInfo: string, { unreturned }: LockParts): void {
  const [oldest] = unreturned;
  if (oldest !== undefined && unreturned.size >= UNRETURNED_MAX) unreturned.delete(oldest);
  unreturned.add(agentInfo);
}

function isGone(answer: Answer<unknown>): boolean {
  return answer.kind === "refused" && answer.code === "NoSuchLockException";
}

/** Gives locks back that nobody will: they would be waited for until the metastore takes them away. */
async function giveBack(database: string, table: string, parts: LockParts): Promise<void> {
  const shown = await parts.metastore.showLocks(database, table);
  if (shown.kind !== "done") return;
  for (const { lockid, agentInfo = "" } of shown.value.locks ?? []) {
    if (lockid === undefined) continue;
    if (parts.unreturned.has(agentInfo) || isLeftBehind(agentInfo, parts)) {
      await unlock({ lockid, agentInfo }, parts);
    }
  }
}

function keepLock(lock: OwnLock, parts: LockParts): HeldLock {
  const { metastore, clock, log } = parts;
  const released = new AbortController();
  let isTaken = false;
  let heardMs = clock.monotonicMs();
  const keep = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(HEARTBEAT_MS, released.signal);
      if (released.signal.aborted) return;
      const answer = await metastore.heartbeat(lock.lockid);
      if (answer.kind === "done") heardMs = clock.monotonicMs();
      if (answer.kind === "refused" && answer.code !== "") isTaken = true;
    }
  };
  keep().catch(() => {
    isTaken = true;
  });
  return {
    get isLost(): boolean {
      return isTaken || clock.monotonicMs() - heardMs > SILENCE_MS_MAX;
    },
    release: async () => {
      released.abort();
      const answer = await unlock(lock, parts);
      if (answer.kind === "done") return;
      if (isGone(answer)) isTaken = true;
      log.log("warn", "A lock in the Hive Metastore was not given back: the next commit does it", {
        lock: lock.lockid,
        error: describe(answer.error),
      });
    },
  };
}
