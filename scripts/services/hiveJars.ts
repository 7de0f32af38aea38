/**
 * The Hive Metastore's jars and the SQL of its schema, from Maven, and the Java program of ours that describes its
 * Thrift interface.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder, ensure, mavenCopy } from "./install.ts";
import { run } from "./process.ts";

/** Versions that are tried. */
export type HiveVersion = "4.0.0" | "4.0.1";

/** Where a version lies. */
export interface HiveJars {
  readonly classPath: string;
  /** `METASTORE_HOME` of schematool. */
  readonly home: string;
}

const HADOOP_VERSION = "3.3.6";
const POSTGRES_DRIVER = "42.7.4";

/** Installs a version (150 MB). */
export async function hiveJars(version: HiveVersion): Promise<HiveJars> {
  const folder = join(cacheFolder(), `hive-${version}`);
  const libs = join(folder, "libs");
  const home = join(folder, "home");
  await ensure({
    name: `Hive Metastore ${version}`,
    version: `hive ${version} hadoop ${HADOOP_VERSION} postgresql ${POSTGRES_DRIVER}`,
    marker: join(folder, ".done"),
    verify: () =>
      run(["javap", "-cp", `${libs}/*`, "org.apache.hadoop.hive.metastore.HiveMetaStore"]),
    install: async () => {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(home, { recursive: true });
      writeFileSync(join(folder, "pom.xml"), pom(version));
      const copy = ["dependency:copy-dependencies", `-DoutputDirectory=${libs}`];
      await run(["mvn", "-q", "-B", ...copy, "-DincludeScope=runtime"], { cwd: folder });
      // Two bindings of one logger: the first wins, and this one has no configuration.
      for (const jar of new Bun.Glob("*reload4j*.jar").scanSync(libs)) rmSync(join(libs, jar));
      await copyScripts(version, folder, home);
    },
  });
  return { classPath: `${libs}/*`, home };
}

/** The SQL of the metastore's schema stands in the binary distribution alone. */
async function copyScripts(version: HiveVersion, folder: string, home: string): Promise<void> {
  const part = join(folder, "distribution");
  await mavenCopy(`org.apache.hive:hive-standalone-metastore-server:${version}:tar.gz:bin`, part);
  const [archive] = [...new Bun.Glob("*.tar.gz").scanSync(part)];
  if (archive === undefined) throw new Error("Maven copied no distribution of Hive");
  const only = ["--strip-components=1", "--wildcards", "*/scripts/*"];
  await run(["tar", "xzf", join(part, archive), "-C", home, ...only]);
  rmSync(part, { recursive: true });
}

/** What Thrift's classes say of the named calls: the lines of `Describe.java`. */
export async function describeMetastore(
  version: HiveVersion,
  calls: readonly string[],
): Promise<string> {
  const { classPath } = await hiveJars(version);
  const classes = join(cacheFolder(), `hive-${version}`, "classes");
  const source = join(import.meta.dir, "..", "thrift", "Describe.java");
  await run(["javac", "-cp", classPath, "-d", classes, source]);
  return run(["java", "-cp", `${classes}:${classPath}`, "Describe", ...calls]);
}

function pom(version: HiveVersion): string {
  const all = "<exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion>";
  const without = (group: string): string =>
    `<exclusion><groupId>${group}</groupId><artifactId>*</artifactId></exclusion>`;
  const dependency = (group: string, artifact: string, own: string, excluded: string): string =>
    `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${own}</version>` +
    `<exclusions>${excluded}</exclusions></dependency>`;
  const withoutBoth = without("org.apache.hadoop") + without("org.apache.atlas");
  const hive = "org.apache.hive";
  const hadoop = "org.apache.hadoop";
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>kafka-iceberg</groupId><artifactId>hive</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    ${dependency(hive, "hive-standalone-metastore-server", version, withoutBoth)}
    ${dependency(hadoop, "hadoop-client", HADOOP_VERSION, "")}
    ${dependency(hadoop, "hadoop-hdfs", HADOOP_VERSION, all)}
    ${dependency("org.postgresql", "postgresql", POSTGRES_DRIVER, "")}
  </dependencies>
</project>
`;
}
