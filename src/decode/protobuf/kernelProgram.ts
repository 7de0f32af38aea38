/**
 * The decode kernel's program for Protobuf: frames, messages and fields of one version of a table's
 * schema, laid out as the kernel reads them. A field that it cannot read is one of the host's, and so is
 * every record that has it.
 */
import { ColumnBuilder } from "#columns/builder.ts";
import type { Type } from "#columns/schema.ts";
import { kindOf, type ProgramWriter, SLACK, type ValueRoot } from "#decode/kernel/image.ts";
import { KERNEL_OP, KIND, SLOT } from "#decode/kernel/layout.ts";
import type { ChangeMessage } from "./change.ts";
import { CHANGE, FIELD, FIELD_OP, FRAME, LABEL, MESSAGE } from "./kernelLayout.ts";
import { type ProtoEnum, type ProtoField, type Scalar, scalarWire, WIRE } from "./model.ts";
import type { MessageNode, Slot } from "./slots.ts";

/** Values that begin with `head`, and are then messages of `node`, or changes of rows that are. */
export interface Frame {
  readonly head: Uint8Array;
  readonly node: MessageNode;
  /** Default: they are no changes. */
  readonly change?: ChangeFrame;
}

/** What the parts of a change become. */
export interface ChangeFrame {
  readonly change: ChangeMessage;
  /** What is read of a deleted row, and of the source; null: nothing. */
  readonly image: MessageNode | null;
  readonly source: MessageNode | null;
  /** The column of what was done; null: there is none. */
  readonly column: ColumnBuilder | null;
  /** False: deletes are the host's. */
  readonly takesDeletes: boolean;
}

/** Numbers of an enum that the kernel knows the names of, from 0 on. */
const NAMES_MAX = 1024;
/** Bytes of a tag that the kernel compares at once. */
const TEXT_BYTES = 4;

/**
 * What values of these frames are to the kernel; null: all are the host's.
 * @param hostMarkers as `ValueRoot` has them
 */
export function protobufRoot(
  frames: readonly Frame[],
  hostMarkers: readonly Buffer[] = [],
): ValueRoot | null {
  if (frames.length === 0) return null;
  return {
    ignoreUnknown: false,
    hostMarkers,
    write: (program) => {
      const slot = program.take(SLOT.size);
      program.set(slot + SLOT.op, KERNEL_OP.protobuf);
      program.set(slot + SLOT.members, writeFrames(program, frames));
      return slot;
    },
  };
}

function writeFrames(program: ProgramWriter, frames: readonly Frame[]): number {
  const at = program.take(FRAME.first + frames.length * FRAME.size);
  program.set(at + FRAME.count, frames.length);
  const writer = new MessageWriter(program);
  for (const [index, { head, node, change }] of frames.entries()) {
    const frame = at + FRAME.first + index * FRAME.size;
    const bytes = program.take(head.length + SLACK);
    program.copy(bytes, head);
    program.set(frame + FRAME.head, bytes);
    program.set(frame + FRAME.headBytes, head.length);
    program.set(frame + FRAME.node, writer.message(node));
    if (change !== undefined)
      program.set(frame + FRAME.change, writeChange(program, writer, change));
  }
  return at;
}

function writeChange(program: ProgramWriter, writer: MessageWriter, parts: ChangeFrame): number {
  const { change, image, source, column, takesDeletes } = parts;
  const { fields, operation } = change;
  const at = program.take(CHANGE.size);
  const tag = (field: ProtoField | null): number =>
    field === null ? 0 : field.number * 8 + WIRE.bytes;
  program.set(at + CHANGE.before, tag(fields.before));
  program.set(at + CHANGE.after, tag(fields.after));
  program.set(at + CHANGE.source, tag(fields.source));
  program.set(at + CHANGE.operation, tag(operation));
  if (image !== null) program.set(at + CHANGE.imageNode, writer.message(image));
  if (source !== null) program.set(at + CHANGE.sourceNode, writer.message(source));
  if (column !== null) program.set(at + CHANGE.column, program.addressOf(column));
  program.set(at + CHANGE.flags, (takesDeletes ? 1 : 0) + (fields.after === null ? 2 : 0));
  return at;
}

class MessageWriter {
  private readonly program: ProgramWriter;
  private readonly names = new Map<ProtoEnum, number>();

  constructor(program: ProgramWriter) {
    this.program = program;
  }

  message(node: MessageNode): number {
    const { program } = this;
    const at = program.take(MESSAGE.size);
    const known = node.slots.filter(
      ({ value }) => value.kind !== "unknown" || value.reason !== null,
    );
    const addresses = known.map(() => program.take(FIELD.size));
    const oneofs = new Map<string, number>();
    for (const [index, slot] of known.entries()) {
      const address = addresses[index] as number;
      this.field(slot, address);
      program.set(address + FIELD.next, addresses[index + 1] ?? 0);
      const { oneof } = slot.field;
      if (oneof === null) continue;
      const word = oneofs.get(oneof) ?? program.take(8);
      oneofs.set(oneof, word);
      program.set(address + FIELD.oneof, word);
    }
    program.set(at + MESSAGE.first, addresses[0] ?? 0);
    const table = numberTable(known, addresses);
    program.set(at + MESSAGE.table, program.words([...table]));
    program.set(at + MESSAGE.mask, table.length - 1);
    const lists = node.lists.map(({ column }) => this.addressOf(column));
    program.set(at + MESSAGE.lists, program.words(lists));
    program.set(at + MESSAGE.listCount, lists.length);
    const columns = node.columns.map((column) => this.addressOf(column));
    program.set(at + MESSAGE.columns, program.words(columns));
    program.set(at + MESSAGE.columnCount, columns.length);
    const defaults = node.columns.flatMap((column) => {
      return this.defaultOf(node.slots.find((slot) => slot.column === column));
    });
    program.set(at + MESSAGE.defaults, program.words(defaults));
    return at;
  }

  private addressOf(column: ColumnBuilder | null): number {
    return column === null ? 0 : this.program.addressOf(column);
  }

  private field(slot: Slot, at: number): void {
    const { program } = this;
    const { label, number } = slot.field;
    const isPacked = slot.packable;
    this.tag(at, number * 8 + (isPacked ? WIRE.bytes : slot.wire));
    program.set(at + FIELD.number, number);
    if (isPacked) program.set(at + FIELD.otherTag, number * 8 + slot.wire);
    const repeated = isPacked ? LABEL.packed : LABEL.list;
    program.set(at + FIELD.label, label === "single" ? LABEL.single : repeated);
    program.set(at + FIELD.list, this.addressOf(slot.column));
    this.value(slot, at);
    const { key, entry } = slot;
    if (label !== "map" || key === null || entry === null) return;
    program.set(at + FIELD.label, LABEL.map);
    const keyAt = program.take(FIELD.size);
    const entryAt = program.take(FIELD.size);
    this.field(key, keyAt);
    this.field(entry, entryAt);
    program.set(at + FIELD.key, keyAt);
    program.set(at + FIELD.value, entryAt);
  }

  private tag(at: number, tag: number): void {
    const { program } = this;
    program.set(at + FIELD.tag, tag);
    const text: number[] = [];
    let rest = tag;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) text.push((rest % 0x80) | 0x80);
    text.push(rest);
    if (text.length > TEXT_BYTES) {
      // Compared with all four bytes, which are no tag's.
      program.set(at + FIELD.textMask, 0xffff_ffff);
      return;
    }
    program.copy(at + FIELD.text, Uint8Array.from(text));
    program.copy(at + FIELD.textMask, new Uint8Array(text.length).fill(0xff));
    program.set(at + FIELD.textBytes, text.length);
  }

  private value(slot: Slot, at: number): void {
    const { program } = this;
    const { value, values } = slot;
    if (values === null || slot.wire === WIRE.group) return;
    const to = values.field.type;
    program.set(at + FIELD.column, this.addressOf(values));
    program.set(at + FIELD.kind, kindOf(to));
    switch (value.kind) {
      case "scalar":
        program.set(at + FIELD.op, scalarOp(value.scalar, to));
        return;
      case "enum":
        if (to.kind !== "string") return;
        program.set(at + FIELD.op, FIELD_OP.enum);
        program.set(at + FIELD.node, this.enumNames(value.type, value.names));
        return;
      case "message":
        program.set(at + FIELD.op, FIELD_OP.message);
        program.set(at + FIELD.node, this.message(value.node));
        return;
      case "wellKnown":
        if (value.type.kind === "timestamp" && to.kind === "timestamp") {
          program.set(at + FIELD.op, FIELD_OP.timestamp);
        }
        if (value.type.kind !== "wrapper") return;
        program.set(at + FIELD.op, scalarOp(value.type.scalar, to));
        program.set(at + FIELD.wrapped, 1);
        program.set(at + FIELD.parameter, 8 + scalarWire(value.type.scalar));
        return;
      case "parsed":
        if (value.scalar !== "int64" || slot.microsPerUnit === 0) return;
        program.set(at + FIELD.op, FIELD_OP.epoch);
        program.set(at + FIELD.parameter, slot.microsPerUnit);
        return;
      case "beside":
      case "conflict":
      case "unknown":
    }
  }

  /** What a column gets where its field is missing: where it lies, and its bytes; 0: nothing. */
  private defaultOf(slot: Slot | undefined): readonly [at: number, bytes: number] {
    if (slot === undefined || slot.column === null || slot.fill === null) return [0, 0];
    const sample = new ColumnBuilder(slot.column.field);
    slot.fill(sample);
    const bytes = sample.seal().data ?? new Uint8Array(0);
    const at = this.program.take(bytes.length + SLACK);
    this.program.copy(at, bytes);
    return [at, bytes.length];
  }

  private enumNames(type: ProtoEnum, names: ReadonlyMap<number, Uint8Array>): number {
    const known = this.names.get(type);
    if (known !== undefined) return known;
    const { program } = this;
    const most = Math.max(-1, ...[...names.keys()].filter((number) => number < NAMES_MAX));
    const at = program.take(4 + (most + 1) * 8);
    this.names.set(type, at);
    program.set(at, most + 1);
    for (let number = 0; number <= most; number++) {
      const name = names.get(number);
      if (name === undefined) continue;
      const text = program.take(name.length + SLACK);
      program.copy(text, name);
      program.set(at + 4 + number * 8, text);
      program.set(at + 8 + number * 8, name.length);
    }
    return at;
  }
}

/** The address of each slot by its number, open addressing, half empty. */
function numberTable(slots: readonly Slot[], addresses: readonly number[]): Uint32Array {
  const size = 2 ** Math.ceil(Math.log2(2 * slots.length + 2));
  const table = new Uint32Array(size);
  for (const [index, { field }] of slots.entries()) {
    let at = field.number & (size - 1);
    while (table[at] !== 0) at = (at + 1) & (size - 1);
    table[at] = addresses[index] as number;
  }
  return table;
}

/** What the kernel does with a scalar: where its column holds every value, so that none is looked at. */
function scalarOp(scalar: Scalar, to: Type): number {
  const kind = kindOf(to);
  switch (scalar) {
    case "string":
    case "bytes":
      return kind === KIND.bytes ? FIELD_OP[scalar] : FIELD_OP.host;
    case "float":
      return to.kind === "double" ? FIELD_OP.floatDouble : FIELD_OP.float;
    case "double":
    case "bool":
      return FIELD_OP[scalar];
    default:
      return holdsAll(scalar, to) ? FIELD_OP[scalar] : FIELD_OP.host;
  }
}

/** True when a column holds every value of a whole number's scalar. */
function holdsAll(scalar: Scalar, to: Type): boolean {
  const bits = scalar.endsWith("32") ? 32 : 64;
  const isUnsigned = scalar.startsWith("u") || scalar.startsWith("fixed");
  switch (to.kind) {
    case "int":
      return bits === 32 && !isUnsigned;
    case "long":
      return bits === 32 || !isUnsigned;
    case "decimal":
      return to.scale === 0 && to.precision >= (bits === 32 ? 10 : 20);
    default:
      return false;
  }
}
