/**
 * What all maintenance runs share: how they are asked for, what they tell while they work, how they
 * end, and which tables they leave alone.
 */
import { fail } from "#base/errors.ts";
import type { MAINTENANCE_OPERATIONS } from "#base/events.ts";
import type { CatalogTraits, LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import { isPaused } from "#commit/properties.ts";
import { forbidsRemoval } from "#iceberg/metadata/expiry.ts";

/** A kind of run. */
export type Operation = (typeof MAINTENANCE_OPERATIONS)[number];

/** How far a run is. */
export interface RunProgress {
  /** What it does now, as people read it. */
  readonly step: string;
  readonly done: number;
  /** Null: not known yet. */
  readonly total: number | null;
}

/** How a run is asked for. */
export interface RunOptions {
  /** True: nothing is changed; the report says what would be. */
  readonly isDry: boolean;
  /** Told now and then. */
  readonly onProgress: (progress: RunProgress) => void;
  /** Ends the run between two steps; what it has done stands. */
  readonly stop: AbortSignal;
}

/**
 * Refuses tables that nobody may remove files from.
 * @throws AppError `usage` with the reason
 */
export function refuseRemoval({ name, metadata }: LoadedTable, traits: CatalogTraits): void {
  const table = fullName(name);
  if (!traits.showsAncestors) {
    throw fail(
      "usage",
      `The ${traits.type} catalog keeps a history of its own, which may still show snapshots that ` +
        `are not visible here: remove what ${table} no longer needs by its own garbage collector`,
      { table },
    );
  }
  if (!forbidsRemoval(metadata)) return;
  throw fail(
    "usage",
    `Table ${table} has gc.enabled = false: its files may belong to other tables as well. Nothing ` +
      "was removed; set the property to true if they do not",
    { table },
  );
}

/** True for a table that scheduled runs leave alone without a word: its owner has said so. */
export function isLeftAlone(head: LoadedTable, traits: CatalogTraits): boolean {
  return !traits.showsAncestors || forbidsRemoval(head.metadata) || isPaused(head);
}

/**
 * Refuses a table that a person holds.
 * @throws AppError `usage`
 */
export function refusePaused(head: LoadedTable): void {
  if (!isPaused(head)) return;
  const table = fullName(head.name);
  throw fail("usage", `Table ${table} is paused: kafka-iceberg resume ${table}`, { table });
}

/**
 * Ends a run that was asked to stop.
 * @throws AppError `stopped`
 */
export function refuseStopped(stop: AbortSignal): void {
  if (stop.aborted) throw fail("stopped", "Stopped on request; what was done stands");
}
