/**
 * Straight readers: a WebAssembly function for one program of the decode kernel, which reads documents
 * whose members come in the order in which they are expected, some of them missing (decision 0411).
 * Keys and addresses are constants in it, so that nothing is looked up and nothing is decided by the
 * type of a column.
 *
 * It takes a document as the kernel would, byte for byte, or leaves it to the kernel: another order,
 * members that are unknown or come twice, blanks in other places than `{"a": 1, "b": 2}` has them. A
 * value that it does not read itself (escapes, null, numbers of other forms, other types) is read by the
 * kernel's own function, in its place. What it left half done the kernel takes back.
 *
 * It reads the program as it lies in the kernel's memory, so that a further kind of program needs nothing here.
 * Positions may run over a document's end as in `assembly/decode/json.ts`: they are compared at the end.
 */
import {
  Body,
  binary,
  call,
  type Expr,
  get,
  i32,
  type Label,
  load,
  moduleOf,
  unary,
  v128,
} from "#kernel/emit.ts";
import { CALL, COLUMN, KERNEL_OP, NODE, SLOT } from "./layout.ts";
import { ColumnCode, childrenOf, listAt, type StraightSource, wordAt } from "./straightColumns.ts";
import { isByte, LOCAL, LOCALS } from "./straightLocals.ts";
import { NumberCode } from "./straightNumbers.ts";

/** What the kernel's slots say (`assembly/decode/layout.ts`, `Op`), where more is done than to call it. */
const OP = {
  boolean: 0,
  int: 1,
  long: 2,
  double: 4,
  string: 5,
  epoch: 7,
  struct: 8,
  list: 9,
  group: 11,
};
/** From here on the ops are parts of envelopes, whole values of other formats. */
const OP_PART = 24;
/** Longer keys are read over the end of the input. */
const LONGEST_KEY = 44;
/** The engine compiles larger functions less well, or not at all: from 130 members on they were slower. */
const SLOTS_MAX = 80;
const READ_SLOT = 0;
const NO_ROOM = 1;

/** The module of a program's reader; null: it has none. `address`: the program's call. */
export function straightModule(
  source: StraightSource,
  address: number,
): Uint8Array<ArrayBuffer> | null {
  return new StraightWriter(source).document(address);
}

/** Thrown for a program that is read by the kernel alone. */
class NotStraight extends Error {}

class StraightWriter {
  private readonly source: StraightSource;
  private readonly body = new Body();
  private readonly numbers: NumberCode;
  private readonly columns: ColumnCode;
  /** Columns that have one value a document. */
  private readonly rows: number[] = [];
  private slots = 0;
  /** Leaves the document to the kernel. */
  private left: Label = 0;

  constructor(source: StraightSource) {
    this.source = source;
    this.numbers = new NumberCode(this.body, source);
    this.columns = new ColumnCode(this.body, source);
  }

  document(address: number): Uint8Array<ArrayBuffer> | null {
    let root = this.word(address + CALL.root);
    if (this.word(root + SLOT.op) === KERNEL_OP.framedJson) root = this.word(root + SLOT.members);
    if (this.word(root + SLOT.op) !== OP.struct) return null;
    const { body } = this;
    const columns = listAt(this.source, address + CALL.columns, address + CALL.columnCount);
    try {
      body.block((left) => {
        this.left = left;
        body.set(LOCAL.at, get(LOCAL.start));
        body.set(LOCAL.row4, binary("i32.shl", get(LOCAL.row), i32(2)));
        body.set(LOCAL.row8, binary("i32.shl", get(LOCAL.row), i32(3)));
        body.branchIf(left, isByte("i32.ne", "{"));
        this.members(this.word(root + SLOT.members), columns, 1);
        body.branchIf(left, binary("i32.ne", get(LOCAL.at), get(LOCAL.end)));
        const next = binary("i32.add", get(LOCAL.row), i32(1));
        for (const column of this.rows) body.store("i32", i32(column), COLUMN.length, next);
        body.answer(i32(1));
      });
    } catch (error) {
      if (error instanceof NotStraight) return null;
      throw error;
    }
    body.answer(i32(0));
    return moduleOf(body.finish(LOCALS));
  }

  /** The members of the object whose brace is at hand, up to behind its closing one. */
  private members(node: number, columns: readonly number[], depth: number): void {
    const { body } = this;
    const slots = this.order(node);
    const own = slots.map((slot) => this.word(slot + SLOT.column));
    const isOnce = new Set(own).size === own.length;
    if (!isOnce || own.some((column) => !columns.includes(column))) throw new NotStraight();
    this.rows.push(...columns);
    const end = body.open();
    // Who finds the closing brace behind member i goes on where the members from i + 1 on are missing.
    const missing = slots.slice(1).map(() => body.open());
    for (const [index, slot] of slots.entries()) {
      const closed = index + 1 < slots.length ? (missing.at(-1 - index) as Label) : end;
      this.member(slot, depth, closed);
    }
    body.branch(this.left);
    for (const column of own.slice(1)) {
      body.end();
      this.absent(column);
    }
    body.end();
    body.branchIf(this.left, isByte("i32.ne", "}"));
    this.step(1);
    for (const column of columns) if (!own.includes(column)) this.absent(column);
  }

  /** The member of a slot, if it is the next one. `closed`: behind it the object may end. */
  private member(slot: number, depth: number, closed: Label): void {
    const { body } = this;
    body.block((next) => {
      body.block((absent) => {
        this.key(slot, absent);
        this.blank();
        this.value(slot, depth);
        body.branchIf(closed, isByte("i32.ne", ","));
        body.block((after) => {
          body.branchIf(after, isByte("i32.ne", " ", 1));
          this.step(1);
        });
        body.branch(next);
      });
      this.absent(this.word(slot + SLOT.column));
    });
  }

  /** Goes behind a key and its colon; the byte at hand is the one before its quote. */
  private key(slot: number, absent: Label): void {
    const { body } = this;
    const size = this.word(slot + SLOT.keyBytes);
    if (size === 0 || size > LONGEST_KEY || ++this.slots > SLOTS_MAX) throw new NotStraight();
    const key = this.word(slot + SLOT.key);
    const text = [0, ...this.source.bytes.subarray(key, key + size), ":".charCodeAt(0)];
    let differs: Expr | null = null;
    for (let from = 0; from < text.length; from += 16) {
      const part = Array.from({ length: 16 }, (_, index) => text[from + index] ?? 0);
      const mask = part.map((_, index) =>
        from + index > 0 && from + index < text.length ? 255 : 0,
      );
      const others = binary("v128.xor", load("v128", get(LOCAL.at), from), v128(part));
      const masked = binary("v128.and", others, v128(mask));
      differs = differs === null ? masked : binary("v128.or", differs, masked);
    }
    if (differs !== null) body.branchIf(absent, unary("v128.any_true", differs));
    this.step(text.length);
  }

  /** The value at hand, whatever it is, into the slot's column. */
  private value(slot: number, depth: number): void {
    const { body } = this;
    const op = this.word(slot + SLOT.op);
    if (op === OP.group || op >= OP_PART) throw new NotStraight();
    const column = this.word(slot + SLOT.column);
    body.block((done) => {
      body.block((other) => {
        if (op === OP.struct) this.struct(slot, column, depth, other);
        else if (op === OP.list) this.listValue(slot, column, depth, other);
        else if (
          !this.plain(slot, column, { index: LOCAL.row, by4: LOCAL.row4, by8: LOCAL.row8 }, other)
        )
          return;
        body.branch(done);
      });
      this.otherValue(slot, depth);
    });
  }

  /** A value of usual form in the place `index` of its column; false: none of its type is read here. */
  private plain(slot: number, column: number, place: Place, other: Label): boolean {
    const data = this.word(column + COLUMN.data);
    switch (this.word(slot + SLOT.op)) {
      case OP.string:
        this.columns.string(column, place.by4, other);
        return true;
      case OP.long:
        this.numbers.long({ at: place.by8, data, micros: 1 }, other);
        return true;
      case OP.epoch:
        this.numbers.long({ at: place.by8, data, micros: this.word(slot + SLOT.parameter) }, other);
        return true;
      case OP.int:
        this.numbers.int(place.by4, data, other);
        return true;
      case OP.double:
        this.numbers.double(place.by8, data, other);
        return true;
      case OP.boolean:
        this.numbers.boolean(place.index, data, other);
        return true;
      default:
        return false;
    }
  }

  /** The kernel reads it. */
  private otherValue(slot: number, depth: number): void {
    this.body.set(LOCAL.at, call(READ_SLOT, [i32(slot), get(LOCAL.at), i32(depth)]));
    this.body.branchIf(this.left, binary("i32.le_u", get(LOCAL.at), i32(NO_ROOM)));
  }

  private struct(slot: number, column: number, depth: number, other: Label): void {
    this.body.branchIf(other, isByte("i32.ne", "{"));
    const children = childrenOf(this.source, column);
    this.members(this.word(slot + SLOT.members), children, depth + 1);
  }

  /** Lists of values that are read here; `LOCAL.element` counts what the child has. */
  private listValue(slot: number, column: number, depth: number, other: Label): void {
    const { body } = this;
    const element = this.word(slot + SLOT.element);
    const values = this.word(element + SLOT.column);
    const ends = this.word(column + COLUMN.ends);
    const count = load("i32", i32(values), COLUMN.length);
    body.branchIf(other, isByte("i32.ne", "["));
    body.set(LOCAL.element, count);
    body.block((done) => {
      body.block((some) => {
        body.branchIf(some, isByte("i32.ne", "]", 1));
        this.step(1);
        body.branch(done);
      });
      body.loop((again) => {
        this.step(1);
        this.blank();
        const most = i32(this.word(values + COLUMN.valuesMax));
        body.branchIf(this.left, binary("i32.ge_u", get(LOCAL.element), most));
        this.element(element, values, depth);
        body.set(LOCAL.element, binary("i32.add", get(LOCAL.element), i32(1)));
        body.store("i32", i32(values), COLUMN.length, get(LOCAL.element));
        body.branchIf(again, isByte("i32.eq", ","));
      });
      body.branchIf(this.left, isByte("i32.ne", "]"));
    });
    this.step(1);
    const base = load("i32", i32(column), COLUMN.base);
    body.store("i32", get(LOCAL.row4), ends, binary("i32.add", base, get(LOCAL.element)));
  }

  private element(slot: number, column: number, depth: number): void {
    const { body } = this;
    body.set(LOCAL.element4, binary("i32.shl", get(LOCAL.element), i32(2)));
    body.set(LOCAL.element8, binary("i32.shl", get(LOCAL.element), i32(3)));
    const place = { index: LOCAL.element, by4: LOCAL.element4, by8: LOCAL.element8 };
    body.block((done) => {
      body.block((other) => {
        if (this.plain(slot, column, place, other)) body.branch(done);
      });
      this.otherValue(slot, depth + 1);
    });
  }

  /** No value in this document: a null, where that is all there is to it. */
  private absent(column: number): void {
    const isKernels =
      this.word(column + COLUMN.required) !== 0 || this.word(column + COLUMN.fill) !== 0;
    if (isKernels) this.body.branch(this.left);
    else this.columns.null(column);
  }

  /** Slots as they are expected: as they followed each other last, others behind those before them. */
  private order(node: number): number[] {
    const first = this.word(node + NODE.slots);
    const count = this.word(node + NODE.slotCount);
    const follow = this.word(node + NODE.follow);
    const order: number[] = [];
    let next = this.word(follow);
    while (next !== 0 && !order.includes(next)) {
      order.push(next);
      next = this.word(follow + next * 4);
    }
    for (let slot = 1; slot <= count; slot++) {
      if (!order.includes(slot)) order.splice(order.indexOf(slot - 1) + 1, 0, slot);
    }
    return order.map((slot) => first + (slot - 1) * SLOT.size);
  }

  /** One blank at most. */
  private blank(): void {
    this.body.block((after) => {
      this.body.branchIf(after, isByte("i32.ne", " "));
      this.step(1);
    });
  }

  private step(bytes: number): void {
    this.body.set(LOCAL.at, binary("i32.add", get(LOCAL.at), i32(bytes)));
  }

  private word(at: number): number {
    return wordAt(this.source, at);
  }
}

/** Locals with the place of a value: its index, four and eight times that. */
interface Place {
  readonly index: number;
  readonly by4: number;
  readonly by8: number;
}
