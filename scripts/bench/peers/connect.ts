/**
 * The Iceberg Kafka Connect sink in a standalone worker: with its default consumer and JVM flags,
 * and tuned.
 *
 * The worker calls `put()`, in which the sink commits, when a poll returns, and a poll waits for
 * `offset.flush.interval.ms`: its default of 60 s would keep the last rows back for that long
 * (101 s were seen), so it is 1 s here. Bigger polls than the tuned ones cost more CPU, not less.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createTopic } from "../../events/topics.ts";
import { connectAvroJars, connectJars, PEER_VERSIONS } from "../../services/peers.ts";
import { freePort } from "../../services/process.ts";
import { loggingFile } from "./logging.ts";
import type { Job, Launch, Side, SideName } from "./side.ts";
import { createPeerTable } from "./tables.ts";

interface Variant {
  readonly name: SideName;
  readonly title: string;
  readonly jvm: readonly string[];
  readonly sink: Readonly<Record<string, string>>;
  /** Whether a transform adds partition, offset and timestamp to each record. */
  readonly coordinates: boolean;
}

/** What Kafka's start script gives a worker. */
const STOCK_JVM = [
  "-Xms256M",
  "-Xmx2G",
  "-XX:+UseG1GC",
  "-XX:MaxGCPauseMillis=20",
  "-XX:InitiatingHeapOccupancyPercent=35",
  "-XX:+ExplicitGCInvokesConcurrent",
];
const TUNED_JVM = ["-Xms2G", "-Xmx2G", "-Xmn1400M", "-XX:+UseParallelGC"];
const TUNED_SINK = {
  "tasks.max": "2",
  "consumer.override.max.poll.records": "1000",
  "consumer.override.fetch.min.bytes": "1048576",
  "consumer.override.fetch.max.wait.ms": "100",
  "consumer.override.max.partition.fetch.bytes": "2097152",
  "consumer.override.receive.buffer.bytes": "1048576",
  "consumer.override.check.crcs": "false",
};
const version = `Iceberg Kafka Connect sink ${PEER_VERSIONS.connectIceberg}`;

/** Its default consumer, one task. */
export const connectStock: Side = sideOf({
  name: "connect",
  title: `${version}, defaults`,
  jvm: STOCK_JVM,
  sink: {},
  coordinates: true,
});

/** Tuned consumer, two tasks, ParallelGC. */
export const connectTuned: Side = sideOf({
  name: "connect-tuned",
  title: `${version}, tuned`,
  jvm: TUNED_JVM,
  sink: TUNED_SINK,
  coordinates: true,
});

/** Tuned, and without the transform: its table lacks the three columns of Kafka's coordinates. */
export const connectPlain: Side = sideOf({
  name: "connect-plain",
  title: `${version}, tuned, three columns fewer`,
  jvm: TUNED_JVM,
  sink: TUNED_SINK,
  coordinates: false,
});

function sideOf(variant: Variant): Side {
  return {
    name: variant.name,
    title: variant.title,
    prepare: (job) => prepare(job, variant),
  };
}

async function prepare(job: Job, variant: Variant): Promise<Launch> {
  const jars = job.registry === undefined ? await connectJars() : await connectAvroJars();
  const table = await createPeerTable(job, variant.coordinates);
  const name = `sink-${crypto.randomUUID()}`;
  const control = `control-${name}`;
  await createTopic(job.bootstrap, { topic: control, partitions: 1 });
  const worker = properties(job, "worker.properties", {
    "bootstrap.servers": job.bootstrap,
    listeners: `http://127.0.0.1:${freePort()}`,
    "plugin.path": jars.pluginPath,
    // Apicurio names its converter in no service file.
    "plugin.discovery": job.registry === undefined ? "service_load" : "hybrid_warn",
    "key.converter": "org.apache.kafka.connect.storage.StringConverter",
    ...converter(job),
    "offset.storage.file.filename": join(job.folder, "offsets"),
    "offset.flush.interval.ms": "1000",
  });
  const sink = properties(job, "sink.properties", {
    name,
    "connector.class": "org.apache.iceberg.connect.IcebergSinkConnector",
    "tasks.max": "1",
    topics: job.topic,
    "consumer.override.auto.offset.reset": "earliest",
    "iceberg.tables": `${table.source.namespace}.${table.source.name}`,
    "iceberg.control.topic": control,
    "iceberg.control.commit.interval-ms": String(job.intervalMs),
    "iceberg.control.commit.timeout-ms": "30000",
    "iceberg.catalog": "bench",
    "iceberg.catalog.catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog",
    "iceberg.catalog.uri": table.jdbcUri,
    "iceberg.catalog.jdbc.schema-version": "V1",
    "iceberg.catalog.warehouse": table.warehouse,
    ...(variant.coordinates ? COORDINATES : {}),
    ...variant.sink,
  });
  const command = [
    "java",
    ...variant.jvm,
    "-Djava.awt.headless=true",
    `-Dlog4j2.configurationFile=${loggingFile(job)}`,
    "-cp",
    jars.classPath,
    "org.apache.kafka.connect.cli.ConnectStandalone",
    worker,
    sink,
  ];
  return { command, table: table.source, ends: false };
}

/** Confluent's own Avro converter is in no public repository: Apicurio's reads the same wire format. */
function converter({ registry }: Job): Readonly<Record<string, string>> {
  if (registry === undefined) {
    return {
      "value.converter": "org.apache.kafka.connect.json.JsonConverter",
      "value.converter.schemas.enable": "false",
    };
  }
  return {
    "value.converter": "io.apicurio.registry.utils.converter.AvroConverter",
    "value.converter.apicurio.registry.url": registry.nativeUrl,
    "value.converter.apicurio.registry.as-confluent": "true",
    "value.converter.apicurio.registry.use-id": "contentId",
  };
}

/** Kafka's own transform for a record's coordinates. */
const COORDINATES = {
  transforms: "coordinates",
  "transforms.coordinates.type": "org.apache.kafka.connect.transforms.InsertField$Value",
  "transforms.coordinates.partition.field": "_kafka_partition",
  "transforms.coordinates.offset.field": "_kafka_offset",
  "transforms.coordinates.timestamp.field": "_kafka_timestamp",
};

function properties(job: Job, name: string, values: Readonly<Record<string, string>>): string {
  const file = join(job.folder, name);
  const lines = Object.entries(values).map(([key, value]) => `${key}=${value}\n`);
  writeFileSync(file, lines.join(""));
  return file;
}
