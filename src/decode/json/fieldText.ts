/**
 * The text of one field of a JSON document, found without making an object of it: what a record is
 * routed by (SPEC section 4, `iceberg.route_field`).
 */
import { MetTexts } from "#decode/metTexts.ts";
import { BAD_JSON, CHAR, skipSpace, skipString } from "./scan.ts";
import { Skipper } from "./skip.ts";
import { keyBytes, textOf } from "./strings.ts";

/** Finds a field by its path. */
export class FieldText {
  readonly #names: readonly string[];
  readonly #keys: readonly Uint8Array[];
  readonly #skipper = new Skipper();
  #from = -1;
  #to = -1;
  readonly #met = new MetTexts();

  /** @param path names joined by dots */
  constructor(path: string) {
    this.#names = path.split(".");
    this.#keys = this.#names.map(keyBytes);
  }

  /**
   * The field's text, that of a whole number or of `true` or `false` included; null: the document has
   * none, is damaged, or the field is null, another number, an object or a list. Of duplicate keys the
   * last counts.
   */
  of(bytes: Uint8Array, start: number, end: number): string | null {
    this.#from = -1;
    const at = skipSpace(bytes, start);
    if (bytes[at] !== CHAR.open) return null;
    const after = this.#object(bytes, at + 1, end, 0);
    const isWhole = after >= 0 && after <= end && skipSpace(bytes, after) >= end;
    if (!isWhole || this.#from < 0) return null;
    return this.#met.of(bytes, this.#from, this.#to, textIn);
  }

  /** Reads an object to its end; the position behind it, or a negative code. */
  #object(bytes: Uint8Array, at: number, end: number, level: number): number {
    let i = skipSpace(bytes, at);
    if (bytes[i] === CHAR.close) return i + 1;
    for (;;) {
      i = this.#member(bytes, i, end, level);
      if (i < 0) return i;
      i = skipSpace(bytes, i);
      if (bytes[i] === CHAR.close) return i + 1;
      if (bytes[i] !== CHAR.comma) return BAD_JSON;
      i = skipSpace(bytes, i + 1);
    }
  }

  #member(bytes: Uint8Array, at: number, end: number, level: number): number {
    if (bytes[at] !== CHAR.quote) return BAD_JSON;
    let i = skipString(bytes, at + 1, end);
    if (i < 0) return i;
    const isOwn = this.#matches(bytes, at, i, level);
    i = skipSpace(bytes, i);
    if (bytes[i] !== CHAR.colon) return BAD_JSON;
    i = skipSpace(bytes, i + 1);
    return isOwn
      ? this.#value(bytes, i, end, level)
      : this.#skipper.value(bytes, i, end, level + 1);
  }

  /** The value of a name of the path: looked into, or, of the last name, remembered. */
  #value(bytes: Uint8Array, at: number, end: number, level: number): number {
    this.#from = -1;
    const isLast = level === this.#names.length - 1;
    if (!isLast && bytes[at] === CHAR.open) return this.#object(bytes, at + 1, end, level + 1);
    const after = this.#skipper.value(bytes, at, end, level + 1);
    if (isLast && after >= 0) {
      this.#from = at;
      this.#to = after;
    }
    return after;
  }

  #matches(bytes: Uint8Array, from: number, to: number, level: number): boolean {
    const key = this.#keys[level] as Uint8Array;
    let isSame = to - from === key.length;
    for (let k = 0; isSame && k < key.length; k++) isSame = bytes[from + k] === key[k];
    if (isSame || !bytes.subarray(from, to).includes(CHAR.backslash)) return isSame;
    return textOf(bytes, from + 1, to) === this.#names[level];
  }
}

function textIn(bytes: Uint8Array, from: number, to: number): string | null {
  const c = bytes[from] as number;
  if (c === CHAR.quote) return textOf(bytes, from + 1, to);
  if (c === CHAR.t) return "true";
  if (c === CHAR.f) return "false";
  const text = String.fromCharCode(...bytes.subarray(from, Math.min(to, from + 32)));
  return /^-?\d{1,20}$/.test(text) ? text : null;
}
