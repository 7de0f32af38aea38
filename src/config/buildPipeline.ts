/**
 * Configuration -> options of one pipeline's folders. Units are converted here, nowhere else.
 */

import { resolve } from "node:path";
import type { GuardOptions } from "#catalog/guard.ts";
import type { CacheOptions } from "#catalog/metadataCache.ts";
import type { CatalogOptions } from "#catalog/open.ts";
import type { KafkaConsumerOptions, SaslOptions, SslOptions } from "#consumer/options.ts";
import { splitServers } from "#consumer/wire/brokerAddress.ts";
import {
  DECODER_DEFAULTS,
  type DecoderOptions,
  type TombstonePolicy,
  type UnknownFieldPolicy,
} from "#decode/options.ts";
import type { RegistryOptions } from "#decode/registry/options.ts";
import type { RejectOptions } from "#pipeline/rejects.ts";
import type { StorageOptions } from "#storage/open.ts";
import type { WriterOptions } from "#writer/parts.ts";
import { type MaintenanceOptions, maintenanceOptions } from "./buildMaintenance.ts";
import { eventTimeColumn, fileCodecOf, writerOptions } from "./buildWriter.ts";
import { type ChangeLogOptions, changeLogOptions } from "./changeLog.ts";
import { changeOptions, deleteModeOf, metadataColumnsOf, rowKeyOptions } from "./changes.ts";
import type { PipelineConfig } from "./config.ts";
import type { Environment } from "./environment.ts";

import type { PipelineValues } from "./keys.ts";
import { type LateOptions, lateOptions } from "./lateRows.ts";
import { glueOptions, hiveOptions } from "./metastores.ts";
import { mskRegion } from "./msk.ts";
import { readPem } from "./pem.ts";
import { nessieOptions, restOptions } from "./restCatalog.ts";
import { type RoutingOptions, routingOptions } from "./routing.ts";
import { type DeclaredSchema, declaredSchema } from "./schemaFile.ts";
import { registryOptions } from "./schemaRegistry.ts";
import { shapingOptions } from "./shaping.ts";
import { storageOptions } from "./storage.ts";
import { tableFor } from "./tableNames.ts";

const MIB = 1024 * 1024;
const SECOND_MS = 1000;
/** A quiet table's offsets are committed at most this often (SPEC 2.8). */
const EMPTY_COMMIT_MS = 60_000;

/** Options of one pipeline. Times in milliseconds, sizes in bytes. */
export interface PipelineOptions {
  readonly name: string;
  readonly consumer: KafkaConsumerOptions;
  /** Where a table without offsets begins. */
  readonly start: {
    readonly reset: "earliest" | "latest" | "none" | "timestamp";
    readonly timestampMs: number;
    readonly fromGroup: boolean;
  };
  /** Writing the group's offsets for lag tools. */
  readonly acknowledge: { readonly enabled: boolean; readonly intervalMs: number };
  readonly decoder: DecoderOptions;
  /** The tables of all changes; null: there are none. */
  readonly changeLog: ChangeLogOptions | null;
  /** How late rows are told, and where they go; null: no field is an event time. */
  readonly late: LateOptions | null;
  /** Where schemas of values are; null: nowhere. */
  readonly registry: RegistryOptions | null;
  readonly rejects: RejectOptions;
  /** The topic of `dead_letter.action = "topic"`; null: letters go elsewhere. */
  readonly letterTopic: string | null;
  readonly storage: StorageOptions;
  readonly catalog: CatalogOptions;
  readonly catalogGuard: GuardOptions;
  readonly metadataCache: CacheOptions;
  readonly catalogCheckMs: number;
  readonly maintenance: MaintenanceOptions;
  /** What is not read-only may change while the process runs. */
  readonly commit: {
    intervalMs: number;
    rowsMax: number;
    readonly bytesMax: number;
    readonly emptyIntervalMs: number;
    readonly together?: boolean;
    readonly copies?: boolean;
  };
  /** Settings of the table that a topic feeds. Throws `usage` for a topic whose name makes none. */
  readonly writer: (topic: string) => WriterOptions;
  /** Tables that records name; null: none do. */
  readonly routing: RoutingOptions | null;
  /** Tables at most, where topics come by a pattern or records name tables. */
  readonly tablesMax: number;
}

/**
 * Maps a pipeline's values and reads the files that they name (certificates, schema).
 * @param instanceId the stable id of the state directory, for static membership
 * Throws `usage` when a file cannot be read or holds no schema.
 */
export async function buildPipeline(
  pipeline: PipelineConfig,
  environment: Environment,
  instanceId: string,
): Promise<PipelineOptions> {
  const { values } = pipeline;
  const timestamp = values["kafka.start_timestamp"];
  const decoding = decoder(pipeline, await declaredSchema(values, environment));
  return {
    name: pipeline.name,
    consumer: await consumer(pipeline, environment, instanceId),
    start: {
      reset: values["kafka.auto_offset_reset"],
      timestampMs: timestamp === null ? 0 : Date.parse(timestamp),
      fromGroup: values["kafka.start_from"] === "group",
    },
    acknowledge: {
      enabled: values["kafka.enable_auto_commit"],
      intervalMs: values["kafka.auto_commit_interval_ms"],
    },
    decoder: decoding,
    changeLog: changeLogOptions(values, decoding),
    late: lateOptions(values),
    registry: await registryOptions(values, environment),
    rejects: {
      action: values["dead_letter.action"],
      ratioMax: values["dead_letter.max_ratio"],
    },
    letterTopic: values["dead_letter.action"] === "topic" ? values["dead_letter.topic"] : null,
    storage: storageOptions(values),
    catalog: catalogOptions(pipeline, false, instanceId),
    metadataCache: {
      snapshotTtlMs: values["iceberg.metadata_cache.snapshot_ttl_ms"],
      manifestTtlMs: values["iceberg.metadata_cache.manifest_ttl_ms"],
      schemaTtlMs: values["iceberg.metadata_cache.schema_ttl_ms"],
    },
    catalogGuard: {
      backoffMs: values["iceberg.catalog_manager.reconnect_backoff_ms"],
      failuresMax: values["iceberg.catalog_manager.circuit_breaker_failures"],
      resetMs: values["iceberg.catalog_manager.circuit_breaker_reset_ms"],
    },
    catalogCheckMs: values["iceberg.catalog_manager.health_check_interval_seconds"] * SECOND_MS,
    maintenance: maintenanceOptions(pipeline, fileCodecOf(pipeline)),
    commit: {
      intervalMs: values["iceberg.commit.interval_ms"],
      rowsMax: values["iceberg.commit.max_rows"],
      bytesMax: values["iceberg.commit.max_size_mb"] * MIB,
      emptyIntervalMs: EMPTY_COMMIT_MS,
      together: values["iceberg.commit.together"],
      copies: deleteModeOf(values) === "copy-on-write",
    },
    writer: (topic) => writerOptions(pipeline, tableFor(values, topic)),
    routing: routingOptions(values, (name) => writerOptions(pipeline, name)),
    tablesMax:
      values["kafka.topic_pattern"] === null && values["iceberg.route_field"] === null
        ? Number.POSITIVE_INFINITY
        : values["iceberg.max_tables"],
  };
}

async function consumer(
  { name, values, origins }: PipelineConfig,
  environment: Environment,
  instanceId: string,
): Promise<KafkaConsumerOptions> {
  const topic = values["kafka.topic"];
  const topicPattern = values["kafka.topic_pattern"];
  const rackId = values["kafka.rack_id"];
  const sasl = saslOptions(values);
  const ssl = await sslOptions({ values, origins }, environment);
  const member = values["kafka.group_instance_id"];
  const sessionTimeoutMs = values["kafka.session_timeout_ms"];
  const third = Math.floor(sessionTimeoutMs / 3);
  return {
    bootstrapServers: splitServers(values["kafka.bootstrap_servers"]),
    topics: values["kafka.topics"] ?? (topic === null ? [] : [topic]),
    ...(topicPattern === null ? {} : { topicPattern }),
    groupId: values["kafka.consumer_group"],
    clientId: values["kafka.client_id"],
    ...(member === "" ? {} : { groupInstanceId: memberId(member, instanceId, name) }),
    ...(rackId === null ? {} : { rackId }),
    sessionTimeoutMs,
    heartbeatIntervalMs: Math.min(values["kafka.heartbeat_interval_ms"], third),
    rebalanceTimeoutMs: Math.max(values["kafka.rebalance_timeout_ms"], sessionTimeoutMs),
    fetchBytesMax: values["kafka.fetch_max_bytes"],
    fetchWaitMsMax: values["kafka.fetch_max_wait_ms"],
    decompressedBatchBytesMax: values["kafka.max_decompressed_batch_mb"] * MIB,
    isolationLevel: values["kafka.isolation_level"],
    retryBaseDelayMs: values["kafka.base_delay_ms"],
    retryDelayMsMax: values["kafka.max_delay_ms"],
    ...(sasl === null ? {} : { sasl }),
    ...(ssl === null ? {} : { ssl }),
  };
}

/** Two pipelines of one process may share a group: each is a member of its own. */
function memberId(given: string, instanceId: string, pipeline: string): string {
  const own = given === "auto" ? instanceId : given;
  return pipeline === "default" ? own : `${own}-${pipeline}`;
}

/** Which of the needed keys are there was checked when loading. */
function saslOptions(values: PipelineValues): SaslOptions | null {
  const mechanism = values["kafka.sasl.mechanism"];
  if (mechanism === null) return null;
  if (mechanism === "aws-msk-iam") {
    const region = mskRegion(values) ?? "";
    return { mechanism, region, roleArn: values["kafka.sasl.role_arn"] };
  }
  if (mechanism !== "oauthbearer") {
    const username = values["kafka.sasl.username"] ?? "";
    return { mechanism, username, password: values["kafka.sasl.password"] ?? "" };
  }
  const scope = values["kafka.sasl.scope"];
  return {
    mechanism,
    tokenEndpoint: values["kafka.sasl.token_endpoint"] ?? "",
    clientId: values["kafka.sasl.client_id"] ?? "",
    clientSecret: values["kafka.sasl.client_secret"] ?? "",
    ...(scope === null ? {} : { scope }),
  };
}

async function sslOptions(
  { values, origins }: Pick<PipelineConfig, "values" | "origins">,
  environment: Environment,
): Promise<SslOptions | null> {
  const keys = ["ca_file", "cert_file", "key_file", "key_password", "server_name"] as const;
  const isAsked =
    values["kafka.ssl.enabled"] || keys.some((key) => origins.has(`kafka.ssl.${key}`));
  if (!isAsked) return null;
  const pem = async (path: string | null, kind: "certificate" | "key") =>
    path === null ? undefined : readPem(environment, path, kind);
  const all = {
    ca: await pem(values["kafka.ssl.ca_file"], "certificate"),
    cert: await pem(values["kafka.ssl.cert_file"], "certificate"),
    key: await pem(values["kafka.ssl.key_file"], "key"),
    keyPassword: values["kafka.ssl.key_password"] ?? undefined,
    serverName: values["kafka.ssl.server_name"] ?? undefined,
  };
  const given = Object.entries(all).filter(([, value]) => value !== undefined);
  return { enabled: true, ...Object.fromEntries(given) };
}

function decoder(
  { values, origins }: PipelineConfig,
  { fields, message, schemaText }: DeclaredSchema,
): DecoderOptions {
  const format = values["source.format"] as DecoderOptions["format"];
  const isRaw = format === "string" || format === "bytes";
  return {
    format,
    fields,
    message,
    schemaText,
    hasNanos: values["iceberg.write.format_version"] === 3,
    matchColumns: values["schema.match_columns"],
    onUnknownField: values["schema.on_unknown_field"] as UnknownFieldPolicy,
    kernel: DECODER_DEFAULTS.kernel,
    // A null is a value of a raw format, unless somebody says otherwise.
    onTombstone:
      !isRaw || origins.has("source.on_tombstone")
        ? (values["source.on_tombstone"] as TombstonePolicy)
        : "null_row",
    changes: changeOptions(values),
    rowKey: rowKeyOptions(values),
    onTypeConflict: values["schema.on_type_conflict"] as DecoderOptions["onTypeConflict"],
    infer: values["schema.infer"] && message === null,
    inferRows: values["schema.infer_rows"],
    inferIntegers: values["schema.infer_integers"],
    maxColumns: values["schema.max_columns"],
    metadataColumns: metadataColumnsOf(values),
    metadataPrefix: values["source.metadata_prefix"],
    flattenSeparator: values["source.flatten"] ? values["source.flatten_separator"] : null,
    eventTimeField: eventTimeColumn(values),
    shaping: shapingOptions(values),
    eventTimeFormat: values["source.event_time_format"],
  };
}

/**
 * Catalog settings of a pipeline; local paths become absolute.
 * @param readOnly true for inspection: nothing is ever written
 * @param instanceId the stable id of the state directory; empty: there is none
 */
export function catalogOptions(
  { values, origins }: Pick<PipelineConfig, "values" | "origins">,
  readOnly: boolean,
  instanceId: string = "",
): CatalogOptions {
  const warehouse = absolute(values["iceberg.warehouse_path"]);
  const asked = origins.has("iceberg.warehouse_path") ? warehouse : null;
  switch (values["iceberg.catalog_type"]) {
    case "rest":
      return { type: "rest", ...restOptions(values) };
    case "nessie":
      return { type: "rest", ...nessieOptions(values) };
    case "glue":
      return { type: "glue", ...glueOptions(values, asked) };
    case "hive":
      return { type: "hive", ...hiveOptions(values, asked, instanceId) };
    case "sql": {
      const { "iceberg.sql.uri": uri, "iceberg.sql.name": name } = values;
      const connectionsMax = values["iceberg.catalog_manager.connection_pool_size"];
      return { type: "sql", uri, name, warehouse, readOnly, connectionsMax };
    }
    default:
      return { type: "file", warehouse, readOnly };
  }
}

function absolute(location: string): string {
  return /^[a-z0-9]+:/.test(location) ? location : resolve(location);
}
