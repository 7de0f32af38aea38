/** Strings and nulls of a straight reader, and what it is made from. */
import {
  type Body,
  binary,
  type Expr,
  get,
  i32,
  i64,
  type Label,
  load,
  unary,
  v128,
} from "#kernel/emit.ts";
import { COLUMN, KIND } from "./layout.ts";
import { isByte, LOCAL } from "./straightLocals.ts";

/** The kernel's memory, and where its tables of powers of ten lie. */
export interface StraightSource {
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;
  readonly tens: number;
  readonly wholeTens: number;
}

/** A word of the kernel's memory. */
export function wordAt({ words }: StraightSource, at: number): number {
  return words[at >> 2] as number;
}

/** The words of a list, by the addresses of its address and of its length. */
export function listAt(source: StraightSource, at: number, count: number): number[] {
  const list = wordAt(source, at);
  return Array.from({ length: wordAt(source, count) }, (_, i) => wordAt(source, list + i * 4));
}

/** The children of a column. */
export function childrenOf(source: StraightSource, column: number): number[] {
  return listAt(source, column + COLUMN.children, column + COLUMN.childCount);
}

/** Writes the code of columns into a body. */
export class ColumnCode {
  private readonly body: Body;
  private readonly source: StraightSource;

  constructor(body: Body, source: StraightSource) {
    this.body = body;
    this.source = source;
  }

  /** A string without escapes and of ASCII alone, as `readString` of the kernel reads it. */
  string(column: number, at: number, other: Label): void {
    const { body } = this;
    const data = this.word(column + COLUMN.data);
    const most = data + this.word(column + COLUMN.bytesMax);
    const is = (byte: number): Expr => unary("i8x16.splat", i32(byte));
    const marks = binary(
      "v128.or",
      binary("i8x16.eq", get(LOCAL.bytes), is(0x22)),
      binary("i8x16.eq", get(LOCAL.bytes), is(0x5c)),
    );
    // Signed: control characters, and all bytes of multi-byte sequences.
    const specials = binary("v128.or", marks, binary("i8x16.lt_s", get(LOCAL.bytes), is(0x20)));
    const go = (bytes: Expr): void => {
      body.set(LOCAL.from, binary("i32.add", get(LOCAL.from), bytes));
      body.set(LOCAL.to, binary("i32.add", get(LOCAL.to), bytes));
    };
    body.branchIf(other, isByte("i32.ne", '"'));
    body.set(LOCAL.from, binary("i32.add", get(LOCAL.at), i32(1)));
    body.set(LOCAL.to, binary("i32.add", load("i32", i32(column), COLUMN.used), i32(data)));
    body.block((found) => {
      body.loop((again) => {
        body.set(LOCAL.bytes, load("v128", get(LOCAL.from)));
        body.branchIf(other, binary("i32.gt_u", get(LOCAL.to), i32(most)));
        body.store("v128", get(LOCAL.to), 0, get(LOCAL.bytes));
        body.set(LOCAL.found, unary("i8x16.bitmask", specials));
        body.branchIf(found, get(LOCAL.found));
        go(i32(16));
        body.branchIf(other, binary("i32.gt_u", get(LOCAL.from), get(LOCAL.end)));
        body.branch(again);
      });
    });
    go(unary("i32.ctz", get(LOCAL.found)));
    body.branchIf(other, binary("i32.ne", load("u8", get(LOCAL.from)), i32(0x22)));
    body.branchIf(other, binary("i32.gt_u", get(LOCAL.to), i32(most)));
    body.set(LOCAL.to, binary("i32.sub", get(LOCAL.to), i32(data)));
    body.store("i32", i32(column), COLUMN.used, get(LOCAL.to));
    const end = binary("i32.add", load("i32", i32(column), COLUMN.base), get(LOCAL.to));
    body.store("i32", get(at), this.word(column + COLUMN.ends), end);
    body.set(LOCAL.at, binary("i32.add", get(LOCAL.from), i32(1)));
  }

  /** Appends a null, to the children of a struct as well. */
  null(column: number): void {
    const { body } = this;
    const count = load("i32", i32(column), COLUMN.nullCount);
    body.set(LOCAL.found, count);
    const at = binary("i32.shl", get(LOCAL.found), i32(2));
    body.store("i32", at, this.word(column + COLUMN.nulls), get(LOCAL.row));
    const more = binary("i32.add", get(LOCAL.found), i32(1));
    body.store("i32", i32(column), COLUMN.nullCount, more);
    const data = this.word(column + COLUMN.data);
    const ends = this.word(column + COLUMN.ends);
    const base = load("i32", i32(column), COLUMN.base);
    const children = childrenOf(this.source, column);
    switch (this.word(column + COLUMN.kind)) {
      case KIND.bytes: {
        const used = load("i32", i32(column), COLUMN.used);
        body.store("i32", get(LOCAL.row4), ends, binary("i32.add", base, used));
        return;
      }
      case KIND.list: {
        const length = load("i32", i32(children[0] as number), COLUMN.length);
        body.store("i32", get(LOCAL.row4), ends, binary("i32.add", base, length));
        return;
      }
      case KIND.boolean:
        body.store("u8", get(LOCAL.row), data, i32(0));
        return;
      case KIND.width4:
        body.store("i32", get(LOCAL.row4), data, i32(0));
        return;
      case KIND.width8:
        body.store("i64", get(LOCAL.row8), data, i64(0n));
        return;
      case KIND.width16: {
        const row16 = binary("i32.shl", get(LOCAL.row), i32(4));
        body.store("v128", row16, data, v128(new Array<number>(16).fill(0)));
        return;
      }
      default:
        for (const child of children) this.null(child);
    }
  }

  private word(at: number): number {
    return wordAt(this.source, at);
  }
}
