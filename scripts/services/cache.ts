/**
 * Big downloads kept outside the clone (`install.ts`): broker, foreign readers, S3 server. Each is installed
 * once.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { cacheFolder, createVenv, ensure, type Item, mavenCopy, mavenJar, pom } from "./install.ts";
import { run } from "./process.ts";

const KAFKA_VERSION = "4.3.1";
const LOG4J_VERSION = "2.25.4";
const VERSITYGW_VERSION = "v1.8.0";
const S3PROXY_VERSION = "4.1.0";
const MINIO_VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c";
const FAKE_GCS_VERSION = "v1.56.1";
const AZURITE_VERSION = "3.37.0";
const SPARK_VERSION = "4.1.4";
const SPARK_ICEBERG = "org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:1.11.0";
const ICEBERG_VERSION = "1.11.0";
const JETTY_VERSION = "12.1.12";
const HADOOP_VERSION = "3.4.3";
const SERIALIZERS = [
  "fastavro==1.12.1",
  "httpx==0.28.1",
  "authlib==1.9.10",
  "attrs==26.1.0",
  "cachetools==8.0.2",
  "protobuf==7.36.2",
  "googleapis-common-protos==1.76.0",
  "grpcio-tools==1.85.1",
  "jsonschema==4.26.0",
];
const PSYCOPG = "psycopg2-binary==2.9.11";
const NESSIE_VERSION = "0.99.0";
const APICURIO_VERSION = "3.3.3";
const DEBEZIUM_VERSION = "3.7.0.Final";
const THRIFT = "thrift==0.22.0";
const MOTO = ["moto[server]==5.2.5", "boto3==1.44.8"];
const KEYCLOAK_VERSION = "26.7.3";
const READERS = [
  "pyiceberg[sql-sqlite,pyarrow]==0.12.0",
  "pyarrow==26.0.1",
  "duckdb==1.5.5",
  "duckdb-extension-avro==1.5.5",
  "duckdb-extension-httpfs==1.5.5",
  "duckdb-extension-iceberg==1.5.5",
  "confluent-kafka==2.16.1",
  "pytz",
];

/** Installs the Kafka broker's jars (Maven, 55 MB); returns the Java class path. */
export async function kafkaClassPath(): Promise<string> {
  const folder = join(cacheFolder(), `kafka-${KAFKA_VERSION}`);
  const libs = join(folder, "libs");
  await ensure({
    name: `Kafka ${KAFKA_VERSION}`,
    version: `kafka ${KAFKA_VERSION} log4j ${LOG4J_VERSION}`,
    marker: join(folder, ".done"),
    verify: () => run(["java", "-cp", `${libs}/*`, "kafka.tools.StorageTool", "random-uuid"]),
    install: async () => {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(libs, { recursive: true });
      writeFileSync(join(folder, "pom.xml"), brokerPom());
      await run(
        [
          "mvn",
          "-q",
          "-B",
          "dependency:copy-dependencies",
          `-DoutputDirectory=${libs}`,
          "-DincludeScope=runtime",
        ],
        { cwd: folder },
      );
    },
  });
  return `${libs}/*`;
}

/**
 * Installs Iceberg's own REST catalog (Maven, 155 MB) and compiles our launcher of it; returns the
 * Java class path.
 */
export async function icebergRestClassPath(): Promise<string> {
  const folder = join(cacheFolder(), `iceberg-rest-${ICEBERG_VERSION}`);
  const libs = join(folder, "libs");
  const source = join(import.meta.dir, "IcebergRest.java");
  const classes = join(folder, "classes");
  const text = readFileSync(source, "utf8");
  await ensure({
    name: `Iceberg's REST catalog ${ICEBERG_VERSION}`,
    version: `iceberg ${ICEBERG_VERSION} jetty ${JETTY_VERSION} hadoop ${HADOOP_VERSION}`,
    marker: join(folder, ".done"),
    verify: () => run(["javac", "-cp", `${libs}/*`, "-d", classes, source]),
    install: async () => {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(libs, { recursive: true });
      writeFileSync(join(folder, "pom.xml"), icebergRestPom());
      const copy = ["dependency:copy-dependencies", `-DoutputDirectory=${libs}`];
      await run(["mvn", "-q", "-B", ...copy, "-DincludeScope=runtime"], { cwd: folder });
    },
  });
  await ensure({
    name: "the launcher of Iceberg's REST catalog",
    version: new Bun.CryptoHasher("sha256").update(text).digest("hex"),
    marker: join(folder, ".launcher"),
    verify: () =>
      run([
        "java",
        "-cp",
        `${classes}:${libs}/*`,
        "org.apache.iceberg.rest.IcebergRest",
        "--version",
      ]),
    install: () => run(["javac", "-cp", `${libs}/*`, "-d", classes, source]),
  });
  return `${classes}:${libs}/*`;
}

/** Installs Nessie's server (Maven, 245 MB); returns its jar, which needs Java 21 or newer. */
export async function nessieJar(): Promise<string> {
  const jar = join(cacheFolder(), "jars", `nessie-${NESSIE_VERSION}.jar`);
  const coordinates = `org.projectnessie.nessie:nessie-quarkus:${NESSIE_VERSION}:jar:runner`;
  await ensure(mavenJar(`Nessie ${NESSIE_VERSION}`, coordinates, jar));
  return jar;
}

/** Installs Apicurio Registry (Maven, 158 MB); returns its folder. It needs Java 21 or newer. */
export async function apicurioFolder(): Promise<string> {
  const folder = join(cacheFolder(), `apicurio-${APICURIO_VERSION}`);
  const artifact = `io.apicurio:apicurio-registry-app:${APICURIO_VERSION}:tar.gz:all`;
  await ensure(mavenArchive(`Apicurio Registry ${APICURIO_VERSION}`, artifact, folder, 0));
  return folder;
}

/** Installs Debezium's connector of PostgreSQL (Maven, 5 MB); returns the folder that holds plug-ins. */
export async function debeziumPlugins(): Promise<string> {
  const plugins = join(cacheFolder(), `debezium-${DEBEZIUM_VERSION}`);
  const artifact = `io.debezium:debezium-connector-postgres:${DEBEZIUM_VERSION}:tar.gz:plugin`;
  const folder = join(plugins, "postgres");
  await ensure(mavenArchive(`Debezium ${DEBEZIUM_VERSION}`, artifact, folder, 1));
  return plugins;
}

/** Installs Keycloak (Maven, 176 MB); returns its folder. It needs Java 21 or newer. */
export async function keycloakFolder(): Promise<string> {
  const folder = join(cacheFolder(), `keycloak-${KEYCLOAK_VERSION}`);
  const artifact = `org.keycloak:keycloak-quarkus-dist:${KEYCLOAK_VERSION}:tar.gz`;
  await ensure(mavenArchive(`Keycloak ${KEYCLOAK_VERSION}`, artifact, folder, 1));
  return folder;
}

/** @param strip folders that the archive has around its files */
function mavenArchive(name: string, artifact: string, folder: string, strip: number): Item {
  return {
    name,
    version: artifact,
    marker: join(folder, ".done"),
    verify: () => run(["python3", "-c", `import os; assert len(os.listdir("${folder}")) > 3`]),
    install: async () => {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder, { recursive: true });
      await mavenCopy(artifact, folder);
      const [file] = [...new Bun.Glob("*.tar.gz").scanSync(folder)];
      if (file === undefined) throw new Error(`Maven copied no archive for ${artifact}`);
      const archive = join(folder, file);
      await run(["tar", "-xzf", archive, "-C", folder, `--strip-components=${strip}`]);
      rmSync(archive);
    },
  };
}

/** Installs PyIceberg, DuckDB with its Iceberg extension, and librdkafka; returns their Python. */
export async function readersPython(): Promise<string> {
  const folder = join(cacheFolder(), "readers");
  const python = join(folder, "bin", "python");
  const imports = "import pyiceberg, pyarrow, duckdb, confluent_kafka, pytz, sqlalchemy";
  await ensure({
    name: "readers (PyIceberg, DuckDB, librdkafka)",
    version: READERS.join(" "),
    marker: join(folder, ".done"),
    verify: () => run([python, "-c", `${imports}; assert duckdb.__version__ == "1.5.5"`]),
    install: () => createVenv(folder, READERS),
  });
  return python;
}

/**
 * Installs psycopg2, with which PyIceberg reaches PostgreSQL; returns the folder for `PYTHONPATH`. Apart
 * from the readers, which need it in few tests.
 */
export async function postgresDriver(): Promise<string> {
  const python = await readersPython();
  const folder = join(cacheFolder(), "psycopg2");
  await ensure({
    name: PSYCOPG,
    version: PSYCOPG,
    marker: join(folder, ".done"),
    verify: () => run([python, "-c", "import psycopg2"], { env: { PYTHONPATH: folder } }),
    install: () => run([python, "-m", "pip", "install", "-q", "--target", folder, PSYCOPG]),
  });
  return folder;
}

/** Installs what confluent-kafka's serializers need, and protoc; returns the folder for `PYTHONPATH`. */
export async function serializers(): Promise<string> {
  const python = await readersPython();
  const folder = join(cacheFolder(), "serializers");
  const modules = ["avro", "protobuf", "json_schema"].map(
    (each) => `confluent_kafka.schema_registry.${each}`,
  );
  const imports = `import grpc_tools.protoc, ${modules.join(", ")}`;
  await ensure({
    name: "confluent-kafka's serializers",
    version: SERIALIZERS.join(" "),
    marker: join(folder, ".done"),
    verify: () => run([python, "-c", imports], { env: { PYTHONPATH: folder } }),
    install: () => run([python, "-m", "pip", "install", "-q", "--target", folder, ...SERIALIZERS]),
  });
  return folder;
}

/**
 * Installs moto (Glue, S3 and STS in memory) and boto3, with which PyIceberg reaches Glue; returns the folder
 * for `PYTHONPATH`, apart from the readers, as {@link postgresDriver}.
 */
export async function motoPackages(): Promise<string> {
  const python = await readersPython();
  const folder = join(cacheFolder(), "moto");
  await ensure({
    name: "moto",
    version: MOTO.join(" "),
    marker: join(folder, ".done"),
    verify: () => run([python, "-c", "import moto, boto3"], { env: { PYTHONPATH: folder } }),
    install: () => run([python, "-m", "pip", "install", "-q", "--target", folder, ...MOTO]),
  });
  return folder;
}

/** Installs Thrift, with which PyIceberg reaches Hive; as {@link postgresDriver}. */
export async function hiveClient(): Promise<string> {
  const python = await readersPython();
  const folder = join(cacheFolder(), "thrift");
  await ensure({
    name: THRIFT,
    version: THRIFT,
    marker: join(folder, ".done"),
    verify: () => run([python, "-c", "import thrift"], { env: { PYTHONPATH: folder } }),
    install: () => run([python, "-m", "pip", "install", "-q", "--target", folder, THRIFT]),
  });
  return folder;
}

/** What a Spark session needs. */
export interface Spark {
  readonly python: string;
  /** Path of Iceberg's Spark runtime jar. */
  readonly jar: string;
}

/** Installs PySpark and Iceberg's Spark runtime (700 MB on disk). */
export async function spark(): Promise<Spark> {
  const folder = join(cacheFolder(), "spark");
  const python = join(folder, "bin", "python");
  const jar = join(cacheFolder(), "jars", "iceberg-spark-runtime-4.1_2.13-1.11.0.jar");
  await ensure({
    name: `Spark ${SPARK_VERSION}`,
    version: `pyspark ${SPARK_VERSION}`,
    marker: join(folder, ".done"),
    verify: () =>
      run([python, "-c", `import pyspark; assert pyspark.__version__ == "${SPARK_VERSION}"`]),
    install: () => createVenv(folder, [`pyspark==${SPARK_VERSION}`]),
  });
  await ensure(mavenJar("Iceberg's Spark runtime", SPARK_ICEBERG, jar));
  return { python, jar };
}

/** Jars that Spark needs besides: for what is on S3 or in Glue, and for a catalog on PostgreSQL. */
const SPARK_EXTRAS = {
  aws: `org.apache.iceberg:iceberg-aws-bundle:${ICEBERG_VERSION}`,
  postgresql: "org.postgresql:postgresql:42.7.4",
};

/** Installs one of them (75 MB, 1 MB); returns its path. */
export async function sparkExtra(name: keyof typeof SPARK_EXTRAS): Promise<string> {
  const coordinates = SPARK_EXTRAS[name];
  const jar = join(cacheFolder(), "jars", `${coordinates.split(":").slice(1).join("-")}.jar`);
  await ensure(mavenJar(coordinates, coordinates, jar));
  return jar;
}

/** An S3 server that can be started. */
export type S3Server =
  | { readonly kind: "versitygw" | "minio"; readonly binary: string }
  | { readonly kind: "s3proxy"; readonly jar: string };

/**
 * Installs an S3 server.
 * @param kind default: versitygw where Go is installed, else s3proxy (Java)
 */
export async function s3Server(kind?: S3Server["kind"]): Promise<S3Server> {
  const chosen = kind ?? (hasGoBinary("versitygw") ? "versitygw" : "s3proxy");
  switch (chosen) {
    case "versitygw": {
      const module = "github.com/versity/versitygw/cmd/versitygw";
      return { kind: chosen, binary: await goBinary("versitygw", module, VERSITYGW_VERSION) };
    }
    case "minio": {
      const binary = await goBinary("minio", "github.com/minio/minio", MINIO_VERSION);
      return { kind: chosen, binary };
    }
    case "s3proxy": {
      const jar = join(cacheFolder(), "jars", `s3proxy-${S3PROXY_VERSION}.jar`);
      const coordinates = `org.gaul:s3proxy:${S3PROXY_VERSION}:jar:jar-with-dependencies`;
      await ensure(mavenJar("s3proxy", coordinates, jar));
      return { kind: chosen, jar };
    }
  }
}

/** Installs fake-gcs-server; returns its path. */
export function fakeGcsServer(): Promise<string> {
  const module = "github.com/fsouza/fake-gcs-server";
  return goBinary("fake-gcs-server", module, FAKE_GCS_VERSION);
}

/** Installs Azurite (npm, 60 MB); returns its script for Node. */
export async function azuriteScript(): Promise<string> {
  const folder = join(cacheFolder(), "azurite");
  const script = join(folder, "node_modules/azurite/dist/src/azurite.js");
  const what = `azurite@${AZURITE_VERSION}`;
  await ensure({
    name: what,
    version: what,
    marker: join(folder, ".done"),
    verify: () => run(["node", script, "--version"]),
    install: async () => {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, "package.json"), '{ "private": true }');
      await run(["npm", "install", "--no-fund", "--no-audit", what], { cwd: folder });
    },
  });
  return script;
}

/** Whether a Go program is there, or can be built. */
function hasGoBinary(name: string): boolean {
  return existsSync(join(cacheFolder(), "bin", name)) || Bun.which("go") !== null;
}

/** Builds a Go program from the module proxy (one to five minutes on one core, once). */
async function goBinary(name: string, module: string, version: string): Promise<string> {
  const binary = join(cacheFolder(), "bin", name);
  await ensure({
    name: `${name} ${version}`,
    version: `${name} ${version}`,
    marker: `${binary}.done`,
    verify: () => run([binary, "--help"]),
    install: () =>
      run(["go", "install", `${module}@${version}`], {
        env: { GOBIN: dirname(binary), GOMAXPROCS: "1" },
      }),
  });
  return binary;
}

function brokerPom(): string {
  return pom("broker", [
    `org.apache.kafka:kafka_2.13:${KAFKA_VERSION}`,
    `org.apache.kafka:kafka-tools:${KAFKA_VERSION}`,
    `org.apache.logging.log4j:log4j-slf4j-impl:${LOG4J_VERSION}`,
    `org.apache.logging.log4j:log4j-core:${LOG4J_VERSION}`,
  ]);
}

/** The test fixture's own jar asks for less than it loads: the rest is what was found missing. */
function icebergRestPom(): string {
  return pom("iceberg-rest", [
    `org.apache.iceberg:iceberg-open-api:${ICEBERG_VERSION}:test-fixtures`,
    `org.apache.iceberg:iceberg-core:${ICEBERG_VERSION}`,
    `org.apache.iceberg:iceberg-core:${ICEBERG_VERSION}:tests`,
    `org.apache.iceberg:iceberg-aws-bundle:${ICEBERG_VERSION}`,
    `org.apache.iceberg:iceberg-aws:${ICEBERG_VERSION}`,
    "dev.failsafe:failsafe:3.3.2",
    `org.apache.hadoop:hadoop-client-api:${HADOOP_VERSION}`,
    `org.apache.hadoop:hadoop-client-runtime:${HADOOP_VERSION}`,
    `org.eclipse.jetty.ee10:jetty-ee10-servlet:${JETTY_VERSION}`,
    `org.eclipse.jetty.compression:jetty-compression-server:${JETTY_VERSION}`,
    `org.eclipse.jetty.compression:jetty-compression-gzip:${JETTY_VERSION}`,
    "org.xerial:sqlite-jdbc:3.50.3.0",
    "org.slf4j:slf4j-simple:2.0.17",
    "org.assertj:assertj-core:3.27.3",
    "org.junit.jupiter:junit-jupiter-api:5.12.2",
  ]);
}
