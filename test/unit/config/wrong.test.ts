/**
 * Wrong configurations, each with the exact words that a person needs (SPEC section 3).
 */
import { describe, expect, test } from "bun:test";
import { load } from "./helpers.ts";

const TOPIC = '[kafka]\ntopic = "events"\n';

/** Name, text, and the problems in full. */
const WRONG: readonly (readonly [name: string, text: string, problems: readonly string[]])[] = [
  [
    "an unknown key",
    '[kafka]\ntopic = "events"\nbootstrap_server = "b:9092"\n',
    ["config.toml:3: kafka.bootstrap_server: unknown key; did you mean kafka.bootstrap_servers?"],
  ],
  [
    "an unknown section",
    `${TOPIC}[icberg]\ncatalog_type = "file"\n`,
    ["config.toml:3: icberg: unknown key; did you mean iceberg?"],
  ],
  [
    "an unknown key that is near nothing",
    `${TOPIC}zzzzzzzzzzzzzzz = 1\n`,
    ["config.toml:3: kafka.zzzzzzzzzzzzzzz: unknown key"],
  ],
  [
    "a string for an integer",
    `${TOPIC}batch_size = "many"\n`,
    ["config.toml:3: kafka.batch_size: must be an integer, is a string"],
  ],
  [
    "an integer for a string",
    "[kafka]\ntopic = 7\n",
    [
      "config.toml:2: kafka.topic: must be a string, is an integer",
      "config.toml: kafka.topic: the pipeline default reads nothing: set kafka.topic, kafka.topics or kafka.topic_pattern",
    ],
  ],
  [
    "a word that is none",
    `${TOPIC}auto_offset_reset = "newest"\n`,
    [
      'config.toml:3: kafka.auto_offset_reset: must be one of earliest, latest, none, timestamp, is "newest"',
    ],
  ],
  [
    "room on disk in which the log has none",
    `${TOPIC}[state]\nmax_disk_mb = 63\n`,
    ["config.toml:4: state.max_disk_mb: must be 0 or at least 64: half of it is for the log"],
  ],
  [
    "a time of day that is none",
    `${TOPIC}[maintenance]\nwindows = ["22:00-06:00", "9-10"]\n`,
    ['config.toml:4: maintenance.windows: "9-10" is no time of day such as "22:00-06:00"'],
  ],
  [
    "a number below its bound",
    `${TOPIC}[iceberg.commit]\ninterval_ms = 5\n`,
    ["config.toml:4: iceberg.commit.interval_ms: must be at least 100, is 5"],
  ],
  [
    "a format version that does not exist",
    `${TOPIC}[iceberg.write]\nformat_version = 4\n`,
    ["config.toml:4: iceberg.write.format_version: must be at most 3, is 4"],
  ],
  [
    "no topic",
    '[kafka]\nbootstrap_servers = "b:9092"\n',
    [
      "config.toml: kafka.topic: the pipeline default reads nothing: set kafka.topic, kafka.topics or kafka.topic_pattern",
    ],
  ],
  [
    "two forms of topics",
    `${TOPIC}topics = ["a"]\n`,
    ["config.toml:3: kafka.topics: excludes kafka.topic: one of them names the topics"],
  ],
  [
    "a broker without a port",
    `${TOPIC}bootstrap_servers = "localhost"\n`,
    [
      "config.toml:3: kafka.bootstrap_servers: has no port: write host:port, such as localhost:9092",
    ],
  ],
  [
    "a broker as a URL",
    `${TOPIC}bootstrap_servers = "http://b:9092"\n`,
    [
      "config.toml:3: kafka.bootstrap_servers: is a URL: write host:port, without what is before ://",
    ],
  ],
  [
    "a second broker without a port",
    `${TOPIC}bootstrap_servers = "a:9092, b"\n`,
    [
      "config.toml:3: kafka.bootstrap_servers: broker 2 of 2 has no port: write host:port, such as localhost:9092",
    ],
  ],
  [
    "a token endpoint that is no URL",
    `${TOPIC}[kafka.sasl]\nmechanism = "oauthbearer"\ntoken_endpoint = "login:443"\nclient_id = "c"\nclient_secret = "s"\n`,
    [
      "config.toml:5: kafka.sasl.token_endpoint: must be a URL that begins with https:// or http://",
    ],
  ],
  [
    "a mechanism without its password",
    `${TOPIC}[kafka.sasl]\nmechanism = "scram-sha-512"\nusername = "u"\n`,
    ['config.toml:4: kafka.sasl.mechanism: "scram-sha-512" needs kafka.sasl.password'],
  ],
  [
    "a certificate without its key",
    `${TOPIC}[kafka.ssl]\ncert_file = "c.pem"\n`,
    ["config.toml:4: kafka.ssl.cert_file: needs kafka.ssl.key_file"],
  ],
  [
    "bucket partitioning without its column",
    `${TOPIC}[partitioning]\npartition_strategy = "bucket"\n`,
    [
      'config.toml:4: partitioning.partition_strategy: "bucket" needs partitioning.bucket.field',
      'config.toml:4: partitioning.partition_strategy: "bucket" needs partitioning.bucket.num_buckets',
    ],
  ],
  [
    "both forms of partitioning",
    `${TOPIC}[partitioning]\npartition_strategy = "daily"\nspec = ["day(ts)"]\n`,
    ["config.toml:5: partitioning.spec: excludes partitioning.partition_strategy"],
  ],
  [
    "an alias that says something else",
    `${TOPIC}[iceberg]\nwarehouse_path = "a"\n[iceberg.file]\nwarehouse_path = "b"\n`,
    [
      "config.toml:6: iceberg.file.warehouse_path: is another name of iceberg.warehouse_path (config.toml:4) and has another value",
    ],
  ],
  [
    "a variable that is not set",
    `${TOPIC}[storage.s3]\naccess_key_id = "\${NOPE}"\nsecret_access_key = "x"\n`,
    [
      "config.toml:4: storage.s3.access_key_id: the variable NOPE is not set",
      "config.toml:5: storage.s3.secret_access_key: needs storage.s3.access_key_id",
    ],
  ],
  [
    "a feature that is not built",
    `${TOPIC}[hot_buffer]\nmemory_alignment_bytes = 128\n`,
    [
      "config.toml:4: hot_buffer.memory_alignment_bytes: another alignment is not built yet (column buffers begin and end at multiples of 64 bytes)",
    ],
  ],
  [
    "late rows without an event time, and a late table that is the table",
    `${TOPIC}[source]\nlate_threshold_seconds = 5\nlate_table = "{topic}"\nmetadata_columns = ["timestamp"]\n`,
    [
      "config.toml:4: source.late_threshold_seconds: needs source.event_time_field",
      'config.toml:5: source.late_table: needs "partition" and "offset" among source.metadata_columns: by them a later process knows which records are late rows',
      "config.toml:5: source.late_table: default.events is the name of another table",
    ],
  ],
  [
    "a late table that two tables would share",
    '[kafka]\ntopics = ["a", "b"]\n[source]\nevent_time_field = "ts"\nlate_threshold_seconds = 5\nlate_table = "late"\n',
    [
      "config.toml:6: source.late_table: default.a and default.b would share it: put {topic} into its name",
    ],
  ],
  [
    "late tables of topics that share one table",
    '[kafka]\ntopics = ["a", "b"]\n[iceberg]\ntable_name = "one"\n[source]\nevent_time_field = "ts"\nlate_threshold_seconds = 5\nlate_table = "{topic}_late"\n',
    [
      "config.toml:8: source.late_table: default.one is filled by several topics, and would have two, default.a_late and default.b_late: give it one name",
    ],
  ],
  [
    "late tables of topics that share one table, of which nobody knows yet",
    '[kafka]\ntopic_pattern = "c.*"\n[iceberg]\ntable_name = "{table}"\n[source]\nevent_time_field = "ts"\nlate_threshold_seconds = 5\nlate_table = "{table}_{schema}_late"\n',
    [
      "config.toml:8: source.late_table: topics that differ in {schema} may fill one table, and would give it several late tables: put {schema} into iceberg.table_name too, or leave it out here",
    ],
  ],
  [
    "JSON Schema without a registry",
    `${TOPIC}[source]\nformat = "json-schema"\n`,
    [
      'config.toml:4: source.format: "json-schema" needs schema_registry.url; JSON without schemas is "json"',
    ],
  ],
  [
    "Avro without a schema",
    `${TOPIC}[source]\nformat = "avro"\n`,
    [
      'config.toml:4: source.format: "avro" needs the schemas of the values: schema_registry.url, or schema.file = "x.avsc" where all are written with one and have no schema id',
    ],
  ],
  [
    "Protobuf without its schema",
    `${TOPIC}[source]\nformat = "protobuf"\n`,
    [
      'config.toml:4: source.format: "protobuf" needs the schemas of the values: schema_registry.url, or schema.file, a .proto file or a descriptor set, where all are of one message and have no schema id',
    ],
  ],
  [
    "a Protobuf schema for another format",
    `${TOPIC}[schema]\nfile = "a.proto"\nmessage = "A"\n`,
    [
      'config.toml:4: schema.file: a .proto file is for source.format = "protobuf"',
      'config.toml:5: schema.message: is for source.format = "protobuf"',
    ],
  ],
  [
    "a registry whose address holds credentials, and what does not go with it",
    `${TOPIC}[schema_registry]\nurl = "http://u:hunter2@r, ftp://x"\nbasic_auth = "u:p"\nbearer = "t"\non_missing = "latest"\nsubject_strategy = "record-name"\n`,
    [
      "config.toml:4: schema_registry.url: address 1 of 2 holds credentials, which it must not: schema_registry.basic_auth",
      "config.toml:4: schema_registry.url: address 2 of 2 must begin with http:// or https://",
      'config.toml:4: schema_registry.url: source.format = "json" has no schemas of a registry',
      "config.toml:6: schema_registry.bearer: excludes schema_registry.basic_auth",
      'config.toml:7: schema_registry.on_missing: "latest" needs subject_strategy = "topic-name": the others name the subject by the record, which nobody knows whose schema is missing',
    ],
  ],
  [
    "a start time without a zone",
    `${TOPIC}auto_offset_reset = "timestamp"\nstart_timestamp = "2026-01-01T00:00:00"\n`,
    ["config.toml:4: kafka.start_timestamp: must be a time with a zone, e.g. 2026-01-01T00:00:00Z"],
  ],
  [
    "a declared column of no type",
    `${TOPIC}[schema]\nfields = [{name = "id", type = "bigint"}]\n`,
    ['config.toml:4: schema.fields: id: "bigint" is not an Iceberg type (entry 1)'],
  ],
  [
    "an address without a port",
    `${TOPIC}[server]\nhealth_address = "0.0.0.0"\n`,
    ['config.toml:4: server.health_address: must be "host:port" with a port up to 65535'],
  ],
  [
    "SQL for whoever reaches the machine",
    `${TOPIC}[server]\nhealth_address = "0.0.0.0:8080"\n`,
    [
      "config.toml:4: server.health_address: is reachable from elsewhere and answers SQL there: set server.query_token, or server.query_enabled = false",
    ],
  ],
  [
    "two pipelines that write one topic into one table",
    '[[pipelines]]\nname = "a"\nkafka.topic = "t"\n[[pipelines]]\nname = "b"\nkafka.topic = "t"\n',
    [
      "config.toml: pipelines: a and b both write the topic t into the table default.t",
      "config.toml: kafka.consumer_group: a and b both read the topic t as group kafka-iceberg, so that each would get only a part of it: give each its own group",
    ],
  ],
  [
    "two pipelines of one group, a topic and a pattern that takes it",
    '[[pipelines]]\nname = "a"\nkafka.topic_pattern = "t.*"\n[[pipelines]]\nname = "b"\nkafka.topic = "tx"\niceberg.database_name = "other"\n',
    [
      "config.toml: kafka.consumer_group: a and b both read the topic tx as group kafka-iceberg, so that each would get only a part of it: give each its own group",
    ],
  ],
  [
    "two pipelines of one group and two patterns",
    '[[pipelines]]\nname = "a"\nkafka.topic_pattern = "t.*"\n[[pipelines]]\nname = "b"\nkafka.topic_pattern = "u.*"\n',
    [
      "config.toml: kafka.consumer_group: a and b both read topics by a pattern as group kafka-iceberg, so that each would get only a part of it: give each its own group",
    ],
  ],
  [
    "two pipelines of one name",
    '[[pipelines]]\nname = "a"\nkafka.topic = "t"\n[[pipelines]]\nname = "a"\nkafka.topic = "u"\n',
    ["config.toml: pipelines.name: two pipelines are called a"],
  ],
  [
    "a key of the process inside a pipeline",
    '[[pipelines]]\nname = "a"\nkafka.topic = "t"\n[pipelines.server]\nquery_token = "x"\n',
    [
      "config.toml:4: server: belongs to the process, not to one pipeline: move it to the top level",
    ],
  ],
  [
    "broken TOML",
    `${TOPIC}[iceberg\ncatalog_type = "file"\n`,
    ["config.toml:3: is not valid TOML: expected ']' to close a table header but found (0x0A)"],
  ],
  [
    "a key twice",
    `${TOPIC}\ntopic = "b"\n`,
    ["config.toml:4: is not valid TOML: cannot redefine key 'topic'"],
  ],
  [
    "a section where a value stands",
    "kafka = 1\n",
    [
      "config.toml:1: kafka: is a section, not a value",
      "config.toml: kafka.topic: the pipeline default reads nothing: set kafka.topic, kafka.topics or kafka.topic_pattern",
    ],
  ],
];

describe("wrong configurations", () => {
  test("are at least twenty", () => expect(WRONG.length).toBeGreaterThanOrEqual(20));

  for (const [name, text, problems] of WRONG) {
    test(`${name} is told with its place and what is wrong`, async () => {
      const loaded = await load(text, { purpose: "run" });
      expect(loaded.problems).toEqual([...problems]);
    });
  }

  test("all problems are told at once, in the order of the file", async () => {
    const text = '[kafka]\ntopics = []\nbatch_size = 0\n\n[logging]\nlevel = "loud"\nform = "x"\n';
    const { problems } = await load(text, { purpose: "run" });
    expect(problems.map((line) => line.split(": ").slice(0, 2).join(" "))).toEqual([
      "config.toml:2 kafka.topics",
      "config.toml:3 kafka.batch_size",
      "config.toml:6 logging.level",
      "config.toml:7 logging.form",
    ]);
  });

  test("a flag's problem names the flag", async () => {
    const flags = {
      set: ["kafka.batch_size=x", "kafka.topik=a", "oops", "pipelines.b.kafka.topic=t"],
    };
    const { problems } = await load(TOPIC, { flags });
    expect(problems).toEqual([
      "--set: kafka.topik: unknown key; did you mean kafka.topic?",
      "--set: wants section.key=value",
      "--set: kafka.batch_size: must be an integer, is a string",
      "--set: kafka.topic: there is no pipeline b",
    ]);
  });
});
