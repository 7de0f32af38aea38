/**
 * Expiry: snapshots leave the metadata in one commit, then everything leaves the store that only they
 * could reach (SPEC section 4, `[maintenance]`).
 *
 * Before, an own snapshot with all offsets goes on the head where it is another engine's, or where
 * older snapshots would have to stay for their offsets alone (SPEC 2.2). A file is removed only after
 * its snapshot is seen to be gone, and only when neither a remaining snapshot nor one that came
 * meanwhile lists it. A run that dies in between leaves files that nobody reaches: they are the orphan
 * cleaner's.
 */
import { fail } from "#base/errors.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { Append } from "#commit/append.ts";
import type { CommitResult } from "#commit/change.ts";
import { commit, giveUp, newCommit } from "#commit/commit.ts";
import type { CommitTable } from "#commit/commitTable.ts";
import { Expire, FOREIGN_HEAD } from "#commit/expire.ts";
import { removeUnreachable } from "#commit/removal.ts";
import { unreadable } from "#commit/shares.ts";
import { listedPaths } from "#iceberg/io/scan.ts";
import { type FileRole, type Removed, unreachableFiles } from "#iceberg/io/unreachable.ts";
import type { NamedFile } from "#iceberg/manifest/manifestFile.ts";
import { type ExpiryPolicy, expiryOf } from "#iceberg/metadata/expiry.ts";
import type { Snapshot, TableMetadata } from "#iceberg/metadata/metadata.ts";
import { isInPlace, placesOf } from "#iceberg/metadata/places.ts";
import { applyUpdates } from "#iceberg/metadata/updates.ts";
import { comparable } from "#storage/location.ts";
import type { RunCounts } from "./record.ts";
import { type RunOptions, refusePaused, refuseRemoval, refuseStopped } from "./run.ts";

/** What a run removed, or would remove. */
export interface ExpireReport {
  readonly snapshots: number;
  readonly refs: readonly string[];
  readonly files: Readonly<Record<FileRole, number>>;
  /** Of the files, as far as manifests say how large they are. */
  readonly bytes: number;
  /** Files outside the table's folders, which stay; the first of them is named. */
  readonly outside: { readonly count: number; readonly first: string | null };
}

/** A report as the record of runs takes it. */
export function expireCounts({ snapshots, refs, files, bytes }: ExpireReport): RunCounts {
  const { content, manifest, statistics } = files;
  const counts = {
    snapshots,
    refs: refs.length,
    files: content,
    manifests: manifest + files["manifest-list"],
    statistics,
  };
  return { counts, bytesReclaimed: bytes };
}

/** Heads of other engines that are made ours before the run gives up. */
const REFRESHES_MAX = 3;

/** Files removed between two looks at the clock and the stop signal. */
const REMOVED_AT_ONCE = 1000;

/**
 * Expires snapshots of a table, or says what would be expired.
 * @throws AppError `usage` for a table that must not be touched, `progress` when its offsets cannot be
 * read, and what catalog and store throw; nothing was removed then from the store, or it is nobody's
 */
export async function expireSnapshots(
  table: CommitTable,
  policy: ExpiryPolicy,
  options: RunOptions,
): Promise<ExpireReport> {
  const head = await table.load();
  refuseRemoval(head, table.parts.catalog.traits);
  const report = new Report(head.metadata);
  if (options.isDry) {
    await dryRun(table, head, policy, report, options);
    return report.finish();
  }
  refusePaused(head);
  const { change, after } = await expire(table, policy);
  report.expired(change.before.metadata, after.metadata, change.asked);
  const removed = {
    before: change.before.metadata,
    snapshots: change.asked,
    after: after.metadata,
  };
  await removeFiles(table, after, removed, report, options);
  return report.finish();
}

/** Takes the snapshots out of the metadata. */
async function expire(
  table: CommitTable,
  policy: ExpiryPolicy,
): Promise<{ readonly change: Expire; readonly after: LoadedTable }> {
  // One for all tries: a request without an answer may have been applied before the head became foreign.
  const change = new Expire(table, policy);
  for (let tries = 0; ; tries++) {
    await makeOurs(table, policy);
    const result = await commit(table, newCommit(table, change));
    if (result.kind === "committed") return { change, after: result.table };
    const isForeign = result.kind === "dropped" && result.reason === FOREIGN_HEAD;
    if (!isForeign || tries === REFRESHES_MAX) throw notDone(table, result);
  }
}

/** Puts an own snapshot with all offsets on the head, where the run needs it. */
async function makeOurs(table: CommitTable, policy: ExpiryPolicy): Promise<void> {
  const { parts } = table;
  const head = await table.load();
  const progress = await table.progressOf(head);
  if (progress.kind === "unreadable") throw unreadable(head, progress.reason);
  if (progress.document.sources.size === 0) return;
  const { heldForOffsets } = expiryOf(head.metadata, policy, parts.clock.nowMs());
  if (progress.headIsOurs && heldForOffsets.length === 0) return;
  const pending = newCommit(table, new Append(parts, "refresh", [], []));
  const result = await commit(table, pending);
  if (result.kind === "committed") return;
  if (result.kind === "held") await giveUp(table, pending);
  throw notDone(table, result);
}

function notDone(table: CommitTable, result: Exclude<CommitResult, { kind: "committed" }>): Error {
  switch (result.kind) {
    case "held": {
      const sentence = `The catalog did not say whether snapshots of ${table.name} were removed; no file was`;
      return fail("catalog_unreachable", sentence, { table: table.name }, result.cause);
    }
    case "paused":
      return fail("usage", `Table ${table.name} is paused`, { table: table.name });
    case "dropped":
      return fail("catalog_refused", `Nothing was expired: ${result.reason}`, {
        table: table.name,
      });
  }
}

async function dryRun(
  table: CommitTable,
  head: LoadedTable,
  policy: ExpiryPolicy,
  report: Report,
  options: RunOptions,
): Promise<void> {
  const { snapshots, refs } = expiryOf(head.metadata, policy, table.parts.clock.nowMs());
  const after = applyUpdates(
    head.metadata,
    [
      ...refs.map((ref) => ({ action: "remove-snapshot-ref" as const, ref })),
      {
        action: "remove-snapshots",
        snapshotIds: snapshots.map(({ snapshotId }) => snapshotId),
      },
    ],
    { timestampMs: head.metadata.lastUpdatedMs },
  );
  report.expired(head.metadata, after, snapshots);
  const removed = { before: head.metadata, snapshots, after };
  for await (const { role, files } of unreachableFiles(head.storage, removed)) {
    report.inside(role, files);
    options.onProgress({ step: "looking for files", done: report.count, total: null });
  }
}

/** Removes what the snapshots left. */
async function removeFiles(
  table: CommitTable,
  after: LoadedTable,
  removed: Removed,
  report: Report,
  { onProgress, stop }: RunOptions,
): Promise<void> {
  for await (const { role, files } of unreachableFiles(after.storage, removed)) {
    const ours = await unlistedSince(table, after, report.inside(role, files));
    for (let at = 0; at < ours.length; at += REMOVED_AT_ONCE) {
      refuseStopped(stop);
      const some = ours.slice(at, at + REMOVED_AT_ONCE);
      await removeUnreachable(
        after,
        some.map(({ path }) => path),
      );
      onProgress({ step: `removing ${role} files`, done: at + some.length, total: ours.length });
    }
  }
}

/** Without those that a snapshot lists which came after the expiry. */
async function unlistedSince(
  table: CommitTable,
  { metadata: { snapshots, lastSequenceNumber } }: LoadedTable,
  files: readonly NamedFile[],
): Promise<readonly NamedFile[]> {
  const head = await table.load();
  const known = new Set(snapshots.map(({ snapshotId }) => snapshotId));
  const since = head.metadata.snapshots.filter(({ snapshotId }) => !known.has(snapshotId));
  if (since.length === 0) return files;
  const listed = new Set<string>();
  for await (const path of listedPaths(head.storage, since, lastSequenceNumber)) {
    listed.add(comparable(path));
  }
  return files.filter(({ path }) => !listed.has(comparable(path)));
}

/** Counts what goes. */
class Report {
  readonly #places: readonly string[];
  readonly #files = { content: 0, manifest: 0, "manifest-list": 0, statistics: 0 };
  #snapshots = 0;
  #refs: readonly string[] = [];
  #bytes = 0;
  #outside: ExpireReport["outside"] = { count: 0, first: null };

  constructor(metadata: TableMetadata) {
    this.#places = placesOf(metadata);
  }

  get count(): number {
    return Object.values(this.#files).reduce((sum, each) => sum + each, 0);
  }

  expired(before: TableMetadata, after: TableMetadata, asked: readonly Snapshot[]): void {
    const left = new Set(after.snapshots.map(({ snapshotId }) => snapshotId));
    this.#snapshots = asked.filter(({ snapshotId }) => !left.has(snapshotId)).length;
    this.#refs = Object.keys(before.refs).filter((name) => after.refs[name] === undefined);
  }

  /** Counts files, and answers those that lie in the table's folders. */
  inside(role: FileRole, files: readonly NamedFile[]): NamedFile[] {
    const ours = files.filter(({ path }) => isInPlace(this.#places, path));
    this.#files[role] += ours.length;
    for (const { bytes } of ours) this.#bytes += bytes;
    if (ours.length < files.length) {
      const other = files.find(({ path }) => !isInPlace(this.#places, path));
      this.#outside = {
        count: this.#outside.count + files.length - ours.length,
        first: this.#outside.first ?? other?.path ?? null,
      };
    }
    return ours;
  }

  finish(): ExpireReport {
    return {
      snapshots: this.#snapshots,
      refs: this.#refs,
      files: { ...this.#files },
      bytes: this.#bytes,
      outside: this.#outside,
    };
  }
}
