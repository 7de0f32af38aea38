/**
 * A real Apache Kafka 4 broker (KRaft, one node, loopback) for demos, tests and benchmarks.
 *
 * `PLAINTEXT` is always there: producers and topic administration use it. With `security`, two
 * more listeners are opened, `SASL_SSL` and `SSL` (client certificate required), with an ACL
 * authorizer that knows the plain listener's user as super user (kafkaSecurity.ts).
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { kafkaClassPath } from "./cache.ts";
import { type KafkaSecurity, prepareSecurity } from "./kafkaSecurity.ts";
import { accepts, freePort, run, type Service, startService, temporaryFolder } from "./process.ts";

/** Options of {@link startKafka}. */
export interface KafkaOptions {
  /** Plain listener's port; default: a free one. */
  readonly port?: number;
  /** Log directory, formatted on first use; default: a new temporary folder. */
  readonly dataDir?: string;
  /** Default 512. */
  readonly heapMb?: number;
  /** Opens the SASL_SSL and SSL listeners. */
  readonly security?: boolean;
  /** Further broker properties, stronger than the defaults. */
  readonly properties?: Readonly<Record<string, string>>;
}

/** A running broker. */
export interface KafkaBroker {
  /** Address of the plain listener. */
  readonly bootstrap: string;
  readonly port: number;
  readonly dataDir: string;
  readonly logFile: string;
  /** Listeners, users and certificates; only with `security`. */
  readonly security: KafkaSecurity | undefined;
  /** Process id of the present incarnation. */
  pid(): number;
  /** Orderly end (SIGTERM); data stays. */
  stop(): Promise<void>;
  /** SIGKILL; data stays. */
  kill(): Promise<void>;
  /** Stops it if it runs, and starts it again on the same ports and data. */
  restart(): Promise<void>;
}

/** Starts a broker and waits until it answers (about 4 s, 2 s of them formatting new data). */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaBroker> {
  const classPath = await kafkaClassPath();
  const folder = options.dataDir ?? (await temporaryFolder("kafka"));
  mkdirSync(folder, { recursive: true });
  const port = options.port ?? freePort();
  const security = options.security === true ? await prepareSecurity(folder) : undefined;
  const properties = {
    ...brokerProperties(folder, port, freePort(), security?.listeners ?? ""),
    ...security?.brokerProperties,
    ...options.properties,
  };
  const propertiesFile = join(folder, "server.properties");
  writeFileSync(propertiesFile, lines(properties));
  const logging = join(folder, "log4j2.properties");
  writeFileSync(logging, LOGGING);
  const java = ["java", `-Dlog4j2.configurationFile=${logging}`, "-cp", classPath];
  await format(java, folder, propertiesFile, security);

  const heap = `${options.heapMb ?? 512}m`;
  const logFile = join(folder, "broker.log");
  const start = (): Promise<Service> =>
    startService({
      name: "Kafka",
      command: [
        ...java.slice(0, 1),
        `-Xms${heap}`,
        `-Xmx${heap}`,
        "-XX:+UseG1GC",
        "-XX:MaxGCPauseMillis=20",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        ...java.slice(1),
        "kafka.Kafka",
        propertiesFile,
      ],
      logFile,
      ready: (log) => log.includes("Kafka Server started") && accepts(port),
    });
  let service = await start();
  let running = true;
  const end = async (how: (running: Service) => Promise<void>): Promise<void> => {
    if (running) await how(service);
    running = false;
  };
  return {
    bootstrap: `127.0.0.1:${port}`,
    port,
    dataDir: folder,
    logFile,
    security,
    pid: () => service.pid,
    stop: () => end((now) => now.stop()),
    kill: () => end((now) => now.kill()),
    restart: async () => {
      await end((now) => now.stop());
      service = await start();
      running = true;
    },
  };
}

async function format(
  java: readonly string[],
  folder: string,
  propertiesFile: string,
  security: KafkaSecurity | undefined,
): Promise<void> {
  if (existsSync(join(folder, "data", "meta.properties"))) return;
  const clusterId = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("base64url");
  await run([
    ...java.slice(0, 1),
    "-Xmx256m",
    "-XX:TieredStopAtLevel=1",
    ...java.slice(1),
    "kafka.tools.StorageTool",
    "format",
    `--cluster-id=${clusterId}`,
    `--config=${propertiesFile}`,
    ...(security?.formatArguments ?? []),
  ]);
}

function brokerProperties(
  folder: string,
  port: number,
  controllerPort: number,
  secureListeners: string,
): Record<string, string> {
  const listeners = `PLAINTEXT://127.0.0.1:${port}${secureListeners}`;
  return {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.quorum.voters": `1@127.0.0.1:${controllerPort}`,
    listeners: `${listeners},CONTROLLER://127.0.0.1:${controllerPort}`,
    "advertised.listeners": listeners,
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "log.dirs": join(folder, "data"),
    "num.partitions": "1",
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "10",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "10",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "log.cleaner.backoff.ms": "500",
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "auto.create.topics.enable": "false",
    "log.retention.hours": "-1",
    "log.segment.bytes": "536870912",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "message.max.bytes": "4194304",
  };
}

function lines(properties: Readonly<Record<string, string>>): string {
  return Object.entries(properties)
    .map(([key, value]) => `${key}=${value}\n`)
    .join("");
}

const LOGGING = lines({
  status: "error",
  "appender.c.type": "Console",
  "appender.c.name": "C",
  "appender.c.target": "SYSTEM_OUT",
  "appender.c.layout.type": "PatternLayout",
  "appender.c.layout.pattern": "%d{ISO8601} %-5p [%t] %c{1} - %m%n",
  "rootLogger.level": "info",
  "rootLogger.appenderRef.c.ref": "C",
});
