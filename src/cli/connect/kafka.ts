/**
 * What a sink says of its source: topics, brokers, login, the form of values, and rejected records.
 * Brokers and login stand in the worker's configuration or, for the sink's own clients, behind
 * `iceberg.kafka.`; the consumer's may be overridden behind `consumer.override.`.
 */
import type { Draft } from "./draft.ts";

/** Where a client's setting may stand, the strongest first. */
const CLIENT_PREFIXES = ["consumer.override.", "iceberg.kafka.", "consumer.", ""] as const;

/** Keys of Connect whose purpose does not exist outside of it, or is met without asking. */
const NEEDLESS: readonly RegExp[] = [
  /^(name|connector\.class|tasks\.max|header\.converter|key\.converter(\..*)?)$/,
  /^(config\.action\.reload|plugin\.path|group\.id|client\.id|errors\.log\..*|errors\.retry\..*)$/,
  /^(config|offset|status)\.storage\..*$/,
  /^(internal\..*|rest\..*|listeners|offset\.flush\..*)$/,
  /^(producer|admin)\.(override\.)?.*$/,
  /^errors\.deadletterqueue\.(topic\.replication\.factor|context\.headers\.enable)$/,
];

/** Translates everything but tables and catalog. */
export function importSource(draft: Draft): void {
  importClient(draft);
  importValues(draft);
  importRejects(draft);
}

/** Takes what needs no counterpart, after all others had their turn. */
export function takeNeedless(draft: Draft): void {
  for (const key of draft.left()) {
    if (NEEDLESS.some((form) => form.test(key))) draft.take(key);
    else if (/^(transforms|predicates)(\.|$)/.test(key)) draft.refuse(key, TRANSFORMS);
  }
}

const TRANSFORMS =
  "of transformations there are select, exclude, rename, mask and hash in [source.transform], and source.flatten";

/** The topics as `kafka.topics` or `kafka.topic_pattern`. */
export function topicsOf(draft: Draft): readonly [string, string | readonly string[]] | null {
  const pattern = draft.take("topics.regex");
  // Java matches the whole name.
  if (pattern !== null) return ["kafka.topic_pattern", `^(?:${pattern})$`];
  const topics = splitList(draft.take("topics"));
  const [first] = topics;
  if (first === undefined) return null;
  return topics.length === 1 ? ["kafka.topic", first] : ["kafka.topics", topics];
}

/** Values divided by commas, without blanks. */
export function splitList(text: string | null): string[] {
  const parts = (text ?? "").split(",").map((part) => part.trim());
  return parts.filter((part) => part !== "");
}

function importClient(draft: Draft): void {
  const servers = client(draft, "bootstrap.servers");
  if (servers !== null) draft.set("kafka.bootstrap_servers", servers.value);
  else draft.note("The brokers stand in the worker's configuration: set kafka.bootstrap_servers.");
  const reset = client(draft, "auto.offset.reset");
  if (reset !== null) draft.set("kafka.auto_offset_reset", reset.value);
  const isolation = client(draft, "isolation.level");
  if (isolation !== null) draft.set("kafka.isolation_level", isolation.value);
  const rack = client(draft, "client.rack");
  if (rack !== null) draft.set("kafka.rack_id", rack.value);
  const session = client(draft, "session.timeout.ms");
  if (session !== null) draft.set("kafka.session_timeout_ms", Number(session.value));
  const protocol = client(draft, "security.protocol")?.value.toUpperCase() ?? "";
  if (protocol.endsWith("SSL")) draft.set("kafka.ssl.enabled", true);
  importLogin(draft);
  importCertificates(draft);
}

function importLogin(draft: Draft): void {
  const mechanism = client(draft, "sasl.mechanism")?.value.toLowerCase() ?? null;
  const jaas = client(draft, "sasl.jaas.config");
  client(draft, "sasl.client.callback.handler.class");
  client(draft, "sasl.login.callback.handler.class");
  const endpoint = client(draft, "sasl.oauthbearer.token.endpoint.url");
  if (mechanism === null) return;
  draft.set("kafka.sasl.mechanism", mechanism.replaceAll("_", "-"));
  if (endpoint !== null) draft.set("kafka.sasl.token_endpoint", endpoint.value);
  if (mechanism.includes("iam")) {
    const role = optionOf(jaas?.value ?? "", "awsRoleArn");
    if (role !== null) draft.set("kafka.sasl.role_arn", role);
  } else if (jaas === null) {
    draft.note("The login is not in the sink's configuration: set kafka.sasl.*.");
  } else if (mechanism === "oauthbearer") {
    const scope = optionOf(jaas.value, "scope");
    if (scope !== null) draft.set("kafka.sasl.scope", scope);
    importPair(draft, jaas, ["clientId", "client_id"], ["clientSecret", "client_secret"]);
  } else importPair(draft, jaas, ["username", "username"], ["password", "password"]);
}

type Names = readonly [theirs: string, ours: string];

/** Whoever signs in may be printed; what proves it may not. */
function importPair(draft: Draft, { key, value }: Setting, user: Names, proof: Names): void {
  const name = optionOf(value, user[0]);
  if (name === null) draft.setSecret(`kafka.sasl.${user[1]}`, `${user[0]} in ${key}`, "");
  else draft.set(`kafka.sasl.${user[1]}`, name);
  const secret = optionOf(value, proof[0]) ?? "";
  draft.setSecret(`kafka.sasl.${proof[1]}`, `${proof[0]} in ${key}`, secret);
}

/** An option of a JAAS line. */
function optionOf(jaas: string, name: string): string | null {
  return new RegExp(`\\b${name}\\s*=\\s*"((?:[^"\\\\]|\\\\.)*)"`).exec(jaas)?.[1] ?? null;
}

function importCertificates(draft: Draft): void {
  const trust = client(draft, "ssl.truststore.location");
  const trustType = client(draft, "ssl.truststore.type");
  client(draft, "ssl.truststore.password");
  client(draft, "ssl.keystore.password");
  client(draft, "ssl.keystore.type");
  client(draft, "ssl.key.password");
  client(draft, "ssl.endpoint.identification.algorithm");
  if (trust !== null && trustType?.value.toUpperCase() === "PEM") {
    draft.set("kafka.ssl.ca_file", trust.value);
  } else if (trust !== null) {
    draft.refuse(
      trust.key,
      "Java's key stores are not read; export it as PEM and set kafka.ssl.ca_file",
    );
  }
  const own = client(draft, "ssl.keystore.location");
  if (own === null) return;
  draft.refuse(
    own.key,
    "Java's key stores are not read; export PEM files, set kafka.ssl.cert_file and key_file",
  );
}

interface Setting {
  readonly key: string;
  readonly value: string;
}

/** The strongest of a client's settings; the weaker ones count as seen to. */
function client(draft: Draft, name: string): Setting | null {
  const found = CLIENT_PREFIXES.map((prefix) => ({
    key: prefix + name,
    value: draft.take(prefix + name),
  })).find(({ value }) => value !== null);
  return found === undefined ? null : { key: found.key, value: found.value ?? "" };
}

const CONVERTERS: readonly (readonly [RegExp, string])[] = [
  [/AvroConverter$/, "avro"],
  [/ProtobufConverter$/, "protobuf"],
  [/JsonSchemaConverter$/, "json-schema"],
  [/JsonConverter$/, "json"],
  [/StringConverter$/, "string"],
  [/ByteArrayConverter$/, "bytes"],
];

function importValues(draft: Draft): void {
  const key = "value.converter";
  const converter = draft.take(key);
  const enveloped = draft.take(`${key}.schemas.enable`) !== "false";
  const format = CONVERTERS.find(([form]) => form.test(converter ?? ""))?.[1] ?? null;
  if (converter === null) {
    draft.note("The form of values stands in the worker's configuration: set source.format.");
  } else if (format === null) draft.refuse(key, "there is no such format here");
  else draft.set("source.format", format);
  if (format === "json" && enveloped && converter !== null) {
    draft.refuse(
      `${key}.schemas.enable`,
      "values with a schema around each of them ({schema, payload}) are stored as they are, as two columns",
    );
  }
  importRegistry(draft, `${key}.`);
}

function importRegistry(draft: Draft, prefix: string): void {
  const url = draft.take(`${prefix}schema.registry.url`);
  if (url !== null) draft.set("schema_registry.url", url);
  const login = draft.take(`${prefix}basic.auth.user.info`);
  const source = draft.take(`${prefix}basic.auth.credentials.source`);
  const other = `${prefix}schema.registry.basic.auth.user.info`;
  const older = draft.take(other);
  if (login !== null) {
    draft.setSecret("schema_registry.basic_auth", `${prefix}basic.auth.user.info`, login);
  } else if (older !== null) draft.setSecret("schema_registry.basic_auth", other, older);
  else if (source !== null) {
    draft.refuse(`${prefix}basic.auth.credentials.source`, "set schema_registry.basic_auth");
  }
  const bearer = draft.take(`${prefix}bearer.auth.token`);
  if (bearer !== null)
    draft.setSecret("schema_registry.bearer", `${prefix}bearer.auth.token`, bearer);
  draft.take(`${prefix}bearer.auth.credentials.source`);
  const strategy = draft.take(`${prefix}value.subject.name.strategy`);
  const known = {
    TopicNameStrategy: "topic-name",
    RecordNameStrategy: "record-name",
    TopicRecordNameStrategy: "topic-record-name",
  };
  const mapped = Object.entries(known).find(([name]) => strategy?.endsWith(`.${name}`))?.[1];
  if (mapped !== undefined) draft.set("schema_registry.subject_strategy", mapped);
  for (const needless of [
    "auto.register.schemas",
    "use.latest.version",
    "enhanced.avro.schema.support",
  ]) {
    draft.take(prefix + needless);
  }
}

/** Connect's default ends the task at a bad record, and so does ours when told so. */
function importRejects(draft: Draft): void {
  const isTolerant = draft.take("errors.tolerance") === "all";
  const key = "errors.deadletterqueue.topic.name";
  const topic = draft.take(key);
  if (topic !== null && topic !== "") {
    draft.refuse(key, "rejected records go into the table <table>__dead_letter, not into a topic");
    draft.set("dead_letter.action", "table");
  } else draft.set("dead_letter.action", isTolerant ? "skip" : "fail");
}
