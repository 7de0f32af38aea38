/**
 * The subscribed topics as the cluster's metadata shows them: ids, partitions, leaders, and which
 * topics have failed. One topic's trouble never touches another.
 *
 * A topic that is missing is given {@link MISSING_MS_MAX} before it counts as deleted: a broker that
 * has just started may not know it yet.
 */
import type { Clock } from "#base/clock.ts";
import { type AppError, fail } from "#base/errors.ts";
import type { Feed } from "#base/offsets.ts";
import type { TopicView } from "./group/subscription.ts";
import type { Settings } from "./options.ts";
import type { Cluster } from "./wire/cluster.ts";
import { CODE, codeName } from "./wire/codes.ts";
import { metadataRequest, type TopicAnswer } from "./wire/metadataRequest.ts";
import { userOf } from "./wire/security.ts";

const MISSING_MS_MAX = 5000;

interface KnownTopic {
  readonly topicId: string;
  leaders: ReadonlyMap<number, number>;
}

/** A topic that can no longer be read, and why. */
export interface FailedTopic {
  readonly topic: string;
  readonly error: AppError;
}

/** The subscribed topics. */
export class Topics {
  /** The cluster's id, after the first refresh. */
  clusterId = "";
  private readonly cluster: Cluster;
  private readonly settings: Settings;
  private readonly clock: Clock;
  private readonly pattern: RegExp | null;
  private readonly known = new Map<string, KnownTopic>();
  private readonly failed = new Map<string, AppError>();
  /** Named topics that do not exist (yet), each reported once. */
  private readonly absent = new Set<string>();
  private readonly missingSinceMs = new Map<string, number>();

  private readonly onFailed: (failed: FailedTopic) => void;

  /** @param onFailed hears of each topic that can no longer be read, once */
  constructor(
    cluster: Cluster,
    settings: Settings,
    clock: Clock,
    onFailed: (failed: FailedTopic) => void,
  ) {
    this.onFailed = onFailed;
    this.cluster = cluster;
    this.settings = settings;
    this.clock = clock;
    this.pattern = compilePattern(settings.topicPattern);
  }

  /** Asks the cluster. Throws `kafka_unreachable`, `kafka_refused`. */
  async refresh(): Promise<void> {
    const request = metadataRequest(this.pattern === null ? this.settings.topics : null);
    const answer = await this.cluster.sendAny(request);
    this.cluster.setBrokers(answer.brokers);
    this.clusterId = answer.clusterId;
    const answers = new Map(answer.topics.map((topic) => [topic.topic, topic]));
    const wanted = new Set([...this.settings.topics, ...this.known.keys()]);
    for (const { topic, internal, code } of answer.topics) {
      if (code === CODE.none && !internal && this.pattern?.test(topic)) wanted.add(topic);
    }
    for (const topic of wanted) {
      if (this.failed.has(topic)) continue;
      const error = this.apply(topic, answers.get(topic));
      if (error === null || this.absent.has(topic)) continue;
      this.giveUp(topic, error);
      this.onFailed({ topic, error });
    }
  }

  /** Whether some topic is missing and not yet given up: ask again soon. */
  get unsettled(): boolean {
    return [...this.missingSinceMs.keys()].some(
      (topic) => !this.failed.has(topic) && !this.absent.has(topic),
    );
  }

  /** Why topics failed. */
  failures(): AppError[] {
    return [...this.failed.values()];
  }

  /** Gives a topic up, for a reason found elsewhere (a fetch was denied). */
  fail(topic: string, error: AppError): void {
    if (this.failed.has(topic)) return;
    this.failed.set(topic, error);
    this.known.delete(topic);
    this.onFailed({ topic, error });
  }

  /** The topics that can be read, as an assignment states them. */
  views(): TopicView[] {
    return [...this.known].map(([topic, { topicId, leaders }]) => ({
      topic,
      topicId,
      partitions: leaders.size,
    }));
  }

  /** Every partition of the topics that can be read. */
  feeds(): Feed[] {
    return [...this.known].flatMap(([topic, { topicId, leaders }]) =>
      [...leaders.keys()]
        .sort((a, b) => a - b)
        .map((partition) => ({ clusterId: this.clusterId, topic, topicId, partition })),
    );
  }

  /** A partition as a feed; null when its topic cannot be read. */
  feed(topic: string, partition: number): Feed | null {
    const known = this.known.get(topic);
    if (known === undefined || !known.leaders.has(partition)) return null;
    return { clusterId: this.clusterId, topic, topicId: known.topicId, partition };
  }

  /** The leader's node id, -1 when there is none now. */
  leader({ topic, partition }: Pick<Feed, "topic" | "partition">): number {
    return this.known.get(topic)?.leaders.get(partition) ?? -1;
  }

  /** Topics of all members as they are now, for the leader of the group. */
  async lookUp(topics: readonly string[]): Promise<TopicView[]> {
    await this.refresh();
    const own = this.views();
    const ownNames = new Set(own.map(({ topic }) => topic));
    const others = topics.filter((topic) => !ownNames.has(topic));
    if (others.length === 0) return own;
    const answer = await this.cluster.sendAny(metadataRequest(others));
    const found = answer.topics.filter(({ code }) => code === CODE.none);
    return [
      ...own,
      ...found.map(({ topic, topicId, leaders }) => ({ topic, topicId, partitions: leaders.size })),
    ];
  }

  /** Takes over one topic's answer; answers why the topic has failed, if it has. */
  private apply(topic: string, answer: TopicAnswer | undefined): AppError | null {
    switch (answer?.code) {
      case CODE.none:
        return this.learn(topic, answer);
      case CODE.topicAuthorizationFailed:
        return this.denied(topic);
      case CODE.invalidTopic:
        return fail("topic_unreadable", `Kafka allows no topic of the name ${topic}`, { topic });
      case undefined:
      case CODE.unknownTopicOrPartition:
        return this.miss(topic);
      default:
        return null;
    }
  }

  private learn(topic: string, answer: TopicAnswer): AppError | null {
    this.missingSinceMs.delete(topic);
    this.absent.delete(topic);
    const known = this.known.get(topic);
    if (known === undefined) {
      this.known.set(topic, { topicId: answer.topicId, leaders: answer.leaders });
    } else if (known.topicId !== answer.topicId) {
      return recreated(topic, known.topicId, answer.topicId);
    } else if (answer.leaders.size >= known.leaders.size) known.leaders = answer.leaders;
    return null;
  }

  private miss(topic: string): AppError | null {
    const nowMs = this.clock.monotonicMs();
    const sinceMs = this.missingSinceMs.get(topic) ?? nowMs;
    this.missingSinceMs.set(topic, sinceMs);
    if (nowMs - sinceMs < MISSING_MS_MAX) return null;
    const what = this.known.has(topic) ? "was deleted" : "does not exist";
    return fail("topic_unreadable", `Topic ${topic} ${what}`, { topic });
  }

  /** A topic that never was may still be created, and is looked for on; others are done with. */
  private giveUp(topic: string, error: AppError): void {
    const neverWas = !this.known.has(topic) && this.missingSinceMs.has(topic);
    if (neverWas) this.absent.add(topic);
    else this.failed.set(topic, error);
    this.known.delete(topic);
  }

  /** The error for a topic that our user may not read. */
  denied(topic: string): AppError {
    const user = userOf(this.settings);
    const brokers = this.settings.bootstrapServers.join(",");
    const reason = codeName(CODE.topicAuthorizationFailed);
    const sentence = `Kafka at ${brokers} denies user ${user} to read topic ${topic} (${reason})`;
    return fail("kafka_refused", sentence, { topic, user });
  }
}

function compilePattern(pattern: string | null): RegExp | null {
  if (pattern === null) return null;
  try {
    return new RegExp(`^(?:${pattern})$`);
  } catch (error) {
    throw fail("usage", "kafka.topic_pattern is no regular expression", { pattern }, error);
  }
}

function recreated(topic: string, before: string, now: string): AppError {
  const sentence = `Topic ${topic} was deleted and created again: its id was ${before}, now ${now}`;
  return fail("topic_unreadable", sentence, { topic, before, now });
}
