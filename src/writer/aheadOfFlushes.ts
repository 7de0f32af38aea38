/**
 * What is written ahead of the flushes of one table, one flush at a time (`ahead.ts`): begun with the first
 * segments that are closed, handed to the flush that has them, and given up with its names where that
 * cannot use it.
 */
import type { FeedKey } from "#base/offsets.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import type { Ledger } from "#commit/ledger.ts";
import { Ahead, type Begun, type HeldSegment } from "./ahead.ts";
import type { FeedFlush, SealedSegment, WriterOptions, WriterParts } from "./parts.ts";
import { NOTHING_BEGUN } from "./write.ts";

/** The part of a flush that is looked at here. */
export interface FlushAhead {
  ledger: Ledger;
  readonly segments: readonly SealedSegment[];
  /** Null: nothing was written ahead, or it goes on with it by now. */
  ahead: Ahead | null;
}

/** What has to be known of the table. */
export interface AheadTable {
  /** The newest head seen. */
  readonly head: () => LoadedTable;
  /** Takes names that no request has: their files go. */
  readonly leave: (ledger: Ledger) => Promise<void>;
}

/** Of one table. */
export class AheadOfFlushes {
  readonly #parts: WriterParts;
  readonly #options: WriterOptions;
  readonly #table: AheadTable;
  /** Of the next flush; `off`: it writes everything itself. */
  #next: Ahead | "off" | null = null;

  constructor(parts: WriterParts, options: WriterOptions, table: AheadTable) {
    this.#parts = parts;
    this.#options = options;
    this.#table = table;
  }

  /**
   * Writes rows ahead of the flush that they will be in. Every segment is released when nothing reads it any
   * more, at the latest with its flush. Never rejects: what fails here is done by the flush.
   * @param held closed segments that no flush has, in order, none left out since the last flush
   */
  async add(held: readonly HeldSegment[]): Promise<void> {
    this.#next ??= Ahead.begin(this.#parts, this.#options, this.#table.head()) ?? "off";
    if (this.#next !== "off") return await this.#next.add(held);
    for (const { release } of held) release();
  }

  /** Gives up what was written ahead of a feed: it is sought anew, or taken away. Never rejects. */
  async drop(key: FeedKey): Promise<void> {
    if (this.#next !== null && this.#next !== "off") await this.#next.drop(key);
  }

  /** For a flush of everything that was closed so far. */
  take(): Ahead | null {
    const ahead = this.#next;
    this.#next = null;
    if (ahead === null || ahead === "off") return null;
    ahead.close();
    return ahead;
  }

  /** What a flush goes on with, under the commit id that its names are logged with. */
  async join(flush: FlushAhead, table: LoadedTable, flushes: readonly FeedFlush[]): Promise<Begun> {
    const { ahead } = flush;
    if (ahead === null) return NOTHING_BEGUN;
    const begun = await ahead.join(table, flushes, flush.segments);
    if (begun.files.size > 0) flush.ledger = ahead.ledger;
    else await this.leave(flush);
    return begun.files.size > 0 ? begun : NOTHING_BEGUN;
  }

  /** Ends what was written ahead of a flush. Names that are not the flush's by now are given up. */
  async leave(flush: FlushAhead): Promise<void> {
    const { ahead } = flush;
    flush.ahead = null;
    await ahead?.end();
    if (ahead === null || ahead.ledger === flush.ledger || ahead.ledger.names.length === 0) return;
    await this.#table.leave(ahead.ledger);
  }
}
