/**
 * Which files of a table's folder no retained snapshot names, and which named ones are missing: what
 * writers left behind, and what they must not have removed.
 */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { systemDisk } from "#base/disk.ts";
import { systemRandom } from "#base/random.ts";
import { listDataFiles, manifestsOf } from "#iceberg/scan.ts";
import { readTableMetadata } from "#iceberg/tableMetadataJson.ts";
import { createLocalStorage } from "#storage/local.ts";

/** What was found in a file catalog's table folder. */
export interface FileReport {
  /** Data, manifest, list and temporary files that no retained snapshot names. */
  readonly unnamed: string[];
  /** Files that a retained snapshot names and that are not there. */
  readonly missing: string[];
  readonly named: number;
}

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
  return {
    unnamed: present.filter((path) => !named.has(path)),
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
