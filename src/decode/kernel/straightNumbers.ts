/**
 * Numbers and booleans of a straight reader: what `readLong`, `readDouble` and `readBoolean` of the
 * kernel (`assembly/decode/numbers.ts`) take in one or two words of eight digits. All others are the
 * kernel's. What stands behind an integer is looked at by whoever reads on: only a comma or an end may.
 */
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
} from "#kernel/emit.ts";
import { LOCAL } from "./straightLocals.ts";

const ZEROS = 0x3030_3030_3030_3030n;
/** "true", and "fals", little endian. */
const TRUE = 0x6575_7274;
const FALSE = 0x736c_6166;
/** Below 2^53 a product of microseconds is exact. */
const MICROS_MAX = 2n ** 53n - 1n;

/** Where a long goes: the local with eight times its index, its column's data, and what it is multiplied by. */
interface LongPlace {
  readonly at: number;
  readonly data: number;
  readonly micros: number;
}

/** Writes the code of numbers into a body. */
export class NumberCode {
  private readonly body: Body;
  private readonly tens: number;
  private readonly wholeTens: number;

  constructor(body: Body, tables: { readonly tens: number; readonly wholeTens: number }) {
    this.body = body;
    this.tens = tables.tens;
    this.wholeTens = tables.wholeTens;
  }

  /** An integer of up to 15 digits without a sign. */
  long({ at, data, micros }: LongPlace, other: Label): void {
    const { body } = this;
    body.set(LOCAL.word, load("i64", get(LOCAL.at)));
    body.set(LOCAL.value, noDigits(LOCAL.word));
    body.block((done) => {
      body.block((isLong) => {
        body.branchIf(isLong, unary("i64.eqz", get(LOCAL.value)));
        this.bits(LOCAL.bits, other);
        this.leaveLeadingZero(other);
        this.eight(LOCAL.value, digitsOf(LOCAL.word, LOCAL.bits));
        body.set(LOCAL.from, behind(get(LOCAL.at), LOCAL.bits));
        body.branch(done);
      });
      body.set(LOCAL.rest, load("i64", get(LOCAL.at), 8));
      body.set(LOCAL.value, noDigits(LOCAL.rest));
      this.bits(LOCAL.bits, other);
      body.branchIf(other, binary("i32.eq", load("u8", get(LOCAL.at)), i32(0x30)));
      this.eight(LOCAL.more, binary("i64.xor", get(LOCAL.word), i64(ZEROS)));
      this.eight(LOCAL.value, digitsOf(LOCAL.rest, LOCAL.bits));
      const high = binary("i64.mul", get(LOCAL.more), this.whole(LOCAL.bits));
      body.set(LOCAL.value, binary("i64.add", high, get(LOCAL.value)));
      body.set(LOCAL.from, behind(binary("i32.add", get(LOCAL.at), i32(8)), LOCAL.bits));
    });
    let value = get(LOCAL.value);
    if (micros !== 1) {
      body.branchIf(other, binary("i64.gt_u", value, i64(MICROS_MAX / BigInt(micros))));
      value = binary("i64.mul", value, i64(BigInt(micros)));
    }
    body.store("i64", get(at), data, value);
    body.set(LOCAL.at, get(LOCAL.from));
  }

  /** An integer of up to seven digits. */
  int(at: number, data: number, other: Label): void {
    const { body } = this;
    this.word(other);
    this.eight(LOCAL.value, digitsOf(LOCAL.word, LOCAL.bits));
    body.store("i32", get(at), data, unary("i32.wrap_i64", get(LOCAL.value)));
    body.set(LOCAL.at, behind(get(LOCAL.at), LOCAL.bits));
  }

  /** Up to seven digits on each side of the point, or without one. */
  double(at: number, data: number, other: Label): void {
    const { body } = this;
    this.word(other);
    body.set(LOCAL.found, byteBehind(LOCAL.word, LOCAL.bits));
    this.eight(LOCAL.value, digitsOf(LOCAL.word, LOCAL.bits));
    body.set(LOCAL.from, behind(get(LOCAL.at), LOCAL.bits));
    body.block((done) => {
      body.block((isWhole) => {
        body.branchIf(isWhole, binary("i32.ne", get(LOCAL.found), i32(0x2e)));
        body.set(LOCAL.rest, load("i64", get(LOCAL.from), 1));
        // The whole part waits in `more`: the bits of the next word are found by way of `value`.
        body.set(LOCAL.more, get(LOCAL.value));
        body.set(LOCAL.value, noDigits(LOCAL.rest));
        body.branchIf(other, unary("i64.eqz", get(LOCAL.value)));
        this.bits(LOCAL.restBits, other);
        body.branchIf(other, isExponent(byteBehind(LOCAL.rest, LOCAL.restBits)));
        this.eight(LOCAL.value, digitsOf(LOCAL.rest, LOCAL.restBits));
        const whole = binary("i64.mul", get(LOCAL.more), this.whole(LOCAL.restBits));
        const mantissa = binary("i64.add", whole, get(LOCAL.value));
        const power = load("f64", index(LOCAL.restBits), this.tens);
        body.store("f64", get(at), data, binary("f64.div", double(mantissa), power));
        body.set(LOCAL.at, behind(binary("i32.add", get(LOCAL.from), i32(1)), LOCAL.restBits));
        body.branch(done);
      });
      body.branchIf(other, isExponent(get(LOCAL.found)));
      body.store("f64", get(at), data, double(get(LOCAL.value)));
      body.set(LOCAL.at, get(LOCAL.from));
    });
  }

  /** `true` or `false`, as a byte. */
  boolean(at: number, data: number, other: Label): void {
    const { body } = this;
    const word = load("i32", get(LOCAL.at));
    body.block((done) => {
      body.block((isFalse) => {
        body.branchIf(isFalse, binary("i32.ne", word, i32(TRUE)));
        body.store("u8", get(at), data, i32(1));
        body.set(LOCAL.at, binary("i32.add", get(LOCAL.at), i32(4)));
        body.branch(done);
      });
      body.branchIf(other, binary("i32.ne", word, i32(FALSE)));
      body.branchIf(other, binary("i32.ne", load("u8", get(LOCAL.at), 4), i32(0x65)));
      body.store("u8", get(at), data, i32(0));
      body.set(LOCAL.at, binary("i32.add", get(LOCAL.at), i32(5)));
    });
  }

  /** Fewer than eight digits into `word`, their bits into `bits`. */
  private word(other: Label): void {
    const { body } = this;
    body.set(LOCAL.word, load("i64", get(LOCAL.at)));
    body.set(LOCAL.value, noDigits(LOCAL.word));
    this.bits(LOCAL.bits, other);
    this.leaveLeadingZero(other);
  }

  /** Bits before the first byte that is no digit, by what `noDigits` left in `value`; none are left, eight digits too. */
  private bits(into: number, other: Label): void {
    const { body } = this;
    body.branchIf(other, unary("i64.eqz", get(LOCAL.value)));
    body.set(into, binary("i64.and", unary("i64.ctz", get(LOCAL.value)), i64(~7n)));
    body.branchIf(other, unary("i64.eqz", get(into)));
  }

  private leaveLeadingZero(other: Label): void {
    const isZero = binary("i32.eq", load("u8", get(LOCAL.at)), i32(0x30));
    const isMore = binary("i64.gt_u", get(LOCAL.bits), i64(8n));
    this.body.branchIf(other, binary("i32.and", isZero, isMore));
  }

  /** The value of eight digits, one a byte, the first in the lowest byte. */
  private eight(into: number, digits: Expr): void {
    const { body } = this;
    body.set(into, digits);
    const next = binary("i64.shr_u", get(into), i64(8n));
    body.set(into, binary("i64.add", binary("i64.mul", get(into), i64(10n)), next));
    const mask = i64(0x0000_00ff_0000_00ffn);
    const low = binary("i64.and", get(into), mask);
    const high = binary("i64.and", binary("i64.shr_u", get(into), i64(16n)), mask);
    const sum = binary(
      "i64.add",
      binary("i64.mul", low, i64(0x000f_4240_0000_0064n)),
      binary("i64.mul", high, i64(0x0000_2710_0000_0001n)),
    );
    body.set(into, binary("i64.shr_u", sum, i64(32n)));
  }

  /** Ten to the number of digits that `bits` are. */
  private whole(bits: number): Expr {
    return load("i64", index(bits), this.wholeTens);
  }
}

/** The high bit of every byte that is no digit; the lowest is right. */
function noDigits(word: number): Expr {
  const each = binary("i64.xor", get(word), i64(ZEROS));
  const over = binary("i64.add", each, i64(0x7676_7676_7676_7676n));
  return binary("i64.and", binary("i64.or", over, each), i64(0x8080_8080_8080_8080n));
}

/** The digits before `bits`, with zeros before them. */
function digitsOf(word: number, bits: number): Expr {
  const each = binary("i64.xor", get(word), i64(ZEROS));
  return binary("i64.shl", each, binary("i64.sub", i64(64n), get(bits)));
}

function byteBehind(word: number, bits: number): Expr {
  const byte = unary("i32.wrap_i64", binary("i64.shr_u", get(word), get(bits)));
  return binary("i32.and", byte, i32(0xff));
}

/** True for `e` and `E`. */
function isExponent(byte: Expr): Expr {
  return binary("i32.eq", binary("i32.or", byte, i32(0x20)), i32(0x65));
}

/** As many bytes further as there are digits. */
function behind(at: Expr, bits: number): Expr {
  const digits = binary("i64.shr_u", get(bits), i64(3n));
  return binary("i32.add", at, unary("i32.wrap_i64", digits));
}

/** Eight bytes for each digit. */
function index(bits: number): Expr {
  return unary("i32.wrap_i64", get(bits));
}

function double(value: Expr): Expr {
  return unary("f64.convert_i64_s", value);
}
