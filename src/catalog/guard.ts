/**
 * A catalog that is left alone while it is away (SPEC section 4 `[iceberg.catalog_manager]`, section
 * 10): after each failure in a row the next call waits a little longer; after one more than
 * `failuresMax` the circuit opens, and calls fail at once for `resetMs`; then one call tries (half
 * open), and its end closes or opens the circuit.
 *
 * Away means: no answer, a 5xx, or an unknown outcome. A refusal, a conflict or a table that is not
 * there are answers. A call that fails here was never sent, so a commit's outcome is definite.
 */
import type { Clock } from "#base/clock.ts";
import { describe, type ErrorKind, fail, kindOf } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { Catalog, CommitOutcome, TableChange } from "./catalog.ts";
import { notSent } from "./outcomes.ts";

/** Settings of a guard. */
export interface GuardOptions {
  /** Waits before the first, second, ... call after failures in a row, ms; the last one repeats. */
  readonly backoffMs: readonly number[];
  /** Failures in a row that are borne; one more opens the circuit. */
  readonly failuresMax: number;
  /** How long the circuit stays open before one call tries, ms. */
  readonly resetMs: number;
}

/** What a guard is built from. */
export interface GuardParts {
  readonly clock: Clock;
  readonly log: Logger;
}

/** Of the circuit breaker. */
export type CircuitState = "closed" | "half_open" | "open";

/** A catalog with a circuit breaker. */
export interface GuardedCatalog extends Catalog {
  readonly circuit: CircuitState;
}

const AWAY: ReadonlySet<ErrorKind> = new Set(["catalog_unreachable", "storage_unreachable"]);

/** Puts a circuit breaker before a catalog. */
export function guardedCatalog(
  catalog: Catalog,
  options: GuardOptions,
  parts: GuardParts,
): GuardedCatalog {
  const breaker = new Breaker(options, parts);
  const read = <T>(run: () => Promise<T>): Promise<T> => breaker.run(run, () => null);
  const write = async (run: () => Promise<CommitOutcome>): Promise<CommitOutcome> => {
    try {
      await breaker.admit();
    } catch (cause) {
      return notSent(cause);
    }
    return breaker.settle(run, failureOf);
  };
  const { commitTogether } = catalog;
  const writeAll = async (
    changes: readonly TableChange[],
    run: () => Promise<readonly CommitOutcome[] | null>,
  ): Promise<readonly CommitOutcome[] | null> => {
    try {
      await breaker.admit();
    } catch (cause) {
      return changes.map(() => notSent(cause));
    }
    return breaker.settle(run, failureIn);
  };
  return {
    ...(commitTogether && {
      commitTogether: (changes) => writeAll(changes, () => commitTogether.call(catalog, changes)),
    }),
    get circuit(): CircuitState {
      return breaker.state;
    },
    traits: catalog.traits,
    open: () => read(() => catalog.open()),
    load: (name) => read(() => catalog.load(name)),
    locationOf: (name) => catalog.locationOf(name),
    create: (request) => write(() => catalog.create(request)),
    commit: (...request) => write(() => catalog.commit(...request)),
    list: (namespace) => read(() => catalog.list(namespace)),
    close: () => {
      breaker.close();
      return catalog.close();
    },
  };
}

/** Why an outcome means that the catalog is away; null when it answered. */
function failureOf(outcome: CommitOutcome): unknown {
  if (outcome.kind === "committed") return null;
  const isAway = outcome.kind === "unknown" || AWAY.has(kindOf(outcome.cause));
  return isAway ? outcome.cause : null;
}

/** The same of several tables; undefined when nothing was sent, or by nobody who could have taken it. */
function failureIn(outcomes: readonly CommitOutcome[] | null): unknown {
  if (outcomes === null || outcomes.length === 0) return undefined;
  return outcomes.map(failureOf).find((failure) => failure !== null) ?? null;
}

class Breaker {
  readonly #options: GuardOptions;
  readonly #parts: GuardParts;
  readonly #closed = new AbortController();
  #state: CircuitState = "closed";
  #failures = 0;
  #lastFailureMs = Number.NEGATIVE_INFINITY;
  #lastFailure: unknown = null;

  constructor(options: GuardOptions, parts: GuardParts) {
    this.#options = options;
    this.#parts = parts;
  }

  get state(): CircuitState {
    return this.#state;
  }

  /** Ends all waits. */
  close(): void {
    this.#closed.abort();
  }

  async run<T>(action: () => Promise<T>, failureOfResult: (result: T) => unknown): Promise<T> {
    await this.admit();
    return this.settle(action, failureOfResult);
  }

  /** Waits for the backoff. Throws `catalog_unreachable` while the circuit is open. */
  async admit(): Promise<void> {
    const { clock } = this.#parts;
    for (;;) {
      if (this.#state !== "closed") return this.#tryOpen();
      const waitMs = this.#lastFailureMs + this.#backoffMs() - clock.monotonicMs();
      if (waitMs <= 0 || this.#closed.signal.aborted) return;
      await clock.sleep(waitMs, this.#closed.signal);
    }
  }

  /**
   * Runs what was admitted, and takes its end into account.
   * @param failureOfResult null: the catalog answered; undefined: that is not known
   */
  async settle<T>(action: () => Promise<T>, failureOfResult: (result: T) => unknown): Promise<T> {
    let failure: unknown;
    try {
      const result = await action();
      failure = failureOfResult(result);
      return result;
    } catch (error) {
      failure = AWAY.has(kindOf(error)) ? error : null;
      throw error;
    } finally {
      if (failure === undefined) this.#untold();
      else if (failure === null) this.#answered();
      else this.#failed(failure);
    }
  }

  /** A call that says nothing of the catalog; was it the one that tries, the next one does. */
  #untold(): void {
    if (this.#state === "half_open") this.#state = "open";
  }

  /** The first call after the reset tries; all others fail. */
  #tryOpen(): void {
    const leftMs = this.#lastFailureMs + this.#options.resetMs - this.#parts.clock.monotonicMs();
    if (this.#state === "open" && leftMs <= 0) {
      this.#state = "half_open";
      return;
    }
    const sentence =
      `The catalog is left alone after ${this.#failures} failures in a row ` +
      "(iceberg.catalog_manager.circuit_breaker_failures)";
    throw fail("catalog_unreachable", sentence, {}, this.#lastFailure);
  }

  #backoffMs(): number {
    const { backoffMs } = this.#options;
    if (this.#failures === 0) return 0;
    return backoffMs[Math.min(this.#failures, backoffMs.length) - 1] ?? 0;
  }

  #answered(): void {
    if (this.#state !== "closed") {
      const fields = { failures: this.#failures };
      this.#parts.log.log("info", "The catalog answers again", fields);
    }
    this.#state = "closed";
    this.#failures = 0;
    this.#lastFailure = null;
  }

  #failed(failure: unknown): void {
    this.#failures++;
    this.#lastFailure = failure;
    this.#lastFailureMs = this.#parts.clock.monotonicMs();
    if (this.#failures <= this.#options.failuresMax) return;
    if (this.#state === "closed") {
      this.#parts.log.log("error", "The catalog is left alone for a while: it does not answer", {
        failures: this.#failures,
        reset_ms: this.#options.resetMs,
        error: describe(failure),
      });
    }
    this.#state = "open";
  }
}
