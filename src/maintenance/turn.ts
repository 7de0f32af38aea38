/**
 * Whose turn a scheduled run is: a property of the table says when each kind of run began last, so
 * that of all processes that keep a table one runs it in each interval, also across restarts. Two that
 * ask at the same moment may both run, which is safe, only needless.
 */
import { fail } from "#base/errors.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { commit, giveUp, newCommit } from "#commit/commit.ts";
import type { CommitTable } from "#commit/commitTable.ts";
import { propertiesChange } from "#commit/properties.ts";
import type { Operation } from "./run.ts";

/** Begins the names of the properties; the operation follows. */
const PROPERTY = "kafka-iceberg.maintenance.";

/** Properties that are set with the turn. */
export type Marks = (head: LoadedTable) => Readonly<Record<string, string>>;

/** A turn that somebody wants. */
export interface WantedTurn {
  /** Since the last one, ms. */
  readonly intervalMs: number;
  /** Its name: the same one again after an error, since the turn may have been taken by then. */
  readonly token: string;
  /** Default: none. */
  readonly marks?: Marks | undefined;
}

/**
 * Takes the turn, if it is anybody's by now.
 * @returns 0: it is ours; else ms until it is somebody's again
 * @throws AppError `catalog_unreachable` when nobody can say whose it is, and what the catalog throws
 */
export async function takeTurn(
  table: CommitTable,
  operation: Operation,
  { intervalMs, token, marks }: WantedTurn,
): Promise<number> {
  const { clock } = table.parts;
  const property = `${PROPERTY}${operation}`;
  let leftMs = 0;
  const change = propertiesChange((head) => {
    leftMs = msLeft(head, property, token, intervalMs, clock.nowMs());
    if (leftMs > 0 || isOurs(head, property, token)) return null;
    const value = `${clock.nowMs()} ${token}`;
    return { action: "set-properties", properties: { ...marks?.(head), [property]: value } };
  });
  const pending = newCommit(table, change);
  const result = await commit(table, pending);
  if (result.kind !== "committed") {
    await giveUp(table, pending);
    const sentence = `Whose turn it is to maintain ${table.name}, the catalog did not say`;
    const cause = result.kind === "held" ? result.cause : null;
    throw fail("catalog_unreachable", sentence, { table: table.name }, cause);
  }
  if (leftMs > 0) return leftMs;
  // Where a catalog merges two requests, the later one has the turn.
  return isOurs(await table.load(), property, token) ? 0 : intervalMs;
}

/** When a kind of run began last, whoever did it, ms since epoch; null: never. */
export function lastBegan({ metadata }: LoadedTable, operation: Operation): number | null {
  const [, began] = BEGAN.exec(metadata.properties[`${PROPERTY}${operation}`] ?? "") ?? [];
  return began === undefined ? null : Number(began);
}

/** When, and which run. */
const BEGAN = /^(\d{1,15}) (\S+)$/;

function msLeft(
  { metadata }: LoadedTable,
  property: string,
  token: string,
  intervalMs: number,
  nowMs: number,
): number {
  const [, began, by] = BEGAN.exec(metadata.properties[property] ?? "") ?? [];
  if (began === undefined || by === token) return 0;
  // Clocks of several machines differ: nothing has begun in the future.
  const agoMs = Math.max(0, nowMs - Number(began));
  return Math.max(0, intervalMs - agoMs);
}

function isOurs({ metadata }: LoadedTable, property: string, token: string): boolean {
  return metadata.properties[property]?.endsWith(` ${token}`) === true;
}
