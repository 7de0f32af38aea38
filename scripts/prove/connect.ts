/**
 * Five configurations of Kafka Connect's Iceberg sinks, taken over and run: `bun scripts/prove/connect.ts`.
 *
 * Each is written for services that run here (a REST catalog with OAuth2 over S3, Glue, Hive, PostgreSQL, Avro with a
 * registry), imported, given its secrets as variables, `check`ed and run to the end of its topic. PyIceberg and DuckDB
 * then find each event once, in the table where the sink would have put it.
 */
import { join, resolve } from "node:path";
import { readColumns } from "../../test/support/tableReaders.ts";
import { eventSchema, registerSchema } from "../events/avroEvents.ts";
import { produceEvents } from "../events/events.ts";
import { createTopic } from "../events/topics.ts";
import type { StoreAccess, TableSource } from "../judge/judge.ts";
import { startApicurio } from "../services/apicurio.ts";
import { hiveClient, motoPackages, postgresDriver } from "../services/cache.ts";
import { startHive } from "../services/hive.ts";
import { startIcebergRest } from "../services/icebergRest.ts";
import { startKafka } from "../services/kafka.ts";
import { startMoto } from "../services/moto.ts";
import { startPostgres } from "../services/postgres.ts";
import { run, temporaryFolder } from "../services/process.ts";
import { startS3 } from "../services/versitygw.ts";

const EVENTS = 5000;
const APACHE = "org.apache.iceberg.connect.IcebergSinkConnector";
const TABULAR = "io.tabular.iceberg.connect.IcebergSinkConnector";
/** Of the events, besides views and clicks. */
const OTHER_KINDS = [
  "purchase",
  "add_to_cart",
  "search",
  "login",
  "logout",
  "signup",
  "refund",
  "share",
];
const JSON_VALUES = {
  "value.converter": "org.apache.kafka.connect.json.JsonConverter",
  "value.converter.schemas.enable": "false",
};
const say = (line: string): void => console.log(`${new Date().toISOString()} ${line}`);

/** A sink that is taken over. */
interface Sink {
  readonly name: string;
  /** Its configuration for Connect, all but topic, brokers and format. */
  readonly keys: Readonly<Record<string, string>>;
  /** Values of the variables that the import asks for. */
  readonly variables: Readonly<Record<string, string>>;
  readonly tables: readonly TableSource[];
  readonly s3?: StoreAccess;
  /** Whether a table gets each event; else they share them. */
  readonly eachGetsAll: boolean;
}

// What PyIceberg needs for the catalogs that are asked.
const packages = await Promise.all([postgresDriver(), hiveClient(), motoPackages()]);
process.env["PYTHONPATH"] = packages.join(":");
const { bootstrap, stop } = await startKafka();
try {
  for (const sink of [rest, glue, hive, routed, avro]) await sink();
} finally {
  await stop();
}
process.exit(0);

async function rest(): Promise<void> {
  const s3 = await startS3();
  const credential = "writer:rest-secret";
  const server = await startIcebergRest({
    warehouse: "s3://warehouse/rest",
    oauth: { credential, tokenMs: 600_000 },
    properties: {
      "io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
      "s3.endpoint": s3.endpoint,
      "s3.path-style-access": "true",
      "s3.access-key-id": s3.accessKey,
      "s3.secret-access-key": s3.secretKey,
      "client.region": s3.region,
    },
  });
  await takeOver({
    name: "REST",
    keys: {
      "connector.class": APACHE,
      "iceberg.tables": "shop.rest_events",
      "iceberg.tables.auto-create-enabled": "true",
      "iceberg.tables.evolve-schema-enabled": "true",
      "iceberg.tables.default-partition-by": "country, bucket(user_id, 4)",
      "iceberg.tables.write-props.write.parquet.compression-codec": "zstd",
      "iceberg.catalog.type": "rest",
      "iceberg.catalog.uri": server.uri,
      "iceberg.catalog.credential": credential,
      "iceberg.catalog.oauth2-server-uri": `${server.uri}/v1/oauth/tokens`,
      "iceberg.catalog.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
      "iceberg.catalog.s3.endpoint": s3.endpoint,
      "iceberg.catalog.s3.path-style-access": "true",
      "iceberg.catalog.s3.access-key-id": s3.accessKey,
      "iceberg.catalog.s3.secret-access-key": s3.secretKey,
      "iceberg.catalog.client.region": s3.region,
      "iceberg.control.commit.interval-ms": "1000",
    },
    variables: {
      ICEBERG_REST_CREDENTIAL: credential,
      STORAGE_S3_ACCESS_KEY_ID: s3.accessKey,
      STORAGE_S3_SECRET_ACCESS_KEY: s3.secretKey,
    },
    tables: [{ rest: { table: "shop.rest_events", properties: { uri: server.uri, credential } } }],
    s3,
    eachGetsAll: true,
  });
  await server.stop();
  await s3.stop();
}

async function glue(): Promise<void> {
  const moto = await startMoto();
  const { endpoint, region } = moto;
  const [accessKey, secretKey] = ["AKIAIOSFODNN7EXAMPLE", "secret"];
  const properties = {
    type: "glue",
    "glue.endpoint": endpoint,
    "glue.region": region,
    "glue.access-key-id": accessKey,
    "glue.secret-access-key": secretKey,
  };
  await takeOver({
    name: "Glue",
    keys: {
      "connector.class": TABULAR,
      "iceberg.tables": "shop.glue_events",
      "iceberg.tables.auto-create-enabled": "true",
      "iceberg.tables.evolve-schema-enabled": "true",
      "iceberg.catalog.catalog-impl": "org.apache.iceberg.aws.glue.GlueCatalog",
      "iceberg.catalog.warehouse": "s3://warehouse/lake",
      "iceberg.catalog.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
      "iceberg.catalog.client.region": region,
      "iceberg.catalog.glue.endpoint": endpoint,
      "iceberg.catalog.s3.endpoint": endpoint,
      "iceberg.catalog.s3.path-style-access": "true",
      "errors.tolerance": "all",
    },
    // Keys come from the chain of AWS, as on a machine of theirs.
    variables: moto.environment,
    tables: [{ catalog: { table: "shop.glue_events", properties } }],
    s3: { endpoint, region, accessKey, secretKey },
    eachGetsAll: true,
  });
  await moto.stop();
}

async function hive(): Promise<void> {
  const metastore = await startHive();
  const { uri, warehouse } = metastore;
  await takeOver({
    name: "Hive",
    keys: {
      "connector.class": APACHE,
      "iceberg.tables": "lake.hive_events",
      "iceberg.tables.auto-create-enabled": "true",
      "iceberg.tables.evolve-schema-enabled": "true",
      "iceberg.catalog.type": "hive",
      "iceberg.catalog.uri": uri,
      "iceberg.catalog.warehouse": warehouse,
      "consumer.override.auto.offset.reset": "earliest",
    },
    variables: {},
    tables: [
      { catalog: { table: "lake.hive_events", properties: { type: "hive", uri, warehouse } } },
    ],
    eachGetsAll: true,
  });
  await metastore.stop();
}

async function routed(): Promise<void> {
  const postgres = await startPostgres();
  const uri = postgres.uri("postgres").replace("postgres:", "postgresql+psycopg2:");
  const table = (name: string): TableSource => ({ sql: { uri, name: "iceberg", table: name } });
  await takeOver({
    name: "several tables by a field",
    keys: {
      "connector.class": APACHE,
      "iceberg.tables": "web.clicks,web.views,web.others",
      "iceberg.tables.auto-create-enabled": "true",
      "iceberg.tables.evolve-schema-enabled": "true",
      "iceberg.tables.route-field": "event_type",
      "iceberg.table.web.clicks.route-regex": "click",
      "iceberg.table.web.views.route-regex": "view",
      "iceberg.table.web.others.route-regex": `^(${OTHER_KINDS.join("|")})$`,
      "iceberg.catalog.type": "jdbc",
      "iceberg.catalog.uri": `jdbc:postgresql://127.0.0.1:${postgres.port}/postgres`,
      "iceberg.catalog.jdbc.user": postgres.user,
      "iceberg.catalog.jdbc.password": postgres.password,
      "iceberg.catalog.warehouse": await temporaryFolder("connect-warehouse"),
    },
    variables: { CATALOG_PASSWORD: encodeURIComponent(postgres.password) },
    tables: ["web.clicks", "web.views", "web.others"].map(table),
    eachGetsAll: false,
  });
  await postgres.stop();
}

async function avro(): Promise<void> {
  const [server, registry] = await Promise.all([startIcebergRest(), startApicurio()]);
  const table = (name: string): TableSource => ({
    rest: { table: name, properties: { uri: server.uri } },
  });
  const schema = eventSchema({ type: "long", logicalType: "timestamp-millis" });
  const id = await registerSchema(registry.url, "avro", schema);
  await takeOver(
    {
      name: "Avro",
      keys: {
        "connector.class": TABULAR,
        "iceberg.tables": "fin.payments,audit.payments",
        "iceberg.tables.auto-create-enabled": "true",
        "iceberg.table.fin.payments.partition-by": "days(ts)",
        "iceberg.catalog.type": "rest",
        "iceberg.catalog.uri": server.uri,
        "value.converter": "io.confluent.connect.avro.AvroConverter",
        "value.converter.schema.registry.url": registry.url,
      },
      variables: {},
      tables: ["fin.payments", "audit.payments"].map(table),
      eachGetsAll: true,
    },
    { schema, id },
  );
  await registry.stop();
  await server.stop();
}

/** @param avroValues the schema of a topic in Avro; default: JSON */
async function takeOver(
  sink: Sink,
  avroValues?: { readonly schema: object; readonly id: number },
): Promise<void> {
  const { name, keys, variables } = sink;
  const topic = name === "Avro" ? "avro" : name.replaceAll(" ", "-");
  await createTopic(bootstrap, { topic, partitions: 2 });
  const values = avroValues === undefined ? {} : { avro: avroValues };
  await produceEvents({ bootstrap, topic, count: EVENTS, ...values });
  const folder = await temporaryFolder("connect");
  const converter = avroValues === undefined ? JSON_VALUES : {};
  const config = { ...converter, ...keys, topics: topic, "bootstrap.servers": bootstrap };
  await Bun.write(join(folder, "connect.json"), JSON.stringify({ name: topic, config }));
  const program = [process.execPath, resolve("src/main.ts")];
  const toml = await run([...program, "import-config", "connect.json"], { cwd: folder });
  const own = '\n[server]\nhealth_address = ""\nmetrics_address = ""\n';
  await Bun.write(join(folder, "config.toml"), toml + own);
  const options = { cwd: folder, env: variables };
  const file = ["--config", "config.toml"];
  await run([...program, "check", ...file], options);
  await run([...program, "run", "--until-end", ...file], options);
  await find(sink);
  const count = sink.tables.length;
  say(`${name}: imported, checked, run; ${EVENTS} events, each once, in ${count} table(s)`);
}

/** Each event once, in each table or in all together. */
async function find({ name, tables, s3, eachGetsAll }: Sink): Promise<void> {
  const store = s3 === undefined ? {} : { s3 };
  const found: Record<string, string[]> = { pyiceberg: [], duckdb: [] };
  for (const table of tables) {
    const job = { table, ...store, columns: ["event_id"], order: "event_id" };
    const { readers } = await readColumns(job);
    for (const [reader, ids] of Object.entries(found)) {
      const column = readers[reader]?.["event_id"];
      if (!Array.isArray(column)) throw new Error(`${name}, ${reader}: ${JSON.stringify(column)}`);
      if (eachGetsAll) each(name, reader, column);
      ids.push(...(column as string[]));
    }
  }
  if (eachGetsAll) return;
  for (const [reader, ids] of Object.entries(found)) each(name, reader, ids);
}

function each(name: string, reader: string, ids: readonly unknown[]): void {
  const distinct = new Set(ids).size;
  if (ids.length === EVENTS && distinct === EVENTS) return;
  throw new Error(`${name}: ${reader} finds ${ids.length} rows, ${distinct} different ones`);
}
