/**
 * Which data files a compaction puts together: per partition of a spec, those that are small, and
 * those of which many rows are deleted. Pure.
 *
 * Files are taken in order of age, so that what was written together stays together. Every row is
 * written again a bounded number of times: a file joins younger ones only when they hold as much as it
 * does, so that its rows end in a file twice as large, until that is no longer small.
 */
import type { DeleteIndex } from "#iceberg/deletes/deleteIndex.ts";
import { placeKey } from "#iceberg/deletes/deleteIndex.ts";
import { fileKey } from "#iceberg/io/removeFiles.ts";
import type { LiveFile } from "#iceberg/io/scan.ts";
import type { ListedFile } from "#iceberg/manifest/manifestFile.ts";

/** When a file is rewritten, and how large it becomes. */
export interface CompactSettings {
  /** Smaller files are small, bytes. */
  readonly smallBytes: number;
  /** Size of the files that are written, bytes. */
  readonly targetBytes: number;
  /** A file is rewritten when so large a share of its rows is deleted, 0 to 1. */
  readonly deleteRatio: number;
}

/** A file that is to be read. */
export interface PlannedInput extends ListedFile {
  /** Deletes that may hide some of its rows. */
  readonly deletes: readonly LiveFile[];
}

/** Files of one partition that become one file. */
export interface PlannedGroup {
  readonly inputs: readonly PlannedInput[];
  /** Bytes of the inputs. */
  readonly bytes: number;
}

/** A group may be larger than the target by this factor, so that one more file fits in. */
const TARGET_SLACK = 1.1;
/** From this share of the target on a group is worth writing, whatever is in it. */
const TARGET_SHARE = 0.9;

/** The groups of a snapshot, partition by partition. */
export function planGroups(
  files: readonly ListedFile[],
  deletes: DeleteIndex,
  settings: CompactSettings,
): PlannedGroup[] {
  const parquet = once(files).filter(({ fileFormat }) => fileFormat === "PARQUET");
  const inputs = parquet.map((file) => ({ ...file, deletes: deletes.of(file) }));
  const shares = deletedShares(inputs);
  const isDeleted = (input: PlannedInput): boolean => {
    const share = shares.get(input.path) ?? 0;
    return share > 0 && share >= settings.deleteRatio;
  };
  const wanted = inputs.filter(
    (input) => Number(input.sizeBytes) < settings.smallBytes || isDeleted(input),
  );
  return [...Map.groupBy(wanted, placeKey).values()].flatMap((members) =>
    cut(members, settings.targetBytes).filter(
      (group) => group.inputs.some(isDeleted) || isWorthIt(group, settings.targetBytes),
    ),
  );
}

/** A file that is listed twice, by a person's cherry-pick, shows its rows twice: it is left alone. */
function once(files: readonly ListedFile[]): ListedFile[] {
  const counts = new Map<string, number>();
  for (const { path } of files) counts.set(path, (counts.get(path) ?? 0) + 1);
  return files.filter(({ path }) => counts.get(path) === 1);
}

/** The share of each file's rows that is deleted, by path; of deletes that cover several files an even part. */
function deletedShares(inputs: readonly PlannedInput[]): Map<string, number> {
  const covered = new Map<string, number>();
  for (const { recordCount, deletes } of inputs) {
    for (const { file } of deletes) {
      const key = fileKey(file);
      covered.set(key, (covered.get(key) ?? 0) + Number(recordCount));
    }
  }
  return new Map(
    inputs.map(({ path, deletes }) => [
      path,
      deletes.reduce(
        (sum, { file }) => sum + Number(file.recordCount) / (covered.get(fileKey(file)) || 1),
        0,
      ),
    ]),
  );
}

/** Into groups of about the target size, oldest first. */
function cut(members: readonly PlannedInput[], targetBytes: number): PlannedGroup[] {
  const groups: PlannedGroup[] = [];
  let inputs: PlannedInput[] = [];
  let bytes = 0;
  const close = (): void => {
    if (inputs.length > 0) groups.push({ inputs, bytes });
    inputs = [];
    bytes = 0;
  };
  for (const input of members.toSorted(byAge)) {
    const size = Number(input.sizeBytes);
    if (bytes + size > targetBytes * TARGET_SLACK) close();
    inputs.push(input);
    bytes += size;
  }
  close();
  return groups;
}

function byAge(a: PlannedInput, b: PlannedInput): number {
  const order = a.sequenceNumber - b.sequenceNumber;
  if (order !== 0n) return order < 0n ? -1 : 1;
  return a.path < b.path ? -1 : 1;
}

function isWorthIt({ inputs, bytes }: PlannedGroup, targetBytes: number): boolean {
  if (inputs.length < 2) return false;
  const largest = Math.max(...inputs.map(({ sizeBytes }) => Number(sizeBytes)));
  return bytes >= targetBytes * TARGET_SHARE || 2 * largest <= bytes;
}
