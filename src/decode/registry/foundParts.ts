/**
 * What a format of a registry has found of a change (`ChangeParts`): where its parts lie, or why it is none.
 * How they are found is each format's own.
 */
import type { ChangeParts, Span } from "#decode/envelope.ts";
import type { RejectReason } from "#decode/rejects.ts";

/** The parts of one change after the other. */
export abstract class FoundParts implements ChangeParts {
  reason: RejectReason = "bad_envelope";
  path = "";
  operation = "";
  before: Span | null = null;
  after: Span | null = null;
  source: Span | null = null;

  abstract find(bytes: Uint8Array, start: number, end: number): boolean;

  /** Begins a value. @param operation what one says that does not say */
  protected begin(operation: string): void {
    this.operation = operation;
    this.before = null;
    this.after = null;
    this.source = null;
  }

  /** Ends a value. @param bare where it lies when it is a row without an envelope; null: it is in one */
  protected end(bare: Span | null, operationName: string): boolean {
    if (bare !== null) this.before = this.after = bare;
    if (this.operation !== "") return true;
    return bare === null
      ? this.refuse("bad_envelope")
      : this.refuse("bad_operation", operationName);
  }

  protected refuse(reason: RejectReason, path = ""): false {
    this.reason = reason;
    this.path = path;
    return false;
  }
}
