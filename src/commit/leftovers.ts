/**
 * Files without a snapshot: what attempts of this process, and of an earlier one, left behind. Each
 * is removed as soon as the rules of SPEC 2.4 allow it, or left to the orphan cleaner, and the log
 * says which.
 */

import { describe, kindOf, policyOf } from "#base/errors.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import { addedFilePaths, manifestsOf } from "#iceberg/io/scan.ts";
import { metadataFolder } from "#iceberg/io/stageAppend.ts";
import type { Snapshot, SnapshotId } from "#iceberg/metadata/metadata.ts";
import { type OpenAttempt, openAttempts } from "#txlog/recover.ts";
import { Ledger } from "./ledger.ts";
import { logComplete } from "./logCommit.ts";
import type { CommitOptions, CommitParts } from "./parts.ts";
import { removeLeftover, removeStrays, removeThinned } from "./removal.ts";
import { findCommit } from "./rules.ts";

/** The leftovers of one table. */
export class Leftovers {
  readonly #parts: CommitParts;
  readonly #options: CommitOptions;
  #open: Ledger[] = [];

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
      await this.#logAbandoned(attempt.commitId, attempt.filePaths, false);
      return false;
    }
    await head.storage
      .abortUploads(attempt.filePaths.map((location) => ({ location, uploadId: "" })))
      .catch(() => undefined);
    const files = [...attempt.filePaths, ...(await this.#manifestsOf(head, attempt))];
    const ledger = Ledger.ofLog(attempt, files);
    const seen = findCommit(head.metadata, branch, attempt.commitId);
    const landed = seen.kind === "absent" ? attempt.landedSnapshotId : seen.snapshotId;
    if (landed === null) {
      await this.add(head, ledger);
      return false;
    }
    await this.#keepListed(head, ledger, landed);
    await this.#bestEffort(removeStrays(head, ledger));
    await logComplete(this.#parts, this.#name(), attempt.commitId, landed, []);
    return true;
  }

  /** Attempts before the one that landed were refused; while its snapshot is visible, that tells. */
  async #keepListed(head: LoadedTable, ledger: Ledger, landed: SnapshotId): Promise<void> {
    const snapshot = head.metadata.snapshots.find((each) => each.snapshotId === landed);
    if (snapshot === undefined) return;
    const listed: string[] = [];
    for await (const path of addedFilePaths(head.storage, snapshot)) listed.push(path);
    for (const { manifestPath } of await manifestsOf(head.storage, snapshot)) {
      listed.push(manifestPath);
    }
    ledger.landAs(listed);
  }

  /**
   * Manifests and lists of a commit, also those written just before a crash: their names hold its id.
   * Where the folder may not be listed the latter are left to the orphan cleaner.
   */
  async #manifestsOf(head: LoadedTable, attempt: OpenAttempt): Promise<string[]> {
    const found = new Set(attempt.commits.flatMap((each) => each.filePaths));
    const folder = `${metadataFolder(head.metadata)}/`;
    try {
      for await (const { location } of head.storage.list(folder)) {
        if (location.includes(attempt.commitId)) found.add(location);
      }
    } catch (error) {
      // We may write without the right to list; a catalog that signs requests signs no listing.
      if (kindOf(error) !== "storage_refused") throw error;
      this.#parts.logger.log(
        "warn",
        "Files of an earlier process may stay: no right to list them",
        {
          table: this.#name(),
          error: describe(error),
        },
      );
    }
    return [...found];
  }

  /** Takes a commit that did not land and tries to remove its files at once. */
  async add(head: LoadedTable, ledger: Ledger): Promise<void> {
    this.#open.push(ledger);
    await this.#sweep(head);
  }

  /** After a commit: what only refused attempts named goes, then what the new head allows. */
  async settle(head: LoadedTable, landed: Ledger, thinned: readonly Snapshot[]): Promise<void> {
    await this.#bestEffort(removeStrays(head, landed));
    await this.#bestEffort(removeThinned(head, this.#options.branch, thinned));
    await this.#sweep(head);
  }

  async #sweep(head: LoadedTable): Promise<void> {
    const still: Ledger[] = [];
    for (const ledger of this.#open) {
      const removal = removeLeftover(head, this.#parts.catalog.traits, ledger);
      const result = await removal.catch((): { kind: "later" } => ({ kind: "later" }));
      if (result.kind === "later") {
        still.push(ledger);
        continue;
      }
      // Without room in the log the duty stays: removing once more does no harm.
      const { commitId, names } = ledger;
      if (!(await this.#logAbandoned(commitId, names, result.kind === "removed"))) {
        still.push(ledger);
      }
    }
    this.#open = still;
  }

  /** False when the log has no room now. */
  async #logAbandoned(
    commitId: string,
    files: readonly string[],
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

  /** What cannot be looked at or removed now is left to the orphan cleaner. */
  async #bestEffort(removal: Promise<void>): Promise<void> {
    await removal.catch((error: unknown) => {
      this.#parts.logger.log("warn", "Could not remove files that no snapshot lists", {
        table: this.#name(),
        error: describe(error),
      });
    });
  }

  #name(): string {
    return fullName(this.#options.name);
  }
}
