/**
 * Rows and positions of feeds: a flush, first positions (a claim), a head that is made ours again (a
 * refresh). Each feed is admitted by the head or fenced, and fenced ones take the files with them that
 * hold their rows (SPEC 2.3).
 */
import { fail } from "#base/errors.ts";
import type { Feed, FeedOffset } from "#base/offsets.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import type { SnapshotId } from "#iceberg/metadata/metadata.ts";
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
import { type MovedOffset, withOffsets } from "./progressDocument.ts";
import { isReplaced } from "./replaced.ts";
import { type Forgotten, forgotten } from "./retained.ts";
import { type Advance, admit } from "./rules.ts";
import { stageSnapshot } from "./snapshot.ts";

/** Files that stand or fall together: they hold rows of exactly these feeds. */
export interface FileUnit {
  readonly feeds: readonly Feed[];
  readonly files: readonly DataFile[];
}

/** How an append ended, or did not yet. */
export type AppendResult =
  | {
      readonly kind: "committed";
      readonly snapshotId: SnapshotId;
      readonly table: LoadedTable;
      readonly offsets: readonly FeedOffset[];
      readonly fenced: readonly Feed[];
      /** Data files that the snapshot added. */
      readonly fileCount: number;
    }
  /** Nothing of it is in the table: all its feeds are to be sought anew. */
  | {
      readonly kind: "dropped";
      readonly reason: string;
      readonly fenced: readonly Feed[];
      /** Group that wrote the head, when it was somebody else. */
      readonly by: string;
    }
  /** Not decided: call again later. */
  | { readonly kind: "held"; readonly cause: unknown }
  /** A person paused the table; nothing was sent. */
  | { readonly kind: "paused" };

/** Why feeds are fenced, in a sentence about them. */
export const FENCED = "the head holds other offsets for these feeds";

/** An append, which shrinks when feeds are fenced. */
export class Append implements SnapshotChange {
  readonly makes = "snapshot";
  readonly kind: "flush" | "claim" | "refresh";
  readonly isHeldByPause = true;
  readonly #parts: CommitParts;
  #advances: readonly Advance[];
  #units: readonly FileUnit[];
  readonly #fenced: Feed[] = [];

  constructor(
    parts: CommitParts,
    kind: Append["kind"],
    advances: readonly Advance[],
    units: readonly FileUnit[],
  ) {
    this.#parts = parts;
    this.kind = kind;
    this.#advances = advances;
    this.#units = units;
  }

  /** Rule 3. */
  fence(head: LoadedTable, progress: Progress): Drop | null {
    if (progress.kind === "unreadable") throw unreadable(head, progress.reason);
    const { admitted, fenced } = admit(progress.document, this.#advances);
    // Below offset 0 there is nothing to lose.
    const firsts = admitted.filter(({ expect, next }) => expect === null && next > 0n);
    const feeds = firsts.map(({ feed }) => feed);
    const lost = forgotten(head.metadata, progress.document, feeds);
    if (lost.length > 0) throw setBack(head, lost);
    if (fenced.length > 0) this.#exclude(admitted, fenced);
    if (this.#advances.length > 0 || this.#fenced.length === 0) return null;
    return { kind: "dropped", reason: FENCED, by: progress.group };
  }

  /** Takes fenced feeds out, and every unit that holds rows of one of them. */
  #exclude(admitted: readonly Advance[], fenced: readonly Advance[]): void {
    const out = new Set(fenced.map((advance) => advance.feed));
    for (let grown = true; grown; ) {
      grown = false;
      for (const unit of this.#units) {
        if (!unit.feeds.some((feed) => out.has(feed))) continue;
        for (const feed of unit.feeds) {
          grown ||= !out.has(feed);
          out.add(feed);
        }
      }
    }
    this.#units = this.#units.filter((unit) => !unit.feeds.some((feed) => out.has(feed)));
    this.#advances = admitted.filter((advance) => !out.has(advance.feed));
    this.#fenced.push(...out);
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
    return stageSnapshot(attempt, this.#files, before, withOffsets(document, this.#moved));
  }

  /** A flush is complete when Kafka's offsets are written, which is the pipeline's to say. */
  async landed(landing: Landing): Promise<void> {
    const paths = this.#files.map((file) => file.filePath);
    await logLanded(this.#parts, landing, paths, this.#offsets);
    if (this.kind === "flush") return;
    const { table, commitId, snapshotId } = landing;
    await logComplete(this.#parts, fullName(table.name), commitId, snapshotId, this.#offsets);
  }

  /** What a commit's end means for the feeds. */
  resultOf(result: CommitResult): AppendResult {
    if (result.kind === "dropped") {
      const feeds = this.#advances.map((advance) => advance.feed);
      return { ...result, fenced: [...this.#fenced, ...feeds] };
    }
    if (result.kind !== "committed") return result;
    const { table, snapshotId } = result;
    if (snapshotId === null) throw fail("internal", "An append makes a snapshot");
    const counts = { fileCount: this.#files.length, fenced: this.#fenced };
    return { kind: "committed", snapshotId, table, offsets: this.#offsets, ...counts };
  }

  get #files(): DataFile[] {
    return this.#units.flatMap((unit) => unit.files);
  }

  get #moved(): MovedOffset[] {
    return this.#advances.map(({ next: offset, ...advance }) => ({ ...advance, offset }));
  }

  get #offsets(): FeedOffset[] {
    return this.#advances.map(({ feed, next }) => ({ feed, offset: next }));
  }
}

/** Partitions named in a sentence. */
const NAMED_MAX = 3;

/** The error of first positions in a table that was set back to before it knew their feeds. */
function setBack({ name }: LoadedTable, lost: readonly Forgotten[]): Error {
  const table = fullName(name);
  const placeOf = ({ feed }: Forgotten): string => `${feed.topic}:${feed.partition}`;
  const named = lost.slice(0, NAMED_MAX);
  const more = lost.length > named.length ? ` and ${lost.length - named.length} more` : "";
  const sets = named.map((each) => `--set ${placeOf(each)}=${each.offset ?? "OFFSET"}`);
  return fail(
    "progress",
    `Table ${table} was set back to before it had ${named.map(placeOf).join(", ")}${more}, which ` +
      `${snapshotText(lost[0])} has: rows below the position where it would begin now might be ` +
      "missing. Say where it begins (a number here is the least that its retained snapshots have): " +
      `kafka-iceberg offsets ${table} ${sets.join(" ")}${more === "" ? "" : " ..."}`,
    { table },
  );
}

function snapshotText(lost: Forgotten | undefined): string {
  const id = lost?.snapshotId ?? null;
  return id === null ? "an earlier commit" : `its retained snapshot ${id}`;
}

/** The error of a table whose progress only a person can restore. */
export function unreadable(table: LoadedTable, reason: string): Error {
  const name = fullName(table.name);
  if (isReplaced(table.metadata)) {
    return fail(
      "table_gone",
      `Table ${name} was replaced in place by another engine (CREATE OR REPLACE TABLE): the rows ` +
        "that it had are gone, and its offsets with them. To fill the new one, say where each " +
        `partition begins: kafka-iceberg offsets ${name} --set TOPIC:PARTITION=OFFSET`,
      { table: name },
    );
  }
  return fail(
    "progress",
    `The committed offsets of ${name} cannot be read: ${reason}. Compare the table with the topic, ` +
      `then say where to go on: kafka-iceberg offsets ${name} --set TOPIC:PARTITION=OFFSET`,
    { table: name },
  );
}
