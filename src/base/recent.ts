/**
 * A map of a bounded number of entries: one more, and the entry goes that was used the longest ago.
 */

/** The entries that were used last. */
export class Recent<K, V> {
  readonly #max: number;
  readonly #onGone: (value: V) => void;
  /** In the order of their last use. */
  readonly #entries = new Map<K, V>();

  /**
   * @param max entries that stay
   * @param onGone told of a value that had to go. Default: nobody is
   */
  constructor(max: number, onGone: (value: V) => void = () => undefined) {
    this.#max = max;
    this.#onGone = onGone;
  }

  /** The value of a key, which is now the one used last. */
  get(key: K): V | undefined {
    const value = this.#entries.get(key);
    if (value !== undefined) this.set(key, value);
    return value;
  }

  values(): Iterable<V> {
    return this.#entries.values();
  }

  set(key: K, value: V): void {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    for (const [oldest, gone] of this.#entries) {
      if (this.#entries.size <= this.#max) break;
      this.#entries.delete(oldest);
      this.#onGone(gone);
    }
  }

  /** Lets all go. */
  clear(): void {
    const gone = [...this.#entries.values()];
    this.#entries.clear();
    for (const value of gone) this.#onGone(value);
  }
}
