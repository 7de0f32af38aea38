/** The variables of a straight reader's function. */
import { binary, type Expr, get, i32, load } from "#kernel/emit.ts";

/** Parameters first: where the document begins and ends, and the row that it becomes. */
export const LOCAL = {
  start: 0,
  end: 1,
  row: 2,
  /** Where reading is. */
  at: 3,
  /** Where the bytes of a string come from, and go to. */
  from: 4,
  to: 5,
  found: 6,
  /** Four and eight times the row. */
  row4: 7,
  row8: 8,
  /** The same of an element. */
  element: 9,
  element4: 10,
  element8: 11,
  /** Eight digits, and the eight behind them or behind the point. */
  word: 12,
  rest: 13,
  /** Bits before the first byte that is no digit, in each. */
  bits: 14,
  restBits: 15,
  value: 16,
  more: 17,
  bytes: 18,
} as const;

/** Types of those that are no parameters, in their order. */
export const LOCALS: readonly (readonly ["i32" | "i64" | "v128", number])[] = [
  ["i32", 9],
  ["i64", 6],
  ["v128", 1],
];

/** Compares the byte at hand, or one behind it, with an ASCII character. */
export function isByte(how: "i32.eq" | "i32.ne", character: string, offset = 0): Expr {
  return binary(how, load("u8", get(LOCAL.at), offset), i32(character.charCodeAt(0)));
}
