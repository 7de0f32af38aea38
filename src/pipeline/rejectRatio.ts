/**
 * The share of rejected records among the last 10,000 (SPEC section 4, `dead_letter.max_ratio`): counted
 * by batch, the oldest forgotten when the others are enough.
 */

/** Records that are looked back at, to a batch. */
const WINDOW_RECORDS = 10_000;
/** Of fewer the share says nothing. */
const RECORDS_MIN = 1000;

interface Counted {
  readonly records: number;
  readonly rejected: number;
}

/** Counts what has become of the last records. */
export class RejectRatio {
  records = 0;
  rejected = 0;
  #batches: Counted[] = [];
  /** Batches at the front that are forgotten. */
  #gone = 0;

  /** Adds a batch: all its records, and those of them that were rejected. */
  note(records: number, rejected: number): void {
    if (records === 0) return;
    this.#batches.push({ records, rejected });
    this.records += records;
    this.rejected += rejected;
    for (let first = this.#first; first !== undefined; first = this.#first) {
      if (this.records - first.records < WINDOW_RECORDS) break;
      this.records -= first.records;
      this.rejected -= first.rejected;
      this.#gone++;
    }
    if (this.#gone * 2 < this.#batches.length) return;
    this.#batches = this.#batches.slice(this.#gone);
    this.#gone = 0;
  }

  /** Between 0 and 1; 0 while too few records were seen. */
  get share(): number {
    return this.records < RECORDS_MIN ? 0 : this.rejected / this.records;
  }

  get #first(): Counted | undefined {
    return this.#batches[this.#gone];
  }
}
