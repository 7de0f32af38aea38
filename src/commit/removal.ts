/**
 * Files of attempts that did not land: when their writer may remove them (SPEC 2.4), now or after a
 * restart. What may not be removed is left to the orphan cleaner.
 */
import type { LoadedTable } from "#catalog/catalog.ts";
import { listedPaths } from "#iceberg/io/scan.ts";
import type { Snapshot } from "#iceberg/metadata/metadata.ts";
import { mayRemove, type SentBases } from "./rules.ts";

/** Files that an attempt left behind. */
export interface Leftover {
  readonly commitId: string;
  readonly files: readonly string[];
  /** Requests with these files that left the process; null: none did, which no log can say. */
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
  const since = leftover.sent?.first ?? head.metadata.lastSequenceNumber;
  if (await isAnyListed(head, removal.inspect, since, new Set(leftover.files))) {
    return { kind: "left", reason: "a visible snapshot lists one of its files" };
  }
  await head.storage.remove(leftover.files);
  return { kind: "removed" };
}

/** True when one of these snapshots lists one of the files: as list, manifest, data or delete file. */
async function isAnyListed(
  { storage }: LoadedTable,
  snapshots: readonly Snapshot[],
  since: bigint,
  files: ReadonlySet<string>,
): Promise<boolean> {
  if (files.size === 0) return false;
  for await (const path of listedPaths(storage, snapshots, since)) {
    if (files.has(path)) return true;
  }
  return false;
}
