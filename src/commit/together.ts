/**
 * Commits of several tables in one request, where the catalog offers it (decision 0490): each table goes through
 * the commit loop by itself, and where its first request would leave, it waits until every table of the
 * group has come so far or has ended. Then one request goes for those that came, and each loop gets its table's
 * outcome.
 *
 * Whatever comes after that, each table does by itself, once it may work again: a table that others write to holds nobody up for longer
 * than one request, and no rule of SPEC section 2 depends on what the server promises of all of them.
 */
import type { Catalog, CommitOutcome, TableChange } from "#catalog/catalog.ts";
import type { CommitVia } from "./commit.ts";

/** The part of a catalog that a group has to do with. */
export type TogetherCatalog = Pick<Catalog, "commit"> & Required<Pick<Catalog, "commitTogether">>;

/** Whether a catalog has such a request at all. */
export function hasTogether(catalog: Catalog | undefined): catalog is Catalog & TogetherCatalog {
  return catalog?.commitTogether !== undefined;
}

/** One table of a group. */
export interface Member extends CommitVia {
  /** It sends no more: the others do not wait for it. */
  left(): void;
}

/** How a member's turns go with those of other work. */
export interface Turns {
  /** It begins to wait for the others, and works no more. */
  readonly rest: () => void;
  /** Resolves when it may work again. */
  readonly goOn: () => Promise<void>;
}

interface Waiting {
  readonly change: TableChange;
  readonly goOn: () => Promise<void>;
  readonly resolve: (outcome: CommitOutcome) => void;
  readonly reject: (error: unknown) => void;
}

/** Tables whose first requests go together. */
export class Together {
  readonly #catalog: TogetherCatalog;
  readonly #notOffered: () => void;
  /** Members that have neither come nor left. */
  #awaited: number;
  #waiting: Waiting[] = [];

  /**
   * @param size how many members there will be
   * @param notOffered called when the server offers no such request; each then goes by itself
   */
  constructor(catalog: TogetherCatalog, size: number, notOffered: () => void) {
    this.#catalog = catalog;
    this.#awaited = size;
    this.#notOffered = notOffered;
  }

  /** The next member. */
  member({ rest, goOn }: Turns): Member {
    let isAwaited = true;
    const comes = (): boolean => {
      const was = isAwaited;
      isAwaited = false;
      if (was) this.#awaited--;
      return was;
    };
    return {
      commit: (name, requirements, updates) => {
        if (!comes()) return this.#catalog.commit(name, requirements, updates);
        rest();
        return new Promise((resolve, reject) => {
          const change = { name, requirements, updates };
          this.#waiting.push({ change, goOn, resolve, reject });
          this.#sendWhenAllCame();
        });
      },
      left: () => {
        if (comes()) this.#sendWhenAllCame();
      },
    };
  }

  #sendWhenAllCame(): void {
    if (this.#awaited > 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    void this.#send(waiting);
  }

  async #send(waiting: readonly Waiting[]): Promise<void> {
    const outcomes = await this.#ask(waiting.map(({ change }) => change));
    for (const [index, each] of waiting.entries())
      void this.#tell(each, outcomes?.[index]).then(each.resolve, each.reject);
  }

  /** What a table is told: of the request that there was, or of its own. Who has committed has nothing left to do. */
  async #tell({ change, goOn }: Waiting, told: CommitOutcome | undefined): Promise<CommitOutcome> {
    if (told?.kind === "committed") return told;
    await goOn();
    const { name, requirements, updates } = change;
    return told ?? this.#catalog.commit(name, requirements, updates);
  }

  /** Null: each goes by itself. */
  async #ask(changes: readonly TableChange[]): Promise<readonly CommitOutcome[] | null> {
    if (changes.length < 2) return null;
    try {
      const outcomes = await this.#catalog.commitTogether(changes);
      if (outcomes === null) this.#notOffered();
      return outcomes;
    } catch (cause) {
      // It must not throw; should it, nobody may wait for ever, and what was sent is not known.
      return changes.map(() => ({ kind: "unknown", cause }));
    }
  }
}
