/**
 * Skips whole JSON values with full validation, and notes whether they held anything that has a
 * type: `null`, `[]` and `{}` have none yet (SPEC section 5).
 */
import { LIMITS } from "#base/limits.ts";
import type { RejectReason } from "#decode/rejects.ts";
import {
  BAD_JSON,
  BAD_UTF8,
  CHAR,
  skipNumber,
  skipSpace,
  skipString,
  skipWord,
  TOO_DEEP,
} from "./scan.ts";

/** Skips values of one document. */
export class Skipper {
  /** Set when a string, number or boolean was skipped as a value; reset by the caller. */
  typed = false;

  /**
   * The position after the value at `at`, or a negative code.
   * @param depth containers around the value
   */
  value(bytes: Uint8Array, at: number, end: number, depth: number): number {
    const c = bytes[at] as number;
    switch (c) {
      case CHAR.quote:
        this.typed = true;
        return skipString(bytes, at + 1, end);
      case CHAR.open:
        return depth >= LIMITS.jsonDepthMax ? TOO_DEEP : this.object(bytes, at + 1, end, depth + 1);
      case CHAR.openList:
        return depth >= LIMITS.jsonDepthMax ? TOO_DEEP : this.list(bytes, at + 1, end, depth + 1);
      case CHAR.n:
        return skipWord(bytes, at);
      case CHAR.t:
      case CHAR.f:
        this.typed = true;
        return skipWord(bytes, at);
      default:
        this.typed = true;
        return skipNumber(bytes, at);
    }
  }

  private object(bytes: Uint8Array, at: number, end: number, depth: number): number {
    let i = skipSpace(bytes, at);
    if (bytes[i] === CHAR.close) return i + 1;
    for (;;) {
      if (bytes[i] !== CHAR.quote) return BAD_JSON;
      i = skipString(bytes, i + 1, end);
      if (i < 0) return i;
      i = skipSpace(bytes, i);
      if (bytes[i] !== CHAR.colon) return BAD_JSON;
      i = this.value(bytes, skipSpace(bytes, i + 1), end, depth);
      if (i < 0) return i;
      i = skipSpace(bytes, i);
      if (bytes[i] === CHAR.close) return i + 1;
      if (bytes[i] !== CHAR.comma) return BAD_JSON;
      i = skipSpace(bytes, i + 1);
    }
  }

  private list(bytes: Uint8Array, at: number, end: number, depth: number): number {
    let i = skipSpace(bytes, at);
    if (bytes[i] === CHAR.closeList) return i + 1;
    for (;;) {
      i = this.value(bytes, i, end, depth);
      if (i < 0) return i;
      i = skipSpace(bytes, i);
      if (bytes[i] === CHAR.closeList) return i + 1;
      if (bytes[i] !== CHAR.comma) return BAD_JSON;
      i = skipSpace(bytes, i + 1);
    }
  }
}

const skipper = new Skipper();

/** What is wrong with a text that is no document: by its own bytes, whatever a record has behind them. */
export function faultOf(text: Uint8Array): RejectReason {
  const start = skipSpace(text, 0);
  const after = skipper.value(text, start, text.length, 0);
  if (after === BAD_UTF8) return "bad_utf8";
  if (after === TOO_DEEP) return "too_deep";
  const isWhole = after >= 0 && skipSpace(text, after) === text.length;
  return isWhole && text[start] !== CHAR.open ? "not_an_object" : "bad_json";
}
