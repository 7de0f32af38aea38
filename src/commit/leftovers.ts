/**
 * Files without a snapshot: what attempts of this process, and of an earlier one, left behind. Each
 * is removed as soon as the rules of SPEC 2.4 allow it, or left to the orphan cleaner, and the log
 * says which.
 */

import { describe, policyOf } from "#base/errors.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import { addedFilePaths, manifestsOf } from "#iceberg/io/scan.ts";
import { metadataFolder } from "#iceberg/io/stageAppend.ts";
import type { SnapshotId } from "#iceberg/metadata/metadata.ts";
import { type OpenAttempt, openAttempts } from "#txlog/recover.ts";
import type { AttemptTrail } from "./attempt.ts";
import type { CommitOptions, CommitParts } from "./parts.ts";
import { type Leftover, removeLeftover } from "./removal.ts";
import { findCommit, type SentBases } from "./rules.ts";
import { unlistedPaths } from "./thinned.ts";

/** The leftovers of one table. */
export class Leftovers {
  readonly #parts: CommitParts;
  readonly #options: CommitOptions;
  #open: Leftover[] = [];

  constructor(parts: CommitParts, options: CommitOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  /** Takes over what the log says an earlier process had not finished. */
  async inherit(head: LoadedTable): Promise<void> {
    const table = this.#name();
    const attempts = openAttempts(this.#parts.txlog.recovered).filter((a) => a.table === table);
    let completed = 0;
    for (const attempt of attempts) completed += (await this.#takeOver(head, attempt)) ? 1 : 0;
    if (attempts.length === 0) return;
    await this.#parts.txlog.append({
      type: "Recovery",
      replayed: this.#parts.txlog.recovered.length,
      completed,
      rolled_back: attempts.length - completed,
      offsets: {},
    });
    this.#parts.logger.log("info", "Recovered flushes of an earlier process", {
      table,
      completed,
      rolled_back: attempts.length - completed,
    });
  }

  /** True when the attempt's commit had landed. */
  async #takeOver(head: LoadedTable, attempt: OpenAttempt): Promise<boolean> {
    const { branch } = this.#options;
    const { tableUuid } = head.metadata;
    if (attempt.commits.some((each) => each.tableUuid !== tableUuid)) {
      // Made for a table that had this name; renamed, it may list the files, unseen from here.
      await this.#logAbandoned({ commitId: attempt.commitId, files: attempt.filePaths }, false);
      return false;
    }
    await head.storage
      .abortUploads(attempt.filePaths.map((location) => ({ location, uploadId: "" })))
      .catch(() => undefined);
    const seen = findCommit(head.metadata, branch, attempt.commitId);
    const landed = seen.kind === "absent" ? attempt.landedSnapshotId : seen.snapshotId;
    if (landed === null) {
      const files = [...attempt.filePaths, ...(await this.#manifestsOf(head, attempt))];
      await this.add(head, { commitId: attempt.commitId, files, sent: sentBases(attempt) });
      return false;
    }
    await this.#removeStrays(head, attempt, landed);
    await this.#parts.txlog.append({
      type: "FlushComplete",
      table: this.#name(),
      commit_id: attempt.commitId,
      offsets: {},
      snapshot_id: landed,
    });
    return true;
  }

  /**
   * Attempts before the one that landed were refused by the catalog: nobody has their manifests, nor
   * the data files that the landed snapshot does not list.
   */
  async #removeStrays(head: LoadedTable, attempt: OpenAttempt, landed: SnapshotId): Promise<void> {
    const { storage } = head;
    const snapshot = head.metadata.snapshots.find((each) => each.snapshotId === landed);
    if (snapshot === undefined) return;
    const unlisted = new Set([...attempt.filePaths, ...(await this.#manifestsOf(head, attempt))]);
    unlisted.delete(snapshot.manifestList);
    for (const manifest of await manifestsOf(storage, snapshot)) {
      unlisted.delete(manifest.manifestPath);
    }
    for await (const path of addedFilePaths(storage, snapshot)) unlisted.delete(path);
    await this.#remove(head, [...unlisted]);
  }

  /** Manifests and lists of a commit, also those written just before a crash: their names hold its id. */
  async #manifestsOf(head: LoadedTable, attempt: OpenAttempt): Promise<string[]> {
    const found = new Set(attempt.commits.flatMap((each) => each.filePaths));
    const folder = `${metadataFolder(head.metadata)}/`;
    for await (const { location } of head.storage.list(folder)) {
      if (location.includes(attempt.commitId)) found.add(location);
    }
    return [...found];
  }

  /** Adds a leftover and tries to remove it at once. */
  async add(head: LoadedTable, leftover: Leftover): Promise<void> {
    this.#open.push(leftover);
    await this.#sweep(head);
  }

  /**
   * After a commit: what only refused attempts named goes, then what the new head allows.
   * @param unused data files of feeds that were fenced before the attempt that landed
   */
  async settle(
    head: LoadedTable,
    trail: AttemptTrail,
    landed: SnapshotId,
    unused: readonly string[],
  ): Promise<void> {
    const strays = trail.attempts.filter((attempt) => attempt.snapshotId !== landed);
    const last = trail.attempts.at(-1);
    const thinned = last?.snapshotId === landed ? await this.#thinnedPaths(head, trail) : [];
    await this.#remove(head, [
      ...unused,
      ...strays.flatMap((attempt) => attempt.files),
      ...thinned,
    ]);
    await this.#sweep(head);
  }

  /** What cannot be looked at now is left to the orphan cleaner. */
  #thinnedPaths({ metadata, storage }: LoadedTable, { thinned }: AttemptTrail): Promise<string[]> {
    return unlistedPaths(storage, metadata, this.#options.branch, thinned).catch(() => []);
  }

  async #sweep(head: LoadedTable): Promise<void> {
    const still: Leftover[] = [];
    for (const leftover of this.#open) {
      const result = await removeLeftover(head, leftover).catch((): { kind: "later" } => ({
        kind: "later",
      }));
      if (result.kind === "later") {
        still.push(leftover);
        continue;
      }
      // Without room in the log the duty stays: removing once more does no harm.
      if (!(await this.#logAbandoned(leftover, result.kind === "removed"))) still.push(leftover);
    }
    this.#open = still;
  }

  /** False when the log has no room now. */
  async #logAbandoned(
    { commitId, files }: Pick<Leftover, "commitId" | "files">,
    removed: boolean,
  ): Promise<boolean> {
    try {
      await this.#parts.txlog.append({
        type: "FlushAbandoned",
        table: this.#name(),
        commit_id: commitId,
        removed: removed ? files : [],
        left: removed ? [] : files,
      });
      return true;
    } catch (error) {
      if (policyOf(error).action !== "again") throw error;
      return false;
    }
  }

  /** Best effort: what stays is the orphan cleaner's. */
  async #remove({ storage }: LoadedTable, files: readonly string[]): Promise<void> {
    if (files.length === 0) return;
    await storage.remove(files).catch((error: unknown) => {
      this.#parts.logger.log("warn", "Could not remove files that no snapshot lists", {
        table: this.#name(),
        files: files.length,
        error: describe(error),
      });
    });
  }

  #name(): string {
    return fullName(this.#options.name);
  }
}

/**
 * A restart does not know which requests were refused: any of them may still be under way. Nor does
 * it know that none was sent: a log may be older than the table (a restored backup, or
 * `fsync = "never"` and a power loss).
 */
function sentBases(attempt: OpenAttempt): SentBases {
  const bases = attempt.commits.map((each) => each.baseSequenceNumber);
  const first = bases.reduce<bigint | null>((min, n) => (min === null || n < min ? n : min), null);
  const last = bases.reduce<bigint | null>((max, n) => (max === null || n > max ? n : max), null);
  return { first: first ?? attempt.baseSequenceNumber, last };
}
