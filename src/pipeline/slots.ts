/** Places for work that is done a bounded number of times at once. */

/** Who comes first is served first. */
export class Slots {
  readonly #count: number;
  readonly #queue: (() => void)[] = [];
  #free: number;

  constructor(count: number) {
    this.#count = count;
    this.#free = count;
  }

  /** True when one could be taken at once. */
  get hasFree(): boolean {
    return this.#free > 0;
  }

  /** Those that are taken, and those that are waited for. */
  get wanted(): number {
    return this.#count - this.#free + this.waiting;
  }

  /** Who waits for one. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** Resolves when one is there. */
  async take(): Promise<void> {
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    await new Promise<void>((resolve) => this.#queue.push(resolve));
  }

  /** To whoever waits for one. */
  give(): void {
    const next = this.#queue.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}
