/**
 * What the feeds of a commit bring: their advances, and units that stand or fall with them. Each feed is
 * admitted by the head or fenced, and fenced ones take every unit with them that holds something of
 * theirs (SPEC 2.3).
 */
import { fail } from "#base/errors.ts";
import type { Feed, FeedOffset } from "#base/offsets.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import type { SnapshotId } from "#iceberg/metadata/metadata.ts";
import type { CommitResult, Drop } from "./change.ts";
import type { Progress } from "./progress.ts";
import type { MovedOffset } from "./progressDocument.ts";
import { isReplaced } from "./replaced.ts";
import { type Forgotten, forgotten } from "./retained.ts";
import { type Advance, admit } from "./rules.ts";

/** Files that stand or fall together: they hold rows of exactly these feeds. */
export interface FileUnit {
  readonly feeds: readonly Feed[];
  readonly files: readonly DataFile[];
}

/** How a commit of feeds ended, or did not yet. */
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

/** The shares of the feeds of one commit, which only shrink. */
export class Shares<U extends FileUnit = FileUnit> {
  #advances: readonly Advance[];
  #units: readonly U[];
  readonly #fenced: Feed[] = [];

  constructor(advances: readonly Advance[], units: readonly U[]) {
    this.#advances = advances;
    this.#units = units;
  }

  /**
   * Rule 3.
   * @throws AppError `progress` when the head's offsets cannot be read, or it was set back to before it
   *   knew a feed that would begin now
   */
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

  /** What a commit's end means for the feeds. */
  resultOf(result: CommitResult): AppendResult {
    if (result.kind === "dropped") {
      const feeds = this.#advances.map((advance) => advance.feed);
      return { ...result, fenced: [...this.#fenced, ...feeds] };
    }
    if (result.kind !== "committed") return result;
    const { table, snapshotId } = result;
    if (snapshotId === null) throw fail("internal", "An append makes a snapshot");
    const fileCount = this.files.filter(({ content }) => content === "data").length;
    const counts = { fileCount, fenced: this.#fenced };
    return { kind: "committed", snapshotId, table, offsets: this.offsets, ...counts };
  }

  /** Those that no head has fenced. */
  get units(): readonly U[] {
    return this.#units;
  }

  get files(): DataFile[] {
    return this.#units.flatMap((unit) => unit.files);
  }

  /** Where the admitted feeds move. */
  get moved(): MovedOffset[] {
    return this.#advances.map(({ next: offset, ...advance }) => ({ ...advance, offset }));
  }

  get offsets(): FeedOffset[] {
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
