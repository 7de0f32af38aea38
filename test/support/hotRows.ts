/**
 * Rows of which everything follows from their offset, so that whoever reads them can judge them.
 */

/** Rows repeat after so many, except for their offset. */
export const PERIOD = 500;

/** A row. */
export interface HotRow {
  readonly n: number;
  readonly text: string;
  readonly flag: boolean;
  readonly maybe: number | null;
  readonly list: readonly number[];
}

const rows: readonly HotRow[] = Array.from({ length: PERIOD }, (_, n) => ({
  n: n * 1_000_003,
  text: String.fromCharCode(97 + (n % 26)).repeat((n * 7) % 40),
  flag: n % 3 === 0,
  maybe: n % 5 === 4 ? null : n + 0.5,
  list: Array.from({ length: n % 4 }, (_unused, index) => n + index),
}));

/** The row at an offset. */
export function expectedRow(offset: number): HotRow {
  return rows[offset % PERIOD] as HotRow;
}

/** Its record's value. A null is left out. */
export function documentOf(row: HotRow): string {
  const { maybe, ...rest } = row;
  return JSON.stringify(maybe === null ? rest : { ...rest, maybe });
}
