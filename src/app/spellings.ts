/**
 * Names of a pipeline's tables that differ by upper and lower case only: many catalogs and engines take
 * such names for one (`writer/create.ts` says which of the tables is made).
 */
import type { TableName } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";

/** Names by themselves in lower case. */
export class Spellings {
  readonly #byLower = new Map<string, TableName[]>();

  /** Takes a name in, once; answers the other names of its spelling, as they are when asked for. */
  add(name: TableName): () => readonly TableName[] {
    const lower = fullName(name).toLowerCase();
    const all = this.#byLower.get(lower) ?? [];
    this.#byLower.set(lower, all);
    all.push(name);
    return () => all.filter((each) => each !== name);
  }
}
