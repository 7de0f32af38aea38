/**
 * Configuration -> options of the process: state directory, transaction log, memory, server, log.
 * Units are converted here and in `buildPipeline.ts`, nowhere else.
 */
import { resolve } from "node:path";
import { LIMITS } from "#base/limits.ts";
import type { LogLevel } from "#base/log.ts";
import type { Address, ServerOptions } from "#server/server.ts";
import type { TransactionLogOptions } from "#txlog/openLog.ts";
import { deleteModeOf } from "./changes.ts";
import { parseAddress } from "./combinations.ts";
import type { AppConfig } from "./config.ts";
import { cacheFolder, type Environment } from "./environment.ts";
import { type MemoryBudget, memoryBudget } from "./memory.ts";
import { readPem } from "./pem.ts";

const SECOND_MS = 1000;
const DAY_MS = 86_400_000;
const MIB = 1024 * 1024;

/** How the process answers SQL. */
export interface QueryOptions {
  readonly timeoutMs: number;
  /** Larger answers are refused. */
  readonly rowsMax: number;
  /** How long committed rows stay in memory. */
  readonly keepMs: number;
  /** Whether rows in memory are looked up by key. */
  readonly hasLookup: boolean;
  /** For the engine's library; null: there is none. */
  readonly cacheFolder: string | null;
  /** Of files in stores: `root` their folder. */
  readonly copies: { readonly root: string; readonly bytesMax: number };
}

/** Options of the process, all pipelines together. */
export interface ProcessOptions {
  /** Absolute path. */
  readonly stateDir: string;
  /** What state directory and log may take; null: no bound. */
  readonly stateBytesMax: number | null;
  readonly txlog: TransactionLogOptions;
  readonly memory: MemoryBudget;
  readonly server: ServerOptions;
  readonly log: {
    readonly level: LogLevel;
    readonly format: "json" | "text";
    /** On a terminal, unless `NO_COLOR` is set (no-color.org). */
    readonly colour: boolean;
  };
  /** 0: off. */
  readonly lag: { readonly msMax: number; readonly recordsMax: number };
  /** Null: nothing is asked with SQL here. */
  readonly query: QueryOptions | null;
  /** Whether it is asked for CPU profiles. */
  readonly hasProfile: boolean;
  readonly shutdownTimeoutMs: number;
  /** 0: for ever. */
  readonly startupTimeoutMs: number;
  readonly topicPartitionMetrics: boolean;
}

/**
 * Maps the process's values.
 * @param machineBytes from `machineMemory`
 * @param isTerminal text is the default format on a terminal
 */
export async function buildProcess(
  config: AppConfig,
  environment: Environment,
  machineBytes: number,
  isTerminal: boolean,
): Promise<ProcessOptions> {
  const { values, origins } = config;
  const isFormatSet = origins.has("logging.format");
  return {
    ...folders(config, environment),
    memory: memoryBudget(
      values["memory.limit_mb"],
      values["hot_buffer.max_size_mb"],
      machineBytes,
      childrenOf(config),
    ),
    server: await server(config, environment),
    log: {
      level: values["logging.level"],
      format: isFormatSet || !isTerminal ? values["logging.format"] : "text",
      colour: isTerminal && !environment.variable("NO_COLOR"),
    },
    lag: {
      msMax: values["server.max_lag_seconds"] * SECOND_MS,
      recordsMax: values["server.max_lag_records"],
    },
    query: values["server.query_enabled"]
      ? {
          timeoutMs: values["server.query_timeout_ms"],
          rowsMax: values["server.query_max_rows"],
          hasLookup: values["hot_buffer.hash_index_enabled"],
          keepMs: values["hot_buffer.ttl_seconds"] * SECOND_MS,
          cacheFolder: cacheFolder(environment),
          copies: queryCopies(config, environment),
        }
      : null,
    hasProfile: values["server.profile_enabled"],
    shutdownTimeoutMs: values["server.shutdown_timeout_ms"],
    startupTimeoutMs: values["server.startup_timeout_ms"],
    topicPartitionMetrics: values["server.topic_partition_metrics"],
  };
}

/** Child processes that read data files at once: one of each pipeline whose maintenance does, and those of commits. */
function childrenOf({ pipelines }: AppConfig): number {
  const maintained = pipelines.filter(
    ({ values }) =>
      values["maintenance.compact_enabled"] || values["maintenance.statistics_enabled"],
  );
  const hasCopies = pipelines.some(({ values }) => deleteModeOf(values) === "copy-on-write");
  return maintained.length + (hasCopies ? LIMITS.copiesAtOnce : 0);
}

/** The state directory and the transaction log in it, or where they were put. */
export function folders(
  { values, origins }: AppConfig,
  environment: Environment,
): Pick<ProcessOptions, "stateDir" | "stateBytesMax" | "txlog"> {
  const given = values["state.dir"] || environment.variable("STATE_DIRECTORY") || "";
  const stateDir = resolve(given || "state");
  const stateBytesMax = values["state.max_disk_mb"] * MIB || null;
  const isLogBelow = given !== "" && !origins.has("transaction_log.log_dir");
  return {
    ...{ stateDir, stateBytesMax },
    txlog: {
      dir: isLogBelow ? `${stateDir}/transaction_logs` : resolve(values["transaction_log.log_dir"]),
      sync: values["transaction_log.fsync"],
      checkpointIntervalEntries: values["transaction_log.checkpoint_interval_entries"],
      checkpointIntervalMs: values["transaction_log.checkpoint_interval_seconds"] * SECOND_MS,
      retentionMs: values["transaction_log.retention_days"] * DAY_MS,
      bytesMax: Math.min(
        values["transaction_log.max_size_mb"] * MIB,
        (stateBytesMax ?? Number.POSITIVE_INFINITY) / 2,
      ),
    },
  };
}

/** Where SQL has its copies of files in stores, and how many bytes of them. */
export function queryCopies(config: AppConfig, environment: Environment): QueryOptions["copies"] {
  const { stateDir } = folders(config, environment);
  const { "server.query_cache_mb": asked, "state.max_disk_mb": diskMb } = config.values;
  // The log has half of the disk that the process may take; compaction needs some, too.
  const megabytes = diskMb > 0 ? Math.min(asked, diskMb / 4) : asked;
  return { root: `${stateDir}/scratch`, bytesMax: megabytes * MIB };
}

async function server(config: AppConfig, environment: Environment): Promise<ServerOptions> {
  const { values, origins } = config;
  const address = (key: "server.health_address" | "server.metrics_address"): Address | null => {
    const parsed = parseAddress(values[key]);
    return parsed === null ? null : { ...parsed, isRequired: origins.has(key) };
  };
  const cert = values["server.tls_cert_file"];
  const key = values["server.tls_key_file"];
  const clientCa = values["server.tls_client_ca_file"];
  const tls =
    cert === null || key === null
      ? null
      : {
          cert: await readPem(environment, cert, "certificate"),
          key: await readPem(environment, key, "key"),
          clientCa: clientCa === null ? null : await readPem(environment, clientCa, "certificate"),
        };
  return {
    health: address("server.health_address"),
    metrics: address("server.metrics_address"),
    token: values["server.query_token"],
    tls,
  };
}
