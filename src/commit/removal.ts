/**
 * The only place in which files of tables are removed: those of a commit that no snapshot lists, when
 * the rules of SPEC 2.4 allow it, what thinned snapshots alone had, and what maintenance has found to
 * be out of reach. What may not be removed is left to the orphan cleaner.
 */
import { assert } from "#base/assert.ts";
import type { CatalogTraits, LoadedTable } from "#catalog/catalog.ts";
import { listedPaths } from "#iceberg/io/scan.ts";
import type { Snapshot } from "#iceberg/metadata/metadata.ts";
import { isInPlace, placesOf } from "#iceberg/metadata/places.ts";
import type { Ledger } from "./ledger.ts";
import { mayRemove } from "./rules.ts";
import { unlistedPaths } from "./thinned.ts";

/** What happened to the files of a commit that no snapshot lists. */
export type RemovalResult =
  | { readonly kind: "removed" }
  /** A request with them may still be applied: ask again later. */
  | { readonly kind: "later" }
  | { readonly kind: "left"; readonly reason: string };

/**
 * Removes what is unlisted of a commit that did not land, where the rules allow it on this head.
 * @throws what the store throws
 */
export async function removeLeftover(
  head: LoadedTable,
  traits: CatalogTraits,
  ledger: Ledger,
): Promise<RemovalResult> {
  const removal = mayRemove(head.metadata, ledger.commitId, ledger.sent, traits);
  if (removal.kind === "later") return removal;
  if (removal.kind === "never") return { kind: "left", reason: removal.reason };
  const files = ledger.unlisted;
  const since = ledger.sent?.first ?? head.metadata.lastSequenceNumber;
  if (await isAnyListed(head, removal.inspect, since, new Set(files))) {
    return { kind: "left", reason: "a visible snapshot lists one of its files" };
  }
  await remove(head, files);
  ledger.remove(files);
  return { kind: "removed" };
}

/**
 * Removes what the snapshot of a landed commit does not list: files of fenced feeds, manifests of
 * attempts that the catalog refused for certain. Nobody else ever knew their names.
 */
export async function removeStrays(head: LoadedTable, ledger: Ledger): Promise<void> {
  if (!ledger.landed) return;
  const files = ledger.unlisted;
  await remove(head, files);
  ledger.remove(files);
}

/** Removes manifest lists and manifests that only these snapshots had, which a commit took out. */
export async function removeThinned(
  head: LoadedTable,
  branch: string,
  thinned: readonly Snapshot[],
): Promise<void> {
  await remove(head, await unlistedPaths(head.storage, head.metadata, branch, thinned));
}

/**
 * Removes files that no snapshot can reach, as maintenance has found out.
 * @param files all in the table's folders: what lies elsewhere may be another table's
 */
export async function removeUnreachable(
  head: LoadedTable,
  files: readonly string[],
): Promise<void> {
  const places = placesOf(head.metadata);
  assert(
    files.every((path) => isInPlace(places, path)),
    "only files in the table's folders are removed",
  );
  await remove(head, files);
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

async function remove({ storage }: LoadedTable, files: readonly string[]): Promise<void> {
  if (files.length > 0) await storage.remove(files);
}
