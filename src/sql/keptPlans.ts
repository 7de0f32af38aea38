/** Statements that stay prepared for a question that comes again, with the columns of their answers. */
import type { AnswerColumn } from "./database.ts";
import type { Statement } from "./duckdb/instance.ts";

/** A statement of one question. */
export interface KeptPlan {
  readonly columns: readonly AnswerColumn[];
  readonly statement: Statement;
}

/** Of {@link KeptPlans}: a plan takes some 50 KB, and what its last run has put together. */
const PLANS_MAX = 32;

/** The plans over the views of the moment. */
export class KeptPlans {
  readonly #plans = new Map<string, KeptPlan>();

  /** The plan of a question; one that is new takes the place of the one that was asked for the longest ago. */
  get(key: string, make: () => KeptPlan): KeptPlan {
    const plan = this.#plans.get(key) ?? make();
    this.#plans.delete(key);
    this.#plans.set(key, plan);
    const [oldest] = this.#plans.keys();
    if (this.#plans.size > PLANS_MAX && oldest !== undefined) this.#drop(oldest);
    return plan;
  }

  /** Forgets them all. */
  close(): void {
    for (const key of [...this.#plans.keys()]) this.#drop(key);
  }

  #drop(key: string): void {
    this.#plans.get(key)?.statement.close();
    this.#plans.delete(key);
  }
}
