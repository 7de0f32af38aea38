/**
 * Rows and positions of feeds: a flush, first positions (a claim), a head that is made ours again (a
 * refresh).
 */
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import type {
  Attempt,
  CommitResult,
  Drop,
  Landing,
  SnapshotChange,
  StagedSnapshot,
} from "./change.ts";
import { logComplete, logLanded } from "./logCommit.ts";
import type { CommitParts } from "./parts.ts";
import type { Progress } from "./progress.ts";
import { withOffsets } from "./progressDocument.ts";
import type { Advance } from "./rules.ts";
import { type AppendResult, type FileUnit, Shares, unreadable } from "./shares.ts";
import { stageSnapshot } from "./snapshot.ts";

/** An append, which shrinks when feeds are fenced. */
export class Append implements SnapshotChange {
  readonly makes = "snapshot";
  readonly kind: "flush" | "claim" | "refresh";
  readonly isHeldByPause = true;
  readonly #parts: CommitParts;
  readonly #shares: Shares;

  constructor(
    parts: CommitParts,
    kind: Append["kind"],
    advances: readonly Advance[],
    units: readonly FileUnit[],
  ) {
    this.#parts = parts;
    this.kind = kind;
    this.#shares = new Shares(advances, units);
  }

  /** Rule 3. */
  fence(head: LoadedTable, progress: Progress): Drop | null {
    return this.#shares.fence(head, progress);
  }

  /**
   * The offsets of other feeds are those of this very head. A refresh says all of them, so that no
   * snapshot behind it is needed to read them, whatever is rolled back or expired.
   */
  stage(attempt: Attempt): Promise<StagedSnapshot> {
    const { head, progress } = attempt;
    if (progress.kind === "unreadable") throw unreadable(head, progress.reason);
    const { document } = progress;
    const before = this.kind === "refresh" ? null : document;
    const after = withOffsets(document, this.#shares.moved);
    return stageSnapshot(attempt, this.#shares.files, before, after);
  }

  /** A flush is complete when Kafka's offsets are written, which is the pipeline's to say. */
  async landed(landing: Landing): Promise<void> {
    const { files, offsets } = this.#shares;
    const paths = files.map((file) => file.filePath);
    await logLanded(this.#parts, landing, paths, offsets);
    if (this.kind === "flush") return;
    const { table, commitId, snapshotId } = landing;
    await logComplete(this.#parts, fullName(table.name), commitId, snapshotId, offsets);
  }

  /** What a commit's end means for the feeds. */
  resultOf(result: CommitResult): AppendResult {
    return this.#shares.resultOf(result);
  }
}
