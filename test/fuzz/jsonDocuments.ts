/**
 * Makes JSON documents for fuzzing from a seed: valid ones in odd dress (white space, escapes,
 * duplicate keys, extreme numbers, any Unicode, deep nesting) and, from them, broken ones.
 */
import { type Random, seededRandom } from "#base/random.ts";

const encoder = new TextEncoder();

const NUMBERS = [
  ..."0 -0 1 -1 9 10 123 -45678 2147483647 2147483648 -2147483648 -2147483649 4294967296".split(
    " ",
  ),
  ..."999999999 1000000000 123456789012345 1234567890123456 9007199254740991 9007199254740993".split(
    " ",
  ),
  ..."9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809".split(" "),
  ..."18446744073709551616 1.0 -0.0 0.1 0.5 1.5 3.14 1e3 1E+2 1e-2 5e-324 2.5e-324 1e308 1e309".split(
    " ",
  ),
  ..."-1e400 1e-400 0.30000000000000004 123456789.123456 0.000001 1234567890123.45 1.7976931348623157e308".split(
    " ",
  ),
  ..."9007199254740993.0 179769313486231580793e289 0.1234567890123456789 100000000000000000000000".split(
    " ",
  ),
  ..."2.2250738585072014e-308 4.35 0.000000000000000000001 3.4028235e38 3.5e38 1e22 1e23 10e-1".split(
    " ",
  ),
];
const BAD_NUMBERS =
  "01 -01 1. .5 +1 - 1e 1e+ 0x10 1_000 Infinity NaN -Infinity 1.e5 --1 1.2.3".split(" ");
const STRINGS = [
  ...["", "a", "hello world", " ", "ASCII !#$%&'()*+,-./:;<=>?@[]^_`{|}~", "\u007f"],
  ...[
    "é",
    "ß",
    "日本語",
    "😀",
    "a😀b",
    "\u2028\u2029",
    "\ufeff",
    "\uffff",
    "\u0080",
    "\u07ff",
    "\u0800",
  ],
  ...["𐀀", "\u{10ffff}", "x".repeat(40), "日".repeat(17), "2026-01-01", "1", "true", "null"],
];
const RAW_STRINGS = [
  ...['"\\n\\t\\r\\b\\f\\/\\\\\\""', '"\\u0041"', '"\\u00e9"', '"\\ud83d\\ude00"', '"\\u0000"'],
  ...['"\\ud801\\udb80"', '"\\udbff\\udfff"', '"\\ud800\\udc00"', '"\\uD800\\uE000"'],
  ...['"\\uD800"', '"\\udc00"', '"\\ud800x"', '"\\ud800\\u0041"', '"\\udc00\\ud800"', '"\\uFFFF"'],
];
const BAD_STRINGS = [
  '"\\x"',
  '"\\u12"',
  '"\\u12g4"',
  '"\t"',
  '"\n"',
  '"abc',
  "'a'",
  '"\\',
  '"\\ud800\\u00"',
];
/** Overlong forms, surrogates, beyond U+10FFFF, stray and missing continuation bytes; some good. */
const BYTES = [
  ..."c080 c1bf e08080 e09fbf eda080 edbfbf f0808080 f08fbfbf f4908080 f5808080 ff 80 c3 e282".split(
    " ",
  ),
  ..."f09f98 c2a9 e0a080 ed9fbf ee8080 f0908080 f48fbfbf c328 e28228 f09f9828 efbbbf".split(" "),
].map((hex) => Uint8Array.fromHex(hex));
const KEYS = ["s", "l", "d", "b", "i", "f", "st", "li", "ll", "m"];
const SPACES = ["", "", "", "", " ", "\n", "\t", "\r\n", "  "];

/** A source of documents; `random` may be used for other choices too. */
export class Documents {
  readonly random: Random;

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  /** One document as bytes; about a third of them are broken somewhere. */
  next(): Uint8Array {
    const kind = this.below(100);
    if (kind === 0) return encoder.encode(this.deep());
    if (kind < 3) return encoder.encode(this.space() + this.value(0) + this.space());
    const bytes = encoder.encode(this.space() + this.object(0) + this.space());
    return kind < 35 ? this.broken(bytes) : bytes;
  }

  /** A valid document: an object. */
  nextValid(): string {
    return this.object(0);
  }

  private below(bound: number): number {
    return Math.floor(this.random.unit() * bound);
  }

  private pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }

  private space(): string {
    return this.pick(SPACES);
  }

  private object(depth: number): string {
    const members = Array.from({ length: this.below(depth === 0 ? 8 : 4) }, () => {
      const key = this.key(depth);
      return `${this.space()}${key}${this.space()}:${this.space()}${this.member(key, depth + 1)}${this.space()}`;
    });
    return `{${members.length === 0 ? this.space() : members.join(",")}}`;
  }

  private key(depth: number): string {
    const kind = this.below(20);
    if (kind === 0) return this.string();
    if (kind === 1) return '"\\u0073"';
    if (kind === 2) return '"unknown"';
    return `"${depth === 0 ? this.pick(KEYS) : this.pick(["x", "y", "z"])}"`;
  }

  /** Mostly a value that fits the column of that name. */
  private member(key: string, depth: number): string {
    if (this.below(6) === 0) return this.value(depth);
    switch (key) {
      case '"s"':
      case '"y"':
        return this.string();
      case '"b"':
        return this.pick(["true", "false"]);
      case '"l"':
      case '"d"':
      case '"i"':
      case '"f"':
      case '"x"':
        return this.number();
      case '"st"':
      case '"m"':
        return depth < 6 ? this.object(depth) : "{}";
      case '"li"':
        return this.list(() => this.number());
      case '"ll"':
        return this.list(() => this.object(depth));
      default:
        return this.value(depth);
    }
  }

  private list(element: () => string): string {
    const elements = Array.from({ length: this.below(4) }, () => this.space() + element());
    return `[${elements.join(`${this.space()},`)}${this.space()}]`;
  }

  private value(depth: number): string {
    switch (this.below(depth < 5 ? 8 : 5)) {
      case 0:
        return "null";
      case 1:
        return this.pick(["true", "false"]);
      case 2:
      case 3:
        return this.number();
      case 4:
      case 5:
        return this.string();
      case 6:
        return this.list(() => this.value(depth + 1));
      default:
        return this.object(depth + 1);
    }
  }

  private number(): string {
    const kind = this.below(10);
    if (kind === 0) return this.pick(BAD_NUMBERS.concat(NUMBERS, NUMBERS, NUMBERS, NUMBERS));
    if (kind < 4) return this.pick(NUMBERS);
    if (kind < 6) return String(this.below(1e9) - 5e8);
    if (kind < 8) return String((this.random.unit() - 0.5) * 10 ** (this.below(40) - 20));
    const digits = Array.from({ length: 1 + this.below(25) }, () => this.below(10)).join("");
    const text = digits.replace(/^0+(?=\d)/, "");
    return this.below(2) === 0 ? text : `${text}.${this.below(1e6)}`;
  }

  private string(): string {
    const kind = this.below(12);
    if (kind === 0) return this.pick(RAW_STRINGS);
    if (kind === 1 && this.below(4) === 0) return this.pick(BAD_STRINGS);
    if (kind < 8) return JSON.stringify(this.pick(STRINGS));
    const points = Array.from({ length: this.below(30) }, () =>
      this.below(4) > 0 ? 0x20 + this.below(0x5f) : this.below(0x110000),
    );
    return JSON.stringify(String.fromCodePoint(...points));
  }

  private deep(): string {
    const depth = 60 + this.below(10);
    const key = this.pick(["unknown", "li", "st"]);
    return this.below(2) === 0
      ? `{"${key}":${"[".repeat(depth)}${"]".repeat(depth)}}`
      : `${'{"st":'.repeat(depth)}1${"}".repeat(depth)}`;
  }

  /** Bytes with one or two small injuries. */
  private broken(bytes: Uint8Array): Uint8Array {
    let result = [...bytes];
    for (let injuries = 1 + this.below(2); injuries > 0; injuries--) {
      const at = this.below(result.length);
      const byte =
        this.below(3) === 0
          ? this.below(256)
          : this.pick([...'{}[],:"\\0-.e tn\u0000']).charCodeAt(0);
      switch (this.below(7)) {
        case 6:
          result.splice(at, 0, ...this.pick(BYTES));
          break;
        case 0:
          result.splice(at, 1);
          break;
        case 1:
          result.splice(at, 0, byte);
          break;
        case 2:
          result[at] = byte;
          break;
        case 3:
          result = result.slice(0, at);
          break;
        case 4:
          result.push(byte);
          break;
        default:
          result.splice(at, 0, ...result.slice(at, at + this.below(10)));
      }
    }
    return Uint8Array.from(result);
  }
}
