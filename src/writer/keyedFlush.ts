/**
 * A flush of changes (SPEC section 6): of each key the last change counts, so what is written is folded
 * first, and the rows that the table has of all these keys are deleted by the commit (`commit/upsert.ts`).
 *
 * Feeds that stand or fall together are folded together. A key that came by feeds which do not is judged by
 * each alone; where changes have orders, the commit judges between them (`commit/orderedKeys.ts`).
 */
import type { Clock } from "#base/clock.ts";
import { type SplitChanges, splitChanges } from "#columns/changes.ts";
import type { EqualityUnit } from "#commit/equalityUpsert.ts";
import type { KeyedUnit } from "#commit/upsert.ts";
import { fold, type RowsOfBatch } from "#keyindex/fold.ts";
import type { KeyField, KeyHasher } from "#keyindex/keyHasher.ts";
import type { KeySet } from "#keyindex/port.ts";
import type { FeedFlush, SelectedRows, WriterOptions } from "./parts.ts";
import { unitFeeds, type WrittenUnit } from "./write.ts";

/** A flush whose batches are in order of their records, without control columns. */
export interface SplitFlush extends FeedFlush {
  readonly changes: readonly SplitChanges[];
}

/** How changes are told apart, and which of two is later. */
export interface FoldKey {
  readonly hasher: KeyHasher;
  /** The column of their orders; null: they come in their order. */
  readonly order: KeyField | null;
}

/** What is left of a flush. */
export interface FoldedFlush {
  /** The flushes of all feeds, with the rows of them that are written. */
  readonly flushes: readonly FeedFlush[];
  /** The same flushes with the last change of each key, deletes included. */
  readonly changed: readonly FeedFlush[];
  /** By number of the unit: the keys that it changes. */
  readonly keys: readonly KeySet[];
  /** Numbers of the units that empty the table first. */
  readonly emptying: ReadonlySet<number>;
}

/**
 * The units of a commit: also those of which only deletes are left.
 * @param complete what writes the rows of a unit that lack values; default: it has none
 */
export function keyedUnits(
  options: Pick<WriterOptions, "preserveKafkaPartitions">,
  { flushes, keys, emptying }: FoldedFlush,
  written: readonly WrittenUnit[],
  complete: (unit: number) => KeyedUnit["complete"] = () => null,
): KeyedUnit[] {
  const byNumber = new Map(written.map((unit) => [unit.number, unit]));
  return keys.map((changed, number) => {
    const { files = [], placed = [] } = byNumber.get(number) ?? {};
    const feeds = unitFeeds(options, flushes, number);
    const empties = emptying.has(number);
    return { feeds, files, placed, keys: changed, empties, complete: complete(number) };
  });
}

/** The same, with the files of the keys that go. */
export function equalityUnits(
  options: Pick<WriterOptions, "preserveKafkaPartitions">,
  folded: FoldedFlush,
  written: readonly WrittenUnit[],
  deletes: readonly WrittenUnit[],
): EqualityUnit[] {
  const byNumber = new Map(deletes.map((unit) => [unit.number, unit]));
  return keyedUnits(options, folded, written).map(({ feeds, files, keys, empties }, number) => {
    const { files: gone = [] } = byNumber.get(number) ?? {};
    return { feeds, files: [...files, ...gone], keys, empties };
  });
}

/** Takes the control columns away: they are no columns of the table. */
export function splitFlush(flush: FeedFlush): SplitFlush {
  const changes = flush.batches.map(splitChanges);
  return { ...flush, batches: changes.map(({ rows }) => rows), changes };
}

/** Folds a flush, unit by unit. */
export async function foldFlush(
  clock: Pick<Clock, "turn">,
  options: Pick<WriterOptions, "preserveKafkaPartitions">,
  flushes: readonly SplitFlush[],
  { hasher, order }: FoldKey,
): Promise<FoldedFlush> {
  const units = options.preserveKafkaPartitions ? flushes.map((flush) => [flush]) : [flushes];
  const keys: KeySet[] = [];
  const folded: FeedFlush[] = [];
  const lasts: FeedFlush[] = [];
  const emptying = new Set<number>();
  for (const [number, unit] of units.entries()) {
    const changes = unit.flatMap((flush) => flush.changes);
    const result = await fold(changes, hasher, () => clock.turn(), order);
    keys.push(result.keys);
    if (result.empties) emptying.add(number);
    const kept = byBatch(result.kept);
    // Where nothing stays, nothing is to be deleted by its key.
    const changed = byBatch(
      result.empties ? [] : result.changed.map((rows) => ({ ...rows, keys: null })),
    );
    for (const { changes: _, ...flush } of unit) {
      const partial = flush.batches.flatMap((batch) => result.partial.get(batch) ?? []);
      const own = selectOf(flush, kept);
      folded.push(partial.length === 0 ? own : { ...own, partial });
      lasts.push(selectOf(flush, changed));
    }
  }
  return { flushes: folded, changed: lasts, keys, emptying };
}

function byBatch(
  all: readonly (RowsOfBatch & SelectedRows)[],
): Map<RowsOfBatch["batch"], SelectedRows> {
  return new Map(all.map(({ batch, ...rows }) => [batch, rows]));
}

function selectOf(
  flush: FeedFlush,
  kept: ReadonlyMap<FeedFlush["batches"][number], SelectedRows>,
): FeedFlush {
  const left = flush.batches.flatMap((batch) => {
    const rows = kept.get(batch);
    return rows === undefined ? [] : [{ batch, rows }];
  });
  return {
    ...flush,
    batches: left.map(({ batch }) => batch),
    selected: left.map(({ rows }) => rows),
  };
}
