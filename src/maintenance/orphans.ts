/**
 * Orphans: files in a table's folder that its metadata cannot reach, of attempts that did not land, of
 * processes that were killed, of runs that were stopped (SPEC section 4, `[maintenance]`).
 *
 * A file is removed when it is older than the retention by the store's own clock, is reached by
 * nothing (`iceberg/io/reachable.ts`), and was not brought into the table by a commit that came while
 * the folder was listed. Commits never send a file that is older than a third of the retention (rule
 * 10l), so whatever is that old and in no snapshot is in none to come.
 *
 * What looks like another table's folder inside this one is left alone, and so are hidden files, which
 * other programs keep beside tables, and the versions of a Hadoop table's metadata, whose order its
 * catalog relies on.
 */
import { fail } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import type { CommitTable } from "#commit/commitTable.ts";
import { removeUnreachable } from "#commit/removal.ts";
import { lastPart, reachableNames } from "#iceberg/io/reachable.ts";
import { listedPaths } from "#iceberg/io/scan.ts";
import { metadataFolder } from "#iceberg/io/stageAppend.ts";
import type { LeftUpload, ObjectInfo } from "#storage/storage.ts";
import type { RunCounts } from "./record.ts";
import { type RunOptions, refusePaused, refuseRemoval, refuseStopped } from "./run.ts";
import { storeTimeMs } from "./storeTime.ts";

/** How orphans are looked for. */
export interface OrphanOptions extends RunOptions {
  /** Younger files stay, ms; default `orphan_retention_days`. */
  readonly ageMsMin: number;
  /** True: a person has looked at it (`--yes`): files of the last day, and any number. */
  readonly isForced: boolean;
}

/** What a run removed, or would remove. */
export interface OrphanReport {
  /** Files in the table's folder. */
  readonly listed: number;
  readonly files: number;
  readonly bytes: number;
  /** Multipart uploads and temporary files of writers that died. */
  readonly uploads: number;
  /** Some of the files. */
  readonly examples: readonly string[];
  /** Folders inside the table's that look like tables, and were left alone. */
  readonly otherTables: readonly string[];
}

/** A report as the record of runs takes it. */
export function orphanCounts({ files, uploads, listed, bytes }: OrphanReport): RunCounts {
  return { counts: { files, uploads, listed }, bytesReclaimed: bytes };
}

/** Younger files may belong to a commit that is on its way, of any writer: only a person has them removed. */
export const ORPHAN_AGE_MS_SAFE = 86_400_000;

/** Of so many files it is looked at which share of the table goes. */
const SHARE_FROM_FILES = 100;

const EXAMPLES_MAX = 10;
const REMOVED_AT_ONCE = 1000;

/**
 * Removes a table's orphans, or says what would be removed.
 * @throws AppError `usage` for a table that must not be touched, and for a run that needs `--yes`
 */
export async function removeOrphans(
  table: CommitTable,
  options: OrphanOptions,
): Promise<OrphanReport> {
  const { isDry, isForced, ageMsMin } = options;
  if (ageMsMin < ORPHAN_AGE_MS_SAFE && !isForced) {
    throw fail(
      "usage",
      "Files of the last 24 hours may belong to a commit that is on its way, of any writer: to remove them say --yes",
    );
  }
  const head = await table.load();
  refuseRemoval(head, table.parts.catalog.traits);
  if (!isDry) refusePaused(head);
  const folder = folderOf(head);
  const { clock, random } = table.parts;
  const nowMs = (isDry ? null : await storeTimeMs(head, random)) ?? clock.nowMs();
  const found = await findOrphans(head, folder, nowMs - ageMsMin, options);
  const orphans = await unlistedSince(table, head, found.orphans);
  const uploads = await oldUploads(head, folder, nowMs - ageMsMin);
  if (!isDry) {
    if (!isForced) refuseMany(head, found.listed, orphans.length, found.isMore);
    await remove(head, orphans, uploads, options);
  }
  return {
    listed: found.listed,
    files: orphans.length,
    bytes: orphans.reduce((sum, { bytes }) => sum + bytes, 0),
    uploads: uploads.length,
    examples: orphans.slice(0, EXAMPLES_MAX).map(({ location }) => location),
    otherTables: found.otherTables,
  };
}

/** The table's own folder, with a slash at its end. A bucket or a root is refused. */
function folderOf({ metadata: { location } }: LoadedTable): string {
  const folder = `${location.replace(/\/+$/, "")}/`;
  const path = folder.replace(/^[a-z0-9]+:\/\/[^/]*/i, "").replace(/^file:/i, "");
  const parts = path.split("/").filter((part) => part !== "");
  if (parts.length > 0 && !parts.includes("..") && !parts.includes(".")) return folder;
  const sentence = `The table's location is ${location}: such a folder is not searched for orphans`;
  throw fail("usage", sentence, { location });
}

interface Found {
  readonly listed: number;
  readonly orphans: readonly ObjectInfo[];
  /** True when there are more than one run takes. */
  readonly isMore: boolean;
  readonly otherTables: readonly string[];
}

async function findOrphans(
  head: LoadedTable,
  folder: string,
  olderThanMs: number,
  { onProgress, stop }: OrphanOptions,
): Promise<Found> {
  const known = await reachableNames(head.storage, head, (count) => {
    onProgress({ step: "reading what the table has", done: count, total: null });
    refuseStopped(stop);
  });
  const otherTables = new Set<string>();
  const orphans: ObjectInfo[] = [];
  const metadata = `${metadataFolder(head.metadata)}/`;
  let listed = 0;
  let isMore = false;
  for await (const object of head.storage.list(folder)) {
    if (++listed % REMOVED_AT_ONCE === 0) {
      onProgress({ step: "listing the table's folder", done: listed, total: null });
      refuseStopped(stop);
    }
    const other = otherTableOf(object.location, metadata);
    if (other !== null && other !== folder) otherTables.add(other);
    if (object.modifiedMs >= olderThanMs || isLeftAlone(object.location, folder)) continue;
    if (known.has(nameOf(object.location))) continue;
    if (orphans.length < LIMITS.maintenanceNamesMax) orphans.push(object);
    else isMore = true;
  }
  const others = [...otherTables].sort();
  const isOurs = ({ location }: ObjectInfo): boolean =>
    !others.some((other) => location.startsWith(other));
  return { listed, orphans: orphans.filter(isOurs), isMore, otherTables: others };
}

/** The folder of a table whose metadata file this is, unless it is our own metadata. */
function otherTableOf(location: string, ownMetadata: string): string | null {
  if (location.startsWith(ownMetadata)) return null;
  return /^(.*\/)metadata\/[^/]*metadata\.json(?:\.gz)?$/s.exec(location)?.[1] ?? null;
}

/** The name by which a file is known; a checksum that Hadoop keeps beside it goes with it. */
function nameOf(location: string): string {
  const name = lastPart(location);
  return /^\.(.+)\.crc$/s.exec(name)?.[1] ?? name;
}

/**
 * Hidden files and folders are other programs' (a folder of a partition may begin with `_`), and the
 * versions of a Hadoop table's metadata, with their hint, are the catalog's.
 */
function isLeftAlone(location: string, folder: string): boolean {
  const parts = location.slice(folder.length).split("/");
  const name = nameOf(parts.pop() ?? "");
  if (/^(?:v\d+(?:\.gz)?\.metadata\.json(?:\.gz)?|version-hint\.text)$/.test(name)) return true;
  const isHidden = (part: string): boolean => /^[._]/.test(part);
  return isHidden(name) || parts.some((part) => isHidden(part) && !part.includes("="));
}

/** Without those that a snapshot lists which came since the head was loaded. */
async function unlistedSince(
  table: CommitTable,
  { metadata: { snapshots, lastSequenceNumber } }: LoadedTable,
  orphans: readonly ObjectInfo[],
): Promise<readonly ObjectInfo[]> {
  if (orphans.length === 0) return orphans;
  const head = await table.load();
  const seen = new Set(snapshots.map(({ snapshotId }) => snapshotId));
  const since = head.metadata.snapshots.filter(({ snapshotId }) => !seen.has(snapshotId));
  const names = new Set<string>();
  for await (const path of listedPaths(head.storage, since, lastSequenceNumber)) {
    names.add(lastPart(path));
  }
  return orphans.filter(({ location }) => !names.has(nameOf(location)));
}

async function oldUploads(
  { storage }: LoadedTable,
  folder: string,
  olderThanMs: number,
): Promise<LeftUpload[]> {
  const old: LeftUpload[] = [];
  for await (const upload of storage.leftUploads?.(folder) ?? []) {
    if (upload.beganMs < olderThanMs && old.length < LIMITS.maintenanceNamesMax) old.push(upload);
  }
  return old;
}

/** More than a table's writers leave behind: then something else is wrong, and a person is asked. */
function refuseMany(head: LoadedTable, listed: number, files: number, isMore: boolean): void {
  const isMostOfIt = files >= SHARE_FROM_FILES && files > listed / 2;
  if (!isMore && !isMostOfIt && files <= LIMITS.orphansPerRunMax) return;
  const { location } = head.metadata;
  throw fail(
    "usage",
    `${files}${isMore ? " and more" : ""} of ${listed} files in ${location} are in no snapshot: nothing ` +
      "was removed. Look at them with --dry-run; to remove them say --yes",
    { location, files, listed },
  );
}

async function remove(
  head: LoadedTable,
  orphans: readonly ObjectInfo[],
  uploads: readonly LeftUpload[],
  { onProgress, stop }: OrphanOptions,
): Promise<void> {
  for (let at = 0; at < orphans.length; at += REMOVED_AT_ONCE) {
    refuseStopped(stop);
    const some = orphans.slice(at, at + REMOVED_AT_ONCE).map(({ location }) => location);
    await removeUnreachable(head, some);
    onProgress({ step: "removing orphans", done: at + some.length, total: orphans.length });
  }
  if (uploads.length > 0) await head.storage.abortUploads(uploads);
}
