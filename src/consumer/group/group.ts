/**
 * Membership in the consumer group: a loop through the named states of {@link GroupState}, with
 * heartbeats of its own while a generation lasts, also while revoked partitions are flushed.
 *
 * Classic ("eager") protocol with static membership: on a rebalance everything is given back,
 * `onRevoked` is awaited for at most half the rebalance timeout, and the sticky assignment gives
 * most of it back. A broker that cannot be reached does not end the membership: only the
 * coordinator says that a session is over, and the table's offsets fence us if it is (SPEC 2.3).
 */
import type { Clock } from "#base/clock.ts";
import { type AppError, fail, policyOf } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { backoffMs } from "#base/retry.ts";
import { offsetCommitRequest, type TopicPartition } from "#consumer/offsetRequests.ts";
import type { Settings } from "#consumer/options.ts";
import { Signal } from "#consumer/signal.ts";
import type { Cluster } from "#consumer/wire/cluster.ts";
import { CODE, codeName } from "#consumer/wire/codes.ts";
import { userOf } from "#consumer/wire/security.ts";
import { assignSticky } from "./assigner.ts";
import {
  findCoordinatorRequest,
  heartbeatRequest,
  type Joined,
  joinRequest,
  leaveRequest,
  type MemberId,
  syncRequest,
} from "./groupRequests.ts";
import {
  type Assignment,
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  partitionKey,
  type TopicView,
} from "./subscription.ts";

/** Our name for the assignment; members with another one cannot share the group. */
const PROTOCOL = "kafka-iceberg-sticky";

/** How long leaving may hold up the end of the process. */
const LEAVE_MS_MAX = 1000;

/** Where the membership stands. */
export type GroupState = "unjoined" | "joining" | "syncing" | "stable" | "revoking" | "left";

/** Why a generation ended. `lost`: the coordinator has given our partitions away already. */
type EndOfGeneration = "rebalance" | "lost" | "left";

/** What the membership needs from the consumer. */
export interface GroupCallbacks {
  /** The topics that we subscribe to now. */
  topics(): TopicView[];
  /** Topics of all members, as they are now. */
  lookUp(topics: readonly string[]): Promise<TopicView[]>;
  onAssigned(partitions: readonly TopicPartition[]): Promise<void>;
  /** Resolves when revoked partitions have been flushed or dropped; at once when `lost`. */
  onRevoked(lost: boolean): Promise<void>;
  onTrouble(error: unknown): void;
  /** The membership has ended for good. */
  onFatal(error: AppError): void;
}

/** The parts that come in. */
export interface GroupParts {
  readonly cluster: Cluster;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** One member of one group. */
export class GroupMember {
  private readonly parts: GroupParts;
  private readonly callbacks: GroupCallbacks;
  private readonly changed: Signal;
  private state: GroupState = "unjoined";
  private coordinator: number | null = null;
  private memberId = "";
  private generation = -1;
  private assignment: Assignment = { partitions: [], topics: [] };
  private rejoinAsked = false;

  constructor(parts: GroupParts, callbacks: GroupCallbacks) {
    this.parts = parts;
    this.callbacks = callbacks;
    this.changed = new Signal(parts.clock);
  }

  /** Finds the coordinator. Throws `kafka_refused` when the group is denied. */
  async findCoordinator(): Promise<number> {
    if (this.coordinator !== null) return this.coordinator;
    const { cluster, settings } = this.parts;
    const found = await cluster.sendAny(findCoordinatorRequest(settings.groupId));
    this.check(found.code, "find the coordinator of");
    this.coordinator = found.nodeId;
    return found.nodeId;
  }

  /** Joins, and stays a member until {@link leave}. Never rejects. */
  async run(): Promise<void> {
    for (let failures = 0; this.state !== "left"; ) {
      try {
        await this.join();
        failures = 0;
        const end = await this.heartbeats(() => this.rejoinAsked);
        if (end !== "left") await this.endGeneration(end);
      } catch (error) {
        if (this.hasLeft()) return;
        if (policyOf(error).action !== "again") {
          this.state = "left";
          this.callbacks.onFatal(error as AppError);
          return;
        }
        await this.backOff(error, failures++);
      }
    }
  }

  /** Rejoins when the topics changed since the leader assigned them. */
  topicsChanged(): void {
    const assigned = new Map(this.assignment.topics.map((view) => [view.topic, view]));
    const stale = this.callbacks.topics().some(({ topic, topicId, partitions }) => {
      const view = assigned.get(topic);
      return view?.topicId !== topicId || view.partitions !== partitions;
    });
    if (this.state !== "stable" || !stale) return;
    this.rejoinAsked = true;
    this.changed.fire();
  }

  /** Writes offsets to the group; throws when a partition's was refused. */
  async commit(offsets: readonly (TopicPartition & { offset: bigint })[]): Promise<void> {
    const { cluster } = this.parts;
    if (this.memberId === "") throw fail("kafka_unreachable", "We are no member of the group now");
    const request = offsetCommitRequest(this.self(), offsets);
    const codes = await cluster.send(await this.findCoordinator(), "control", request);
    const bad = codes.find((code) => code !== CODE.none);
    if (bad !== undefined) throw fail("kafka_unreachable", `Kafka answered ${codeName(bad)}`);
  }

  /** Leaves: a static member silently (its place is kept until the session ends). */
  async leave(): Promise<void> {
    const member = this.self();
    const { coordinator } = this;
    this.state = "left";
    this.changed.fire();
    if (member.memberId === "" || member.groupInstanceId !== null || coordinator === null) return;
    const { cluster, clock } = this.parts;
    const told = cluster.send(coordinator, "control", leaveRequest(member)).catch(() => undefined);
    await Promise.race([told, clock.sleep(LEAVE_MS_MAX)]);
  }

  private self(): MemberId {
    const { groupId, groupInstanceId } = this.parts.settings;
    return { groupId, groupInstanceId, memberId: this.memberId, generation: this.generation };
  }

  /** Read through a method: another task changes the state while this one awaits. */
  private hasLeft(): boolean {
    return this.state === "left";
  }

  private enter(state: Exclude<GroupState, "left">): void {
    if (this.state !== "left") this.state = state;
  }

  /** One join and sync; it may take several until the members agree on a generation. */
  private async join(): Promise<void> {
    const { cluster, settings, random, log } = this.parts;
    this.enter("joining");
    this.rejoinAsked = false;
    const subscription = encodeSubscription(
      {
        topics: this.callbacks.topics().map(({ topic }) => topic),
        owned: this.assignment.partitions,
        generation: this.generation,
      },
      random.uuid(),
    );
    const request = joinRequest(this.self(), settings, PROTOCOL, subscription);
    const joined = await cluster.send(await this.findCoordinator(), "group", request);
    if (joined.memberId !== "") this.memberId = joined.memberId;
    if (joined.code === CODE.memberIdRequired) return this.join();
    this.check(joined.code, "join");
    this.generation = joined.generation;
    const inSync = await this.sync(joined);
    if (!inSync) return this.join();
    const count = this.assignment.partitions.length;
    const fields = { group: settings.groupId, generation: this.generation, partitions: count };
    log.log("info", "Joined the consumer group", fields);
    if (this.hasLeft()) return;
    await this.callbacks.onAssigned(this.assignment.partitions);
    this.enter("stable");
  }

  /** False when the next rebalance has begun meanwhile. */
  private async sync(joined: Joined): Promise<boolean> {
    this.enter("syncing");
    const { cluster, settings } = this.parts;
    const leads = joined.leaderId === joined.memberId && joined.members.length > 0;
    const assignments = leads ? await this.assign(joined) : [];
    const request = syncRequest(this.self(), assignments, settings.rebalanceTimeoutMs);
    const synced = await cluster.send(await this.findCoordinator(), "group", request);
    if (synced.code === CODE.rebalanceInProgress) return false;
    this.check(synced.code, "sync with");
    this.assignment = decodeAssignment(synced.assignment);
    return true;
  }

  private async assign(joined: Joined): Promise<{ memberId: string; assignment: Uint8Array }[]> {
    const members = joined.members.map(({ memberId, subscription }) => {
      const { topics, owned, generation } = decodeSubscription(subscription);
      return { memberId, topics, owned: owned.map(partitionKey), generation };
    });
    const topics = await this.callbacks.lookUp([...new Set(members.flatMap((m) => m.topics))]);
    const partitions = topics.flatMap(({ topic, partitions: count }) =>
      Array.from({ length: count }, (_, partition) => ({
        topic,
        partition,
        key: partitionKey({ topic, partition }),
      })),
    );
    const byKey = new Map(partitions.map((partition) => [partition.key, partition]));
    return [...assignSticky(members, partitions)].map(([memberId, keys]) => {
      const mine = keys.flatMap((key) => byKey.get(key) ?? []);
      return { memberId, assignment: encodeAssignment({ partitions: mine, topics }) };
    });
  }

  /**
   * Heartbeats until the generation ends or `done` says so. Trouble with the connection ends
   * nothing: the next heartbeat looks for the coordinator anew.
   */
  private async heartbeats(done: () => boolean): Promise<EndOfGeneration> {
    const { settings } = this.parts;
    for (let failures = 0; ; ) {
      if (this.hasLeft()) return "left";
      if (done()) return "rebalance";
      await this.changed.wait(settings.heartbeatIntervalMs);
      if (this.hasLeft() || done()) continue;
      try {
        const end = await this.heartbeat();
        if (end !== null) return end;
        failures = 0;
      } catch (error) {
        if (policyOf(error).action !== "again") throw error;
        await this.backOff(error, failures++);
      }
    }
  }

  private async heartbeat(): Promise<EndOfGeneration | null> {
    const { cluster } = this.parts;
    const request = heartbeatRequest(this.self());
    const code = await cluster.send(await this.findCoordinator(), "group", request);
    if (code === CODE.none) return null;
    // While revoked partitions are flushed, the rebalance that asked for them is no news.
    if (code === CODE.rebalanceInProgress) return this.state === "stable" ? "rebalance" : null;
    if (code === CODE.unknownMemberId || code === CODE.illegalGeneration) {
      if (code === CODE.unknownMemberId) this.memberId = "";
      return "lost";
    }
    this.check(code, "stay in");
    return null;
  }

  private async endGeneration(end: "rebalance" | "lost"): Promise<void> {
    this.enter("revoking");
    const lost = end === "lost";
    if (lost) this.generation = -1;
    const { clock, settings } = this.parts;
    const deadline = clock.monotonicMs() + settings.rebalanceTimeoutMs / 2;
    let released = false;
    const flushed = this.callbacks.onRevoked(lost).then(() => {
      released = true;
      this.changed.fire();
    });
    if (lost) return flushed;
    const timer = new AbortController();
    void clock.sleep(settings.rebalanceTimeoutMs / 2, timer.signal).then(() => this.changed.fire());
    await this.heartbeats(() => released || clock.monotonicMs() >= deadline);
    timer.abort();
  }

  private async backOff(error: unknown, failures: number): Promise<void> {
    const { settings, random } = this.parts;
    this.coordinator = null;
    this.callbacks.onTrouble(error);
    const retry = { retriesMax: 0, baseDelayMs: 0, delayMsMax: settings.sessionTimeoutMs / 4 };
    const delay = backoffMs({ ...retry, baseDelayMs: settings.retryBaseDelayMs }, failures, random);
    await this.changed.wait(delay);
  }

  /** Turns an error code into what it means for the membership. */
  private check(code: number, doing: string): void {
    if (code === CODE.none) return;
    const { groupId, groupInstanceId } = this.parts.settings;
    const name = codeName(code);
    const context = { group: groupId, code: name };
    if (code === CODE.unknownMemberId) this.memberId = "";
    if (code === CODE.unknownMemberId || code === CODE.illegalGeneration) this.generation = -1;
    switch (code) {
      case CODE.fencedInstanceId:
        throw fail(
          "kafka_refused",
          `Another process has joined group ${groupId} under our group_instance_id ${groupInstanceId}: every process needs its own`,
          context,
        );
      case CODE.groupAuthorizationFailed: {
        const user = userOf(this.parts.settings);
        const sentence = `Kafka denies user ${user} to ${doing} consumer group ${groupId} (${name})`;
        throw fail("kafka_refused", sentence, { ...context, user });
      }
      case CODE.inconsistentGroupProtocol:
        throw fail(
          "kafka_refused",
          `Consumer group ${groupId} is in use by another kind of consumer (${name}): choose another kafka.consumer_group`,
          context,
        );
      case CODE.invalidSessionTimeout:
      case CODE.invalidGroupId:
      case CODE.topicAuthorizationFailed:
      case CODE.clusterAuthorizationFailed:
        throw fail(
          "kafka_refused",
          `Kafka refused to let us ${doing} group ${groupId} (${name})`,
          context,
        );
      default:
        throw fail(
          "kafka_unreachable",
          `Could not ${doing} consumer group ${groupId} yet (${name})`,
          context,
        );
    }
  }
}
