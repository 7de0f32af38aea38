/**
 * Where the parts of a change lie in a JSON document: what was done, and the row before and after it. Only
 * found here, not read.
 *
 * Most come in Debezium's envelope (Debezium, "Data change events"). A bare row says in a member of its own
 * what was done (`source.op_field`), and is both the row before and the one after.
 *
 * With Connect's schemas the envelope is the member `payload`, beside `schema`. Members of `payload` count
 * as the document's own; of a member that is there twice the last one counts (SPEC section 5).
 */
import type { ChangeParts, Span } from "#decode/envelope.ts";
import type { RejectReason } from "#decode/rejects.ts";
import { BAD_UTF8, CHAR, isSpace, skipSpace, skipString, TOO_DEEP } from "./scan.ts";
import { Skipper } from "./skip.ts";
import { textOf, valueText } from "./strings.ts";

/** The envelope of one document after the other. */
export class EnvelopeParts implements ChangeParts {
  /** Why the last document is none. */
  reason: RejectReason = "bad_envelope";
  readonly path: string;
  /** What was done, as the document says it; "": it does not say. */
  operation = "";
  before: Span | null = null;
  after: Span | null = null;
  source: Span | null = null;
  readonly #skipper = new Skipper();
  readonly #opField: string | null;

  /** @param opField the member of a bare row that says what was done; null: rows come in envelopes */
  constructor(opField: string | null) {
    this.#opField = opField;
    this.path = opField ?? "";
  }

  /** Finds the parts of the document in `bytes[start, end)`; false when that is no envelope. */
  find(bytes: Uint8Array, start: number, end: number): boolean {
    this.operation = "";
    this.before = null;
    this.after = null;
    this.source = null;
    const at = skipSpace(bytes, start);
    const broken = this.#whole(bytes, at, end);
    if (broken !== null) return this.#refuse(broken);
    if (bytes[at] !== CHAR.open) return this.#refuse("not_an_object");
    this.#members(bytes, at + 1, end, true);
    const isBare = this.#opField !== null;
    if (isBare) this.before = this.after = { start, end };
    return this.operation !== "" || this.#refuse(isBare ? "bad_operation" : "bad_envelope");
  }

  /** Why the document as a whole is no JSON; null: it is. */
  #whole(bytes: Uint8Array, at: number, end: number): RejectReason | null {
    let i = this.#skipper.value(bytes, at, end, 0);
    if (i >= 0) i = skipSpace(bytes, i);
    if (i === end || (i > end && isSpace(bytes, end, i))) return null;
    return i === BAD_UTF8 ? "bad_utf8" : i === TOO_DEEP ? "too_deep" : "bad_json";
  }

  /** Notes the members of an object that is known to be well formed, from behind its brace on. */
  #members(bytes: Uint8Array, at: number, end: number, isOuter: boolean): void {
    let i = skipSpace(bytes, at);
    while (bytes[i] === CHAR.quote) {
      const key = i + 1;
      i = skipString(bytes, key, end);
      const name = textOf(bytes, key, i);
      const start = skipSpace(bytes, skipSpace(bytes, i) + 1);
      i = this.#skipper.value(bytes, start, end, 0);
      this.#note(name, bytes, start, i, isOuter);
      i = skipSpace(bytes, i);
      if (bytes[i] === CHAR.comma) i = skipSpace(bytes, i + 1);
    }
  }

  #note(name: string, bytes: Uint8Array, start: number, end: number, isOuter: boolean): void {
    if (this.#opField !== null) {
      if (name === this.#opField) this.operation = valueText(bytes, start, end);
      return;
    }
    const span = bytes[start] === CHAR.open ? { start, end } : null;
    switch (name) {
      case "before":
      case "after":
      case "source":
        this[name] = span;
        break;
      case "op":
        this.operation = bytes[start] === CHAR.quote ? textOf(bytes, start + 1, end) : "";
        break;
      case "payload":
        if (isOuter && span !== null) this.#members(bytes, start + 1, end, false);
    }
  }

  #refuse(reason: RejectReason): false {
    this.reason = reason;
    return false;
  }
}
