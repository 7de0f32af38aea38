/**
 * A record in which single fields come several times, or two members of a oneof, as the record that
 * means the same and has each once (Protobuf encoding, "Last One Wins"): the last value of a scalar
 * counts, messages are merged, of a oneof the last member counts, of a map's key the last entry.
 *
 * Rare, so that it is made for such records only, and read in place of them. The record has been read to
 * its end by then: its bytes are whole.
 */
import { assert } from "#base/assert.ts";
import { type Scalar, WIRE } from "./model.ts";
import { integerOf, isUnnamed, isUnsigned, settle } from "./scalars.ts";
import type { MessageNode, Slot } from "./slots.ts";
import { WireReader } from "./wire.ts";

const NO_BYTES: Uint8Array = new Uint8Array(0);

/** The record without repetitions. Unknown fields are left out. */
export function mergedRecord(
  bytes: Uint8Array,
  start: number,
  end: number,
  node: MessageNode,
): Uint8Array {
  return merged(bytes.subarray(start, end), node);
}

function merged(bytes: Uint8Array, node: MessageNode): Uint8Array {
  const merge = new Merge();
  for (const wire of fieldsOf(bytes)) {
    const slot = node.byNumber.get(wire.number);
    if (slot !== undefined) merge.add(slot, wire);
  }
  return merge.finish();
}

/** Goes from field to field: the reader is behind each of them. */
function* fieldsOf(bytes: Uint8Array): Generator<WireReader> {
  const wire = new WireReader();
  wire.start(bytes, 0, bytes.length);
  while (wire.at < wire.end) {
    const fieldAt = wire.at;
    const hasTag = wire.tag();
    const { number, wire: type } = wire;
    const isWhole =
      hasTag && (isSized(wire) ? wire.body(wire.wire === WIRE.group, 1) : wire.skip(1));
    assert(isWhole, "a record that is merged is whole");
    // A group's end was read since.
    wire.number = number;
    wire.wire = type;
    wire.tagAt = fieldAt;
    yield wire;
  }
}

function isSized({ wire }: WireReader): boolean {
  return wire === WIRE.bytes || wire === WIRE.group;
}

/** The bytes of the field that a reader is behind, tag and all, and of its body. */
function fieldOf({ bytes, tagAt, at }: WireReader): Uint8Array {
  return bytes.subarray(tagAt, at);
}

function bodyOf({ bytes, bodyAt, size }: WireReader): Uint8Array {
  return bytes.subarray(bodyAt, bodyAt + size);
}

/** The fields of one message. */
class Merge {
  /** Fields that come as often as they like, and those of a wrong wire type, as they stand. */
  private readonly repeated: Uint8Array[] = [];
  /** Of a message the bodies of all its pieces, of what is read by itself all fields, of others the last field. */
  private readonly single = new Map<Slot, Uint8Array[]>();
  /** By field number and key. */
  private readonly entries = new Map<string, Uint8Array>();

  add(slot: Slot, wire: WireReader): void {
    const { label, type } = slot.field;
    const isMessage = type.kind === "message";
    const { kind } = slot.value;
    const isUnread = (kind === "conflict" || kind === "unknown") && label !== "single";
    if (slot.value.kind === "beside") this.addBeside(slot, wire);
    else if (isUnread || slot.wire !== wire.wire) this.repeated.push(fieldOf(wire));
    else if (label === "map") this.addEntry(slot, bodyOf(wire));
    else if (label === "repeated") {
      this.repeated.push(isMessage ? messageField(slot, [bodyOf(wire)]) : fieldOf(wire));
    } else if (!isUnnamed(slot, wire)) this.addSingle(slot, wire, isMessage);
  }

  /** A field that is read by itself, and merged there. */
  private addBeside(slot: Slot, wire: WireReader): void {
    if (slot.field.label !== "single") {
      this.repeated.push(fieldOf(wire));
      return;
    }
    for (const rival of slot.rivals) this.single.delete(rival);
    this.single.set(slot, [...(this.single.get(slot) ?? []), fieldOf(wire)]);
  }

  private addSingle(slot: Slot, wire: WireReader, isMessage: boolean): void {
    for (const rival of slot.rivals) this.single.delete(rival);
    const pieces = this.single.get(slot);
    if (!isMessage) this.single.set(slot, [fieldOf(wire)]);
    else if (pieces === undefined) this.single.set(slot, [bodyOf(wire)]);
    else pieces.push(bodyOf(wire));
  }

  /** Key and value once each; an entry whose value is an unknown number of an enum is none. */
  private addEntry(slot: Slot, bytes: Uint8Array): void {
    const { field, entry } = slot;
    assert(entry !== null && field.key !== null, "a map has keys and values");
    if (!isRead(slot, bytes)) {
      this.repeated.push(sizedField(field.number, bytes));
      return;
    }
    let name = missingKey(field.key);
    let key = NO_BYTES;
    let value = NO_BYTES;
    const bodies: Uint8Array[] = [];
    const isMessage = field.type.kind === "message";
    for (const wire of fieldsOf(bytes)) {
      if (wire.number === 1) {
        key = fieldOf(wire);
        name = keyName(wire, field.key);
      } else if (wire.number === 2) {
        value = isUnnamed(entry, wire) ? UNNAMED : fieldOf(wire);
        if (isMessage) bodies.push(bodyOf(wire));
      }
    }
    if (value === UNNAMED) return;
    const whole = joined([key, bodies.length > 0 ? messageField(entry, bodies) : value]);
    this.entries.set(`${field.number} ${name}`, sizedField(field.number, whole));
  }

  finish(): Uint8Array {
    const singles = [...this.single].map(([slot, pieces]) => {
      const isBody = slot.field.type.kind === "message" && slot.value.kind !== "beside";
      return isBody ? messageField(slot, pieces) : joined(pieces);
    });
    return joined([...this.repeated, ...this.entries.values(), ...singles]);
  }
}

/** False for an entry of wrong wire types, which was passed over: the record is refused for it. */
function isRead({ key, entry }: Slot, bytes: Uint8Array): boolean {
  for (const { number, wire } of fieldsOf(bytes)) {
    const member = number === 1 ? key : number === 2 ? entry : null;
    if (member !== null && member.wire !== wire) return false;
  }
  return true;
}

/** The key of an entry that has none. */
function missingKey(scalar: Scalar): string {
  return scalar === "string" ? "" : "0";
}

/** In place of a value that is an unknown field. */
const UNNAMED: Uint8Array = new Uint8Array(0);

/** A field that is a message, from the bodies that it came in. */
function messageField(slot: Slot, bodies: readonly Uint8Array[]): Uint8Array {
  const whole = joined(bodies);
  const { value } = slot;
  const body = value.kind === "message" ? merged(whole, value.node) : whole;
  const { number } = slot.field;
  if (slot.wire !== WIRE.group) return sizedField(number, body);
  return joined([varint(number * 8 + WIRE.group), body, varint(number * 8 + WIRE.groupEnd)]);
}

function sizedField(number: number, body: Uint8Array): Uint8Array {
  return joined([varint(number * 8 + WIRE.bytes), varint(body.length), body]);
}

/** The key that was read last, as text: the same for the same key, however it is written. */
function keyName(wire: WireReader, scalar: Scalar): string {
  if (scalar === "string") return Buffer.from(bodyOf(wire)).toString("latin1");
  if (scalar === "bool") return (wire.low | wire.high) === 0 ? "0" : "1";
  settle(wire, scalar);
  return String(integerOf(wire, isUnsigned(scalar)));
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 ? (parts[0] as Uint8Array) : new Uint8Array(Buffer.concat(parts));
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  return Uint8Array.of(...bytes, rest);
}
