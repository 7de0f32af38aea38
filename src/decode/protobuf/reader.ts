/**
 * The Protobuf reader: the bytes of a message straight into columns, directed by the compiled fields.
 * The judge of every record that the kernel does not take.
 *
 * Repeated fields may come in any order and in pieces: their elements go behind each other, and their
 * lists end with the message. A record with a single field that comes twice, two members of one oneof,
 * or a key twice in a map is read to its end, merged (`merge.ts`), and read again.
 *
 * A value that its column cannot hold is noted and passed over, so that bytes that are no message are
 * called that, whatever else is wrong with them. The caller takes the row back when `read` answers
 * false. Nesting is bounded by the columns; where fields are passed over it is counted.
 */
import { LIMITS } from "#base/limits.ts";
import type { ColumnBuilder } from "#columns/builder.ts";
import { type Filler, fillerOf } from "#decode/json/defaults.ts";
import type { ValueRoot } from "#decode/kernel/image.ts";
import type { RejectReason, TypeConflict } from "#decode/rejects.ts";
import type { Rescue } from "#decode/rescue.ts";
import { SchemaAsks } from "#decode/schemaAsks.ts";
import type { ValueReader } from "#decode/segment.ts";
import { BesideFields, clearPieces } from "./beside.ts";
import { hasKey } from "./mapKeys.ts";
import { mergedRecord } from "./merge.ts";
import { WIRE } from "./model.ts";
import { type PlainHost, readPlain } from "./plain.ts";
import { NO_NODE, type Programs } from "./programs.ts";
import { isUnnamed } from "./scalars.ts";
import type { MessageNode, Slot, SlotKind } from "./slots.ts";
import type { WellKnown } from "./wellKnown.ts";
import { appendWellKnown } from "./wellKnownValues.ts";
import { WireReader } from "./wire.ts";

/** Keys of a map that are compared with each other; beyond, the record is merged, which takes less. */
const KEYS_MAX = 32;

/** Reads messages into the columns of their programs. */
export class ProtobufReader implements ValueReader, PlainHost {
  reason: RejectReason = "bad_protobuf";
  path = "";
  conflict: TypeConflict = "value";
  readonly effect = "put";
  evolving = true;
  sawUnknown = false;
  readonly asks: SchemaAsks = new SchemaAsks();
  readonly beside: BesideFields;
  /** Reads fields by themselves. */
  private alone: ProtobufReader | null = null;
  private readonly fillers: readonly (readonly [ColumnBuilder, Filler | null])[];
  private readonly programs: Programs;
  private node: MessageNode = NO_NODE;
  readonly root: ValueRoot | null;
  readonly wire: WireReader = new WireReader();
  refused = false;
  private unknownHere = false;
  /** Something that counts once came again: what was read so far is checked, but not what it means. */
  private repeated = false;
  /** The record at hand has nothing twice: it was merged. */
  private isMerged = false;
  private records = 0;
  /** Elements of lists and maps of the present record so far, times their columns. */
  private values = 0;

  /** @param rescue keeps what has no place in the columns; null: nothing is kept */
  constructor(
    columns: readonly ColumnBuilder[],
    programs: Programs,
    root: ValueRoot | null,
    rescue: Rescue | null,
  ) {
    this.beside = new BesideFields(rescue, (node, bytes) => this.readAlone(node, bytes));
    this.root = root;
    this.programs = programs;
    this.fillers = columns.map((column) => [column, fillerOf(column.field)]);
  }

  /** A tombstone as a row: its columns' own defaults, else nulls; no message says its fields' ones. */
  readNull(): boolean {
    for (const [column, fill] of this.fillers) {
      if (fill !== null) fill(column);
      else if (column.field.required) {
        this.reason = "missing_field";
        this.path = column.field.name;
        return false;
      }
    }
    return true;
  }

  read(bytes: Uint8Array, start: number, end: number, row: number): boolean {
    const found = this.programs.find(bytes, start, end);
    if (found.kind === "refused") return this.refuseNow(found.reason, found.path);
    if (this.asks.mustWait(found.growth)) return this.refuseNow("type_conflict", "");
    this.node = found.node;
    if (!this.readMessage(bytes, start + found.headBytes, end, row)) return false;
    this.beside.rescue?.append();
    if (this.unknownHere || (found.node.learnable && this.evolving)) this.sawUnknown = true;
    return true;
  }

  private readAlone(node: MessageNode, bytes: Uint8Array): RejectReason | null {
    this.alone ??= new ProtobufReader([], this.programs, null, null);
    this.alone.node = node;
    return this.alone.readMessage(bytes, 0, bytes.length, 0) ? null : this.alone.reason;
  }

  private refuseNow(reason: RejectReason, path: string): false {
    this.reason = reason;
    this.path = path;
    return false;
  }

  private readMessage(bytes: Uint8Array, start: number, end: number, row: number): boolean {
    this.isMerged = false;
    if (!this.readOnce(bytes, start, end, row)) return this.breakOff();
    if (this.repeated || (this.refused && this.reason !== "bad_utf8")) {
      // What is refused may be a value that a later one replaces.
      const merged = mergedRecord(bytes, start, end, this.node);
      for (const column of this.node.columns) column.truncate(row);
      this.isMerged = true;
      if (!this.readOnce(merged, 0, merged.length, row)) return this.breakOff();
    }
    return !this.refused;
  }

  private breakOff(): false {
    this.path = "";
    this.reason = this.values > LIMITS.recordValuesMax ? "too_many_values" : this.wire.fault;
    return false;
  }

  private readOnce(bytes: Uint8Array, start: number, end: number, row: number): boolean {
    this.refused = false;
    this.repeated = false;
    this.conflict = "value";
    this.unknownHere = false;
    this.values = 0;
    this.beside.rescue?.clear();
    this.records++;
    this.wire.start(bytes, start, end);
    return this.message(this.node, row, 1);
  }

  /** Refuses the record, which is read on. */
  refuse(reason: RejectReason, path: string): void {
    if (this.refused) return;
    this.refused = true;
    this.reason = reason;
    this.path = path;
  }

  /** Reads the fields of the message in `[at, end)` of the wire, and what is missing in it. */
  private message(node: MessageNode, row: number, depth: number): boolean {
    const { wire } = this;
    if (node.beside.length > 0) clearPieces(node);
    while (wire.at < wire.end) {
      if (!wire.tag()) return false;
      const slot = node.byNumber.get(wire.number);
      const isWhole = slot === undefined ? this.skip(depth) : this.field(slot, row, depth);
      if (!isWhole) return false;
    }
    this.endMessage(node, row);
    return true;
  }

  private skip(depth: number): boolean {
    return this.wire.skip(depth);
  }

  /** Lists end, and what is missing gets its default. */
  private endMessage(node: MessageNode, row: number): void {
    endLists(node, row);
    for (const slot of node.beside) {
      const refusal = this.beside.end(slot);
      if (refusal !== null) this.refuse(refusal, slot.path);
    }
    for (const slot of node.filled) {
      if (this.isSet(slot, row)) continue;
      if (slot.required) this.refuse("missing_field", slot.path);
      else if (slot.column !== null) slot.fill?.(slot.column);
    }
    for (const [path, column, fill] of node.others) {
      if (fill === null) this.refuse("missing_field", path);
      else fill(column);
    }
  }

  private isSet({ column, seenIn, value }: Slot, row: number): boolean {
    if (value.kind === "beside" && value.value.pieces.length > 0) return true;
    return column === null ? seenIn === this.records : column.length > row;
  }

  private field(slot: Slot, row: number, depth: number): boolean {
    const { wire } = this;
    const { label } = slot.field;
    if (slot.value.kind === "unknown") return this.unknown(slot, depth);
    if (slot.value.kind === "beside") return this.piece(slot, slot.value.value.pieces, row, depth);
    const isPacked = slot.packable && wire.wire === WIRE.bytes;
    if (slot.value.kind === "conflict" || (wire.wire !== slot.wire && !isPacked)) {
      this.refuse("type_conflict", slot.path);
      return this.skip(depth);
    }
    if (isPacked) return this.packed(slot);
    if (label === "map") return this.entry(slot, row, depth);
    if (label === "single") return this.single(slot, row, depth);
    return this.count(slot) && this.value(slot, slot.value, slot.values as ColumnBuilder, depth);
  }

  /** Passes over a field that is read by itself when its message ends. */
  private piece(slot: Slot, pieces: Uint8Array[], row: number, depth: number): boolean {
    const { wire } = this;
    const { tagAt } = wire;
    for (const rival of slot.rivals) if (this.isSet(rival, row)) this.repeated = true;
    if (!this.skip(depth)) return false;
    pieces.push(wire.bytes.subarray(tagAt, wire.at));
    return true;
  }

  private single(slot: Slot, row: number, depth: number): boolean {
    const { value } = slot;
    if (value.kind === "enum" && value.type.closed && this.passUnnamed(slot)) return true;
    if (this.isSet(slot, row)) this.repeat(slot.column, row);
    for (const rival of slot.rivals) if (this.isSet(rival, row)) this.repeated = true;
    if (slot.column !== null) return this.value(slot, value, slot.column, depth);
    slot.seenIn = this.records;
    return this.flat(value, row, depth);
  }

  /** Takes back what came before. */
  private repeat(column: ColumnBuilder | null, row: number): void {
    this.repeated = true;
    column?.truncate(row);
  }

  /** Passes over an enum's number that is an unknown field; else it is read again. */
  private passUnnamed(slot: Slot): boolean {
    const { wire } = this;
    const start = wire.at;
    if (wire.varint() && isUnnamed(slot, wire)) return true;
    wire.at = start;
    return false;
  }

  private unknown(slot: Slot, depth: number): boolean {
    const reason = slot.value.kind === "unknown" ? slot.value.reason : null;
    if (reason === "evolve" && this.evolving) this.unknownHere = true;
    else if (reason !== null)
      this.refuse(reason === "evolve" ? "bad_field_name" : reason, slot.path);
    return this.skip(depth);
  }

  /** False when the record has too many elements; its reading ends. */
  private count(slot: Slot): boolean {
    this.values += slot.weight;
    return this.values <= LIMITS.recordValuesMax;
  }

  private packed(slot: Slot): boolean {
    const { wire } = this;
    if (!wire.length()) return false;
    const { end } = wire;
    wire.end = wire.at + wire.size;
    while (wire.at < wire.end) {
      if (!this.count(slot)) return false;
      const isWhole = this.value(slot, slot.value, slot.values as ColumnBuilder, 0);
      if (!isWhole) return false;
    }
    wire.end = end;
    return true;
  }

  /** Reads one value into a column. */
  private value(slot: Slot, value: SlotKind, column: ColumnBuilder, depth: number): boolean {
    switch (value.kind) {
      case "scalar":
      case "parsed":
      case "enum":
        return readPlain(this, slot, value, column);
      case "message":
      case "wellKnown":
        return this.body(slot, value, column, depth);
      case "conflict":
      case "beside":
      case "unknown":
        return this.skip(depth);
    }
  }

  /** Reads a message with a column. */
  private body(
    slot: Slot,
    value: Extract<SlotKind, { kind: "message" | "wellKnown" }>,
    column: ColumnBuilder,
    depth: number,
  ): boolean {
    const { wire } = this;
    if (!wire.body(wire.wire === WIRE.group, depth)) return false;
    const { at, end } = wire;
    wire.enter();
    const isWhole =
      value.kind === "message"
        ? this.struct(value.node, column, depth)
        : this.wellKnown(slot, value.type, column);
    wire.leave(at, end);
    return isWhole;
  }

  private struct(node: MessageNode, column: ColumnBuilder, depth: number): boolean {
    const isWhole = this.message(node, column.length, depth + 1);
    if (isWhole) column.endStruct();
    return isWhole;
  }

  private wellKnown(slot: Slot, type: WellKnown, column: ColumnBuilder): boolean {
    const refusal = appendWellKnown(this.wire, type, column);
    if (refusal === "bad_protobuf") return false;
    if (refusal !== null) this.refuse(refusal, slot.path);
    return true;
  }

  /** Reads a message whose members are columns of the message around it. */
  private flat(value: SlotKind, row: number, depth: number): boolean {
    const { wire } = this;
    if (value.kind !== "message" || !wire.body(wire.wire === WIRE.group, depth)) return false;
    const { at, end } = wire;
    wire.enter();
    const isWhole = this.message(value.node, row, depth + 1);
    wire.leave(at, end);
    return isWhole;
  }

  /** Reads an entry of a map into its keys and values. */
  private entry(slot: Slot, row: number, depth: number): boolean {
    const { wire } = this;
    const { key, entry, column } = slot;
    if (key === null || entry === null || column === null || !wire.body(false, depth)) return false;
    if (!this.count(slot)) return false;
    const [keys, values] = column.children as [ColumnBuilder, ColumnBuilder];
    const count = keys.length;
    const { at, end } = wire;
    wire.enter();
    const isWhole = this.entryFields(slot, key, entry, count, depth);
    wire.leave(at, end);
    if (!isWhole) return false;
    // Its value is an unknown number of an enum, or its own was refused.
    if (keys.length <= count || values.length <= count) {
      keys.truncate(count);
      values.truncate(count);
      return true;
    }
    const first = column.offsets[row] as number;
    if (this.isMerged || this.repeated) return true;
    this.repeated = count - first >= KEYS_MAX || hasKey(keys, first, count);
    return true;
  }

  private entryFields(slot: Slot, key: Slot, entry: Slot, count: number, depth: number): boolean {
    const { wire } = this;
    let hasValue = false;
    while (wire.at < wire.end) {
      if (!wire.tag()) return false;
      const { number } = wire;
      if (number === 2) hasValue = true;
      const isWhole =
        number > 2 ? wire.skip(depth) : this.member(slot, number === 1 ? key : entry, count, depth);
      if (!isWhole) return false;
    }
    const keys = key.column as ColumnBuilder;
    if (keys.length === count) key.fill?.(keys);
    return hasValue || this.missingValue(entry, depth);
  }

  /** Reads the key or the value of an entry. */
  private member(slot: Slot, member: Slot, count: number, depth: number): boolean {
    const { wire } = this;
    if (wire.wire !== member.wire || member.value.kind === "conflict") {
      this.refuse("type_conflict", slot.path);
      return wire.skip(depth);
    }
    const column = member.column as ColumnBuilder;
    if (column.length > count) this.repeat(column, count);
    return this.value(member, member.value, column, depth);
  }

  /** A map's value that is not there is its type's default, of a message the one without fields. */
  private missingValue(entry: Slot, depth: number): boolean {
    const column = entry.column as ColumnBuilder;
    const { value } = entry;
    // The wire is at the entry's end: there is nothing to read.
    if (value.kind === "message") return this.struct(value.node, column, depth);
    if (value.kind === "wellKnown") return this.wellKnown(entry, value.type, column);
    entry.fill?.(column);
    return true;
  }
}

function endLists({ lists }: MessageNode, row: number): void {
  for (const { column } of lists) if (column?.length === row) column.endList();
}
