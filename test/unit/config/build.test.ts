/**
 * Configuration -> options: names, units, defaults that depend on each other.
 */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { LIMITS } from "#base/limits.ts";
import { buildPipeline } from "#config/buildPipeline.ts";
import { buildProcess } from "#config/buildProcess.ts";
import { partitionForms } from "#config/buildWriter.ts";
import { openEnvironment } from "#config/environment.ts";
import { parseFields } from "#config/fieldType.ts";
import { storageOptions } from "#config/storage.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { loadRight, values } from "./helpers.ts";

const TOPIC = '[kafka]\ntopic = "events"\n';
const MIB = 1024 * 1024;

const CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----";
const KEY = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMA==\n-----END ENCRYPTED PRIVATE KEY-----";

async function pipelineOf(text: string, instanceId = "instance") {
  const config = await loadRight(text);
  const [pipeline] = config.pipelines;
  if (pipeline === undefined) throw new Error("no pipeline");
  const environment = await openEnvironment(null, null, {});
  return buildPipeline(pipeline, environment, instanceId);
}

async function processOf(text: string, own: Record<string, string> = {}, isTerminal = false) {
  const environment = await openEnvironment(null, null, own);
  return buildProcess(await loadRight(text), environment, 8192 * MIB, isTerminal);
}

describe("options of the consumer", () => {
  test("by default are those of the specification", async () => {
    const { consumer, start, acknowledge } = await pipelineOf(TOPIC);
    expect(consumer).toEqual({
      bootstrapServers: ["localhost:9092"],
      topics: ["events"],
      groupId: "kafka-iceberg",
      clientId: "kafka-iceberg",
      groupInstanceId: "instance",
      sessionTimeoutMs: 10_000,
      heartbeatIntervalMs: 3000,
      rebalanceTimeoutMs: 60_000,
      fetchBytesMax: 32 * MIB,
      fetchWaitMsMax: 500,
      decompressedBatchBytesMax: 64 * MIB,
      isolationLevel: "read_committed",
      retryBaseDelayMs: 100,
      retryDelayMsMax: 30_000,
    });
    expect(start).toEqual({ reset: "earliest", timestampMs: 0, fromGroup: false });
    expect(acknowledge).toEqual({ enabled: true, intervalMs: 5000 });
  });

  test("the event time's path is its column's, and new tables are partitioned by it", async () => {
    const source = '[source]\nevent_time_field = "meta.ts"\n';
    const nested = await pipelineOf(`${TOPIC}${source}`);
    expect(nested.decoder.eventTimeField).toBe("meta.ts");
    expect(nested.writer("t").create.partitionForms).toEqual(["day(meta.ts)"]);
    const flat = await pipelineOf(`${TOPIC}${source}flatten = true\n`);
    expect(flat.decoder.eventTimeField).toBe("meta_ts");
    expect(flat.writer("t").create.partitionForms).toEqual(["day(meta_ts)"]);
  });

  test("take what is set", async () => {
    const { consumer, start } = await pipelineOf(
      `[kafka]\ntopic_pattern = "^a"\nbootstrap_servers = "a:1, b:2"\ngroup_instance_id = ""\nsession_timeout_ms = 6000\nrack_id = "r"\nauto_offset_reset = "timestamp"\nstart_timestamp = 2026-01-01T00:00:00Z\nstart_from = "group"\n`,
    );
    expect(consumer).toMatchObject({
      bootstrapServers: ["a:1", "b:2"],
      topics: [],
      topicPattern: "^a",
      heartbeatIntervalMs: 2000,
      rackId: "r",
    });
    expect(consumer).not.toHaveProperty("groupInstanceId");
    expect(start).toEqual({
      reset: "timestamp",
      timestampMs: Date.UTC(2026, 0, 1),
      fromGroup: true,
    });
  });

  test("sign in by password and by token", async () => {
    const plain = await pipelineOf(
      `${TOPIC}[kafka.sasl]\nmechanism = "plain"\nusername = "u"\npassword = "p"\n`,
    );
    expect(plain.consumer.sasl).toEqual({ mechanism: "plain", username: "u", password: "p" });
    const token = await pipelineOf(
      `${TOPIC}[kafka.sasl]\nmechanism = "oauthbearer"\ntoken_endpoint = "http://t"\nclient_id = "c"\nclient_secret = "s"\nscope = "k"\n`,
    );
    expect(token.consumer.sasl).toEqual({
      mechanism: "oauthbearer",
      tokenEndpoint: "http://t",
      clientId: "c",
      clientSecret: "s",
      scope: "k",
    });
  });

  test("read certificates, and any of them asks for TLS", async () => {
    const folder = mkdtempSync(join(tmpdir(), "pem-"));
    writeFileSync(join(folder, "ca.pem"), `${CERTIFICATE}\n`);
    const { consumer } = await pipelineOf(`${TOPIC}[kafka.ssl]\nca_file = "${folder}/ca.pem"\n`);
    expect(consumer.ssl).toEqual({ enabled: true, ca: CERTIFICATE });
    expect(pipelineOf(`${TOPIC}[kafka.ssl]\nca_file = "${folder}/no"\n`)).rejects.toThrow(
      `there is no file ${folder}/no`,
    );
  });
});

describe("options of decoder, writer and catalog", () => {
  test("by default are those of the specification", async () => {
    const { decoder, writer, catalog, commit, rejects } = await pipelineOf(TOPIC);
    expect(decoder).toEqual(DECODER_DEFAULTS);
    expect(rejects).toEqual({ action: "table", ratioMax: 1 });
    expect(commit).toEqual({
      intervalMs: 5000,
      rowsMax: 0,
      bytesMax: 128 * MIB,
      emptyIntervalMs: 60_000,
      together: false,
      copies: false,
    });
    expect(catalog).toEqual({ type: "file", warehouse: resolve("warehouse"), readOnly: false });
    expect(writer("orders.v1")).toMatchObject({
      name: { namespace: ["default"], table: "orders.v1" },
      branch: "main",
      group: "kafka-iceberg",
      codec: "snappy",
      rowGroupRows: 122_880,
      openFilesMax: 10,
      thinning: { snapshotsMax: 500, keepAllMs: 3_600_000, retentionMs: 7 * 86_400_000 },
      create: {
        allowed: true,
        formatVersion: 2,
        partitionForms: ["day(_kafka_timestamp)"],
        learnsColumns: true,
      },
    });
  });

  test("take what is set", async () => {
    const { writer, catalog, decoder } = await pipelineOf(
      `${TOPIC}[iceberg]\ncatalog_type = "sql"\nwarehouse_path = "s3://b/w"\ntable_name = "t_{topic}"\ntable_prefix = "p_"\n[iceberg.sql]\nuri = "sqlite:/x.db"\n[iceberg.write]\nformat_version = 3\n[maintenance]\nsnapshot_expiration_enabled = false\n[source]\nflatten = true\n[schema]\non_unknown_field = "ignore"\n`,
    );
    expect(catalog).toEqual({
      connectionsMax: 5,
      type: "sql",
      uri: "sqlite:/x.db",
      name: "default",
      warehouse: "s3://b/w",
      readOnly: false,
    });
    expect(decoder.flattenSeparator).toBe("_");
    expect(writer("e")).toMatchObject({
      name: { table: "p_t_e" },
      thinning: null,
      schemaChanges: "refuse",
      create: { formatVersion: 3 },
    });
  });

  test("every strategy becomes the general form", async () => {
    const forms = async (text: string) =>
      partitionForms(values(await loadRight(`${TOPIC}[partitioning]\n${text}\n`)));
    expect(await forms('partition_strategy = "none"')).toEqual([]);
    expect(await forms('partition_strategy = "hourly"\ntime_based.field = "at"')).toEqual([
      "hour(at)",
    ]);
    expect(await forms('partition_strategy = "identity"\nidentity.field = "r"')).toEqual([
      "identity(r)",
    ]);
    expect(
      await forms('partition_strategy = "bucket"\nbucket = { field = "u", num_buckets = 16 }'),
    ).toEqual(["bucket(16, u)"]);
    expect(
      await forms('partition_strategy = "truncate"\ntruncate = { field = "s", width = 4 }'),
    ).toEqual(["truncate(4, s)"]);
    expect(await forms('spec = ["month(at)", "r"]')).toEqual(["month(at)", "r"]);
  });

  test("an S3 endpoint implies path style and no AWS encryption", async () => {
    const s3 = async (text: string) =>
      storageOptions(values(await loadRight(`${TOPIC}[storage.s3]\n${text}\n`))).s3;
    expect(await s3("")).toMatchObject({
      pathStyle: false,
      sse: { type: "AES256" },
      credentials: null,
    });
    const other =
      'endpoint = "http://localhost:9000"\naccess_key_id = "a"\nsecret_access_key = "b"';
    expect(await s3(other)).toMatchObject({
      pathStyle: true,
      sse: null,
      credentials: { accessKeyId: "a", secretAccessKey: "b", sessionToken: null },
    });
    const aws = 'endpoint = "https://s3.eu-central-1.amazonaws.com"';
    expect(await s3(aws)).toMatchObject({ sse: { type: "AES256" } });
    expect(await s3('sse = "none"')).toMatchObject({ sse: null });
  });

  test("a schema file holds Iceberg's JSON, nested types included", async () => {
    const folder = mkdtempSync(join(tmpdir(), "schema-"));
    const path = join(folder, "s.json");
    const fields = [
      { id: 1, name: "id", type: "long", required: true },
      {
        id: 2,
        name: "tags",
        type: { type: "list", "element-id": 3, element: "string", "element-required": true },
        required: false,
      },
      { id: 4, name: "m", type: { type: "map", key: "string", value: "int" }, required: false },
    ];
    writeFileSync(path, JSON.stringify({ type: "struct", fields }));
    const { decoder } = await pipelineOf(`${TOPIC}[schema]\nfile = "${path}"\n`);
    expect(decoder.fields?.map(({ name, required }) => [name, required])).toEqual([
      ["id", true],
      ["tags", false],
      ["m", false],
    ]);
    writeFileSync(path, "{}");
    expect(pipelineOf(`${TOPIC}[schema]\nfile = "${path}"\n`)).rejects.toThrow('holds no "fields"');
    writeFileSync(path, "{");
    expect(pipelineOf(`${TOPIC}[schema]\nfile = "${path}"\n`)).rejects.toThrow("is not JSON");
    writeFileSync(path, '{"fields": [{"name": "x"}]}');
    expect(pipelineOf(`${TOPIC}[schema]\nfile = "${path}"\n`)).rejects.toThrow(
      'x: "" is not an Iceberg type',
    );
  });
});

describe("declared fields", () => {
  const problemOf = (declared: Parameters<typeof parseFields>[0]) => {
    const parsed = parseFields(declared);
    return "problem" in parsed ? parsed.problem : parsed.fields;
  };

  test("may be nested in text", () => {
    const type = "struct<a: int, b: map<string, list<decimal(10, 2)>>>";
    expect(problemOf([{ name: "s", type }])).toEqual([
      {
        id: 0,
        name: "s",
        required: false,
        type: {
          kind: "struct",
          fields: [
            { id: 0, name: "a", required: false, type: { kind: "int" } },
            {
              id: 0,
              name: "b",
              required: false,
              type: {
                kind: "map",
                key: { id: 0, name: "key", required: true, type: { kind: "string" } },
                value: {
                  id: 0,
                  name: "value",
                  required: false,
                  type: {
                    kind: "list",
                    element: {
                      id: 0,
                      name: "element",
                      required: false,
                      type: { kind: "decimal", precision: 10, scale: 2 },
                    },
                  },
                },
              },
            },
          ],
        },
      },
    ]);
  });

  test("that are wrong are told by name", () => {
    expect(problemOf([])).toBe("must declare at least one column");
    expect(problemOf(["x"])).toBe("wants {name, type, required, doc} (entry 1)");
    expect(problemOf([{ type: "int" }])).toBe("has no name (entry 1)");
    expect(problemOf([{ name: "a", type: "int", nullable: true }])).toBe(
      "has the unknown member nullable (entry 1)",
    );
    expect(problemOf([{ name: "a", type: "int", required: "yes" }])).toBe(
      "a: required must be true or false (entry 1)",
    );
    expect(problemOf([{ name: "a", type: "int", doc: 1 }])).toBe(
      "a: doc must be a string (entry 1)",
    );
    expect(
      problemOf([
        { name: "a", type: "int" },
        { name: "a", type: "int" },
      ]),
    ).toBe("declares a twice");
    for (const type of ["list<>", "list<int, int>", "map<int>", "struct<a>", "lst<int>"]) {
      expect(problemOf([{ name: "a", type }])).toBe(
        `a: ${JSON.stringify(type)} is not an Iceberg type (entry 1)`,
      );
    }
    expect(problemOf([{ name: "a", type: { type: "set" } }])).toContain("is not an Iceberg type");
  });
});

describe("options of the process", () => {
  test("keep the log beside the process unless the state directory is set", async () => {
    const plain = await processOf(TOPIC);
    expect(plain.stateDir).toBe(resolve("state"));
    expect(plain.txlog).toMatchObject({
      dir: resolve("transaction_logs"),
      sync: "commit",
      checkpointIntervalMs: 3_600_000,
      retentionMs: 30 * 86_400_000,
      bytesMax: 1024 * 1024 * 1024,
    });
    const set = await processOf(`${TOPIC}[state]\ndir = "/s"\n`);
    expect([set.stateDir, set.txlog.dir]).toEqual(["/s", "/s/transaction_logs"]);
    const systemd = await processOf(TOPIC, { STATE_DIRECTORY: "/var/lib/ki" });
    expect([systemd.stateDir, systemd.txlog.dir]).toEqual([
      "/var/lib/ki",
      "/var/lib/ki/transaction_logs",
    ]);
    const both = await processOf(
      `${TOPIC}[state]\ndir = "/s"\n[transaction_log]\nlog_dir = "/l"\n`,
    );
    expect(both.txlog.dir).toBe("/l");
  });

  test("write text on a terminal unless a format is set", async () => {
    expect((await processOf(TOPIC)).log.format).toBe("json");
    expect((await processOf(TOPIC, {}, true)).log.format).toBe("text");
    const json = await processOf(`${TOPIC}[logging]\nformat = "json"\n`, {}, true);
    expect(json.log.format).toBe("json");
  });

  test("write in colour on a terminal, unless NO_COLOR is set", async () => {
    const colour = async (own: Record<string, string>, isTerminal: boolean) =>
      (await processOf(TOPIC, own, isTerminal)).log.colour;
    expect(await colour({}, true)).toBe(true);
    expect(await colour({ NO_COLOR: "1" }, true)).toBe(false);
    expect(await colour({ NO_COLOR: "" }, true)).toBe(true);
    expect(await colour({}, false)).toBe(false);
  });

  test("serve nowhere for an empty address, and anywhere free for port 0", async () => {
    const none = 'health_address = ""\nmetrics_address = "127.0.0.1:0"\n';
    const { server } = await processOf(`${TOPIC}[server]\n${none}`);
    expect([server.health, server.metrics]).toEqual([
      null,
      { host: "127.0.0.1", port: 0, isRequired: true },
    ]);
  });

  test("serve where they are told, over TLS with its files", async () => {
    const { server } = await processOf(TOPIC);
    expect(server).toEqual({
      health: { host: "127.0.0.1", port: 8080, isRequired: false },
      metrics: { host: "127.0.0.1", port: 9090, isRequired: false },
      token: "",
      tls: null,
    });
    const folder = mkdtempSync(join(tmpdir(), "tls-"));
    for (const name of ["c", "a"]) writeFileSync(join(folder, name), `${CERTIFICATE}\n`);
    writeFileSync(join(folder, "k"), KEY);
    const tls = await processOf(
      `${TOPIC}[server]\nhealth_address = "[::1]:1"\nmetrics_address = ""\ntls_cert_file = "${folder}/c"\ntls_key_file = "${folder}/k"\ntls_client_ca_file = "${folder}/a"\n`,
    );
    expect(tls.server).toEqual({
      health: { host: "::1", port: 1, isRequired: true },
      metrics: null,
      token: "",
      tls: { cert: CERTIFICATE, key: KEY, clientCa: CERTIFICATE },
    });
  });
});

test("processes of commits that write files anew are in the memory budget, as many as there are at once whatever the tables", async () => {
  const keyed =
    '[kafka]\ntopic = "t"\n[source]\nmode = "ktable"\nkey_field = ["id"]\nkey_format = "json"\n';
  const memory =
    "[maintenance]\ncompact_enabled = false\nstatistics_enabled = false\n[memory]\nlimit_mb = 2240\n[hot_buffer]\nmax_size_mb = 4096\n";
  const plain = await processOf(`${keyed}${memory}`);
  const copies = await processOf(
    `${keyed}${memory}[iceberg.write]\ndelete_mode = "copy-on-write"\n`,
  );
  expect(plain.memory.rewriteBytes).toBe(LIMITS.rewriteBytesMax);
  // Two children beside each other have a quarter of what the process leaves.
  expect(copies.memory.rewriteBytes).toBe(128 * MIB);
  expect(copies.memory.bufferBytes).toBeLessThan(plain.memory.bufferBytes);
});
