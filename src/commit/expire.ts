/**
 * Expiry of snapshots: a change of the metadata alone. Which ones go is decided anew on every head
 * that it meets; what they leave in the store is removed afterwards (`maintenance/expire.ts`), since a
 * file may go only when its snapshot has left the table for certain.
 *
 * The request demands every ref as it was: a snapshot that became the head of a branch meanwhile must
 * not go, and Java's servers drop a branch or tag whose snapshot they remove.
 */
import type { LoadedTable } from "#catalog/catalog.ts";
import { type ExpiryPolicy, expiryOf } from "#iceberg/metadata/expiry.ts";
import type { Snapshot, SnapshotId, TableRequirement } from "#iceberg/metadata/metadata.ts";
import type { Drop, MetadataChange, Nothing, StagedMetadata } from "./change.ts";
import type { CommitTable } from "./commitTable.ts";
import { isPaused } from "./properties.ts";
import { unreadable } from "./shares.ts";

/** Why an expiry waits until an own snapshot is on the head (SPEC 2.2). */
export const FOREIGN_HEAD = "the head is another engine's";

/** One expiry, over all its heads and attempts. */
export class Expire implements MetadataChange {
  readonly makes = "metadata";
  readonly kind = "expire";
  readonly #table: CommitTable;
  readonly #policy: ExpiryPolicy;
  readonly #asked = new Map<SnapshotId, Snapshot>();
  #before: LoadedTable;

  constructor(table: CommitTable, policy: ExpiryPolicy) {
    this.#table = table;
    this.#policy = policy;
    this.#before = table.head;
  }

  /** The table as it was when the last request was made. */
  get before(): LoadedTable {
    return this.#before;
  }

  /** Snapshots that any request named: which of them went, only a later head says. */
  get asked(): readonly Snapshot[] {
    return [...this.#asked.values()];
  }

  /** @throws AppError `progress` when the table's offsets cannot be read: then nothing may go */
  async stage(head: LoadedTable): Promise<StagedMetadata | Nothing | Drop> {
    if (isPaused(head)) return drop("a person paused the table");
    const progress = await this.#table.progressOf(head);
    if (progress.kind === "unreadable") throw unreadable(head, progress.reason);
    if (!progress.headIsOurs && progress.document.sources.size > 0) return drop(FOREIGN_HEAD);
    const { metadata } = head;
    const { clock } = this.#table.parts;
    const { snapshots, refs } = expiryOf(metadata, this.#policy, clock.nowMs());
    if (snapshots.length === 0 && refs.length === 0) return { kind: "nothing" };
    this.#before = head;
    for (const snapshot of snapshots) this.#asked.set(snapshot.snapshotId, snapshot);
    const snapshotIds = snapshots.map(({ snapshotId }) => snapshotId);
    return {
      kind: "staged",
      requirements: [
        { type: "assert-table-uuid", uuid: metadata.tableUuid },
        ...Object.entries(metadata.refs).map(
          ([ref, { snapshotId }]): TableRequirement => ({
            type: "assert-ref-snapshot-id",
            ref,
            snapshotId,
          }),
        ),
      ],
      updates: [
        ...refs.map((ref) => ({ action: "remove-snapshot-ref" as const, ref })),
        ...(snapshotIds.length === 0 ? [] : [{ action: "remove-snapshots" as const, snapshotIds }]),
      ],
    };
  }

  landed(): Promise<void> {
    return Promise.resolve();
  }
}

function drop(reason: string): Drop {
  return { kind: "dropped", reason, by: "" };
}
