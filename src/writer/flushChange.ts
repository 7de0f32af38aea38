/**
 * A flush as a change: its files are written, then it is an append, or, where the table has a key, an
 * upsert.
 */
import { assert } from "#base/assert.ts";
import { feedKey } from "#base/offsets.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { Append } from "#commit/append.ts";
import type { Attempt } from "#commit/change.ts";
import { EqualityUpsert } from "#commit/equalityUpsert.ts";
import type { Ledger } from "#commit/ledger.ts";
import { type DeleteRows, writeDeletes } from "#commit/rowDeletes.ts";
import type { Advance } from "#commit/rules.ts";
import { type KeyedUnit, Upsert } from "#commit/upsert.ts";
import { KeyHasher, keyFieldsOf } from "#keyindex/keyHasher.ts";
import { orderFieldOf } from "#keyindex/orders.ts";
import type { PlacedFile, RowIndex } from "#keyindex/port.ts";
import type { Begun } from "./ahead.ts";
import { writeEqualityDeletes } from "./equalityDeletes.ts";
import {
  equalityUnits,
  type FoldKey,
  foldFlush,
  keyedUnits,
  type SplitFlush,
} from "./keyedFlush.ts";
import { refusePartial, writePartial } from "./partialRows.ts";
import type { FeedFlush, KeyParts, WriterOptions, WriterParts } from "./parts.ts";
import { positionDeleteWriter } from "./positionDeletes.ts";
import { type ReplacingContext, withoutRows, writingWithIds } from "./rowIds.ts";
import { currentFields } from "./schema.ts";
import type { Owners } from "./tableWriter.ts";
import { writeFiles } from "./write.ts";

/** What a flush commits. */
export type FlushChange = Append | Upsert | EqualityUpsert;

/** The index of a table's keys; null: its rows are appended. */
export async function openKeyIndex(
  parts: WriterParts,
  { name, key = [], order = null, deletes }: WriterOptions,
): Promise<KeyIndex | null> {
  if (key.length === 0) return null;
  const { keys } = parts;
  assert(keys !== undefined, "a process that changes rows finds them by their keys");
  const rows = deletes === "equality" ? null : await keys.openIndex(name, key, order);
  return { secret: keys.secret, columns: key, order, rows };
}

/** How the rows of one table are found. */
export interface KeyIndex extends Pick<KeyParts, "secret"> {
  readonly columns: readonly string[];
  /** The column that says which change is later; null: they are in order. */
  readonly order: string | null;
  /** Null: rows are deleted by their key, wherever they are. */
  readonly rows: RowIndex | null;
}

/** What is being flushed. */
export interface FlushInput {
  readonly flushes: readonly SplitFlush[];
  readonly owners: Owners;
  readonly ledger: Ledger;
  /** What was written ahead of it. */
  readonly begun: Begun;
}

/**
 * Writes the files of a flush.
 * @param index null: rows are appended
 */
export async function writeFlush(
  parts: WriterParts,
  options: WriterOptions,
  table: LoadedTable,
  index: KeyIndex | null,
  { flushes, owners, ledger, begun }: FlushInput,
): Promise<FlushChange> {
  if (index === null) {
    const units = await writeFiles(parts, options, table, flushes, ledger, begun);
    return new Append(parts, "flush", advancesOf(flushes, owners), units);
  }
  const folded = await foldFlush(parts.clock, options, flushes, foldKeyOf(table, index));
  const advances = advancesOf(folded.flushes, owners);
  if (index.rows === null) {
    refusePartial(table, folded.flushes);
    const written = await writeFiles(parts, options, table, folded.flushes, ledger);
    const { changed } = folded;
    const deletes = await writeEqualityDeletes(
      parts,
      options,
      table,
      changed,
      index.columns,
      ledger,
    );
    return new EqualityUpsert(parts, advances, equalityUnits(options, folded, written, deletes));
  }
  const deleteRows = deleterOf(parts, options);
  // Of a table that is emptied no row is left whose id another could keep.
  const keepsIds = table.metadata.formatVersion === 3 && folded.emptying.size === 0;
  const now = keepsIds ? folded.flushes.map(withoutRows) : folded.flushes;
  const written = await writeFiles(parts, options, table, now, ledger);
  const { flushes: left } = folded;
  const context = { parts, options, table, index: index.rows, flushes: left, keepsIds };
  return new Upsert(
    parts,
    { index: index.rows, deleteRows },
    advances,
    keyedUnits(options, folded, written, (unit) => completing(context, unit)),
  );
}

/** How the rows go that the index finds. */
function deleterOf(parts: WriterParts, options: WriterOptions): DeleteRows {
  if (options.deletes === "copy-on-write") {
    assert(parts.copyOnWrite !== undefined, "a process that rewrites files has an engine");
    return parts.copyOnWrite.deleteRows(options);
  }
  const writePositionDeletes = positionDeleteWriter(parts.encoder);
  return (attempt, located) => writeDeletes(attempt, located, writePositionDeletes);
}

/** What writes the rows of a unit that depend on those which they replace; null: it has none. */
function completing(context: ReplacingContext, unit: number): KeyedUnit["complete"] {
  const { options, flushes, keepsIds } = context;
  const numbers = new Set(options.preserveKafkaPartitions ? [unit] : flushes.keys());
  const lacks = numbers.values().some((number) => flushes[number]?.partial !== undefined);
  const partial = (attempt: Attempt): Promise<PlacedFile[]> =>
    writePartial(context, numbers, attempt);
  if (!keepsIds) return lacks ? partial : null;
  const whole = writingWithIds(context, numbers);
  if (!lacks) return whole;
  return async (attempt) => [...(await whole(attempt)), ...(await partial(attempt))];
}

/** By the table's columns as they are now: what a type was promoted from hashes alike. */
function foldKeyOf(table: LoadedTable, { columns, order, secret }: KeyIndex): FoldKey {
  const fields = currentFields(table);
  const ids = columns.map((name) => fields.find((field) => field.name === name)?.id ?? 0);
  const hasher = new KeyHasher(keyFieldsOf(fields, ids), secret);
  return { hasher, order: order === null ? null : orderFieldOf(fields, order) };
}

function advancesOf(flushes: readonly FeedFlush[], owners: Owners): Advance[] {
  return flushes.map((flush) => ({
    feed: flush.feed,
    expect: flush.start,
    next: flush.end,
    rows: BigInt(rowsOf(flush)),
    leaderEpoch: flush.leaderEpoch,
    owner: owners.get(feedKey(flush.feed)),
  }));
}

/** Rows that are written. */
function rowsOf({ batches, selected, partial = [] }: FeedFlush): number {
  const held = partial.reduce((sum, { rows }) => sum + rows.length, 0);
  if (selected !== undefined) return selected.reduce((sum, { rows }) => sum + rows.length, held);
  return batches.reduce((sum, { rowCount }) => sum + rowCount, 0);
}
