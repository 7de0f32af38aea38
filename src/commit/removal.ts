/**
 * Files of attempts that did not land: when their writer may remove them (SPEC 2.4), now or after a
 * restart. What may not be removed is left to the orphan cleaner.
 */
import type { LoadedTable } from "#catalog/catalog.ts";
import { addedFilePaths } from "#iceberg/io/scan.ts";
import type { Snapshot } from "#iceberg/metadata/metadata.ts";
import { mayRemove, type SentBases } from "./rules.ts";

/** Files that an attempt left behind. */
export interface Leftover {
  readonly commitId: string;
  readonly files: readonly string[];
  /** Requests with these files that may have left the process; null: none. */
  readonly sent: SentBases | null;
}

/** What happened to a leftover. */
export type RemovalResult =
  | { readonly kind: "removed" }
  | { readonly kind: "later" }
  | { readonly kind: "left"; readonly reason: string };

/** Removes a leftover's files when the rules allow it on this head. */
export async function removeLeftover(
  head: LoadedTable,
  leftover: Leftover,
): Promise<RemovalResult> {
  const removal = mayRemove(head.metadata, leftover.commitId, leftover.sent);
  if (removal.kind === "later") return removal;
  if (removal.kind === "never") return { kind: "left", reason: removal.reason };
  const listed = await firstListed(head, removal.inspect, new Set(leftover.files));
  if (listed !== null) return { kind: "left", reason: `snapshot ${listed} lists one of its files` };
  await head.storage.remove(leftover.files);
  return { kind: "removed" };
}

/** The first of these snapshots that added one of the files; null when none did. */
async function firstListed(
  { storage }: LoadedTable,
  snapshots: readonly Snapshot[],
  files: ReadonlySet<string>,
): Promise<bigint | null> {
  for (const snapshot of snapshots) {
    for await (const path of addedFilePaths(storage, snapshot)) {
      if (files.has(path)) return snapshot.snapshotId;
    }
  }
  return null;
}
