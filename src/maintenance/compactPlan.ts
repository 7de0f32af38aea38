/**
 * Which data files a compaction puts together: per partition of a spec, those that are small, and
 * those of which many rows are deleted. Pure; it lets others run between blocks of files.
 *
 * Files are taken in order of age, so that what was written together stays together. Every row is
 * written again a bounded number of times: a file joins younger ones only when they hold as much as it
 * does, so that its rows end in a file twice as large, until that is no longer small.
 */
import { type AppError, fail } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import type { DeleteIndex } from "#iceberg/deletes/deleteIndex.ts";
import { type DataPlace, placeKey } from "#iceberg/deletes/deleteIndex.ts";
import { fileKey } from "#iceberg/io/removeFiles.ts";
import type { LiveFile } from "#iceberg/io/scan.ts";
import type { ListedFile } from "#iceberg/manifest/manifestFile.ts";
import type { ClosedSpan } from "./closedPartitions.ts";

/** When a file is rewritten, and how large it becomes. */
export interface CompactSettings {
  /** Smaller files are small, bytes. */
  readonly smallBytes: number;
  /** Size of the files that are written, bytes. */
  readonly targetBytes: number;
  /** A file is rewritten when so large a share of its rows is deleted, 0 to 1. */
  readonly deleteRatio: number;
  /** Partitions that ended in this span of time are put together whatever their files hold. Default: none. */
  readonly closed?: ClosedSpan | undefined;
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

/** Pairs of a data file and a delete file that are looked at before others run: some milliseconds. */
const BLOCK_PAIRS = 4096;

/**
 * The groups of a snapshot, partition by partition.
 * @param turn resolves when others have run
 * @param isClosed of files: their partition has just ended, and is put together whatever it holds
 * @throws AppError `table_unsupported` when so many delete files apply to so many data files that not all can be
 * looked at, and nothing is to be done with those that can
 */
export async function planGroups(
  files: readonly ListedFile[],
  deletes: DeleteIndex,
  settings: CompactSettings,
  turn: () => Promise<void>,
  isClosed: (place: DataPlace) => boolean = () => false,
): Promise<PlannedGroup[]> {
  const parquet = once(files).filter(({ fileFormat }) => fileFormat === "PARQUET");
  const planned = await withinPairs(parquet, deletes, settings, turn);
  const inputs: PlannedInput[] = [];
  await inBlocks(planned, turn, (file) => {
    const input = { ...file, deletes: deletes.of(file) };
    inputs.push(input);
    return input.deletes.length;
  });
  const shares = await deletedShares(inputs, turn);
  const isDeleted = (input: PlannedInput): boolean => {
    const share = shares.get(input.path) ?? 0;
    return share > 0 && share >= settings.deleteRatio;
  };
  const wanted = inputs.filter(
    (input) => Number(input.sizeBytes) < settings.smallBytes || isDeleted(input),
  );
  const isWanted = (group: PlannedGroup): boolean =>
    group.inputs.some(isDeleted) ||
    isWorthIt(group, settings.targetBytes) ||
    (group.inputs.length > 1 && group.inputs.some(isClosed));
  const groups = [...Map.groupBy(wanted, placeKey).values()].flatMap((members) =>
    cutGroups(members, settings.targetBytes, isWanted),
  );
  if (groups.length === 0 && planned.length < parquet.length) throw tooManyPairs(parquet, deletes);
  return groups;
}

/**
 * The files that are planned: all, unless the pairs of all would take the memory, and the time, of ingest. Then those that
 * fit, small ones first, which become few, and young ones first, to which few deletes apply: each run leaves
 * fewer to the next.
 */
async function withinPairs(
  files: readonly ListedFile[],
  deletes: DeleteIndex,
  { smallBytes }: CompactSettings,
  turn: () => Promise<void>,
): Promise<readonly ListedFile[]> {
  let pairs = 0;
  await inBlocks(files, turn, (file) => {
    pairs += deletes.countOf(file);
    return 0;
  });
  if (pairs <= LIMITS.compactionPairsMax) return files;
  const isSmall = ({ sizeBytes }: ListedFile): number => Number(Number(sizeBytes) < smallBytes);
  const ordered = files.toSorted((a, b) => isSmall(b) - isSmall(a) || byAge(b, a));
  const planned: ListedFile[] = [];
  let left: number = LIMITS.compactionPairsMax;
  await inBlocks(ordered, turn, (file) => {
    const count = deletes.countOf(file);
    if (count > left) return 0;
    left -= count;
    planned.push(file);
    return 0;
  });
  return planned;
}

function tooManyPairs(files: readonly ListedFile[], deletes: DeleteIndex): AppError {
  return fail(
    "table_unsupported",
    `Too many delete files: ${deletes.size}, of which more apply to the ${files.length} data files than can be looked at ` +
      `(${LIMITS.compactionPairsMax} pairs at most), and those that can are not to be compacted. Rewrite them with another ` +
      "engine, e.g. Spark's rewrite_data_files with delete-file-threshold = 1, or, where rows are deleted by " +
      "position, its rewrite_position_delete_files",
  );
}

/** @param work does one, and says how many pairs it took */
async function inBlocks<T>(
  items: readonly T[],
  turn: () => Promise<void>,
  work: (item: T) => number,
): Promise<void> {
  let done = 0;
  for (const item of items) {
    done += 1 + work(item);
    if (done < BLOCK_PAIRS) continue;
    done = 0;
    await turn();
  }
}

/** A file that is listed twice, by a person's cherry-pick, shows its rows twice: it is left alone. */
function once(files: readonly ListedFile[]): ListedFile[] {
  const counts = new Map<string, number>();
  for (const { path } of files) counts.set(path, (counts.get(path) ?? 0) + 1);
  return files.filter(({ path }) => counts.get(path) === 1);
}

/** The share of each file's rows that is deleted, by path; of deletes that cover several files an even part. */
async function deletedShares(
  inputs: readonly PlannedInput[],
  turn: () => Promise<void>,
): Promise<Map<string, number>> {
  const covered = new Map<string, number>();
  await inBlocks(inputs, turn, ({ recordCount, deletes }) => {
    for (const { file } of deletes) {
      const key = fileKey(file);
      covered.set(key, (covered.get(key) ?? 0) + Number(recordCount));
    }
    return deletes.length;
  });
  const shares = new Map<string, number>();
  await inBlocks(inputs, turn, ({ path, deletes }) => {
    const share = deletes.reduce(
      (sum, { file }) => sum + Number(file.recordCount) / (covered.get(fileKey(file)) || 1),
      0,
    );
    shares.set(path, share);
    return deletes.length;
  });
  return shares;
}

/**
 * Into groups of about the target size, oldest first. Of rows that changes delete while they are written it must be
 * known where each went, whatever order the engine gives them: such files are put together up to so many rows.
 *
 * A group that can take no more rows and is not wanted never will be, and would keep the small files in it at every plan.
 * So the file that is too large beside them is left out: it has its share of rows.
 * @param isWanted of a group: it is worth writing
 */
export function cutGroups(
  members: readonly PlannedInput[],
  targetBytes: number,
  isWanted: (group: PlannedGroup) => boolean = () => true,
): PlannedGroup[] {
  const groups: PlannedGroup[] = [];
  let open = new OpenGroup();
  const close = (): void => {
    if (open.inputs.length > 0 && isWanted(open)) groups.push(open.closed);
    open = new OpenGroup();
  };
  for (const input of members.toSorted(byAge)) {
    const alone = { inputs: [input], bytes: Number(input.sizeBytes) };
    const isNeeded = isWanted(alone);
    while (!(open.hasRowsFor(input) || isWanted(open))) {
      if (!isNeeded && open.isSmallBeside(input)) break;
      open.leavesLargest();
    }
    if (!(open.hasRowsFor(input) || isWanted(open))) continue;
    const isFull = open.inputs.length === LIMITS.compactionInputsMax || !open.hasRowsFor(input);
    if (isFull || open.bytes + alone.bytes > targetBytes * TARGET_SLACK) close();
    open.add(input);
  }
  close();
  return groups;
}

/** A group that more files may join. */
class OpenGroup implements PlannedGroup {
  readonly inputs: PlannedInput[] = [];
  bytes = 0;
  #rows = 0;
  #changed = 0;

  get closed(): PlannedGroup {
    return { inputs: this.inputs, bytes: this.bytes };
  }

  add(input: PlannedInput): void {
    this.inputs.push(input);
    this.#count(input, 1);
  }

  hasRowsFor({ recordCount, deletes }: PlannedInput): boolean {
    if (this.inputs.length === 0) return true;
    const isChanged = this.#changed > 0 || deletes.length > 0;
    const rowsMax = isChanged ? LIMITS.changedRowsMax : LIMITS.compactionRowsMax;
    return this.#rows + Number(recordCount) <= rowsMax;
  }

  /** True for a single file that has fewer rows than another, so that more files fit beside it. */
  isSmallBeside({ recordCount }: PlannedInput): boolean {
    return this.inputs.length === 1 && this.#rows < Number(recordCount);
  }

  leavesLargest(): void {
    const sizes = this.inputs.map(({ sizeBytes }) => Number(sizeBytes));
    const [largest] = this.inputs.splice(sizes.indexOf(Math.max(...sizes)), 1);
    if (largest !== undefined) this.#count(largest, -1);
  }

  #count({ sizeBytes, recordCount, deletes }: PlannedInput, sign: 1 | -1): void {
    this.bytes += sign * Number(sizeBytes);
    this.#rows += sign * Number(recordCount);
    if (deletes.length > 0) this.#changed += sign;
  }
}

function byAge(a: ListedFile, b: ListedFile): number {
  const order = a.sequenceNumber - b.sequenceNumber;
  if (order !== 0n) return order < 0n ? -1 : 1;
  return a.path < b.path ? -1 : 1;
}

function isWorthIt({ inputs, bytes }: PlannedGroup, targetBytes: number): boolean {
  if (inputs.length < 2) return false;
  // No more of them can ever come to it.
  if (inputs.length === LIMITS.compactionInputsMax) return true;
  const largest = Math.max(...inputs.map(({ sizeBytes }) => Number(sizeBytes)));
  return bytes >= targetBytes * TARGET_SHARE || 2 * largest <= bytes;
}
