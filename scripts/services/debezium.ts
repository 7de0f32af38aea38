/**
 * Debezium's connector of PostgreSQL in a Kafka Connect worker of its own, on loopback: what real change
 * events are made by.
 */
import { join } from "node:path";
import { debeziumPlugins } from "./cache.ts";
import { connectClassPath } from "./peers.ts";
import type { PostgresService } from "./postgres.ts";
import { freePort, startService, temporaryFolder, until } from "./process.ts";

/** Settings that the server of a connector needs (`startPostgres`). */
export const LOGICAL: Readonly<Record<string, string>> = {
  wal_level: "logical",
  max_wal_senders: "8",
  max_replication_slots: "8",
};

/** A running worker. */
export interface DebeziumService {
  readonly logFile: string;
  /**
   * Starts a connector, and waits until it runs. Topics are called `<prefix>.<schema>.<table>`.
   * @param settings over those that this file sets
   */
  connect(name: string, settings: Readonly<Record<string, string>>): Promise<void>;
  /** Stops it for good; its replication slot stays. */
  disconnect(name: string): Promise<void>;
  stop(): Promise<void>;
}

/** What the worker writes. */
export interface DebeziumOptions {
  readonly bootstrap: string;
  /** JSON with Connect's schemas in every record; default false. */
  readonly schemas?: boolean;
}

/** Starts a worker and waits until it answers (about 10 s). */
export async function startDebezium(options: DebeziumOptions): Promise<DebeziumService> {
  const [plugins, classPath] = [await debeziumPlugins(), await connectClassPath()];
  const folder = await temporaryFolder("debezium");
  const port = freePort();
  const url = `http://127.0.0.1:${port}`;
  const json = "org.apache.kafka.connect.json.JsonConverter";
  const schemas = String(options.schemas ?? false);
  const settings = {
    "bootstrap.servers": options.bootstrap,
    listeners: url,
    "plugin.path": plugins,
    "key.converter": json,
    "value.converter": json,
    "key.converter.schemas.enable": schemas,
    "value.converter.schemas.enable": schemas,
    "offset.storage.file.filename": join(folder, "offsets"),
    "offset.flush.interval.ms": "1000",
    "topic.creation.enable": "true",
  };
  const file = join(folder, "worker.properties");
  await Bun.write(file, lines(settings));
  const logFile = join(folder, "connect.log");
  const service = await startService({
    name: "Kafka Connect",
    command: [
      "java",
      "-Xmx384m",
      "-cp",
      classPath,
      "org.apache.kafka.connect.cli.ConnectStandalone",
      file,
    ],
    logFile,
    // It reads every class of its plugins first.
    startTimeoutMs: 300_000,
    ready: async () => (await fetch(`${url}/connectors`).catch(() => null))?.ok === true,
  });
  return {
    logFile,
    connect: async (name, more) => {
      const body = JSON.stringify({ name, config: { ...CONNECTOR, ...more } });
      const headers = { "content-type": "application/json" };
      const answer = await fetch(`${url}/connectors`, { method: "POST", headers, body });
      if (!answer.ok) throw new Error(`connector ${name}: ${await answer.text()}`);
      await until(`connector ${name} runs`, () => isRunning(url, name), 60_000);
    },
    disconnect: async (name) => {
      await fetch(`${url}/connectors/${name}`, { method: "DELETE" });
    },
    stop: async () => {
      await service.kill("SIGTERM");
      await service.exited;
    },
  };
}

/** Where a connector finds a database. */
export function databaseSettings(
  { port, user, password }: PostgresService,
  database: string,
): Readonly<Record<string, string>> {
  return {
    "database.hostname": "127.0.0.1",
    "database.port": String(port),
    "database.user": user,
    "database.password": password,
    "database.dbname": database,
  };
}

const CONNECTOR: Readonly<Record<string, string>> = {
  "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
  "plugin.name": "pgoutput",
  "topic.creation.default.replication.factor": "1",
  "topic.creation.default.partitions": "1",
  // What JSON without schemas can say: texts in place of numbers whose meaning a schema tells.
  "decimal.handling.mode": "string",
  "time.precision.mode": "isostring",
  "binary.handling.mode": "bytes",
  "interval.handling.mode": "string",
  "hstore.handling.mode": "json",
};

async function isRunning(url: string, name: string): Promise<boolean> {
  const answer = await fetch(`${url}/connectors/${name}/status`);
  if (!answer.ok) return false;
  const { tasks } = (await answer.json()) as {
    tasks: readonly { state: string; trace?: string }[];
  };
  const failed = tasks.find(({ state }) => state === "FAILED");
  if (failed !== undefined) throw new Error(`connector ${name} failed: ${failed.trace}`);
  return tasks.length > 0 && tasks.every(({ state }) => state === "RUNNING");
}

function lines(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([key, value]) => `${key}=${value}\n`)
    .join("");
}
