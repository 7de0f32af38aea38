/**
 * Changes of keys, whose older rows are deleted by the values of their key (`delete_mode = "equality"`): each
 * unit brings files of its rows, and files of the keys that it changes. All of them get the number of the
 * snapshot that lands, and such deletes hide rows of lower numbers only (CHANGE_RULES 10g): every older row of
 * the key, whoever wrote it, and none of the same commit.
 *
 * Nothing depends on what stood before, so the files are used again after a definite conflict (10f). Only
 * when the table has got another partition spec meanwhile, deletes of one partition might reach too little.
 */
import type { LoadedTable } from "#catalog/catalog.ts";
import { reachesAll } from "#iceberg/deletes/equalityScope.ts";
import type { KeySet } from "#keyindex/port.ts";
import type {
  Attempt,
  CommitResult,
  Drop,
  Landing,
  SnapshotChange,
  StagedSnapshot,
} from "./change.ts";
import { stageEmptied } from "./emptied.ts";
import { joinedKeys, requireDistinct } from "./keySets.ts";
import { logLanded } from "./logCommit.ts";
import type { CommitParts } from "./parts.ts";
import type { Progress } from "./progress.ts";
import { withOffsets } from "./progressDocument.ts";
import type { Advance } from "./rules.ts";
import { type AppendResult, type FileUnit, Shares, unreadable } from "./shares.ts";
import { stageSnapshot } from "./snapshot.ts";

/** Files of rows and files of keys, and the keys. */
export interface EqualityUnit extends FileUnit {
  /** Of all changes, deletions of keys included; each once, and in no other unit of the commit. */
  readonly keys: KeySet;
  /** Before its changes every row of the table goes. */
  readonly empties: boolean;
}

/** One flush of changes, which shrinks when feeds are fenced. */
export class EqualityUpsert implements SnapshotChange {
  readonly makes = "snapshot";
  readonly kind = "flush";
  readonly isHeldByPause = true;
  readonly #parts: CommitParts;
  readonly #shares: Shares<EqualityUnit>;

  constructor(parts: CommitParts, advances: readonly Advance[], units: readonly EqualityUnit[]) {
    this.#parts = parts;
    this.#shares = new Shares(advances, units);
  }

  /** Rule 3; the deletes of a fenced feed leave with its rows. */
  fence(head: LoadedTable, progress: Progress): Drop | null {
    return this.#shares.fence(head, progress);
  }

  async stage(attempt: Attempt): Promise<StagedSnapshot | Drop> {
    const { head, progress } = attempt;
    if (progress.kind === "unreadable") throw unreadable(head, progress.reason);
    const { units, files, moved } = this.#shares;
    if (units.some(({ empties }) => empties)) return await stageEmptied(attempt, this.#shares);
    const deletes = files.filter(({ content }) => content === "equality-deletes");
    if (!deletes.every(({ specId }) => reachesAll(head.metadata, specId))) {
      return { kind: "dropped", reason: OTHER_SPEC, by: "" };
    }
    if (units.length > 1) await requireDistinct(joinedKeys(units.map(({ keys }) => keys)), attempt);
    const { document } = progress;
    return stageSnapshot(attempt, files, document, withOffsets(document, moved));
  }

  /** A flush is complete when Kafka's offsets are written, which is the pipeline's to say. */
  async landed(landing: Landing): Promise<void> {
    const { files, offsets } = this.#shares;
    const paths = files.map((file) => file.filePath);
    await logLanded(this.#parts, landing, paths, offsets);
  }

  /** What a commit's end means for the feeds. */
  resultOf(result: CommitResult): AppendResult {
    return this.#shares.resultOf(result);
  }
}

/** Why a flush is read and written again. */
const OTHER_SPEC =
  "the table has another partition spec by now, and its deletes were for one of the old";
