/**
 * The partitions that this process reads, each with the table that it feeds and its position.
 */
import { type Feed, type FeedKey, feedKey } from "#base/offsets.ts";
import type { TableRun } from "./tableRun.ts";

/** One assigned partition. */
export interface FeedRun {
  readonly feed: Feed;
  readonly key: FeedKey;
  readonly table: TableRun;
  /** Of the consumer; 0 until its start offset is known. */
  epoch: number;
  /** Counts how often a start was begun; only the newest one may take effect. */
  starts: number;
  /** Next offset to decode. */
  position: bigint;
  /** Next offset by the table, as last seen. */
  committed: bigint;
}

/** Assigned partitions by key. */
export class Feeds {
  readonly #byKey = new Map<FeedKey, FeedRun>();

  /** Adds partitions that were assigned. */
  add(feeds: readonly Feed[], tableOf: (feed: Feed) => TableRun): FeedRun[] {
    return feeds.map((feed) => {
      const key = feedKey(feed);
      const run: FeedRun = {
        feed,
        key,
        table: tableOf(feed),
        epoch: 0,
        starts: 0,
        position: 0n,
        committed: 0n,
      };
      this.#byKey.set(key, run);
      return run;
    });
  }

  get(key: FeedKey): FeedRun | undefined {
    return this.#byKey.get(key);
  }

  /** Forgets partitions; returns those that were known. */
  remove(feeds: readonly Feed[]): FeedRun[] {
    const gone: FeedRun[] = [];
    for (const feed of feeds) {
      const run = this.#byKey.get(feedKey(feed));
      if (run === undefined) continue;
      this.#byKey.delete(run.key);
      gone.push(run);
    }
    return gone;
  }

  /** All assigned partitions. */
  all(): FeedRun[] {
    return [...this.#byKey.values()];
  }

  /** Assigned partitions of one table. */
  of(table: TableRun): FeedRun[] {
    return this.all().filter((run) => run.table === table);
  }
}

/** Feeds grouped by their table. */
export function byTable(runs: readonly FeedRun[]): Map<TableRun, FeedRun[]> {
  const groups = new Map<TableRun, FeedRun[]>();
  for (const run of runs) groups.set(run.table, [...(groups.get(run.table) ?? []), run]);
  return groups;
}
