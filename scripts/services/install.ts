/**
 * Installing once what is kept outside the clone: Maven artifacts, Python environments.
 *
 * Folder: `$KAFKA_ICEBERG_CACHE`, else `~/.cache/kafka-iceberg`. An item is complete when its
 * `.done` marker holds the item's version line; anything else is verified, or installed again.
 * A SQLite lock, which the kernel drops when its holder dies, keeps two processes apart.
 */
import { Database } from "bun:sqlite";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { run } from "./process.ts";

/** Something to install. */
export interface Item {
  /** Shown in progress lines. */
  readonly name: string;
  /** What is installed; a marker with another text means install again. */
  readonly version: string;
  readonly marker: string;
  /** Throws when what is there does not work. */
  readonly verify: () => Promise<unknown>;
  readonly install: () => Promise<unknown>;
}

/** The cache folder. */
export function cacheFolder(): string {
  const { KAFKA_ICEBERG_CACHE } = process.env;
  return KAFKA_ICEBERG_CACHE ?? join(homedir(), ".cache", "kafka-iceberg");
}

/** One Maven artifact, without what it depends on, as a file. */
export function mavenJar(name: string, coordinates: string, jar: string): Item {
  return {
    name,
    version: coordinates,
    marker: `${jar}.done`,
    verify: () => run(["python3", "-m", "zipfile", "-t", jar]),
    install: async () => {
      mkdirSync(dirname(jar), { recursive: true });
      const part = `${jar}.folder`;
      await mavenCopy(coordinates, part);
      const [file] = [...new Bun.Glob("*.jar").scanSync(part)];
      if (file === undefined) throw new Error(`Maven copied no jar for ${coordinates}`);
      await Bun.write(jar, Bun.file(join(part, file)));
      rmSync(part, { recursive: true });
    },
  };
}

/** Copies one artifact, without what it depends on, into a folder. */
export async function mavenCopy(coordinates: string, folder: string): Promise<void> {
  await run([
    "mvn",
    "-q",
    "-B",
    "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy",
    `-Dartifact=${coordinates}`,
    `-DoutputDirectory=${folder}`,
  ]);
}

/** A Python environment with these packages. */
export async function createVenv(folder: string, packages: readonly string[]): Promise<void> {
  await run(["python3", "-m", "venv", "--clear", folder]);
  await run([join(folder, "bin", "python"), "-m", "pip", "install", "-q", ...packages]);
}

/** Installs an item unless it is there. */
export async function ensure(item: Item): Promise<void> {
  if (isDone(item)) return;
  const lock = await locked(item.marker);
  try {
    if (isDone(item)) return;
    const there = await works(item);
    if (!there) {
      const began = performance.now();
      console.error(`installing ${item.name} into ${cacheFolder()} (once) ...`);
      await item.install();
      await item.verify();
      console.error(
        `installed ${item.name} in ${Math.round((performance.now() - began) / 1000)} s`,
      );
    }
    writeFileSync(item.marker, item.version);
  } finally {
    lock.close();
  }
}

function isDone({ marker, version }: Item): boolean {
  return existsSync(marker) && readFileSync(marker, "utf8") === version;
}

/** Whether an unmarked item is usable; a marked one of another version never is. */
async function works(item: Item): Promise<boolean> {
  if (existsSync(item.marker)) return false;
  try {
    await item.verify();
    return true;
  } catch {
    return false;
  }
}

async function locked(marker: string): Promise<{ close(): void }> {
  const folder = join(cacheFolder(), "locks");
  mkdirSync(folder, { recursive: true });
  const name = marker.slice(cacheFolder().length + 1).replaceAll("/", "-");
  const lock = new Database(join(folder, `${name}.sqlite`), { create: true });
  for (;;) {
    try {
      lock.run("BEGIN EXCLUSIVE");
      return lock;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "SQLITE_BUSY")) throw error;
    }
    await Bun.sleep(250);
  }
}

/** A Maven project that depends on `group:artifact:version[:classifier]`; what they ask for, except of the AWS module, whose bundle is there. */
export function pom(name: string, coordinates: readonly string[]): string {
  const dependencies = coordinates.map((each) => {
    const [group, artifact, version, classifier] = each.split(":");
    const isBundled = artifact === "iceberg-aws";
    return [
      `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId>`,
      `<version>${version}</version>`,
      classifier === undefined ? "" : `<classifier>${classifier}</classifier>`,
      isBundled ? ALL_EXCLUDED : "",
      "</dependency>",
    ].join("");
  });
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>kafka-iceberg</groupId><artifactId>${name}</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    ${dependencies.join("\n    ")}
  </dependencies>
</project>
`;
}

const ALL_EXCLUDED =
  "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>";
