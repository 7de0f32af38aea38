/**
 * Kafka's error codes that we act on, and the names of all others.
 */
import { protocolErrorName } from "./kafkajs.ts";

/** Codes of https://kafka.apache.org/protocol#protocol_error_codes. */
export const CODE = {
  none: 0,
  offsetOutOfRange: 1,
  unknownTopicOrPartition: 3,
  leaderNotAvailable: 5,
  coordinatorLoading: 14,
  coordinatorNotAvailable: 15,
  notCoordinator: 16,
  illegalGeneration: 22,
  inconsistentGroupProtocol: 23,
  invalidGroupId: 24,
  unknownMemberId: 25,
  invalidSessionTimeout: 26,
  rebalanceInProgress: 27,
  invalidTopic: 17,
  topicAuthorizationFailed: 29,
  groupAuthorizationFailed: 30,
  clusterAuthorizationFailed: 31,
  unsupportedVersion: 35,
  memberIdRequired: 79,
  fencedInstanceId: 82,
  unknownTopicId: 100,
  inconsistentTopicId: 103,
} as const;

const NEWER: Readonly<Record<number, string>> = {
  6: "NOT_LEADER_OR_FOLLOWER",
  14: "COORDINATOR_LOAD_IN_PROGRESS",
  15: "COORDINATOR_NOT_AVAILABLE",
  16: "NOT_COORDINATOR",
  100: "UNKNOWN_TOPIC_ID",
  103: "INCONSISTENT_TOPIC_ID",
};

/** Kafka's name of an error code. */
export function codeName(code: number): string {
  return NEWER[code] ?? protocolErrorName(code);
}
