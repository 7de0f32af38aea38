/** Statements that stay prepared for a question that comes again, with the columns of their answers. */
import { Recent } from "#base/recent.ts";
import type { AnswerColumn } from "./database.ts";
import type { Statement } from "./duckdb/statement.ts";

/** A statement of one question. */
export interface KeptPlan {
  readonly columns: readonly AnswerColumn[];
  readonly statement: Statement;
}

/** Of {@link KeptPlans}: a plan takes some 50 KB, and what its last run has put together. */
const PLANS_MAX = 32;

/** The plans over the views of the moment. */
export class KeptPlans {
  readonly #plans = new Recent<string, KeptPlan>(PLANS_MAX, ({ statement }) => statement.close());

  /** The plan of a question; one that is new takes the place of the one that was asked for the longest ago. */
  get(key: string, make: () => KeptPlan): KeptPlan {
    const kept = this.#plans.get(key);
    if (kept !== undefined) return kept;
    const plan = make();
    this.#plans.set(key, plan);
    return plan;
  }

  /** Forgets them all. */
  close(): void {
    this.#plans.clear();
  }
}
