/**
 * Requests of the classic group protocol: FindCoordinator, JoinGroup, SyncGroup, Heartbeat,
 * LeaveGroup, with static membership (KIP-345).
 */
import { type Request, request } from "#consumer/wire/protocol.ts";
import type { Reader } from "#consumer/wire/wire.ts";

/** Which member of which generation speaks. */
export interface MemberId {
  readonly groupId: string;
  readonly memberId: string;
  readonly generation: number;
  readonly groupInstanceId: string | null;
}

/** FindCoordinator v2. */
export function findCoordinatorRequest(
  groupId: string,
): Request<{ code: number; nodeId: number; host: string; port: number }> {
  return request(
    "FindCoordinator",
    (w) => w.string(groupId).int8(0),
    (answer) => {
      answer.int32();
      const code = answer.int16();
      answer.string();
      return {
        code,
        nodeId: answer.int32(),
        host: answer.string() ?? "",
        port: answer.int32(),
      };
    },
  );
}

/** A member's subscription as the leader sees it. */
export interface JoinedMember {
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly subscription: Uint8Array;
}

/** The answer to a join. */
export interface Joined {
  readonly code: number;
  readonly generation: number;
  readonly protocol: string;
  readonly leaderId: string;
  readonly memberId: string;
  /** Filled for the leader only. */
  readonly members: readonly JoinedMember[];
}

/** JoinGroup v5. Answered when every member has joined or the rebalance timeout has passed. */
export function joinRequest(
  member: MemberId,
  times: { sessionTimeoutMs: number; rebalanceTimeoutMs: number },
  protocol: string,
  subscription: Uint8Array,
): Request<Joined> {
  return request(
    "JoinGroup",
    (w) =>
      w
        .string(member.groupId)
        .int32(times.sessionTimeoutMs)
        .int32(times.rebalanceTimeoutMs)
        .string(member.memberId)
        .string(member.groupInstanceId)
        .string("consumer")
        .array([protocol], (name) => w.string(name).bytes(subscription)),
    decodeJoined,
    times.rebalanceTimeoutMs,
  );
}

function decodeJoined(answer: Reader): Joined {
  answer.int32();
  return {
    code: answer.int16(),
    generation: answer.int32(),
    protocol: answer.string() ?? "",
    leaderId: answer.string() ?? "",
    memberId: answer.string() ?? "",
    members: answer.array(() => ({
      memberId: answer.string() ?? "",
      groupInstanceId: answer.string(),
      subscription: answer.bytes(),
    })),
  };
}

/** SyncGroup v3; `assignments` is empty unless we lead. */
export function syncRequest(
  member: MemberId,
  assignments: readonly { memberId: string; assignment: Uint8Array }[],
  rebalanceTimeoutMs: number,
): Request<{ code: number; assignment: Uint8Array }> {
  return request(
    "SyncGroup",
    (w) =>
      w
        .string(member.groupId)
        .int32(member.generation)
        .string(member.memberId)
        .string(member.groupInstanceId)
        .array(assignments, (item) => w.string(item.memberId).bytes(item.assignment)),
    (answer) => {
      answer.int32();
      return { code: answer.int16(), assignment: answer.bytes() };
    },
    rebalanceTimeoutMs,
  );
}

/** Heartbeat v3; answers the error code. */
export function heartbeatRequest(member: MemberId): Request<number> {
  return request(
    "Heartbeat",
    (w) =>
      w
        .string(member.groupId)
        .int32(member.generation)
        .string(member.memberId)
        .string(member.groupInstanceId),
    (answer) => {
      answer.int32();
      return answer.int16();
    },
  );
}

/** LeaveGroup v3, for this member; answers the error code. */
export function leaveRequest(member: MemberId): Request<number> {
  return request(
    "LeaveGroup",
    (w) =>
      w
        .string(member.groupId)
        .array([member], (m) => w.string(m.memberId).string(m.groupInstanceId)),
    (answer) => {
      answer.int32();
      return answer.int16();
    },
  );
}
