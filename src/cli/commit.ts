/**
 * One change of a table by a person, through the commit loop. It is not in the transaction log, which
 * belongs to the running process: a command that dies leaves an empty snapshot's manifest list.
 */
import { AppError, fail } from "#base/errors.ts";
import { ignoreObservations } from "#base/events.ts";
import { silentLogger } from "#base/log.ts";
import type { Change } from "#commit/change.ts";
import { commit, giveUp, newCommit } from "#commit/commit.ts";
import { CommitTable } from "#commit/commitTable.ts";
import { filesAgeMsMax } from "#config/buildMaintenance.ts";
import { coordinateColumns } from "#config/buildWriter.ts";
import type { TransactionLog } from "#txlog/log.ts";
import { readCoordinates } from "#writer/coordinates.ts";
import { type FoundTable, systemParts } from "./open.ts";

const RETRIES_MAX = 5;

const NO_LOG: TransactionLog = {
  recovered: [],
  append: () => Promise.resolve(),
  close: () => Promise.resolve(),
};

/**
 * Commits a change, on newer heads when other commits come first.
 * @throws AppError `table_gone`; `catalog_refused` when other commits came first again and again;
 * `catalog_unreachable` when nobody knows whether the change landed
 */
export async function commitChange(found: FoundTable, change: Change): Promise<void> {
  const table = commitTableOf(found);
  const pending = newCommit(table, change);
  const result = await commit(table, pending);
  switch (result.kind) {
    case "committed":
      return;
    case "dropped":
      throw fail("catalog_refused", `Nothing was changed: ${result.reason}`);
    case "paused":
      throw fail("catalog_refused", "Nothing was changed: the table is paused");
    case "held":
      await giveUp(table, pending);
      throw undecided(result.cause, pending.mayHaveLanded);
  }
}

/** A table as commits of a person see it. */
export function commitTableOf(found: FoundTable): CommitTable {
  const { catalog, pipeline } = found;
  const parts = { catalog, txlog: NO_LOG, logger: silentLogger, observe: ignoreObservations };
  const options = {
    name: found.table.name,
    branch: pipeline.values["iceberg.branch"],
    group: pipeline.values["kafka.consumer_group"],
    coordinates: coordinateColumns(pipeline.values),
    commitRetriesMax: RETRIES_MAX,
    filesAgeMsMax: filesAgeMsMax(pipeline.values),
    thinning: null,
  };
  return new CommitTable({ ...parts, ...systemParts, readCoordinates }, options, found.table);
}

function undecided(cause: unknown, mayHaveLanded: boolean): Error {
  if (mayHaveLanded) {
    const sentence = "The catalog did not say whether the change landed; look before you repeat it";
    return fail("catalog_unreachable", sentence, {}, cause);
  }
  if (cause instanceof AppError) return cause;
  const sentence = `Other commits came first ${RETRIES_MAX} times; try again`;
  return fail("catalog_refused", sentence, {}, cause);
}
