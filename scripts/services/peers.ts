/**
 * Downloads of the programs that the benchmark compares with, once, into the cache folder: Kafka
 * Connect and its Iceberg sink, Flink with its Iceberg sink (Maven), kcat (Debian).
 *
 * PyIceberg, DuckDB and librdkafka for Python are the readers' (cache.ts).
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "./install.ts";
import { run } from "./process.ts";

/** What is compared with. Flink 2.1 is the newest that a released Iceberg runtime goes with. */
export const PEER_VERSIONS = {
  connect: "4.3.1",
  connectIceberg: "1.12.0",
  flink: "2.1.1",
  flinkKafka: "4.0.1-2.0",
  flinkIceberg: "1.11.0",
  hadoop: "3.4.2",
  sqliteJdbc: "3.54.1.0",
  log4j: "2.25.4",
  apicurioConverter: "2.6.13.Final",
} as const;

const { connect, connectIceberg, flink, flinkKafka, flinkIceberg, hadoop, sqliteJdbc, log4j } =
  PEER_VERSIONS;
const { apicurioConverter } = PEER_VERSIONS;

const LOGGING = [
  `org.apache.logging.log4j:log4j-slf4j-impl:${log4j}`,
  `org.apache.logging.log4j:log4j-core:${log4j}`,
];

/** A JDBC catalog on SQLite and local files, as both Java peers use them. */
const LOCAL_CATALOG = [
  `org.apache.hadoop:hadoop-client-api:${hadoop}`,
  `org.apache.hadoop:hadoop-client-runtime:${hadoop}`,
  `org.xerial:sqlite-jdbc:${sqliteJdbc}`,
];

/** What a Connect worker with the Iceberg sink needs. */
export interface ConnectJars {
  readonly classPath: string;
  readonly pluginPath: string;
}

/** Installs Kafka Connect (60 MB); returns the Java class path of a worker. */
export async function connectClassPath(): Promise<string> {
  const worker = await mavenFolder("connect-worker", [
    `org.apache.kafka:connect-runtime:${connect}`,
    `org.apache.kafka:connect-json:${connect}`,
    `org.apache.kafka:connect-transforms:${connect}`,
    ...LOGGING,
  ]);
  return `${worker}/*`;
}

/** Installs Kafka Connect and the Iceberg sink (160 MB). */
export async function connectJars(): Promise<ConnectJars> {
  const classPath = await connectClassPath();
  const plugins = join(cacheFolder(), "connect-plugins");
  // The worker owns slf4j; a second copy beside the plugin is kept out.
  const keepOut = ["slf4j-api"];
  await mavenFolder(
    "connect-plugins/iceberg",
    [
      `org.apache.iceberg:iceberg-kafka-connect:${connectIceberg}`,
      `org.apache.iceberg:iceberg-parquet:${connectIceberg}`,
      ...LOCAL_CATALOG,
    ],
    keepOut,
  );
  return { classPath, pluginPath: plugins };
}

/** Adds Apicurio's Avro converter to Kafka Connect, beside the sink. */
export async function connectAvroJars(): Promise<ConnectJars> {
  const worker = await connectJars();
  const artifact = `io.apicurio:apicurio-registry-utils-converter:${apicurioConverter}`;
  const keepOut = ["slf4j-api", "connect-api", "connect-json", "kafka-clients"];
  await mavenFolder("connect-plugins/apicurio", [artifact], keepOut);
  return worker;
}

/** Installs Flink with its Kafka source and the Iceberg sink (250 MB); returns the class path. */
export async function flinkClassPath(): Promise<string> {
  const modules = [
    "flink-clients",
    "flink-streaming-java",
    "flink-table-api-java-bridge",
    "flink-table-planner-loader",
    "flink-table-runtime",
    "flink-connector-base",
    "flink-json",
  ];
  const jars = await mavenFolder("flink", [
    ...modules.map((module) => `org.apache.flink:${module}:${flink}`),
    `org.apache.flink:flink-sql-connector-kafka:${flinkKafka}`,
    `org.apache.iceberg:iceberg-flink-runtime-2.1:${flinkIceberg}`,
    ...LOCAL_CATALOG,
    ...LOGGING,
  ]);
  return `${jars}/*`;
}

/** How kcat is run. */
export interface Kcat {
  readonly binary: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Takes the kcat that is installed, else unpacks Debian's packages into the cache. */
export async function kcat(): Promise<Kcat> {
  const installed = Bun.which("kcat") ?? Bun.which("kafkacat");
  if (installed !== null) return { binary: installed, env: {} };
  const folder = await debianFolder("kcat", ["kcat", "librdkafka1", "libyajl2"]);
  const binary = join(folder, "usr", "bin", "kcat");
  const [library] = [...new Bun.Glob("usr/lib/**/librdkafka.so.1").scanSync(folder)];
  return { binary, env: { LD_LIBRARY_PATH: join(folder, library ?? "", "..") } };
}

/** Debian's packages, unpacked into the cache; the folder is their root. */
export async function debianFolder(name: string, packages: readonly string[]): Promise<string> {
  const folder = join(cacheFolder(), name);
  await once(folder, packages.join(" "), async () => {
    await run(["apt-get", "download", ...packages], { cwd: folder });
    for (const file of new Bun.Glob("*.deb").scanSync(folder)) {
      await run(["dpkg-deb", "-x", join(folder, file), folder]);
    }
  });
  return folder;
}

/** Copies artifacts and what they need at run time into one folder of the cache. */
async function mavenFolder(
  name: string,
  artifacts: readonly string[],
  keepOut: readonly string[] = [],
): Promise<string> {
  const folder = join(cacheFolder(), name);
  await once(folder, artifacts.join(" "), async () => {
    const pom = join(folder, "pom.xml");
    writeFileSync(pom, pomOf(artifacts));
    await run([
      "mvn",
      "-q",
      "-B",
      "-f",
      pom,
      "dependency:copy-dependencies",
      `-DoutputDirectory=${folder}`,
      "-DincludeScope=runtime",
      `-DexcludeArtifactIds=${keepOut.join(",")}`,
    ]);
  });
  return folder;
}

/** Fills a folder unless its marker says that this version is there. */
async function once(folder: string, version: string, fill: () => Promise<void>): Promise<void> {
  const marker = join(folder, ".done");
  if (existsSync(marker) && readFileSync(marker, "utf8") === version) return;
  console.error(`installing ${folder} (once) ...`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await fill();
  writeFileSync(marker, version);
}

function pomOf(artifacts: readonly string[]): string {
  const dependencies = artifacts.map((artifact) => {
    const [group, name, version] = artifact.split(":");
    return `    <dependency><groupId>${group}</groupId><artifactId>${name}</artifactId><version>${version}</version></dependency>`;
  });
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>kafka-iceberg</groupId><artifactId>peer</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>
${dependencies.join("\n")}
  </dependencies>
</project>
`;
}
