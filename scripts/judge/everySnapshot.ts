/**
 * What holds of a table and the tables beside it together, judged in every snapshot of the table and not at
 * its head only: below its offsets each record is in exactly one of them, and past them in none of its own
 * rows (SPEC 2.8). A table beside it is looked at as it was when that snapshot was made: it is committed first.
 *
 * For tables of a file catalog on this machine, on one topic whose offsets are dense.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { systemDisk } from "#base/disk.ts";
import { systemRandom } from "#base/random.ts";
import { findColumn } from "#columns/paths.ts";
import { readProgress } from "#commit/progress.ts";
import { loadMetadataFile } from "#iceberg/io/metadataFile.ts";
import { listDataFiles } from "#iceberg/io/scan.ts";
import type { SnapshotId, TableMetadata } from "#iceberg/metadata/metadata.ts";
import { createLocalStorage } from "#storage/local.ts";
import { readCoordinates } from "#writer/coordinates.ts";

/** A table, with its columns of Kafka's coordinates. */
export interface JudgedTable {
  /** Its folder. */
  readonly folder: string;
  readonly partition: string;
  readonly offset: string;
}

/** What was found. */
export interface UnionReport {
  /** Snapshots of the table that were judged. */
  readonly snapshots: number;
  /** `snapshot partition/offset is in N tables`; empty when the law holds. */
  readonly problems: readonly string[];
}

const storage = createLocalStorage({ disk: systemDisk, random: systemRandom });

/**
 * Judges each snapshot of a table.
 * @param isFor whether a record of the topic, `partition/offset`, is this table's; default: all are
 */
export async function judgeUnion(
  table: JudgedTable,
  beside: readonly JudgedTable[],
  isFor: (place: string) => boolean = () => true,
): Promise<UnionReport> {
  const main = await newestMetadata(table);
  const sides = await Promise.all(
    beside.map(async (side) => ({ side, metadata: await newestMetadata(side) })),
  );
  const problems: string[] = [];
  for (const { snapshotId, timestampMs } of main?.snapshots ?? []) {
    if (main === null) break;
    const own = await placesIn(table, main, snapshotId);
    const all = [...own];
    for (const { side, metadata } of sides) {
      const then = metadata?.snapshots.findLast((each) => each.timestampMs <= timestampMs);
      if (metadata !== null && then !== undefined) {
        all.push(...(await placesIn(side, metadata, then.snapshotId)));
      }
    }
    const ends = endsAt(main, snapshotId);
    const found = problemsOf(own, all, ends, isFor);
    problems.push(...found.map((problem) => `${snapshotId} ${problem}`));
  }
  return { snapshots: main?.snapshots.length ?? 0, problems };
}

function problemsOf(
  own: readonly string[],
  all: readonly string[],
  ends: ReadonlyMap<number, bigint>,
  isFor: (place: string) => boolean,
): string[] {
  const times = new Map<string, number>();
  for (const place of all) times.set(place, (times.get(place) ?? 0) + 1);
  const problems: string[] = [];
  for (const [partition, end] of ends) {
    for (let offset = 0n; offset < end; offset++) {
      const place = `${partition}/${offset}`;
      const count = times.get(place) ?? 0;
      if (isFor(place) && count !== 1) problems.push(`${place} is in ${count} tables`);
    }
  }
  for (const place of own) {
    const [partition = "", offset = ""] = place.split("/");
    const isPassed = BigInt(offset) < (ends.get(Number(partition)) ?? 0n);
    if (!isPassed) problems.push(`${place} is a row past the offset`);
  }
  return problems;
}

/** Committed offsets by partition, as one snapshot has them. */
function endsAt(metadata: TableMetadata, snapshotId: SnapshotId): Map<number, bigint> {
  const then = { ...metadata, currentSnapshotId: snapshotId, refs: {} };
  const progress = readProgress(then, "main");
  if (progress.kind === "unreadable") throw new TypeError(progress.reason);
  const ends = new Map<number, bigint>();
  for (const source of progress.document.sources.values()) {
    for (const [partition, offset] of source.offsets) ends.set(partition, offset);
  }
  return ends;
}

/** Partition and offset of each row of a snapshot. */
async function placesIn(
  { partition, offset }: JudgedTable,
  metadata: TableMetadata,
  snapshotId: SnapshotId,
): Promise<string[]> {
  const schema = metadata.schemas.find(({ schemaId }) => schemaId === metadata.currentSchemaId);
  const idOf = (name: string): number => findColumn(schema?.fields ?? [], name)?.id ?? -1;
  const fields = { topic: null, partition: idOf(partition), offset: idOf(offset) };
  const places: string[] = [];
  for await (const { file } of listDataFiles(storage, metadata, snapshotId)) {
    for await (const { partitions, offsets } of readCoordinates(storage, file, fields)) {
      for (let row = 0; row < offsets.length; row++)
        places.push(`${partitions[row]}/${offsets[row]}`);
    }
  }
  return places;
}

/** Null: there is no such table. */
async function newestMetadata({ folder }: JudgedTable): Promise<TableMetadata | null> {
  const place = join(folder, "metadata");
  const names = await readdir(place).catch(() => []);
  if (names.length === 0) return null;
  const version = (await readFile(join(place, "version-hint.text"), "utf8")).trim();
  const name = names.find((each) => each.startsWith(`v${version}.`)) ?? "";
  return (await loadMetadataFile(storage, join(place, name))).metadata;
}
