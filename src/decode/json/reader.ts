/**
 * The JSON reader: one document's bytes straight into columns, directed by the compiled fields. No
 * object per record, no `JSON.parse`.
 *
 * Syntax errors end a document at once. A value that its column cannot hold is noted and skipped,
 * so that a document that is no JSON at all is called that, whatever else is wrong with it. The
 * caller takes the row back when `read` answers false.
 *
 * Nesting is bounded by the columns here, and counted where values are skipped.
 */

import { LIMITS } from "#base/limits.ts";
import type { ColumnBuilder } from "#columns/builder.ts";
import type { ValueRoot } from "#decode/kernel/image.ts";
import type { RejectReason, TypeConflict } from "#decode/rejects.ts";
import type { ValueReader } from "#decode/segment.ts";
import { withoutDuplicates } from "./duplicates.ts";
import { jsonRoot } from "./kernelProgram.ts";
import { KeyFinder, UNKNOWN } from "./keys.ts";
import { appendNumber, isNumberAt, readDouble, readInt, readLong, SLOW } from "./numbers.ts";
import { OP, type Slot, type StructNode } from "./program.ts";
import { BAD_JSON, CHAR, isSpace, skipSpace, skipString, skipWord, TOO_MANY } from "./scan.ts";
import { faultOf, Skipper } from "./skip.ts";
import { readString, textOf, valueText } from "./strings.ts";
import { type Handling, judgeUnknown, nameOf, refusalOfUnknown } from "./unknown.ts";

/** Reads documents into the columns of one program. */
export class JsonReader implements ValueReader {
  /** Why the last document was refused. */
  reason: RejectReason = "bad_json";
  /** The field that the reason is about, "" when it is about the whole value. */
  path = "";
  conflict: TypeConflict = "value";
  readonly effect = "put";
  private readonly columns: readonly ColumnBuilder[];
  readonly node: StructNode;
  private readonly handling: Handling;
  /** False: under `evolve`, what is unknown now stays unknown, and refuses its record. */
  evolving = true;
  readonly asks = null;
  sawUnknown = false;
  /** Unknown typed fields in the present document: they count when it is good as a whole. */
  private unknownHere = false;
  private readonly skipper = new Skipper();
  private bytes: Uint8Array = new Uint8Array(0);
  private end = 0;
  private refused = false;
  /** A column or group had its value already: by a duplicate key, or flattened from two places. */
  private repeated = false;
  /** The document has no duplicate keys: they were taken out. */
  private isDistinct = false;
  private documents = 0;
  /** Values of the present document so far. */
  private values = 0;
  private readonly keys = new KeyFinder();

  constructor(columns: readonly ColumnBuilder[], root: StructNode, handling: Handling) {
    this.columns = columns;
    this.node = root;
    this.handling = handling;
  }

  get root(): ValueRoot {
    // A key in another case is unknown to the kernel: it must not be skipped there.
    const { unknown, rescue, rescuesConflicts } = this.handling;
    return jsonRoot(this.node, unknown === "ignore" && this.node.byLower === null, {
      refusesMisfits: rescue === null || !rescuesConflicts,
      unknown: (node, ...member) => refusalOfUnknown(unknown, node, member),
    });
  }

  /** True when what has no place in its own column is kept in another one. */
  get rescues(): boolean {
    return this.handling.rescue !== null;
  }

  readNull(row: number): boolean {
    const [required] = this.node.required;
    if (required === undefined) return this.endObject(this.node, 0, row) === 0;
    this.reason = "missing_field";
    this.path = required.path;
    return false;
  }

  /**
   * Appends the members of the object in `bytes[start, end)`; false when the document is refused.
   * Columns of missing fields are left as they are.
   * @param row rows that the columns hold before this one
   */
  read(bytes: Uint8Array, start: number, end: number, row: number): boolean {
    this.isDistinct = false;
    const isJson = this.readOnce(bytes, start, end, row);
    if (isJson && (this.refused || this.repeated)) this.readAgain(bytes, start, end, row);
    if (!isJson || this.refused) return false;
    this.handling.rescue?.append();
    if (this.unknownHere) this.sawUnknown = true;
    return true;
  }

  /** A duplicate key's earlier value may be what did not fit: rare, so it is looked for only now. */
  private readAgain(bytes: Uint8Array, start: number, end: number, row: number): void {
    const distinct = withoutDuplicates(bytes, start, end);
    if (distinct === null && !this.repeated) return;
    for (const column of this.columns) column.truncate(row);
    this.isDistinct = true;
    if (distinct === null) this.readOnce(bytes, start, end, row);
    else this.readOnce(distinct, 0, distinct.length, row);
  }

  /** False when it is no JSON, or no object. */
  private readOnce(bytes: Uint8Array, start: number, end: number, row: number): boolean {
    this.bytes = bytes;
    this.end = end;
    this.refused = false;
    this.repeated = false;
    this.conflict = "value";
    this.unknownHere = false;
    this.handling.rescue?.clear();
    this.values = 0;
    this.documents++;
    const at = skipSpace(bytes, start);
    let i = bytes[at] === CHAR.open ? this.object(this.node, at + 1, row, 1) : BAD_JSON;
    if (i >= 0) i = skipSpace(bytes, i);
    if (i === end || (i > end && isSpace(bytes, end, i))) return true;
    this.path = "";
    this.reason = i === TOO_MANY ? "too_many_values" : faultOf(bytes.subarray(start, end));
    return false;
  }

  private refuse(reason: RejectReason, path: string): void {
    if (this.refused) return;
    this.refused = true;
    this.reason = reason;
    this.path = path;
  }

  /** Reads an object's members; `at` is behind the brace. */
  private object(node: StructNode, at: number, row: number, depth: number): number {
    const { bytes, keys } = this;
    let i = skipSpace(bytes, at);
    if (bytes[i] === CHAR.close) return this.endObject(node, i + 1, row);
    let previous = 0;
    for (;;) {
      if (bytes[i] !== CHAR.quote) return BAD_JSON;
      const index = keys.find(node, previous, bytes, i, this.end);
      i = keys.end < 0 ? keys.end : this.valueStart(keys.end);
      if (i < 0) return i;
      if (index === UNKNOWN) i = this.unknown(node, i, depth);
      else {
        i = this.member(node.slots[index] as Slot, i, row, depth);
        previous = index + 1;
      }
      if (i < 0) return i;
      i = skipSpace(bytes, i);
      if (bytes[i] !== CHAR.comma) break;
      i = skipSpace(bytes, i + 1);
    }
    return bytes[i] === CHAR.close ? this.endObject(node, i + 1, row) : BAD_JSON;
  }

  /** The position of the value behind a key that ends at `at`. */
  private valueStart(at: number): number {
    if (++this.values > LIMITS.recordValuesMax) return TOO_MANY;
    const i = skipSpace(this.bytes, at);
    return this.bytes[i] === CHAR.colon ? skipSpace(this.bytes, i + 1) : BAD_JSON;
  }

  /** Reads a known member's value; one that was there already is noted, for a second pass. */
  private member(slot: Slot, at: number, row: number, depth: number): number {
    if (slot.op === OP.group) {
      if (slot.seenIn === this.documents) this.repeated = true;
      slot.seenIn = this.documents;
    } else if (slot.column.length > row) {
      this.repeated = true;
      slot.column.truncate(row);
      if (this.isDistinct) this.refuse("colliding_field", slot.path);
    }
    return this.value(slot, at, row, depth);
  }

  private endObject(node: StructNode, after: number, row: number): number {
    for (const slot of node.required) {
      if (slot.column.length <= row) this.refuse("missing_field", slot.path);
    }
    for (const slot of node.filled) if (slot.column.length <= row) slot.fill?.(slot.column);
    return after;
  }

  /** Skips the value of the unknown key found last, and judges it. */
  private unknown(node: StructNode, at: number, depth: number): number {
    const keyAt = this.keys.unknownAt;
    this.skipper.typed = false;
    const after = this.skipper.value(this.bytes, at, this.end, depth);
    const { unknown, rescue } = this.handling;
    if (after < 0 || !this.skipper.typed || unknown === "ignore") return after;
    const member = { node, bytes: this.bytes, keyAt, valueAt: at };
    const name = nameOf(member);
    const verdict = judgeUnknown(unknown, member, name, this.evolving);
    if (verdict === "learn") this.unknownHere = true;
    else if (verdict === "rescue") rescue?.keep(node.source + name, this.bytes, at, after);
    else if (verdict !== "ignore") this.refuse(verdict, node.prefix + name);
    return after;
  }

  /** Appends the value at `at`; the position after it, or a negative code. */
  private value(slot: Slot, at: number, row: number, depth: number): number {
    const { bytes } = this;
    const c = bytes[at] as number;
    let i = SLOW;
    switch (slot.op) {
      case OP.string:
        if (c === CHAR.quote) return readString(bytes, at + 1, this.end, slot.column);
        break;
      case OP.long:
        i = readLong(bytes, at, slot.column, 1);
        break;
      case OP.double:
        i = readDouble(bytes, at, slot.column);
        break;
      case OP.struct:
      case OP.group:
        if (c === CHAR.open) return this.struct(slot, at + 1, row, depth + 1);
        break;
      case OP.list:
        if (c === CHAR.openList) return this.list(slot, at + 1, depth + 1);
        break;
      case OP.int:
        i = readInt(bytes, at, slot.column);
        break;
      case OP.map:
        if (c === CHAR.open) return this.map(slot, at + 1, depth + 1);
        break;
      case OP.eventTime:
        if (slot.microsPerUnit > 0) i = readLong(bytes, at, slot.column, slot.microsPerUnit);
        break;
    }
    return i >= 0 ? i : this.otherValue(slot, at, depth);
  }

  /** Null, booleans, numbers and declared types by their text, and whatever does not fit. */
  private otherValue(slot: Slot, at: number, depth: number): number {
    const { bytes } = this;
    const c = bytes[at] as number;
    if (c === CHAR.n) {
      if (slot.required) this.refuse("missing_field", slot.path);
      if (slot.op !== OP.group) slot.column.appendNull();
      return skipWord(bytes, at);
    }
    this.skipper.typed = false;
    const after = this.skipper.value(bytes, at, this.end, depth);
    if (after >= 0 && !this.append(slot, at, after, c)) this.misfit(slot, at, after, c);
    return after;
  }

  /** A value that its column cannot hold: kept beside a null, or the end of its record. */
  private misfit(slot: Slot, at: number, after: number, c: number): void {
    const { rescue, rescuesConflicts } = this.handling;
    const isKept = rescuesConflicts && !slot.required && !slot.isProtected;
    if (rescue === null || !isKept) {
      this.refuseType(slot, c);
      return;
    }
    rescue.keep(slot.path, this.bytes, at, after);
    if (slot.op !== OP.group) slot.column.appendNull();
  }

  private refuseType(slot: Slot, c: number): void {
    const isFirst = !this.refused;
    this.refuse("type_conflict", slot.path);
    if (!isFirst) return;
    if (slot.op === OP.eventTime) this.conflict = "event_time";
    else if (slot.op === OP.long && isNumberAt(c)) this.conflict = "number_in_long";
  }

  private append(slot: Slot, at: number, after: number, c: number): boolean {
    const isNumber = isNumberAt(c);
    switch (slot.op) {
      case OP.boolean:
        if (c !== CHAR.t && c !== CHAR.f) return false;
        slot.column.appendBoolean(c === CHAR.t);
        return true;
      case OP.int:
      case OP.long:
      case OP.float:
      case OP.double:
        return isNumber && appendNumber(this.ascii(at, after), slot.column);
      case OP.text:
      case OP.eventTime: {
        const numbersToo = slot.op === OP.eventTime || slot.column.field.type.kind === "decimal";
        if (c !== CHAR.quote && !(isNumber && numbersToo)) return false;
        const text = isNumber ? this.ascii(at, after) : textOf(this.bytes, at + 1, after);
        return slot.parse?.(text, slot.column) ?? false;
      }
      case OP.cover:
        slot.cover?.append(valueText(this.bytes, at, after), slot.column);
        return true;
      default:
        return false;
    }
  }

  private ascii(start: number, end: number): string {
    return textOf(this.bytes, start, end + 1);
  }

  private struct(slot: Slot, at: number, row: number, depth: number): number {
    const { members, column } = slot;
    if (members === null) return BAD_JSON;
    if (slot.op === OP.group) return this.object(members, at, row, depth);
    const after = this.object(members, at, column.length, depth);
    if (after >= 0) column.endStruct();
    return after;
  }

  private list(slot: Slot, at: number, depth: number): number {
    const { bytes } = this;
    const element = slot.element as Slot;
    let i = skipSpace(bytes, at);
    if (bytes[i] !== CHAR.closeList) {
      for (;;) {
        this.values += element.weight;
        if (this.values > LIMITS.recordValuesMax) return TOO_MANY;
        i = this.value(element, i, element.column.length, depth);
        if (i < 0) return i;
        i = skipSpace(bytes, i);
        if (bytes[i] !== CHAR.comma) break;
        i = skipSpace(bytes, i + 1);
      }
      if (bytes[i] !== CHAR.closeList) return BAD_JSON;
    }
    slot.column.endList();
    return i + 1;
  }

  /** A map's entries are found first, because of a duplicate key the last value counts. */
  private map(slot: Slot, at: number, depth: number): number {
    const { bytes, end } = this;
    const entries = new Map<string, number>();
    let i = skipSpace(bytes, at);
    while (bytes[i] === CHAR.quote) {
      const key = i + 1;
      i = skipString(bytes, key, end);
      if (i < 0) return i;
      const name = textOf(bytes, key, i);
      i = this.valueStart(i);
      if (i < 0) return i;
      this.values += (slot.element as Slot).weight;
      entries.set(name, i);
      i = this.skipper.value(bytes, i, end, depth);
      if (i < 0) return i;
      i = skipSpace(bytes, i);
      if (bytes[i] !== CHAR.comma) break;
      i = skipSpace(bytes, i + 1);
      if (bytes[i] !== CHAR.quote) return BAD_JSON;
    }
    if (bytes[i] !== CHAR.close) return BAD_JSON;
    this.appendEntries(slot, entries, depth);
    return i + 1;
  }

  private appendEntries(slot: Slot, entries: ReadonlyMap<string, number>, depth: number): void {
    const [keys] = slot.column.children as [ColumnBuilder];
    const element = slot.element as Slot;
    if (keys.field.type.kind !== "string") {
      this.refuse("type_conflict", slot.path);
      return;
    }
    for (const [name, at] of entries) {
      const text = new TextEncoder().encode(name);
      keys.appendBytes(text, 0, text.length);
      this.value(element, at, element.column.length, depth);
    }
    slot.column.endList();
  }
}
