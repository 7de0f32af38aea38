/**
 * One table as commits see it: its ports and settings, its identity, the newest head seen, and the
 * files that commits of it left behind.
 *
 * Whoever commits reads the head and its progress here, and nowhere else.
 */
import { fail } from "#base/errors.ts";
import type { CommitOutcome, LoadedTable } from "#catalog/catalog.ts";
import { fullName, namespaceText } from "#catalog/names.ts";
import { Leftovers } from "./leftovers.ts";
import type { CommitOptions, CommitParts } from "./parts.ts";
import type { Progress } from "./progress.ts";
import { ProgressReader } from "./progressSearch.ts";

/** A table that is committed to. */
export class CommitTable {
  readonly parts: CommitParts;
  readonly options: CommitOptions;
  readonly leftovers: Leftovers;
  readonly #uuid: string;
  readonly #progress: ProgressReader;
  #head: LoadedTable;

  constructor(parts: CommitParts, options: CommitOptions, head: LoadedTable) {
    this.parts = parts;
    this.options = options;
    this.leftovers = new Leftovers(parts, options);
    this.#uuid = head.metadata.tableUuid;
    this.#head = head;
    const { coordinates: columns = null, branch } = options;
    const { readCoordinates: read, catalog } = parts;
    const rows = columns === null || read === undefined ? null : { columns, read };
    this.#progress = new ProgressReader(branch, rows, catalog.traits.showsAncestors);
  }

  /** Namespace and table as text. */
  get name(): string {
    return fullName(this.options.name);
  }

  /** The newest metadata seen; nothing is decided on it. */
  get head(): LoadedTable {
    return this.#head;
  }

  /**
   * The head, read now, which must still be the table that was opened.
   * @throws AppError `table_gone`, and what `Catalog.load` throws
   */
  async load(): Promise<LoadedTable> {
    const head = await this.parts.catalog.load(this.options.name);
    if (head === null) {
      throw fail(
        "table_gone",
        `Table ${this.name} was dropped; its rows are not written elsewhere. To go on with it, ` +
          "register it again, then restart; without it a restart begins a new one by " +
          "kafka.auto_offset_reset",
      );
    }
    if (head.metadata.tableUuid !== this.#uuid) {
      throw fail(
        "table_gone",
        `Table ${this.name} was replaced by another of the same name (UUID ` +
          `${head.metadata.tableUuid} instead of ${this.#uuid}); restart to use the new one`,
      );
    }
    return this.saw(head);
  }

  /** Remembers a head that the catalog answered. */
  saw(head: LoadedTable): LoadedTable {
    this.#head = head;
    return head;
  }

  /** What a head says about committed offsets (SPEC 2.2). */
  progressOf(head: LoadedTable): Promise<Progress> {
    return this.#progress.read(head);
  }

  /** Counts a request. `data`: it carried files. */
  observeCommit(outcome: CommitOutcome["kind"], data: boolean, beganMs: number): void {
    const { clock, observe } = this.parts;
    const { namespace, table } = this.options.name;
    observe({
      type: "commit",
      database: namespaceText(namespace),
      table,
      outcome,
      data,
      durationMs: clock.monotonicMs() - beganMs,
      atMs: clock.nowMs(),
    });
  }
}
