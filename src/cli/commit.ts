/**
 * One change of a table by a person: planned on the head, committed on that head, planned again when
 * another commit came first.
 */
import { fail } from "#base/errors.ts";
import type { CommitOutcome, LoadedTable } from "#catalog/catalog.ts";
import { type FoundTable, systemParts } from "./open.ts";

const TRIES_MAX = 5;
const BETWEEN_TRIES_MS = 100;

/**
 * Runs `attempt` on fresh heads until it is committed or says that nothing is to be done.
 * Throws `table_gone`, `catalog_refused` after {@link TRIES_MAX} conflicts, and
 * `catalog_unreachable` when nobody knows whether the commit landed.
 */
export async function commitChange(
  { catalog, table }: FoundTable,
  attempt: (head: LoadedTable, isFirst: boolean) => Promise<CommitOutcome | "nothing to do">,
): Promise<void> {
  let head: LoadedTable | null = table;
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    if (head === null) throw fail("table_gone", "The table was dropped meanwhile");
    const outcome = await attempt(head, tries === 0);
    if (outcome === "nothing to do" || outcome.kind === "committed") return;
    if (outcome.kind === "unknown") {
      const sentence =
        "The catalog did not say whether the change landed; look before you repeat it";
      throw fail("catalog_unreachable", sentence, {}, outcome.cause);
    }
    await systemParts.clock.sleep(BETWEEN_TRIES_MS * (tries + 1));
    head = await catalog.load(table.name);
  }
  throw fail("catalog_refused", `Other commits came first ${TRIES_MAX} times; try again`);
}
