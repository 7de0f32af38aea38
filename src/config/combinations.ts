/**
 * Keys of one scope against each other: combinations that cannot mean anything, before anything is connected.
 */
import { describe } from "#base/errors.ts";
import { parseNamespace } from "#catalog/names.ts";
import { parseBrokerAddress, splitServers } from "#consumer/wire/brokerAddress.ts";
import { parseWindow } from "#maintenance/windows.ts";
import { isLoopback } from "#server/access.ts";
import { checkChanges } from "./changes.ts";
import type { AppConfig } from "./config.ts";
import { parseFields } from "./fieldType.ts";
import type { PipelineValues, ProcessValues } from "./keys.ts";
import { checkLateRows } from "./lateRows.ts";
import { checkMetastore } from "./metastores.ts";
import { checkMsk } from "./msk.ts";
import type { Problem } from "./problems.ts";
import { checkRest } from "./restCatalog.ts";
import { checkRoutes } from "./routing.ts";
import { checkRegistry } from "./schemaRegistry.ts";
import { checkShaping } from "./shaping.ts";
import { checkStorage } from "./storage.ts";
import { PLACEHOLDERS, placeholdersOf, tableFor } from "./tableNames.ts";
import { checkLetterTopic, isTopicName, topicsOf } from "./topics.ts";

/** Collects problems of one scope (the process or one pipeline). */
interface Scope<Values> {
  readonly values: Values;
  /** True when the key was set, not defaulted. */
  isSet(key: keyof Values & string): boolean;
  report(key: keyof Values & string, problem: string): void;
}

/** All impossible combinations of a configuration. */
export function checkCombinations(config: AppConfig): Problem[] {
  const problems: Problem[] = [];
  checkProcess(scopeOf<ProcessValues>(config, config, problems));
  for (const pipeline of config.pipelines) {
    const scope = scopeOf<PipelineValues>(config, pipeline, problems);
    for (const check of PIPELINE_CHECKS) check(scope);
  }
  return problems;
}

function scopeOf<Values>(
  config: AppConfig,
  { values, origins }: { readonly values: Values; readonly origins: ReadonlyMap<string, string> },
  problems: Problem[],
): Scope<Values> {
  return {
    values,
    isSet: (key) => origins.has(key),
    report: (key, problem) => {
      const where = origins.get(key) ?? config.file;
      const known = problems.some(
        (p) => p.where === where && p.key === key && p.problem === problem,
      );
      if (!known) problems.push({ where, key, problem, near: null });
    },
  };
}

const PIPELINE_CHECKS: readonly ((scope: Scope<PipelineValues>) => void)[] = [
  checkBrokers,
  checkTopics,
  checkStart,
  checkGroup,
  checkSasl,
  checkMsk,
  checkSsl,
  checkSchema,
  checkSchemas,
  checkNames,
  ({ values, report }) => checkLetterTopic(values, report),
  ({ values, report }) => checkShaping(values, report),
  checkRescue,
  ({ values, isSet, report }) => checkChanges(values, isSet, report),
  checkWrite,
  checkPartitioning,
  checkStorage,
  checkWindows,
  checkRest,
  checkMetastore,
];

function checkWindows({ values, report }: Scope<PipelineValues>): void {
  const wrong = values["maintenance.windows"].find((text) => parseWindow(text) === null);
  if (wrong === undefined) return;
  report("maintenance.windows", `${JSON.stringify(wrong)} is no time of day such as "22:00-06:00"`);
}

/** Brokers are counted, not quoted: their list may have come from outside the file. */
function checkBrokers({ values, report }: Scope<PipelineValues>): void {
  const servers = splitServers(values["kafka.bootstrap_servers"]);
  for (const [index, server] of servers.entries()) {
    const address = parseBrokerAddress(server);
    if (!("problem" in address)) continue;
    const which = servers.length === 1 ? "" : `broker ${index + 1} of ${servers.length} `;
    report("kafka.bootstrap_servers", which + address.problem);
  }
}

function checkTopics({ values, isSet, report }: Scope<PipelineValues>): void {
  const forms = ["kafka.topic", "kafka.topics", "kafka.topic_pattern"] as const;
  const set = forms.filter(isSet);
  if (set.length > 1)
    report(set[1] ?? forms[1], `excludes ${set[0]}: one of them names the topics`);
  if (values["kafka.topics"]?.length === 0) report("kafka.topics", "must name at least one topic");
  const key = values["kafka.topics"] === null ? "kafka.topic" : "kafka.topics";
  if (!topicsOf(values).every(isTopicName)) {
    report(key, "is no name of a topic: letters, digits, dot, _ and -, at most 249 of them");
  }
  const pattern = values["kafka.topic_pattern"];
  if (pattern === null) return;
  try {
    RegExp(pattern);
  } catch {
    report("kafka.topic_pattern", "is not a regular expression");
  }
}

function checkStart({ values, report }: Scope<PipelineValues>): void {
  const reset = values["kafka.auto_offset_reset"];
  const timestamp = values["kafka.start_timestamp"];
  if (reset === "timestamp" && timestamp === null) {
    report("kafka.auto_offset_reset", '"timestamp" needs kafka.start_timestamp');
  }
  if (timestamp === null) return;
  if (reset !== "timestamp") {
    report("kafka.start_timestamp", 'needs kafka.auto_offset_reset = "timestamp"');
  }
  const zoned = /(Z|[+-]\d\d:?\d\d)$/.test(timestamp);
  if (!zoned || Number.isNaN(Date.parse(timestamp))) {
    report("kafka.start_timestamp", "must be a time with a zone, e.g. 2026-01-01T00:00:00Z");
  }
}

function checkGroup({ values, isSet, report }: Scope<PipelineValues>): void {
  const session = values["kafka.session_timeout_ms"];
  if (isSet("kafka.heartbeat_interval_ms") && values["kafka.heartbeat_interval_ms"] * 3 > session) {
    report(
      "kafka.heartbeat_interval_ms",
      `must be at most a third of session_timeout_ms (${session})`,
    );
  }
  if (isSet("kafka.rebalance_timeout_ms") && values["kafka.rebalance_timeout_ms"] < session) {
    report("kafka.rebalance_timeout_ms", `must be at least session_timeout_ms (${session})`);
  }
  for (const section of ["kafka", "storage"] as const) {
    const delay = values[`${section}.max_delay_ms`];
    if (values[`${section}.base_delay_ms`] > delay) {
      report(`${section}.base_delay_ms`, `must be at most ${section}.max_delay_ms (${delay})`);
    }
  }
}

function checkSasl({ values, isSet, report }: Scope<PipelineValues>): void {
  const mechanism = values["kafka.sasl.mechanism"];
  if (mechanism === null) {
    const keys = ["username", "password", "token_endpoint", "client_id", "client_secret"] as const;
    const set = keys.find((key) => isSet(`kafka.sasl.${key}`));
    if (set !== undefined) report(`kafka.sasl.${set}`, "needs kafka.sasl.mechanism");
    return;
  }
  const needed = {
    plain: ["username", "password"],
    "scram-sha-256": ["username", "password"],
    "scram-sha-512": ["username", "password"],
    oauthbearer: ["token_endpoint", "client_id", "client_secret"],
    "aws-msk-iam": [],
  } as const;
  for (const key of needed[mechanism]) {
    if (values[`kafka.sasl.${key}`] === null) {
      report("kafka.sasl.mechanism", `"${mechanism}" needs kafka.sasl.${key}`);
    }
  }
  const endpoint = values["kafka.sasl.token_endpoint"];
  if (endpoint !== null && !/^https?:$/.test(URL.parse(endpoint)?.protocol ?? "")) {
    report("kafka.sasl.token_endpoint", "must be a URL that begins with https:// or http://");
  }
}

function checkSsl({ values, isSet, report }: Scope<PipelineValues>): void {
  const hasCert = values["kafka.ssl.cert_file"] !== null;
  const hasKey = values["kafka.ssl.key_file"] !== null;
  if (hasCert && !hasKey) report("kafka.ssl.cert_file", "needs kafka.ssl.key_file");
  if (hasKey && !hasCert) report("kafka.ssl.key_file", "needs kafka.ssl.cert_file");
  if (isSet("kafka.ssl.key_password") && !hasKey) {
    report("kafka.ssl.key_password", "needs kafka.ssl.key_file");
  }
  const others = ["ca_file", "cert_file", "key_file", "server_name"] as const;
  const other = others.find((key) => isSet(`kafka.ssl.${key}`));
  if (isSet("kafka.ssl.enabled") && !values["kafka.ssl.enabled"] && other !== undefined) {
    report("kafka.ssl.enabled", `is false, but kafka.ssl.${other} is set`);
  }
}

function checkSchema({ values, isSet, report }: Scope<PipelineValues>): void {
  const fields = values["schema.fields"];
  const declared = fields !== null || values["schema.file"] !== null;
  if (fields !== null && values["schema.file"] !== null) {
    report("schema.file", "excludes schema.fields: one of them declares the columns");
  }
  const format = values["source.format"];
  if (declared && (format === "string" || format === "bytes")) {
    const key = fields === null ? "schema.file" : "schema.fields";
    report(key, `source.format = "${format}" has one column, value; it takes no declared columns`);
  }
  checkProtobuf({ values, report });
  if (format === "json-schema" && values["schema_registry.url"] === null) {
    report(
      "source.format",
      '"json-schema" needs schema_registry.url; JSON without schemas is "json"',
    );
  }
  if (isSet("schema.infer") && !values["schema.infer"] && !declared && format === "json") {
    report("schema.infer", "is false, but neither schema.fields nor schema.file declares columns");
  }
  if (fields !== null) {
    const parsed = parseFields(fields);
    if ("problem" in parsed) report("schema.fields", parsed.problem);
  }
}

function checkSchemas({ values, isSet, report }: Scope<PipelineValues>): void {
  checkRegistry(values, isSet, report);
}

/** A value that is one column has nothing that could be kept beside it. */
function checkRescue({ values, report }: Scope<PipelineValues>): void {
  const format = values["source.format"];
  if (format !== "string" && format !== "bytes") return;
  for (const key of ["schema.on_unknown_field", "schema.on_type_conflict"] as const) {
    if (values[key] === "rescue")
      report(key, `"rescue" keeps fields, which values of source.format = "${format}" do not have`);
  }
}

/** The message comes from a registry or a file, which says all about its columns. */
function checkProtobuf({ values, report }: Pick<Scope<PipelineValues>, "values" | "report">): void {
  const isProtobuf = values["source.format"] === "protobuf";
  const path = values["schema.file"];
  if (!isProtobuf) {
    const own = 'is for source.format = "protobuf"';
    if (path?.endsWith(".proto")) report("schema.file", `a .proto file ${own}`);
    if (values["schema.message"] !== null) report("schema.message", own);
    return;
  }
  const hasRegistry = values["schema_registry.url"] !== null;
  if (values["schema.fields"] !== null) {
    report("schema.fields", "the columns of Protobuf are those of its messages");
  } else if (path === null && !hasRegistry) {
    const problem =
      '"protobuf" needs the schemas of the values: schema_registry.url, or schema.file, a .proto file or ' +
      "a descriptor set, where all are of one message and have no schema id";
    report("source.format", problem);
  } else if (hasRegistry && (path ?? values["schema.message"]) !== null) {
    const key = path === null ? "schema.message" : "schema.file";
    report(key, "values with a schema id name their message themselves: leave it out");
  }
}

function checkWrite({ values, report }: Scope<PipelineValues>): void {
  const codec = values["iceberg.write.compression"];
  const level = values["iceberg.write.compression_level"];
  const levels = { zstd: 22, gzip: 9, brotli: 11, none: null, snappy: null, lz4: null }[codec];
  if (level !== null && levels === null) {
    report("iceberg.write.compression_level", `${codec} has no levels`);
  } else if (level !== null && levels !== null && level > levels) {
    report("iceberg.write.compression_level", `${codec} has levels up to ${levels}, is ${level}`);
  } else if (level === 0 && codec === "zstd") {
    report("iceberg.write.compression_level", "zstd has levels from 1");
  }
  if (
    codec === "brotli" &&
    level === null &&
    values["iceberg.write.bloom_filter_columns"].length > 0
  ) {
    const key = "iceberg.write.bloom_filter_columns";
    report(key, "with brotli needs iceberg.write.compression_level, e.g. 4");
  }
}

function checkPartitioning({ values, isSet, report }: Scope<PipelineValues>): void {
  const strategy = values["partitioning.partition_strategy"];
  if (isSet("partitioning.spec") && isSet("partitioning.partition_strategy")) {
    report("partitioning.spec", "excludes partitioning.partition_strategy");
    return;
  }
  const needed = {
    identity: ["identity.field"],
    bucket: ["bucket.field", "bucket.num_buckets"],
    truncate: ["truncate.field", "truncate.width"],
  } as const;
  const keys = strategy in needed ? needed[strategy as keyof typeof needed] : [];
  for (const key of keys) {
    if (values[`partitioning.${key}`] === null) {
      report("partitioning.partition_strategy", `"${strategy}" needs partitioning.${key}`);
    }
  }
  const interval = values["partitioning.time_based.interval"];
  const timeColumn =
    values["partitioning.time_based.field"] ??
    values["source.event_time_field"] ??
    (values["source.metadata_columns"].includes("timestamp") ? "timestamp" : null);
  const means: string | null =
    interval && { hour: "hourly", day: "daily", month: "monthly", year: "yearly" }[interval];
  const timeBased = ["hourly", "daily", "monthly", "yearly"].includes(strategy);
  if (timeBased && !isSet("partitioning.spec") && timeColumn === null) {
    const key = "partitioning.partition_strategy";
    report(
      key,
      `"${strategy}" needs a column of time: partitioning.time_based.field, source.event_time_field, or "timestamp" among source.metadata_columns`,
    );
  }
  if (timeBased && means !== null && means !== strategy) {
    report("partitioning.time_based.interval", `disagrees with partition_strategy = "${strategy}"`);
  }
}

/** Segments of the log have 8 MiB; half of the bound holds some of them. */
const DISK_MB_MIN = 64;

function checkProcess({ values, report }: Scope<ProcessValues>): void {
  for (const key of ["server.health_address", "server.metrics_address"] as const) {
    const address = values[key];
    if (address !== "" && parseAddress(address) === null) {
      report(key, 'must be "host:port" with a port up to 65535');
    }
  }
  const diskMb = values["state.max_disk_mb"];
  if (diskMb > 0 && diskMb < DISK_MB_MIN) {
    report("state.max_disk_mb", `must be 0 or at least ${DISK_MB_MIN}: half of it is for the log`);
  }
  checkReach({ values, report });
  const cert = values["server.tls_cert_file"];
  const key = values["server.tls_key_file"];
  if (cert !== null && key === null) report("server.tls_cert_file", "needs server.tls_key_file");
  if (key !== null && cert === null) report("server.tls_key_file", "needs server.tls_cert_file");
  if (values["server.tls_client_ca_file"] !== null && cert === null) {
    report("server.tls_client_ca_file", "needs server.tls_cert_file");
  }
}

/** Who can reach the address may ask for every row: nobody opens that by a container's 0.0.0.0 alone. */
function checkReach({ values, report }: Pick<Scope<ProcessValues>, "values" | "report">): void {
  const address = parseAddress(values["server.health_address"]);
  if (address === null || isLoopback(address.host)) return;
  if (!values["server.query_enabled"] || values["server.query_token"] !== "") return;
  report(
    "server.health_address",
    "is reachable from elsewhere and answers SQL there: set server.query_token, or server.query_enabled = false",
  );
}

/** `host:port` in parts; IPv6 hosts stand in brackets. Null when it is none. */
export function parseAddress(address: string): { host: string; port: number } | null {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3] ?? -1);
  const host = match?.[1] ?? match?.[2];
  return host === undefined || port < 0 || port > 65_535 ? null : { host, port };
}

/** Names of tables, and those of the topics that are known already. */
function checkNames({ values, report }: Scope<PipelineValues>): void {
  const isNamespace = parseNamespace(values["iceberg.database_name"]) !== null;
  if (!isNamespace) {
    report("iceberg.database_name", "must be names joined by dots, none of them empty");
  }
  let isFilled = isNamespace;
  for (const key of ["iceberg.database_name", "iceberg.table_name"] as const) {
    const unknown = placeholdersOf(values[key] ?? "").find((name) => !(name in PLACEHOLDERS));
    if (unknown === undefined) continue;
    isFilled = false;
    const known = Object.keys(PLACEHOLDERS).map((name) => `{${name}}`);
    report(key, `{${unknown}} stands for nothing; there are ${known.join(", ")}`);
  }
  checkRoutes(values, report);
  checkLateRows(values, isFilled ? topicsOf(values) : [], report);
  for (const topic of isFilled ? topicsOf(values) : []) {
    try {
      tableFor(values, topic);
    } catch (error) {
      report("iceberg.table_name", describe(error));
      return;
    }
  }
}
