/**
 * Topic administration for scripts and tests, through a broker's plain listener.
 */
import {
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  type Admin,
  ConfigResourceTypes,
  Kafka,
  logLevel,
  ResourcePatternTypes,
} from "kafkajs";
import { until } from "../services/process.ts";

// kafkajs sets timers with negative delays, and Bun prints a warning for the first of them.
process.removeAllListeners("warning");
process.on("warning", (warning) => {
  if (warning.name !== "TimeoutNegativeWarning") console.error(warning);
});

/** A topic to be created. */
export interface NewTopic {
  readonly topic: string;
  readonly partitions: number;
  readonly config?: Readonly<Record<string, string>>;
}

/** Creates a topic; throws when it exists. */
export async function createTopic(bootstrap: string, wanted: NewTopic): Promise<void> {
  const { topic, partitions: numPartitions, config = {} } = wanted;
  const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
  const topics = [{ topic, numPartitions, replicationFactor: 1, configEntries }];
  await withAdmin(bootstrap, async (admin) => {
    // kafkajs's own wait gives up after a few seconds, too early on a busy machine.
    const created = await admin.createTopics({ topics, waitForLeaders: false });
    if (!created) throw new Error(`topic ${topic} exists`);
    await until(`leaders of ${topic}`, () => hasLeaders(admin, topic, numPartitions), 60_000);
  });
}

/** Creates topics of one partition, and waits for their leaders. */
export async function createTopics(bootstrap: string, topics: readonly string[]): Promise<void> {
  await withAdmin(bootstrap, async (admin) => {
    const wanted = topics.map((topic) => ({ topic, numPartitions: 1, replicationFactor: 1 }));
    await admin.createTopics({ topics: wanted, waitForLeaders: false });
    for (const topic of topics) {
      await until(`a leader of ${topic}`, () => hasLeaders(admin, topic, 1), 60_000);
    }
  });
}

async function hasLeaders(admin: Admin, topic: string, partitions: number): Promise<boolean> {
  try {
    const [found] = (await admin.fetchTopicMetadata({ topics: [topic] })).topics;
    const led = found?.partitions.filter(({ leader }) => leader >= 0) ?? [];
    return led.length === partitions;
  } catch {
    return false;
  }
}

/** Deletes a topic. */
export async function deleteTopic(bootstrap: string, topic: string): Promise<void> {
  await withAdmin(bootstrap, (admin) => admin.deleteTopics({ topics: [topic] }));
}

/** Sets topic properties; those not named go back to the broker's defaults. */
export async function alterTopic(
  bootstrap: string,
  topic: string,
  config: Readonly<Record<string, string>>,
): Promise<void> {
  const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
  const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries }];
  await withAdmin(bootstrap, (admin) => admin.alterConfigs({ validateOnly: false, resources }));
}

/** Raises the number of partitions. */
export async function addPartitions(
  bootstrap: string,
  topic: string,
  partitions: number,
): Promise<void> {
  const topicPartitions = [{ topic, count: partitions }];
  await withAdmin(bootstrap, (admin) => admin.createPartitions({ topicPartitions }));
}

/** Deletes all records before the given offsets, as retention would; key = partition. */
export async function deleteRecords(
  bootstrap: string,
  topic: string,
  before: Readonly<Record<number, number>>,
): Promise<void> {
  const partitions = Object.entries(before).map(([partition, offset]) => ({
    partition: Number(partition),
    offset: String(offset),
  }));
  await withAdmin(bootstrap, async (admin) => {
    // kafkajs deletes only from topics whose metadata it has already loaded.
    await admin.fetchTopicOffsets(topic);
    await admin.deleteTopicRecords({ topic, partitions });
  });
}

/** Offsets that a group has committed to Kafka; key = partition. */
export async function groupOffsets(
  bootstrap: string,
  groupId: string,
  topic: string,
): Promise<Record<number, number>> {
  const answer = await withAdmin(bootstrap, (admin) =>
    admin.fetchOffsets({ groupId, topics: [topic] }),
  );
  const partitions = answer.flatMap((one) => one.partitions);
  return Object.fromEntries(partitions.map((p) => [p.partition, Number(p.offset)]));
}

/** Lets a user read (and describe) every topic and use every group. */
export async function grantRead(bootstrap: string, user: string): Promise<void> {
  const grant = (resourceType: AclResourceTypes, operation: AclOperationTypes) => ({
    resourceType,
    resourceName: "*",
    resourcePatternType: ResourcePatternTypes.LITERAL,
    principal: `User:${user}`,
    host: "*",
    operation,
    permissionType: AclPermissionTypes.ALLOW,
  });
  const acl = [
    grant(AclResourceTypes.TOPIC, AclOperationTypes.READ),
    grant(AclResourceTypes.TOPIC, AclOperationTypes.DESCRIBE),
    grant(AclResourceTypes.GROUP, AclOperationTypes.READ),
  ];
  await withAdmin(bootstrap, (admin) => admin.createAcls({ acl }));
}

async function withAdmin<T>(bootstrap: string, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = new Kafka({
    clientId: "kafka-iceberg-scripts",
    brokers: [bootstrap],
    logLevel: logLevel.NOTHING,
  }).admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}
