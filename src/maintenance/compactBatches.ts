/** Which groups of a compaction are written and committed together, and in which order. Pure. */
import { LIMITS } from "#base/limits.ts";
import type { PlannedGroup } from "./compactPlan.ts";

/**
 * Where a row went is remembered in a bit as long as rows follow each other, and in a number of so many bits in any
 * order (decision 0335).
 */
const NUMBER_BITS = 32;

/**
 * Groups that are committed together. What is known of where each row went is in memory until then, so it is bounded as
 * well. Groups that changes may overtake each time come last, and keep no other back.
 * @param isSorted rows are sorted as they are written
 */
export function* batches(
  groups: readonly PlannedGroup[],
  isSorted: boolean,
): Generator<readonly PlannedGroup[]> {
  yield* inOrder(groups.filter(isNumbered), isSorted);
  yield* inOrder(
    groups.filter((group) => !isNumbered(group)),
    isSorted,
  );
}

/**
 * True for a group of which it is known where each row went whatever order the engine gives them. Of others that may not
 * be known, and then a single row that is deleted while they are written leaves them for the next run.
 */
export function isNumbered(group: PlannedGroup): boolean {
  return rowsOf(group) <= LIMITS.sortedMapRowsMax;
}

function* inOrder(
  groups: readonly PlannedGroup[],
  isSorted: boolean,
): Generator<readonly PlannedGroup[]> {
  let batch: PlannedGroup[] = [];
  let [bytes, numbers] = [0, 0];
  for (const group of groups) {
    const more = numbersOf(group, isSorted);
    const isFull = bytes >= LIMITS.compactionBytesPerCommit;
    if (batch.length > 0 && (isFull || numbers + more > LIMITS.sortedMapRowsMax)) {
      yield batch;
      batch = [];
      [bytes, numbers] = [0, 0];
    }
    batch.push(group);
    bytes += group.bytes;
    numbers += more;
  }
  if (batch.length > 0) yield batch;
}

/** What is remembered of a group's rows, in numbers. */
function numbersOf(group: PlannedGroup, isSorted: boolean): number {
  const isMixed = isSorted || group.inputs.some(({ deletes }) => deletes.length > 0);
  const rows = rowsOf(group);
  return isMixed && isNumbered(group) ? rows : rows / NUMBER_BITS;
}

function rowsOf({ inputs }: PlannedGroup): number {
  return inputs.reduce((sum, { recordCount }) => sum + Number(recordCount), 0);
}
