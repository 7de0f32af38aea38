/**
 * Rows of another engine: no record of Kafka, so that they have no coordinates, and may be deleted.
 * What they should be is told by the summaries of the snapshots that added and deleted them.
 *
 * A data file is a list of rows; one of position deletes a list of paths with positions; one of
 * equality deletes a list of rows.
 */
import { type LiveFile, manifestsOf } from "#iceberg/io/scan.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import { createManifestWriter } from "#iceberg/manifest/manifestFile.ts";
import { assignRowIds, writeManifestList } from "#iceberg/manifest/manifestList.ts";
import type { Snapshot, SnapshotId } from "#iceberg/metadata/metadata.ts";
import { compareRows } from "./lawRows.ts";
import { foreignFile } from "./rows.ts";
import type { World } from "./world.ts";

/** A row: partition and number, or {@link FOREIGN} and a number of its own. */
export type SimRow = readonly [partition: number, number: number];

/** Stands where a record's row has its partition. */
export const FOREIGN = -1;

/** Summary members that say which foreign rows a snapshot adds and deletes. */
export const FOREIGN_ADDED = "sim.added";
export const FOREIGN_DELETED = "sim.deleted";

/** Bytes of a file that holds rows. */
export function rowBytes(rows: readonly SimRow[]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(rows));
}

/** Reads a file of the simulation. */
export type ReadFile = (path: string) => Promise<Uint8Array>;

/**
 * The rows of a data file that its deletes leave.
 * @param deletes those that may apply to the file, by the manifests
 */
export async function visibleRows(
  read: ReadFile,
  path: string,
  deletes: readonly LiveFile[],
): Promise<{ readonly row: SimRow; readonly position: number }[]> {
  const parse = async (at: string): Promise<unknown> =>
    JSON.parse(new TextDecoder().decode(await read(at)));
  const rows = (await parse(path)) as SimRow[];
  const positions = new Set<number>();
  const numbers = new Set<number>();
  for (const { file } of deletes) {
    const content = await parse(file.filePath);
    if (file.content === "equality-deletes") {
      for (const [, number] of content as SimRow[]) numbers.add(number);
      continue;
    }
    for (const [of, position] of content as [string, number][]) {
      if (of === path) positions.add(position);
    }
  }
  return rows
    .map((row, position) => ({ row, position }))
    .filter(({ row: [partition, number], position }) => {
      const isDeletedByEquality = partition === FOREIGN && numbers.has(number);
      return !positions.has(position) && !isDeletedByEquality;
    });
}

/** The foreign rows that a snapshot should show: its parent's, with what it added and deleted. */
function foreignTruth(world: World, id: SnapshotId | null): Set<number> {
  const snapshot = world.history.get(id ?? 0n);
  if (snapshot === undefined) return new Set();
  const rows = foreignTruth(world, snapshot.parentSnapshotId);
  const told = (member: string): number[] =>
    (snapshot.summary[member] ?? "").split(",").filter(Boolean).map(Number);
  for (const number of told(FOREIGN_ADDED)) rows.add(number);
  for (const number of told(FOREIGN_DELETED)) rows.delete(number);
  return rows;
}

/** What is wrong with the foreign rows that a snapshot shows, in a word each. */
export function foreignProblems(
  world: World,
  id: SnapshotId,
  seen: readonly { readonly number: number }[],
): string[] {
  const numbers = seen.map(({ number }) => number);
  const wanted = [...foreignTruth(world, id)];
  return compareRows(wanted, wanted, numbers).map((verdict) =>
    verdict === "AHEAD" ? "DELETED ROW SHOWN" : verdict,
  );
}

/** Another engine deletes a foreign row, if there is one. */
export async function foreignDelete(world: World): Promise<void> {
  const head = world.metadata.currentSnapshotId;
  if (head === null) return;
  const places = (await world.law.content(head)).foreignPlaces;
  if (places.length === 0) return;
  const { path, position, number } = world.pick(places);
  const kind = world.pick(["of a file", "of a partition", "by equality"] as const);
  const isByEquality = kind === "by equality";
  const content = isByEquality ? [[FOREIGN, number]] : [[path, position]];
  const location = `/wh/db/t/data/deletes-${world.random.uuid()}.parquet`;
  await world.storage.put(location, new TextEncoder().encode(JSON.stringify(content)));
  const file: DataFile = {
    ...foreignFile(location),
    content: isByEquality ? "equality-deletes" : "position-deletes",
    recordCount: 1n,
    equalityIds: isByEquality ? [1] : null,
    referencedDataFile: kind === "of a file" ? path : null,
  };
  const snapshot = await stageDelete(world, file, { [FOREIGN_DELETED]: String(number) });
  const ref = world.metadata.refs["main"];
  if (ref === undefined) return;
  world.foreign(
    [
      { action: "add-snapshot", snapshot },
      {
        action: "set-snapshot-ref",
        ref: "main",
        value: { ...ref, snapshotId: snapshot.snapshotId },
      },
    ],
    `foreign delete ${kind} of row ${number} as ${snapshot.snapshotId}`,
  );
}

/** A snapshot on the head that adds a delete file. */
async function stageDelete(
  world: World,
  file: DataFile,
  summary: Readonly<Record<string, string>>,
): Promise<Snapshot> {
  const { metadata } = world;
  const parent = metadata.snapshots.find((each) => each.snapshotId === metadata.currentSnapshotId);
  const snapshotId: SnapshotId = world.random.id63();
  const sequenceNumber = metadata.lastSequenceNumber + 1n;
  const spec = { specId: 0, fields: [] };
  const writer = createManifestWriter({ metadata, spec, types: [], content: "deletes" });
  const inherited = { snapshotId: null, sequenceNumber: null, fileSequenceNumber: null };
  await writer.add({ status: "added", ...inherited, file });
  const { bytes, minSequenceNumber, ...counts } = await writer.finish();
  const names = `/wh/db/t/metadata/${world.random.uuid()}`;
  const listed = {
    ...counts,
    manifestPath: `${names}-m0.avro`,
    manifestLength: BigInt(bytes.length),
    sequenceNumber,
    minSequenceNumber: minSequenceNumber ?? sequenceNumber,
    addedSnapshotId: snapshotId,
    firstRowId: null,
  };
  const storage = { ...world.storage };
  const all = [listed, ...(parent === undefined ? [] : await manifestsOf(storage, parent))];
  const firstRowId = metadata.formatVersion === 3 ? (metadata.nextRowId ?? 0n) : null;
  const assigned = assignRowIds(all, firstRowId ?? 0n);
  const list = await writeManifestList({
    ...{ formatVersion: metadata.formatVersion, snapshotId, sequenceNumber, firstRowId },
    parentSnapshotId: metadata.currentSnapshotId,
    manifests: firstRowId === null ? all : assigned.manifests,
  });
  await world.storage.put(listed.manifestPath, bytes);
  await world.storage.put(`${names}-list.avro`, list);
  const last = Math.max(...metadata.snapshots.map((each) => each.timestampMs), world.nowMs);
  return {
    ...{ snapshotId, sequenceNumber, firstRowId, timestampMs: last + 1 },
    parentSnapshotId: metadata.currentSnapshotId,
    manifestList: `${names}-list.avro`,
    summary: { operation: "delete", ...summary },
    schemaId: metadata.currentSchemaId,
    addedRows: firstRowId === null ? null : assigned.nextRowId - firstRowId,
  };
}
