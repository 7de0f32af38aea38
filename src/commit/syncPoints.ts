/**
 * How far a table has come in each partition, for readers (SPEC section 7, `sync_points`). Pure.
 */
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import type { Progress } from "./progress.ts";

/** One partition of one topic. */
export interface SyncPoint {
  /** Full name. */
  readonly table: string;
  readonly topic: string;
  readonly partition: number;
  /** The next one to be read. */
  readonly offset: bigint;
  /** When the table's head was committed, UTC ms; null: it has none. */
  readonly committedMs: number | null;
}

/** Of every partition that a table's progress names; none where it cannot be read. */
export function syncPoints({ name, metadata }: LoadedTable, progress: Progress): SyncPoint[] {
  if (progress.kind === "unreadable") return [];
  const head = metadata.snapshots.find((each) => each.snapshotId === metadata.currentSnapshotId);
  const committedMs = head?.timestampMs ?? null;
  const table = fullName(name);
  return [...progress.document.sources].flatMap(([source, { offsets }]) => {
    const topic = source.slice(source.indexOf("/") + 1);
    return [...offsets].map(([partition, offset]) => ({
      ...{ table, topic, partition, offset, committedMs },
    }));
  });
}
