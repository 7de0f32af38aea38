/**
 * A topic of keyed changes whose every state is known: what a fold of its records has, up to each offset of each
 * partition. Nobody else produces to it and there are no transactions, so that a change's place is its offset.
 */
import type { ExactRecord } from "../events/events.ts";

/** What a fold of one partition has: rows, and sums of `n` and `n * (id + 1)`, which two states rarely share. */
export interface FoldedState {
  readonly count: number;
  readonly sum: number;
  readonly weighed: number;
}

/** How one key changed: its numbers (null: deleted), and the offset of each. */
interface KeyHistory {
  readonly offsets: number[];
  readonly numbers: (number | null)[];
}

const NOTHING: FoldedState = { count: 0, sum: 0, weighed: 0 };

/** The changes that were produced. Key k is in partition k modulo partitions. */
export class FoldedTopic {
  readonly partitions: number;
  /** By partition; the state at place n is that of the first n records. */
  readonly #states: readonly FoldedState[][];
  readonly #keys = new Map<number, KeyHistory>();
  #count = 0;

  constructor(partitions: number) {
    this.partitions = partitions;
    this.#states = Array.from({ length: partitions }, () => [NOTHING]);
  }

  /** One more change of a key, to be produced in this order. */
  change(id: number, isDelete: boolean): ExactRecord {
    const partition = id % this.partitions;
    const states = this.#states[partition] ?? [];
    const history = this.#keys.get(id) ?? { offsets: [], numbers: [] };
    this.#keys.set(id, history);
    const before = history.numbers.at(-1) ?? null;
    const n = isDelete ? null : ++this.#count;
    const gained = (n ?? 0) - (before ?? 0);
    const last = states.at(-1) ?? NOTHING;
    history.offsets.push(states.length - 1);
    history.numbers.push(n);
    states.push({
      count: last.count + (n === null ? 0 : 1) - (before === null ? 0 : 1),
      sum: last.sum + gained,
      weighed: last.weighed + gained * (id + 1),
    });
    const value = n === null ? null : JSON.stringify({ id, n, text: `change ${n} of ${id}` });
    return { partition, key: `key-${id}`, value };
  }

  /** Records of a partition. */
  end(partition: number): number {
    return (this.#states[partition]?.length ?? 1) - 1;
  }

  /** Rows at the end. */
  get rows(): number {
    return this.#states.reduce((sum, states) => sum + (states.at(-1)?.count ?? 0), 0);
  }

  /**
   * The ends at which a partition's fold is this state: the first from an end on, and the last; null: none.
   * Keys that come and go again make a state twice.
   */
  endsOf(
    partition: number,
    from: number,
    state: FoldedState,
  ): { readonly first: number; readonly last: number } | null {
    const states = this.#states[partition] ?? [];
    const isSame = (at: number): boolean => {
      const { count, sum, weighed } = states[at] ?? NOTHING;
      return count === state.count && sum === state.sum && weighed === state.weighed;
    };
    let first = from;
    while (first < states.length && !isSame(first)) first++;
    if (first === states.length) return null;
    let last = states.length - 1;
    while (!isSame(last)) last--;
    return { first, last };
  }

  /** How many rows a partition's fold has at the least and at the most between two ends. */
  countsBetween(partition: number, from: number, to: number): readonly [number, number] {
    const counts = (this.#states[partition] ?? []).slice(from, to + 1).map(({ count }) => count);
    return [Math.min(...counts), Math.max(...counts)];
  }

  /**
   * The first end of a partition, from an end on, at which these keys of it have these numbers; null: none.
   * @param seen by key; a key that is not there has no row
   */
  endOfKeys(
    partition: number,
    from: number,
    ids: readonly number[],
    seen: ReadonlyMap<number, number>,
  ): number | null {
    const own = ids.filter((id) => id % this.partitions === partition);
    for (let end: number | null = from; end !== null; ) {
      const began: number = end;
      for (const id of own) {
        if (end !== null) end = this.#endOfKey(id, end, seen.get(id) ?? null);
      }
      if (end === began) return end;
    }
    return null;
  }

  #endOfKey(id: number, from: number, number: number | null): number | null {
    const { offsets, numbers } = this.#keys.get(id) ?? { offsets: [], numbers: [] };
    // What holds at an end is the change before it.
    let at = offsets.findLastIndex((offset) => offset < from);
    if ((numbers[at] ?? null) === number) return from;
    while (++at < numbers.length) {
      if (numbers[at] === number) return (offsets[at] ?? 0) + 1;
    }
    return null;
  }
}
