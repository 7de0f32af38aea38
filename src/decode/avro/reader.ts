/**
 * Reads Avro values into columns by the steps of their schema's program: the judge of what the kernel
 * leaves, and its stand-in.
 *
 * A refused record is read to its end all the same: whether its bytes are a value at all comes first,
 * as with JSON.
 */
import { assert } from "#base/assert.ts";
import { utf8Text } from "#base/text.ts";
import type { ColumnBuilder } from "#columns/builder.ts";
import { needsValue } from "#columns/schema.ts";
import type { Growth } from "#decode/decoder.ts";
import { type Filler, fillerOf } from "#decode/json/defaults.ts";
import type { ValueRoot } from "#decode/kernel/image.ts";
import type { RejectReason, TypeConflict } from "#decode/rejects.ts";
import type { Rescue } from "#decode/rescue.ts";
import { SchemaAsks } from "#decode/schemaAsks.ts";
import type { ValueReader } from "#decode/segment.ts";
import { runBeside, type StepRunner } from "./beside.ts";
import { AvroBytes } from "./bytes.ts";
import { appendDecimal } from "./decimals.ts";
import type { Program } from "./program.ts";
import { STEP, type Step } from "./steps.ts";
import { appendCalendar, appendInteger, appendTimestamp } from "./times.ts";

/** What a value is read by, or why it cannot be. */
export type Found =
  | {
      readonly kind: "program";
      readonly program: Program;
      /** Bytes of the value before its record. */
      readonly head: number;
      /** What the schema asks of the table; null: it fits, or the table has answered. */
      readonly growth: Growth | null;
    }
  | { readonly kind: "refused"; readonly reason: RejectReason; readonly path: string };

/** Where a reader gets its programs. */
export interface Programs {
  /** What the value `bytes[start, end)` is read by. */
  find(bytes: Uint8Array, start: number, end: number): Found;
  /** What values are to the kernel; null: nothing that it could read. */
  readonly root: ValueRoot | null;
}

/** Reads the values of one segment. */
export class AvroReader implements ValueReader, StepRunner {
  reason: RejectReason = "bad_avro";
  path = "";
  readonly conflict: TypeConflict = "value";
  readonly effect = "put";
  evolving = true;
  sawUnknown = false;
  readonly asks: SchemaAsks = new SchemaAsks();
  private readonly programs: Programs;
  /** Columns that no row may leave out without a thought, and what they get then. */
  private readonly needed: readonly (readonly [ColumnBuilder, Filler | null])[];
  readonly rescue: Rescue | null;
  readonly input: AvroBytes = new AvroBytes();
  refused = false;
  private skipsUnknown = false;

  /**
   * @param columns of a row
   * @param rescue keeps what has no place in them; null: nothing is kept
   */
  constructor(programs: Programs, columns: readonly ColumnBuilder[], rescue: Rescue | null) {
    this.programs = programs;
    this.rescue = rescue;
    this.needed = columns
      .filter(({ field }) => needsValue(field))
      .map((column) => [column, fillerOf(column.field)]);
  }

  get root(): ValueRoot | null {
    return this.programs.root;
  }

  readNull(): boolean {
    for (const [column, fill] of this.needed) {
      if (fill === null) return this.refuseNow("missing_field", column.field.name);
      fill(column);
    }
    return true;
  }

  read(bytes: Uint8Array, start: number, end: number, row: number): boolean {
    const found = this.programs.find(bytes, start, end);
    if (found.kind === "refused") return this.refuseNow(found.reason, found.path);
    const { program, head, growth } = found;
    if (this.asks.mustWait(growth)) return this.refuseNow("type_conflict", "");
    const { input } = this;
    this.refused = false;
    this.rescue?.clear();
    this.skipsUnknown = program.learnable && this.evolving;
    input.start(bytes, start + head, end);
    if (!this.all(program.steps) || input.at !== end) {
      return this.refuseNow(input.failed ?? "bad_avro", "");
    }
    for (const each of program.ends) if (each.column.length <= row) this.run(each);
    if (this.refused) return false;
    this.rescue?.append();
    if (this.skipsUnknown) this.sawUnknown = true;
    return true;
  }

  private refuseNow(reason: RejectReason, path: string): false {
    this.reason = reason;
    this.path = path;
    return false;
  }

  /** Refuses the record, which is read on. */
  private refuse(reason: RejectReason, path: string): true {
    if (!this.refused) this.refuseNow(reason, path);
    this.refused = true;
    return true;
  }

  private all(steps: readonly Step[]): boolean {
    for (let index = 0; index < steps.length; index++) {
      if (!this.run(steps[index] as Step)) return false;
    }
    return true;
  }

  /** Takes one step; false when the bytes are no value. */
  run(each: Step): boolean {
    const { input } = this;
    switch (each.op) {
      case STEP.long:
        if (!input.long()) return false;
        each.column.appendLong(input.low, input.high);
        return true;
      case STEP.int:
        if (!input.int()) return false;
        each.column.appendInt(input.low);
        return true;
      case STEP.text:
      case STEP.bytes:
        return this.sized(each);
      case STEP.double:
        if (!input.take(8)) return false;
        each.column.appendFloat(input.view.getFloat64(input.at - 8, true));
        return true;
      case STEP.union:
        if (!input.long()) return false;
        if (!input.isBelow(each.steps.length)) return input.fail("bad_avro");
        return this.run(each.steps[input.low] as Step);
      case STEP.null:
        each.column.appendNull();
        return true;
      case STEP.boolean:
        return this.boolean(each);
      case STEP.timestamp:
        return input.long() && (appendTimestamp(input, each) || this.conflictAt(each));
      case STEP.record: {
        if (!this.all(each.steps)) return false;
        // What was refused inside has no value there.
        each.column.endStruct();
        return true;
      }
      case STEP.list:
        return this.list(each);
      default:
        return this.runRare(each);
    }
  }

  private runRare(each: Step): boolean {
    const { input } = this;
    const { column } = each;
    switch (each.op) {
      case STEP.skip:
        return input.skip(each.type, 0);
      case STEP.refuse:
        return input.skip(each.type, 0) && this.refuseField(each);
      case STEP.float:
      case STEP.floatToDouble:
        if (!input.take(4)) return false;
        column.appendFloat(input.view.getFloat32(input.at - 4, true));
        return true;
      case STEP.toFloat:
      case STEP.longToInt:
        return this.integer(each) && (appendInteger(input, each) || this.conflictAt(each));
      case STEP.enum:
        return this.word(each);
      case STEP.fixed:
        if (!input.take(each.size)) return false;
        column.appendBytes(input.bytes, input.at - each.size, input.at);
        return true;
      case STEP.bytesToFixed:
        return this.sized(each);
      case STEP.parse:
        return this.text(each);
      case STEP.decimal:
      case STEP.fixedDecimal:
        return this.decimal(each);
      case STEP.date:
      case STEP.timeMillis:
        return input.int() && (appendCalendar(input, each) || this.conflictAt(each));
      case STEP.timeMicros:
        return input.long() && (appendCalendar(input, each) || this.conflictAt(each));
      case STEP.eventTime:
        return this.eventTime(each);
      default:
        return this.runOuter(each);
    }
  }

  /** Steps around others, and those without bytes. */
  private runOuter(each: Step): boolean {
    switch (each.op) {
      case STEP.group:
        return this.all(each.steps);
      case STEP.map:
        return this.map(each);
      case STEP.member:
        if (!this.run(each.steps[0] as Step)) return false;
        each.column.endStruct();
        return true;
      case STEP.fill:
        each.fill?.(each.column);
        return true;
      case STEP.constant:
        return this.constant(each);
      case STEP.cover:
      case STEP.rescue:
      case STEP.orRescue:
        return runBeside(this, each);
      default:
        assert(each.op === STEP.missing, "every step is known");
        return this.refuse("missing_field", each.path);
    }
  }

  private integer({ type }: Step): boolean {
    return type.kind === "int" ? this.input.int() : this.input.long();
  }

  private word({ column, words }: Step): boolean {
    const { input } = this;
    if (!input.int()) return false;
    if (!input.isBelow(words.length)) return input.fail("bad_avro");
    const word = words[input.low] as Uint8Array;
    column.appendBytes(word, 0, word.length);
    return true;
  }

  /** A field that could be learned is only passed over in the first pass. */
  private refuseField({ reason, path }: Step): true {
    return (this.skipsUnknown && reason === "bad_field_name") || this.refuse(reason, path);
  }

  private conflictAt({ path }: Step): true {
    return this.refuse("type_conflict", path);
  }

  private boolean({ column }: Step): boolean {
    const { input } = this;
    if (!input.take(1)) return false;
    const byte = input.bytes[input.at - 1] as number;
    if (byte > 1) return input.fail("bad_avro");
    column.appendBoolean(byte === 1);
    return true;
  }

  /** Bytes with their length, into a column of bytes. */
  private sized({ op, column, type, size: wanted, path }: Step): boolean {
    const { input } = this;
    const size = input.sized();
    if (size < 0) return false;
    // A string is text wherever it goes; bytes only where text is wanted.
    const isText = op === STEP.text || type.kind === "string";
    if (isText && type.kind === "bytes" && !input.utf8(size)) {
      input.failed = null;
      return this.refuse("type_conflict", path);
    }
    if (isText && type.kind === "string" && !input.utf8(size)) return false;
    if (op === STEP.bytesToFixed && size !== wanted) return this.refuse("type_conflict", path);
    column.appendBytes(input.bytes, input.at - size, input.at);
    return true;
  }

  /** Text of a declared type. */
  private text({ column, parse, path }: Step): boolean {
    const { input } = this;
    const size = input.sized();
    if (size < 0 || !input.utf8(size)) return false;
    const text = utf8Text(input.bytes.subarray(input.at - size, input.at));
    return parse?.(text, column) === true || this.refuse("type_conflict", path);
  }

  private decimal({ op, column, size: fixed, shift, path }: Step): boolean {
    const { input } = this;
    const size = op === STEP.decimal ? input.sized() : fixed;
    if (size < 0 || (op === STEP.fixedDecimal && !input.take(size))) return false;
    const isIn = appendDecimal(input.bytes, input.at - size, input.at, shift, column);
    return isIn || this.refuse("type_conflict", path);
  }

  private eventTime(each: Step): boolean {
    if (!this.integer(each)) return false;
    const isIn = each.parse?.(String(this.input.bigint), each.column) === true;
    return isIn || this.refuse("type_conflict", each.path);
  }

  private list({ column, steps, weight }: Step): boolean {
    const { input } = this;
    const item = steps[0] as Step;
    let count = input.block(-1);
    while (count > 0) {
      const { blockEnd } = input;
      for (; count > 0; count--) if (!input.count(weight) || !this.run(item)) return false;
      count = input.block(blockEnd);
    }
    if (!this.refused) column.endList();
    return count === 0;
  }

  /** The last value of a key counts. */
  private map(each: Step): boolean {
    const { input } = this;
    const { column, steps } = each;
    const [keys] = column.children as [ColumnBuilder];
    const begin = keys.length;
    const places = new Map<string, number>();
    const kept = this.rescue?.count ?? 0;
    let entries = 0;
    let count = input.block(-1);
    while (count > 0) {
      const { blockEnd } = input;
      entries += count;
      for (; count > 0; count--) if (!this.entry(each, keys, places)) return false;
      count = input.block(blockEnd);
    }
    if (this.refused || count < 0) return count === 0;
    if (places.size < entries) {
      this.rescue?.cut(kept);
      this.lastEntries(column, steps[0] as Step, begin, places.values());
    }
    column.endList();
    return true;
  }

  private entry(
    { steps, weight }: Step,
    keys: ColumnBuilder,
    places: Map<string, number>,
  ): boolean {
    const { input } = this;
    const keyAt = input.at;
    const size = input.count(weight) ? input.sized() : -1;
    if (size < 0 || !input.utf8(size)) return false;
    places.set(utf8Text(input.bytes.subarray(input.at - size, input.at)), keyAt);
    keys.appendBytes(input.bytes, input.at - size, input.at);
    return this.run(steps[0] as Step);
  }

  /** Reads entries again, without those whose key comes again later. */
  private lastEntries(
    column: ColumnBuilder,
    value: Step,
    begin: number,
    places: Iterable<number>,
  ): void {
    const { input } = this;
    const { at } = input;
    const [keys] = column.children as [ColumnBuilder];
    for (const child of column.children) child.truncate(begin);
    for (const keyAt of places) {
      input.at = keyAt;
      const size = input.sized();
      keys.appendBytes(input.bytes, input.at - size, input.at);
      this.run(value);
    }
    input.at = at;
  }

  /** A value that stands in the reader's schema. */
  private constant({ words, steps }: Step): boolean {
    const { input } = this;
    const { bytes, at, end, values } = input;
    const [word] = words as readonly [Uint8Array];
    input.start(word, 0, word.length);
    const isWhole = this.run(steps[0] as Step);
    input.start(bytes, at, end);
    input.values = values;
    return isWhole;
  }
}
