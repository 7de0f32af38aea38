/**
 * What the commit loop (`commit.ts`) can commit: a change, and what became of it.
 *
 * A change knows three things. How to *fence* itself: which of its feeds still stand on a head. How to
 * *stage* itself on a head: updates, requirements and files, made anew for every attempt. And what to
 * do when it *landed*. Everything else is the loop's: loading the head, the pause, the log, the three
 * outcomes of a request, the files.
 *
 * Kinds that are here: append (`append.ts`: flushes, first positions, refreshed heads), upsert
 * (`upsert.ts`: flushes of changes), rows that move no offset (`addition.ts`), offsets that a person sets
 * (`offsets.ts`), columns (`columns.ts`), properties (`properties.ts`), expiry of snapshots
 * (`expire.ts`), manifests written anew (`manifests.ts`), data files replaced by others with the same
 * rows (`rewrite.ts`), the rows of a range of records replaced by what the records are now (`replaceRange.ts`),
 * statistics of a snapshot (`statistics.ts`).
 *
 * Nothing is sent whose files an orphan cleaner may have taken (10l(2)): the loop drops a commit that
 * began too long ago.
 *
 * Several tables in one commit, where a catalog offers it: each table has its own pending commit, all
 * are staged in one turn, and their requirements and updates leave in one request. Its outcome is
 * each one's outcome; an unknown one is resolved table by table, by the same rules.
 */
import type { LoadedTable } from "#catalog/catalog.ts";
import type {
  Snapshot,
  SnapshotId,
  TableRequirement,
  TableUpdate,
} from "#iceberg/metadata/metadata.ts";
import type { Ledger } from "./ledger.ts";
import type { CommitOptions, CommitParts } from "./parts.ts";
import type { Progress } from "./progress.ts";

/** What a commit is for; stands in the summary of its snapshot (`kafka-iceberg.kind`). */
export type ChangeKind =
  | "flush"
  | "claim"
  | "refresh"
  | "offsets"
  | "columns"
  | "properties"
  | "expire"
  | "retry"
  | "replay"
  | "manifests"
  | "rewrite"
  | "statistics";

/** A change that adds a snapshot, and with it the offsets of all feeds (SPEC 2.1). */
export interface SnapshotChange {
  readonly makes: "snapshot";
  readonly kind: ChangeKind;
  /** True: it waits while a person has paused the table. */
  readonly isHeldByPause: boolean;
  /**
   * Leaves what does not stand on this head out of the change (SPEC 2.3), for good. Null: something
   * stands.
   * @throws AppError `progress` when the head's offsets cannot be read and the change needs them
   */
  fence(head: LoadedTable, progress: Progress): Drop | null;
  /** The change on this head, its files durable and in the ledger. Called for every attempt. */
  stage(attempt: Attempt): Promise<StagedSnapshot | Nothing | Drop>;
  /** Called until it succeeds once, also for a commit that was found in the table. */
  landed(landing: Landing): Promise<void>;
}

/** A change of the metadata alone. It is right to apply it twice: the second time does nothing. */
export interface MetadataChange {
  readonly makes: "metadata";
  readonly kind: ChangeKind;
  /** {@link Nothing} when the head has it: this is how an unknown outcome is resolved. */
  stage(
    head: LoadedTable,
  ): Promise<StagedMetadata | Nothing | Drop> | StagedMetadata | Nothing | Drop;
  /** Called when this process's request was applied, or may have been. */
  landed(table: LoadedTable): Promise<void>;
}

/** Any change. */
export type Change = SnapshotChange | MetadataChange;

/** What a change is staged on. */
export interface Attempt {
  readonly parts: CommitParts;
  readonly options: CommitOptions;
  readonly head: LoadedTable;
  /** What the head says about offsets; the same that `fence` was handed. */
  readonly progress: Progress;
  readonly kind: ChangeKind;
  readonly commitId: string;
  /** 1, 2, ...: part of the names of what is written for this attempt only. */
  readonly number: number;
  readonly ledger: Ledger;
}

/** A snapshot that nobody sees yet. */
export interface StagedSnapshot {
  readonly kind: "staged";
  readonly snapshot: Snapshot;
  /** The table property that goes with it (SPEC 2.1). */
  readonly property: string;
  readonly requirements: readonly TableRequirement[];
  readonly updates: readonly TableUpdate[];
  /** Manifests and manifest list. */
  readonly manifests: readonly string[];
  /** Data and delete files that it adds. */
  readonly files: readonly string[];
  /** Snapshots that it takes out of the metadata. */
  readonly thinned: readonly Snapshot[];
}

/** A change of metadata for one head. */
export interface StagedMetadata {
  readonly kind: "staged";
  readonly requirements: readonly TableRequirement[];
  readonly updates: readonly TableUpdate[];
}

/** The head has it already, or nobody wants it any more. */
export interface Nothing {
  readonly kind: "nothing";
}

/** Nothing of the change is to be in the table. */
export interface Drop {
  readonly kind: "dropped";
  readonly reason: string;
  /** Consumer group that wrote the head; empty when it does not matter. */
  readonly by: string;
}

/** A snapshot of ours in the table. */
export interface Landing {
  /** The newest head; the snapshot may lie behind it. */
  readonly table: LoadedTable;
  readonly snapshotId: SnapshotId;
  readonly commitId: string;
  /** True when it was found in the table rather than answered. */
  readonly isFound: boolean;
}

/** How a commit ended, or did not yet. */
export type CommitResult =
  | {
      readonly kind: "committed";
      readonly table: LoadedTable;
      /** Null when no snapshot was made: the metadata alone, or nothing was to be done. */
      readonly snapshotId: SnapshotId | null;
    }
  | Drop
  /** Not decided: commit the same again later. */
  | { readonly kind: "held"; readonly cause: unknown }
  /** A person paused the table; nothing was sent. */
  | { readonly kind: "paused" };
