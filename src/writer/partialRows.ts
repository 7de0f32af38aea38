/**
 * Rows that lack values, which stay as they were: completed from earlier changes of their flush and from the
 * table's rows, and written with each attempt, since those rows are its head's (CHANGE_RULES 10f).
 *
 * Values are read, and files written, by about 16 MiB at a time.
 */
import { assert } from "#base/assert.ts";
import { fail } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import { appendCell } from "#columns/appendCell.ts";
import type { Column, ColumnBatch } from "#columns/batch.ts";
import { ColumnBuilder, sealColumns } from "#columns/builder.ts";
import { conform } from "#columns/conform.ts";
import type { Field } from "#columns/schema.ts";
import { isUnavailable } from "#columns/unavailable.ts";
import type { Attempt } from "#commit/change.ts";
import { pickedKeys } from "#keyindex/lastRows.ts";
import type { PartialRow, PartialRows } from "#keyindex/partialRows.ts";
import { firstRows } from "#keyindex/places.ts";
import type { KeySet, PlacedFile, StandingValues } from "#keyindex/port.ts";
import type { FeedFlush } from "./parts.ts";
import { type ReplacingContext, withoutRows, writeReplacing } from "./rowIds.ts";
import { currentFields } from "./schema.ts";

/** Rows whose values are asked for at once. */
const ROWS_PER_READ = 16_384;
/** Rows between two turns of the event loop. */
const ROWS_PER_TURN = 256;

/**
 * Completes the partial rows of some flushes, and writes them.
 * @param numbers of the flushes: those of one unit
 * @param attempt to whose head the index was brought
 * @throws AppError `data` when nothing has a value that a row lacks
 */
export async function writePartial(
  context: ReplacingContext,
  numbers: ReadonlySet<number>,
  attempt: Attempt,
): Promise<PlacedFile[]> {
  const { flushes } = context;
  const placed: PlacedFile[] = [];
  for (const number of numbers) {
    for (const partial of flushes[number]?.partial ?? []) {
      for await (const { batch, ...keys } of completed(context, partial, attempt)) {
        const selected = [{ rows: firstRows(batch.rowCount), ...keys }];
        const own = flushes.map((flush, at) =>
          at === number ? { ...flush, batches: [batch], selected } : withoutRows(flush),
        );
        placed.push(...(await writeReplacing(context, own, attempt)));
      }
    }
  }
  return placed;
}

/**
 * For tables whose rows nobody finds.
 * @throws AppError `data` when a row lacks values
 */
export function refusePartial(table: LoadedTable, flushes: readonly FeedFlush[]): void {
  if (flushes.every(({ partial }) => partial === undefined)) return;
  const name = fullName(table.name);
  throw fail(
    "data",
    `A change of table ${name} leaves a value as it was, which its source therefore did not log, and with ` +
      'delete_mode = "equality" nothing says where the row before it is; nothing of the flush was committed. ' +
      "Set REPLICA IDENTITY FULL for the source table, and have Debezium send a new snapshot of it",
    { table: name },
  );
}

/** Rows with all their values. */
interface Completed {
  readonly batch: ColumnBatch;
  /** Key n is of row n. */
  readonly keys: KeySet;
  readonly isNew: Uint8Array | null;
}

async function* completed(
  context: ReplacingContext,
  partial: PartialRows,
  attempt: Attempt,
): AsyncGenerator<Completed> {
  const filling = new Filling(currentFields(context.table), partial);
  for (let from = 0; from < partial.rows.length; from += ROWS_PER_READ) {
    const to = Math.min(partial.rows.length, from + ROWS_PER_READ);
    const lacking: LackingRow[] = [];
    for (let number = from; number < to; number++) {
      const columns = filling.lacking(number);
      if (columns.length > 0) lacking.push({ number, columns });
      else filling.add(number, null, 0);
      if (number % ROWS_PER_TURN > 0) continue;
      await context.parts.clock.turn();
      if (filling.isFull) yield filling.take();
    }
    yield* fromTable(context, filling, lacking, attempt);
  }
  if (!filling.isEmpty) yield filling.take();
}

/** A row, and the numbers of the columns whose values no change of the flush has. */
interface LackingRow {
  readonly number: number;
  readonly columns: readonly number[];
}

/** Adds rows with the values of those that they replace. */
async function* fromTable(
  { parts, table, index }: ReplacingContext,
  filling: Filling,
  lacking: readonly LackingRow[],
  { head }: Attempt,
): AsyncGenerator<Completed> {
  const fields = currentFields(table);
  const orphan = lacking.find(({ number }) => !filling.mayStand(number));
  if (orphan !== undefined) throw withoutBase(table, fields[orphan.columns[0] ?? 0]);
  for (let rest = lacking; rest.length > 0; ) {
    const columns = new Set(rest.flatMap((row) => row.columns));
    const wanted = fields.filter((_, at) => columns.has(at));
    const keys = filling.keysOf(rest.map(({ number }) => number));
    const values = await index.values(head.storage, keys, wanted);
    if (values.missing.length > 0) throw withoutBase(table, wanted[0]);
    assert(values.keys.length > 0, "of rows that stand some values are read");
    for (let at = 0; at < values.keys.length; at++) {
      filling.add(rest[values.keys[at] as number]?.number ?? 0, values, at);
      if (at % ROWS_PER_TURN === 0) await parts.clock.turn();
    }
    const read = new Set(values.keys);
    rest = rest.filter((_, n) => !read.has(n));
    if (filling.isFull) yield filling.take();
  }
}

/** Rows in the table's columns, as far as they are completed. */
class Filling {
  readonly #fields: readonly Field[];
  readonly #partial: PartialRows;
  readonly #batches = new Map<ColumnBatch, ColumnBatch>();
  #builders: readonly ColumnBuilder[];
  /** Numbers of the rows. */
  #numbers: number[] = [];

  constructor(fields: readonly Field[], partial: PartialRows) {
    this.#fields = fields;
    this.#partial = partial;
    this.#builders = fields.map((field) => new ColumnBuilder(field));
  }

  get isEmpty(): boolean {
    return this.#numbers.length === 0;
  }

  get isFull(): boolean {
    return (
      this.#builders.reduce((sum, { usedBytes }) => sum + usedBytes, 0) >= LIMITS.heldValueBytes
    );
  }

  /** The columns of which no change of the flush has the value. */
  lacking(number: number): number[] {
    const row = this.#rowOf(number);
    return this.#fields.flatMap((_, at) => (this.#cellOf(row, at) === null ? [at] : []));
  }

  /** False: a delete stands between the row and the table's. */
  mayStand(number: number): boolean {
    return this.#rowOf(number).base === "table";
  }

  /** @param standing values of rows of the table, of which `at` is this one's; null: it lacks none */
  add(number: number, standing: StandingValues | null, at: number): void {
    const row = this.#rowOf(number);
    for (const [index, builder] of this.#builders.entries()) {
      const cell = this.#cellOf(row, index) ?? standingCell(standing, builder.field, at);
      appendCell(builder, cell.column, cell.row);
    }
    this.#numbers.push(number);
  }

  /** The rows so far, which are its own no more. */
  take(): Completed {
    const keys = this.keysOf(this.#numbers);
    const { isNew: all } = this.#partial;
    const isNew = all && Uint8Array.from(this.#numbers, (number) => all[number] ?? 0);
    const batch = sealColumns(this.#builders, keys.count);
    this.#builders = this.#fields.map((field) => new ColumnBuilder(field));
    this.#numbers = [];
    return { batch, keys, isNew };
  }

  keysOf(numbers: readonly number[]): KeySet {
    return pickedKeys(this.#partial.keys, Uint32Array.from(numbers), numbers.length);
  }

  #rowOf(number: number): PartialRow {
    const row = this.#partial.rows[number];
    assert(row !== undefined, "a number is that of a row");
    return row;
  }

  /** The newest value that is there; null: the flush has none. */
  #cellOf({ versions, base }: PartialRow, at: number): Cell | null {
    for (const [n, { batch, row }] of versions.entries()) {
      const column = this.#conformed(batch).columns[at];
      assert(column !== undefined, "a conformed batch has the table's columns");
      const isWhole = base === "flush" && n === versions.length - 1;
      if (isWhole || !isUnavailable(column, row)) return { column, row };
    }
    return null;
  }

  #conformed(batch: ColumnBatch): ColumnBatch {
    const known = this.#batches.get(batch);
    if (known !== undefined) return known;
    const conformed = conform(batch, this.#fields);
    this.#batches.set(batch, conformed);
    return conformed;
  }
}

/** Where a value stands. */
interface Cell {
  readonly column: Column;
  readonly row: number;
}

function standingCell(standing: StandingValues | null, { id }: Field, row: number): Cell {
  const column = standing?.batch.columns.find(({ field }) => field.id === id);
  assert(column !== undefined, "what the flush does not have was asked for");
  return { column, row };
}

function withoutBase(table: LoadedTable, field: Field | undefined): Error {
  const name = fullName(table.name);
  return fail(
    "data",
    `A change of table ${name} leaves column ${field?.name ?? ""} as it was, which its source therefore ` +
      "did not log, and the table has no row of its key from which to take the value; nothing of the " +
      "flush was committed. Set REPLICA IDENTITY FULL for the source table, and have Debezium send a " +
      "new snapshot of it",
    { table: name, column: field?.name ?? "" },
  );
}
