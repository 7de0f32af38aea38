/**
 * Changes in Protobuf: where the parts of one lie (SPEC section 6, `mode = "cdc"`). Debezium's envelope is
 * a message with the rows as its fields `before` and `after`, as Confluent's converter writes it.
 */
import { utf8Text } from "#base/text.ts";
import { FoundParts } from "#decode/registry/foundParts.ts";
import type { RejectReason } from "#decode/rejects.ts";
import { type ProtoField, type ProtoMessage, WIRE } from "./model.ts";
import { WireReader } from "./wire.ts";

/** What the fields of a message are to a change. */
export interface ChangeMessage {
  /** The row after a change, and the one before it: the message itself where that is a bare row. */
  readonly after: ProtoMessage;
  readonly before: ProtoMessage;
  readonly source: ProtoMessage | null;
  /** Fields by what they are; null: there is no such part. */
  readonly fields: Readonly<Record<"before" | "after" | "source", ProtoField | null>>;
  /** What says what was done. */
  readonly operation: ProtoField;
}

/**
 * The parts that a message type has.
 * @param opField the field of a bare row that says what was done; null: rows come in envelopes
 * @returns null: values of the type are no changes
 */
export function changeMessage(message: ProtoMessage, opField: string | null): ChangeMessage | null {
  const named = (name: string): ProtoField | null =>
    message.fields.find((field) => field.name === name && field.label === "single") ?? null;
  const operation = named(opField ?? "op");
  if (operation === null) return null;
  if (opField !== null) {
    const fields = { before: null, after: null, source: null };
    return { after: message, before: message, source: null, fields, operation };
  }
  const part = (name: string): ProtoField | null => {
    const field = named(name);
    return field?.type.kind === "message" && !field.type.group ? field : null;
  };
  const fields = { before: part("before"), after: part("after"), source: part("source") };
  const typeOf = (field: ProtoField | null): ProtoMessage | null =>
    field?.type.kind === "message" ? field.type.type : null;
  const after = typeOf(fields.after);
  if (after === null) return null;
  const before = typeOf(fields.before) ?? after;
  return { after, before, source: typeOf(fields.source), fields, operation };
}

/** What a value is, where that is a change. */
export interface FoundChange {
  readonly kind: "change";
  readonly change: ChangeMessage;
  /** The key of its type. */
  readonly key: string;
  /** Bytes of the value before its message. */
  readonly headBytes: number;
}

/** A change's type, or why a value is no change. */
export type ChangeFound =
  | FoundChange
  | { readonly kind: "refused"; readonly reason: RejectReason; readonly path: string };

/** The parts of one change after the other. */
export class ProtobufChangeParts extends FoundParts {
  /** What was found last. */
  found: FoundChange | null = null;
  readonly #find: (bytes: Uint8Array, start: number, end: number) => ChangeFound;
  readonly #wire = new WireReader();

  constructor(find: (bytes: Uint8Array, start: number, end: number) => ChangeFound) {
    super();
    this.#find = find;
  }

  find(bytes: Uint8Array, start: number, end: number): boolean {
    const found = this.#find(bytes, start, end);
    if (found.kind === "refused") return this.refuse(found.reason, found.path);
    const { change, headBytes } = found;
    this.found = found;
    this.begin(defaultWord(change.operation));
    const from = start + headBytes;
    this.#wire.start(bytes, from, end);
    while (this.#wire.at < end) if (!this.#field(change)) return false;
    const isBare = change.fields.after === null;
    return this.end(isBare ? { start: from, end } : null, change.operation.name);
  }

  /** Passes over a field, and notes it where it is a part. */
  #field({ fields, operation }: ChangeMessage): boolean {
    const wire = this.#wire;
    if (!wire.tag() || wire.wire === WIRE.groupEnd) return this.refuse(wire.fault);
    const { number, wire: kind } = wire;
    if (!wire.skip(0)) return this.refuse(wire.fault);
    if (number === operation.number) {
      this.operation = this.#word(kind);
      return true;
    }
    for (const part of ["before", "after", "source"] as const) {
      if (fields[part]?.number !== number) continue;
      // Parts that come twice would be merged: no producer writes changes so.
      if (kind !== WIRE.bytes || this[part] !== null) return this.refuse("bad_envelope");
      this[part] = { start: wire.at - wire.size, end: wire.at };
    }
    return true;
  }

  /** The word that was passed over; "": it is none. */
  #word(kind: number): string {
    const { bytes, at, size, low } = this.#wire;
    if (kind === WIRE.bytes) return utf8Text(bytes.subarray(at - size, at));
    return kind === WIRE.varint ? String(low !== 0) : "";
  }
}

/** What a message without the field says: of a boolean that it is false. */
function defaultWord({ type, presence }: ProtoField): string {
  const isBoolean = type.kind === "scalar" && type.scalar === "bool";
  return isBoolean && presence === "implicit" ? "false" : "";
}
