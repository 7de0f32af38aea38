/**
 * Writes rows that move no offset, and commits them: columns first, then files, then the commit, as a
 * flush does (`tableWriter.ts`). Nobody waits for them: what is not decided is given up.
 */
import { fail } from "#base/errors.ts";
import type { Change, CommitResult } from "#commit/change.ts";
import { commit, giveUp, newCommit } from "#commit/commit.ts";
import type { CommitTable } from "#commit/commitTable.ts";
import { Ledger } from "#commit/ledger.ts";
import type { FileUnit } from "#commit/shares.ts";
import type { FeedFlush, WriterOptions, WriterParts } from "./parts.ts";
import { columnsFor } from "./schema.ts";
import { writeFiles } from "./write.ts";

/** How an addition ended. */
export interface AdditionEnd {
  readonly result: CommitResult;
  readonly commitId: string;
}

/** The files of one such commit, written a part at a time. */
export class AddedFiles {
  readonly units: FileUnit[] = [];
  readonly #parts: WriterParts;
  readonly #options: WriterOptions;
  readonly #table: CommitTable;
  readonly #ledger: Ledger;
  /** Of the first file: by it the commit is dropped before an orphan cleaner may have taken that one. */
  readonly #beganMs: number;
  #isOver = false;

  constructor(parts: WriterParts, options: WriterOptions, table: CommitTable) {
    this.#parts = parts;
    this.#options = options;
    this.#table = table;
    this.#ledger = new Ledger(parts.random.uuid());
    this.#beganMs = parts.clock.nowMs();
  }

  get commitId(): string {
    return this.#ledger.commitId;
  }

  /**
   * Writes rows, after the columns that they bring. Null: they are durable; else why the columns could
   * not be committed. When it throws, nothing is to be written any more: all files are given up.
   */
  async write(flushes: readonly FeedFlush[]): Promise<CommitResult | null> {
    const parts = this.#parts;
    const table = this.#table;
    const shapes = flushes.flatMap((each) => each.batches.map((batch) => batch.fields));
    try {
      const ready = await commit(table, newCommit(table, columnsFor(parts, shapes, {})));
      if (ready.kind !== "committed") {
        await this.giveUp();
        return ready;
      }
      const options = this.#options;
      this.units.push(...(await writeFiles(parts, options, ready.table, flushes, this.#ledger)));
      return null;
    } catch (error) {
      await this.giveUp();
      throw error;
    }
  }

  /** Commits the change that adds the files; what is not decided is given up. */
  async commit(change: Change): Promise<CommitResult> {
    const table = this.#table;
    const pending = newCommit(table, change, this.#ledger, this.#beganMs);
    try {
      this.#isOver = true;
      const result = await commit(table, pending);
      if (result.kind === "held" || result.kind === "paused") await giveUp(table, pending);
      return result;
    } catch (error) {
      await giveUp(table, pending);
      throw error;
    }
  }

  /** The files go, unless they were given to a commit, which decides about them. */
  async giveUp(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    await this.#table.leftovers.add(this.#table.head, this.#ledger);
  }
}

/**
 * One commit with these rows.
 * @param changeOf the change that adds the files
 */
export async function addRows(
  parts: WriterParts,
  options: WriterOptions,
  table: CommitTable,
  flushes: readonly FeedFlush[],
  changeOf: (units: readonly FileUnit[]) => Change,
): Promise<AdditionEnd> {
  const files = new AddedFiles(parts, options, table);
  const { commitId } = files;
  const held = await files.write(flushes);
  return { result: held ?? (await files.commit(changeOf(files.units))), commitId };
}

/** True: it is in the table; false: it is to be made anew. @throws AppError of what holds it */
export function isDone(result: CommitResult, table: string): boolean {
  switch (result.kind) {
    case "committed":
      return true;
    case "dropped":
      return false;
    case "paused":
      throw fail(
        "paused",
        `Table ${table} is paused. To let it go on: kafka-iceberg resume ${table}`,
      );
    case "held":
      throw result.cause;
  }
}
