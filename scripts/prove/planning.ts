/**
 * How long PyIceberg plans a scan of a table that grew by many commits, beside a table that lists the same files
 * and was written in one commit.
 */
import { join } from "node:path";
import { systemRandom } from "#base/random.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { encodeMetadataFile } from "#iceberg/io/metadataFile.ts";
import { listDataFiles, manifestsOf } from "#iceberg/io/scan.ts";
import { stageAppend } from "#iceberg/io/stageAppend.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import { newTableMetadata } from "#iceberg/metadata/newTable.ts";
import { applyUpdates } from "#iceberg/metadata/updates.ts";
import { readersPython } from "../services/cache.ts";
import { run, temporaryFolder } from "../services/process.ts";

/** What planning took. */
export interface PlanningReport {
  readonly files: number;
  readonly manifests: number;
  readonly manifestListBytes: number;
  /** Best of seven, or of as many as a minute holds, ms. */
  readonly grownMs: number;
  readonly freshMs: number;
  /** Grown over fresh: to be at most 1.5. */
  readonly ratio: number;
}

/** Compares a table's head with a fresh table of the same files. */
export async function planningOf(grown: LoadedTable): Promise<PlanningReport> {
  const { metadata, storage } = grown;
  const head = metadata.snapshots.find(
    ({ snapshotId }) => snapshotId === metadata.currentSnapshotId,
  );
  if (head === undefined) throw new Error("the table has a snapshot");
  const files: DataFile[] = [];
  for await (const { file } of listDataFiles(storage, metadata, head.snapshotId)) files.push(file);
  const fresh = await freshTable(grown, files);
  const stdin = JSON.stringify([grown.metadataLocation, fresh]);
  const answer = await run([await readersPython(), join(import.meta.dir, "plan_files.py")], {
    stdin,
  });
  const [old, young] = JSON.parse(answer) as { files: number; ms: number }[];
  if (old === undefined || young === undefined || old.files !== young.files) {
    throw new Error("both plans have the same files");
  }
  return {
    files: old.files,
    manifests: (await manifestsOf(storage, head)).length,
    manifestListBytes: (await storage.get(head.manifestList)).length,
    grownMs: old.ms,
    freshMs: young.ms,
    ratio: Math.round((100 * old.ms) / young.ms) / 100,
  };
}

/** Writes a table of these files; where its metadata is. */
async function freshTable(
  { metadata, storage }: LoadedTable,
  files: readonly DataFile[],
): Promise<string> {
  const location = await temporaryFolder("fresh-table");
  const schema = metadata.schemas.find(({ schemaId }) => schemaId === metadata.currentSchemaId);
  const [spec] = metadata.partitionSpecs;
  if (schema === undefined || spec === undefined) throw new Error("the table has columns");
  const empty = newTableMetadata({
    ...{ uuid: systemRandom.uuid(), location, fields: schema.fields, spec: () => spec },
    ...{ formatVersion: metadata.formatVersion, properties: {}, timestampMs: 1 },
  });
  const staged = await stageAppend({
    ...{ storage, metadata: empty, branch: "main", summary: {}, files },
    ...{ snapshotId: systemRandom.id63(), timestampMs: 2, nameSuffix: systemRandom.uuid() },
  });
  const path = join(location, "metadata", "v1.metadata.json");
  const full = applyUpdates(empty, staged.updates, { timestampMs: 2 });
  await storage.put(path, encodeMetadataFile(full));
  return path;
}
