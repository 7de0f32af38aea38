/**
 * Data files replaced by others with the same rows: a compaction (CHANGE_RULES 10h). It moves no
 * offset and shows no row that was hidden; what it read may have changed meanwhile, so on every head
 * each group of files must stand, or is left out for good:
 *
 * 1. every input is live, once;
 * 2. what was hidden in it is hidden still: the deletes by position are the same ones, and those by
 *    equality are all there;
 * 3. further deletes by equality are newer than what was read. The outputs carry the sequence number of
 *    the snapshot that was read, so that these go on hiding their rows in them. A further delete by
 *    position names rows of the input, which are elsewhere in the output: its group is left out;
 * 4. the inputs leave the table, and every delete file that applies to no other data file.
 *
 * Offsets are those of the head, as in every snapshot.
 */
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import type { DataPlace, DeleteIndex } from "#iceberg/deletes/deleteIndex.ts";
import { liveDataFiles, liveDeletes, withoutMetrics } from "#iceberg/io/liveFiles.ts";
import { fileKey } from "#iceberg/io/removeFiles.ts";
import type { LiveFile } from "#iceberg/io/scan.ts";
import type { DataFile, ManifestFile } from "#iceberg/manifest/manifest.ts";
import type { ListedFile } from "#iceberg/manifest/manifestFile.ts";
import type { Attempt, Drop, Landing, SnapshotChange, StagedSnapshot } from "./change.ts";
import { logComplete, logLanded } from "./logCommit.ts";
import { listedManifests } from "./manifests.ts";
import type { CommitParts } from "./parts.ts";
import type { Progress } from "./progress.ts";
import { unreadable } from "./shares.ts";
import { stageSnapshot } from "./snapshot.ts";

/** What hid rows of a data file when it was read. */
export interface HiddenState {
  /** By {@link fileKey}. */
  readonly byPosition: ReadonlySet<string>;
  readonly byEquality: ReadonlySet<string>;
}

/** A data file that was read. */
export interface RewriteInput {
  readonly path: string;
  readonly hidden: HiddenState;
}

/** Files that are replaced together. */
export interface RewriteGroup {
  readonly inputs: readonly RewriteInput[];
  /** Durable, and in the ledger; none: every row of the inputs is deleted. */
  readonly outputs: readonly DataFile[];
}

/** One rewrite, over all its heads and attempts. */
export class Rewrite implements SnapshotChange {
  readonly makes = "snapshot";
  readonly kind = "rewrite";
  readonly isHeldByPause = true;
  readonly #parts: CommitParts;
  readonly #sequenceNumber: bigint;
  #groups: readonly RewriteGroup[] = [];

  /** @param sequenceNumber of the snapshot that the inputs are read in */
  constructor(parts: CommitParts, sequenceNumber: bigint) {
    this.#parts = parts;
    this.#sequenceNumber = sequenceNumber;
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
    const { removed, standing } = await this.#judge(head, manifests);
    this.#groups = standing;
    if (standing.length === 0) return { kind: "dropped", reason: CHANGED, by: progress.group };
    const files = standing.flatMap(({ outputs }) => outputs);
    return stageSnapshot(attempt, files, progress.document, progress.document, {
      removed,
      dataSequenceNumber: this.#sequenceNumber,
    });
  }

  async landed(landing: Landing): Promise<void> {
    const paths = this.#groups.flatMap(({ outputs }) => outputs.map(({ filePath }) => filePath));
    await logLanded(this.#parts, landing, paths, []);
    const { table, commitId, snapshotId } = landing;
    await logComplete(this.#parts, fullName(table.name), commitId, snapshotId, []);
  }

  /** Which groups stand on a head, and which of its files go with them. */
  async #judge(
    { storage, metadata }: LoadedTable,
    manifests: readonly ManifestFile[],
  ): Promise<{ readonly removed: readonly DataFile[]; readonly standing: RewriteGroup[] }> {
    const sequenceNumber = this.#sequenceNumber;
    const deletes = await liveDeletes(storage, metadata, manifests);
    const inputs = this.#groups.flatMap((group) => group.inputs);
    const found = new Map<string, ListedFile[]>(inputs.map(({ path }) => [path, []]));
    const used = new Set<string>();
    for await (const file of liveDataFiles(storage, metadata, manifests)) {
      const places = found.get(file.path);
      if (places === undefined) use(used, deletes.index.of(file));
      else places.push(file);
    }
    const isStanding = ({ path, hidden }: RewriteInput): boolean => {
      const [place, ...more] = found.get(path) ?? [];
      if (place === undefined || more.length > 0) return false;
      return isHiddenStill(hidden, deletes.index.of(place), sequenceNumber);
    };
    // Where a catalog takes numbers back, the outputs would be newer than their own snapshot.
    const isReached = metadata.lastSequenceNumber >= sequenceNumber;
    const standing = this.#groups.filter((group) => isReached && group.inputs.every(isStanding));
    for (const group of this.#groups) {
      if (standing.includes(group)) {
        for (const output of group.outputs) {
          use(used, deletes.index.of(placeOf(output, sequenceNumber)).filter(isByEquality));
        }
      } else for (const { path } of group.inputs) useAll(used, deletes.index, found.get(path));
    }
    const going = standing.flatMap((group) => group.inputs.flatMap(({ path }) => found.get(path)));
    const removed = going.flatMap((file) => (file === undefined ? [] : withoutMetrics(file)));
    return { standing, removed: [...removed, ...dangling(deletes.all, used)] };
  }
}

/** Why a rewrite ends without a snapshot. */
const CHANGED = "the files that it read were deleted from, or replaced, meanwhile";

/** A new file as a place. No delete by position can name it: they all came before. */
function placeOf(
  { filePath: path, specId, partition }: DataFile,
  sequenceNumber: bigint,
): DataPlace {
  return { path, specId, partition, sequenceNumber };
}

/** What hides rows of a data file, by its deletes in a snapshot. */
export function hiddenState(deletes: readonly LiveFile[]): HiddenState {
  const keysOf = (isWanted: (file: DataFile) => boolean): Set<string> =>
    new Set(deletes.filter(({ file }) => isWanted(file)).map(({ file }) => fileKey(file)));
  return {
    byPosition: keysOf(({ content }) => content === "position-deletes"),
    byEquality: keysOf(({ content }) => content === "equality-deletes"),
  };
}

/**
 * Rules 2 and 3 for one input.
 * @param now its deletes in the head
 * @param sequenceNumber of the snapshot that it was read in
 */
export function isHiddenStill(
  { byPosition, byEquality }: HiddenState,
  now: readonly LiveFile[],
  sequenceNumber: bigint,
): boolean {
  const still = hiddenState(now);
  const isNew = (each: LiveFile): boolean =>
    isByEquality(each) && !byEquality.has(fileKey(each.file));
  return (
    byPosition.symmetricDifference(still.byPosition).size === 0 &&
    byEquality.isSubsetOf(still.byEquality) &&
    now.filter(isNew).every((each) => each.sequenceNumber > sequenceNumber)
  );
}

function use(used: Set<string>, deletes: readonly LiveFile[]): void {
  for (const { file } of deletes) used.add(fileKey(file));
}

function useAll(used: Set<string>, index: DeleteIndex, places: readonly DataPlace[] = []): void {
  for (const place of places) use(used, index.of(place));
}

function isByEquality({ file }: LiveFile): boolean {
  return file.content === "equality-deletes";
}

/** Delete files that apply to no data file. */
function dangling(all: readonly LiveFile[], used: ReadonlySet<string>): DataFile[] {
  return all.map(({ file }) => file).filter((file) => !used.has(fileKey(file)));
}
