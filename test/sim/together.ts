/**
 * A catalog's commit of several tables in the pipeline simulation, with as little order as a server may have: each
 * table's part goes its own way, is applied, refused, lost or late, and one answer tells of all of them. Success
 * where all were applied; a conflict where one was refused, though others may have been applied; else none.
 * A conflict may also come at once, with nothing applied, as one of a table that had moved on.
 */
import type { Catalog, CommitOutcome, TableChange } from "#catalog/catalog.ts";
import type { World } from "./world.ts";

/** @param catalogs of a process, by the tables' names */
export function togetherIn(
  world: World,
  catalogs: ReadonlyMap<string, Catalog>,
): NonNullable<Catalog["commitTogether"]> {
  return async (changes) => {
    if (world.random.unit() < 0.1) {
      world.say("catalog: nothing of several tables is applied");
      return changes.map(() => ({ kind: "conflict", cause: "one of them moved on" }));
    }
    const parts = await Promise.all(changes.map((change) => partOf(catalogs, change)));
    const worst =
      parts.find(({ kind }) => kind === "unknown") ?? parts.find(({ kind }) => kind === "conflict");
    return worst === undefined ? parts : parts.map(() => worst);
  };
}

async function partOf(
  catalogs: ReadonlyMap<string, Catalog>,
  { name, requirements, updates }: TableChange,
): Promise<CommitOutcome> {
  const catalog = catalogs.get(name.table);
  if (catalog === undefined) throw new Error(`${name.table} is no table of this process`);
  return catalog.commit(name, requirements, updates);
}
