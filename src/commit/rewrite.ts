/**
 * Data files replaced by others with the same rows: a compaction (CHANGE_RULES 10h). It moves no
 * offset and shows no row that was hidden; what it read may have changed meanwhile, so on every head
 * each group of files must stand, or is left out for good:
 *
 * 1. every input is live, once, in a table of the format that was read;
 * 2. what was hidden in it is hidden still (`deletedSince.ts`);
 * 3. rows that were deleted by position meanwhile are deleted in the output, in the same commit. The outputs carry the
 *    sequence number of the snapshot that was read, so that further deletes by equality go on hiding
 *    their rows in them; deletes are never that old, or they would hide nothing;
 * 4. the inputs leave the table, and every delete file that applies to no other data file.
 *
 * Offsets are those of the head, as in every snapshot.
 */
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import type { DataPlace, DeleteIndex } from "#iceberg/deletes/deleteIndex.ts";
import { liveDataOf } from "#iceberg/io/headFiles.ts";
import { liveDataFiles, liveDeletes, withoutMetrics } from "#iceberg/io/liveFiles.ts";
import { fileKey } from "#iceberg/io/removeFiles.ts";
import type { LiveFile } from "#iceberg/io/scan.ts";
import type { DataFile, ManifestFile } from "#iceberg/manifest/manifest.ts";
import type { ListedFile } from "#iceberg/manifest/manifestFile.ts";
import type { LocatedRows } from "#keyindex/port.ts";
import type { Attempt, Drop, Landing, SnapshotChange, StagedSnapshot } from "./change.ts";
import { DeletedSince, isByEquality, type RewriteInput } from "./deletedSince.ts";
import { logComplete, logLanded } from "./logCommit.ts";
import { listedManifests } from "./manifests.ts";
import type { CommitParts } from "./parts.ts";
import type { Progress } from "./progress.ts";
import { type WritePositionDeletes, writeDeletes } from "./rowDeletes.ts";
import { unreadable } from "./shares.ts";
import { stageSnapshot } from "./snapshot.ts";

/** Files that are replaced together. */
export interface RewriteGroup {
  readonly inputs: readonly RewriteInput[];
  /** Durable, and in the ledger; null: every row of the inputs is deleted. */
  readonly output: DataFile | null;
  /** It lacks rows of the inputs that are live, such as those that a newer one overtakes. Default: false. */
  readonly isThinned?: boolean;
}

/** A group on a head. */
interface StandingGroup {
  readonly group: RewriteGroup;
  /** Rows of the output that are deleted by now, ascending. */
  readonly deleted: Uint32Array;
}

/** Pairs of a data file and a delete file that are looked at before others run: some milliseconds. */
const TURN_PAIRS = 4096;

/** One rewrite, over all its heads and attempts. */
export class Rewrite implements SnapshotChange {
  readonly makes = "snapshot";
  readonly kind = "rewrite";
  readonly isHeldByPause = true;
  readonly #parts: CommitParts;
  readonly #sequenceNumber: bigint;
  readonly #formatVersion: number;
  readonly #writePositionDeletes: WritePositionDeletes;
  #groups: readonly RewriteGroup[] = [];

  /**
   * @param sequenceNumber of the snapshot that the inputs are read in
   * @param formatVersion of the table then
   */
  constructor(
    parts: CommitParts,
    { sequenceNumber, formatVersion }: { sequenceNumber: bigint; formatVersion: number },
    writePositionDeletes: WritePositionDeletes,
  ) {
    this.#parts = parts;
    this.#sequenceNumber = sequenceNumber;
    this.#formatVersion = formatVersion;
    this.#writePositionDeletes = writePositionDeletes;
  }

  /** Takes a group that has been written, before the commit begins. */
  add(group: RewriteGroup): void {
    this.#groups = [...this.#groups, group];
  }

  /** The groups that stand; after the landing, those that are in the table. */
  get groups(): readonly RewriteGroup[] {
    return this.#groups;
  }

  fence(head: LoadedTable, progress: Progress): Drop | null {
    if (progress.kind === "unreadable") throw unreadable(head, progress.reason);
    return null;
  }

  async stage(attempt: Attempt): Promise<StagedSnapshot | Drop> {
    const { head, progress, options } = attempt;
    if (progress.kind === "unreadable") throw unreadable(head, progress.reason);
    const manifests = await listedManifests(head, options.branch);
    const { removed, standing } = await this.#judge(attempt, manifests);
    this.#groups = standing.map(({ group }) => group);
    if (standing.length === 0) return { kind: "dropped", reason: CHANGED, by: progress.group };
    const outputs = this.#groups.flatMap(({ output }) => output ?? []);
    const located = standing.flatMap((each) => this.#located(each));
    const { added } = await writeDeletes(attempt, located, this.#writePositionDeletes);
    const files = [...outputs, ...added];
    return stageSnapshot(attempt, files, progress.document, progress.document, {
      removed,
      dataSequenceNumber: this.#sequenceNumber,
      changesRows: this.#groups.some(({ isThinned = false }) => isThinned),
    });
  }

  async landed(landing: Landing): Promise<void> {
    const paths = this.#groups.flatMap(({ output }) => output?.filePath ?? []);
    await logLanded(this.#parts, landing, paths, []);
    const { table, commitId, snapshotId } = landing;
    await logComplete(this.#parts, fullName(table.name), commitId, snapshotId, []);
  }

  /**
   * True where outputs may stand at all. Where a catalog takes numbers back, they would be newer than their own
   * snapshot; files of format v2 have no columns for the ids that rows have in a table that is v3 by now.
   */
  #isAlike({ lastSequenceNumber, formatVersion }: LoadedTable["metadata"]): boolean {
    return lastSequenceNumber >= this.#sequenceNumber && formatVersion === this.#formatVersion;
  }

  /** Rows of an output that are to be deleted: nothing hides any of them yet. */
  #located({ group: { output }, deleted }: StandingGroup): LocatedRows[] {
    if (output === null || deleted.length === 0) return [];
    const file = liveDataOf(output, this.#sequenceNumber);
    return [{ file, deletes: { vector: null, positions: [], equality: [] }, rows: deleted }];
  }

  /** Which groups stand on a head, what is deleted of them, and which of its files go with them. */
  async #judge(
    { head: { storage, metadata } }: Attempt,
    manifests: readonly ManifestFile[],
  ): Promise<{ readonly removed: readonly DataFile[]; readonly standing: StandingGroup[] }> {
    const { clock } = this.#parts;
    const deletes = await liveDeletes(storage, metadata, manifests);
    const inputs = this.#groups.flatMap((group) => group.inputs);
    const found = new Map<string, ListedFile[]>(inputs.map(({ path }) => [path, []]));
    const used = new Set<string>();
    let pairs = 0;
    for await (const file of liveDataFiles(storage, metadata, manifests)) {
      const places = found.get(file.path);
      if (places === undefined) pairs += use(used, deletes.index.of(file));
      else places.push(file);
      if (++pairs < TURN_PAIRS) continue;
      pairs = 0;
      await clock.turn();
    }
    const since = new DeletedSince(storage, deletes.index, this.#sequenceNumber, clock);
    const isAlike = this.#isAlike(metadata);
    const standing: StandingGroup[] = [];
    for (const group of this.#groups) {
      const deleted = isAlike ? await deletedOf(group, found, since) : null;
      if (deleted === null) {
        for (const { path } of group.inputs) useAll(used, deletes.index, found.get(path));
        continue;
      }
      standing.push({ group, deleted });
      if (group.output === null) continue;
      const place = placeOf(group.output, this.#sequenceNumber);
      use(used, deletes.index.of(place).filter(isByEquality));
    }
    const going = standing.flatMap(({ group }) =>
      group.inputs.flatMap(({ path }) => found.get(path) ?? []),
    );
    const removed = going.map(withoutMetrics);
    return { standing, removed: [...removed, ...dangling(deletes.all, used)] };
  }
}

/** Rows of a group's output that are deleted by now, ascending; null: the group does not stand. */
async function deletedOf(
  { inputs }: RewriteGroup,
  found: ReadonlyMap<string, readonly ListedFile[]>,
  since: DeletedSince,
): Promise<Uint32Array | null> {
  const parts: Uint32Array[] = [];
  for (const input of inputs) {
    const [place, ...more] = found.get(input.path) ?? [];
    if (place === undefined || more.length > 0) return null;
    const rows = await since.rowsOf(input, place);
    if (rows === null) return null;
    parts.push(rows);
  }
  const deleted = new Uint32Array(parts.reduce((sum, rows) => sum + rows.length, 0));
  let at = 0;
  for (const rows of parts) {
    deleted.set(rows, at);
    at += rows.length;
  }
  return deleted.sort();
}

/** Why a rewrite ends without a snapshot. */
const CHANGED = "the files that it read were replaced, or rows of them came back, meanwhile";

/** A new file as a place. No delete by position can name it: they all came before. */
function placeOf(
  { filePath: path, specId, partition }: DataFile,
  sequenceNumber: bigint,
): DataPlace {
  return { path, specId, partition, sequenceNumber };
}

/** @returns how many they are */
function use(used: Set<string>, deletes: readonly LiveFile[]): number {
  for (const { file } of deletes) used.add(fileKey(file));
  return deletes.length;
}

function useAll(used: Set<string>, index: DeleteIndex, places: readonly DataPlace[] = []): void {
  for (const place of places) use(used, index.of(place));
}

/** Delete files that apply to no data file. */
function dangling(all: readonly LiveFile[], used: ReadonlySet<string>): DataFile[] {
  return all.map(({ file }) => file).filter((file) => !used.has(fileKey(file)));
}
