/**
 * What is declared of a metric (SPEC section 9); `metricTable.ts` has them all.
 */

/** One metric. Every metric carries the label `pipeline` besides those named, unless `process`. */
export interface MetricSpec {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly labels: readonly string[];
  /** The question it answers. */
  readonly help: string;
  /**
   * The values that labels of a counter can have: each of them is served from the start, at 0, so
   * that the first error is an increase. `database` and `table` are those of the pipeline's tables.
   */
  readonly values?: Readonly<Record<string, readonly string[]>>;
  /** Upper bounds of a histogram. */
  readonly buckets?: readonly number[];
  /** Served under these names as well, from the requirement documents. */
  readonly aliases?: readonly string[];
  /** True: of the process as a whole, without `pipeline`. */
  readonly process?: true;
}
