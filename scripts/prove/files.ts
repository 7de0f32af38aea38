/**
 * Which files of a table's folder no retained snapshot names, and which named ones are missing: what
 * writers left behind, and what they must not have removed.
 */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { systemDisk } from "#base/disk.ts";
import { systemRandom } from "#base/random.ts";
import { listDataFiles, manifestsOf } from "#iceberg/io/scan.ts";
import { readTableMetadata } from "#iceberg/metadata/tableMetadataJson.ts";
import { createLocalStorage } from "#storage/local.ts";

/** What was found in a file catalog's table folder. */
export interface FileReport {
  /** Data, manifest and list files that no retained snapshot names, and unfinished data files. */
  readonly unnamed: string[];
  /**
   * Unfinished manifests and metadata files: a kill between the creation of a temporary file and its
   * link leaves one, under a name that no log knows. No reader sees them; orphan cleaning's work.
   */
  readonly temporary: string[];
  /** Files that a retained snapshot names and that are not there. */
  readonly missing: string[];
  readonly named: number;
}

const UNFINISHED_METADATA = /\.(?:avro|json|text)\.[0-9a-f-]{36}\.tmp$/;

/** Compares a local table folder with all retained snapshots. */
export async function reportFiles(folder: string): Promise<FileReport> {
  const storage = createLocalStorage({
    disk: systemDisk,
    random: systemRandom,
  });
  const named = new Set<string>();
  const metadata = readTableMetadata(await Bun.file(newestMetadata(folder)).text());
  for (const snapshot of metadata.snapshots) {
    named.add(snapshot.manifestList);
    if (!existsSync(snapshot.manifestList)) continue;
    for (const manifest of await manifestsOf(storage, snapshot)) named.add(manifest.manifestPath);
    for await (const { file } of listDataFiles(storage, metadata, snapshot.snapshotId)) {
      named.add(file.filePath);
    }
  }
  const glob = new Bun.Glob("**/*.{parquet,avro,tmp}");
  const present = [...glob.scanSync({ cwd: folder, dot: true })]
    .map((path) => join(folder, path))
    .filter((path) => statSync(path).isFile());
  const left = present.filter((path) => !named.has(path));
  const isTemporary = (path: string): boolean => UNFINISHED_METADATA.test(path);
  return {
    unnamed: left.filter((path) => !isTemporary(path)),
    temporary: left.filter(isTemporary),
    missing: [...named].filter((path) => !existsSync(path)),
    named: named.size,
  };
}

function newestMetadata(folder: string): string {
  const versions = [...new Bun.Glob("v*.metadata.json").scanSync(join(folder, "metadata"))].map(
    (name) => Number(/^v(\d+)/.exec(name)?.[1] ?? 0),
  );
  return join(folder, "metadata", `v${Math.max(...versions)}.metadata.json`);
}
