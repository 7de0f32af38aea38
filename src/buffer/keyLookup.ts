/**
 * Looks keys up among lent rows: the latest row of a key, whichever segment it is in. Each segment has an
 * index of its own (`rowIndex.ts`), made when it is looked into for the first time, and gone with it.
 */
import { fail } from "#base/errors.ts";
import type { FeedKey } from "#base/offsets.ts";
import { CHANGE, CHANGE_TYPE } from "#columns/changes.ts";
import type { LiveColumn } from "#columns/live.ts";
import type { Field } from "#columns/schema.ts";
import type { LentSegment } from "./lease.ts";
import { canBeKey, RowIndex } from "./rowIndex.ts";

/** A row that was found: it may be read for as long as the segment is lent. */
export interface FoundRow {
  readonly segment: LentSegment;
  readonly row: number;
}

/** Rows that are taken into an index before others have their turn: a millisecond or two. */
const ROWS_AT_ONCE = 20_000;

/** Indexes of one table's segments by some columns. */
export class KeyLookup {
  readonly #names: readonly string[];
  readonly #indexes = new Map<number, RowIndex>();
  /** By segment: so many rows were looked at, of which this one is the last that empties the table; -1: none. */
  readonly #emptying = new Map<number, { readonly rows: number; readonly last: number }>();

  /** @param names of the columns that make a key */
  constructor(names: readonly string[]) {
    this.#names = names;
  }

  /**
   * The latest row of a key in each feed that has it, or the one behind it that empties the table.
   * @param segments each feed's in order; lent after those of the look-up before, so that no index has rows
   *   which these do not
   * @param key a text for each column
   * @param turn lets others have their turn while much is taken in
   * @throws AppError `query` for a key that a column cannot have
   */
  async find(
    segments: readonly LentSegment[],
    key: readonly string[],
    turn: () => Promise<void>,
  ): Promise<FoundRow[]> {
    const found = new Map<FeedKey, FoundRow>();
    let taken = 0;
    for (const segment of segments.toReversed()) {
      if (found.has(segment.key)) continue;
      const columns = this.#columnsOf(segment);
      if (columns === null) continue;
      const wanted = columns.map(({ field }, at) => keyBytes(field, key[at] ?? ""));
      const index = this.#indexes.get(segment.id) ?? new RowIndex();
      this.#indexes.set(segment.id, index);
      const rows = Atomics.load(segment.watermark, 0);
      while (index.rows < rows) {
        const end = Math.min(rows, index.rows + ROWS_AT_ONCE);
        taken += end - index.rows;
        index.add(columns, end);
        if (taken < ROWS_AT_ONCE) continue;
        taken = 0;
        await turn();
      }
      const row = Math.max(index.find(columns, wanted), this.#lastEmptying(segment, rows));
      if (row >= 0) found.set(segment.key, { segment, row });
    }
    return [...found.values()];
  }

  /** Forgets indexes of segments that are gone. @param segments all that are there */
  forget(segments: readonly LentSegment[]): void {
    const there = new Set(segments.map(({ id }) => id));
    for (const id of this.#indexes.keys()) if (!there.has(id)) this.#indexes.delete(id);
    for (const id of this.#emptying.keys()) if (!there.has(id)) this.#emptying.delete(id);
  }

  /** The last of the first rows of a segment that empties the table (truncate); -1: none. */
  #lastEmptying({ id, columns }: LentSegment, rows: number): number {
    const data = columns.find(({ field }) => field.name === CHANGE_TYPE.name)?.data ?? null;
    const before = this.#emptying.get(id) ?? { rows: 0, last: -1 };
    if (data === null || before.rows >= rows) return before.last;
    const changes = new Int32Array(
      data.buffer,
      data.byteOffset + 4 * before.rows,
      rows - before.rows,
    );
    const at = changes.lastIndexOf(CHANGE.truncate);
    const last = at < 0 ? before.last : before.rows + at;
    this.#emptying.set(id, { rows, last });
    return last;
  }

  #columnsOf({ columns }: LentSegment): LiveColumn[] | null {
    const found = this.#names.map((name) => columns.find(({ field }) => field.name === name));
    return found.includes(undefined) ? null : (found as LiveColumn[]);
  }
}

/** A value as it lies in a column, from its text. @throws AppError `query` */
function keyBytes({ name, type }: Field, text: string): Uint8Array {
  if (!canBeKey(type)) throw fail("query", `${name} is no key: ${type.kind} cannot be looked up`);
  if (type.kind === "string" || type.kind === "binary") return Buffer.from(text);
  const wrong = (): Error => fail("query", `${text} is no ${type.kind}, which ${name} is`);
  if (type.kind === "uuid") {
    if (!/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(text)) throw wrong();
    return Uint8Array.fromHex(text.replaceAll("-", ""));
  }
  if (!/^-?\d{1,19}$/.test(text)) throw wrong();
  const value = BigInt(text);
  const bits = type.kind === "int" ? 32 : 64;
  if (BigInt.asIntN(bits, value) !== value) throw wrong();
  const bytes = new DataView(new ArrayBuffer(bits / 8));
  if (bits === 32) bytes.setInt32(0, Number(value), true);
  else bytes.setBigInt64(0, value, true);
  return new Uint8Array(bytes.buffer);
}
