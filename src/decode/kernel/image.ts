/**
 * The program of the decode kernel: columns, slots, keys and settings of one version of a table's
 * schema, laid out as the kernel reads them. An image is made once and copied into the kernel's
 * memory whenever another one was there; behind it lie the columns' values of one call, and the
 * input.
 */
import { assert } from "#base/assert.ts";
import { LIMITS } from "#base/limits.ts";
import { ColumnBuilder } from "#columns/builder.ts";
import type { Field, PrimitiveType, Type } from "#columns/schema.ts";
import { fillerOf } from "#decode/json/defaults.ts";
import { OP, type Slot, type StructNode } from "#decode/json/program.ts";
import type { MetadataColumn } from "#decode/options.ts";
import type { ValueRoot } from "#decode/segment.ts";
import { CALL, COLUMN, KERNEL_OP, KIND, METADATA_KIND, NODE, SLOT } from "./layout.ts";

/** Rows of one call at most. */
const ROWS_MAX = 1024;
/** Elements of one call at most, for each row: more end the call earlier. */
const ELEMENTS_PER_ROW = 4;
/** Memory of one call's values, roughly: it shall stay in the processor's cache. */
const VALUES_BYTES = 2 * 1024 * 1024;
const STRING_BYTES_MIN = 8 * 1024;
const STRING_BYTES_MAX = 256 * 1024;
/** What the kernel may write behind a column's bytes, and read behind its input and keys. */
const SLACK = 64;
/** Bytes of records at a time; a larger record is the host's. */
export const INPUT_BYTES: number = 256 * 1024;

/** What an image is made from. */
export interface ImageSource {
  readonly root: ValueRoot;
  /** Columns of the value, in the order of the fields. */
  readonly columns: readonly ColumnBuilder[];
  readonly metadata: readonly (readonly [MetadataColumn, ColumnBuilder])[];
}

/** An image, and where its parts are. */
export interface Image {
  /** Address of the image, which begins with the call. */
  readonly address: number;
  readonly bytes: Uint8Array;
  /** Address of every column, parents before their children, metadata columns last. */
  readonly columns: readonly number[];
  /** Room for the bits of a column. */
  readonly bits: number;
  /** Room for the topic's name. */
  readonly topic: number;
  readonly input: number;
  /** First address behind everything. */
  readonly end: number;
}

/** A key with its quotes, the byte before it and a colon is compared at once when it is not longer. */
const TEXT_MAX = 32;
/** Before a key: the second sixteen bytes of that text, and of its mask. */
const TEXT_REST = 32;
const COLON = 0x3a;

/** Topic names have at most 249 characters. */
const TOPIC_BYTES = 256;

/**
 * The image of a schema.
 * @param address where it will lie, a multiple of 64
 * @param powers where the powers of five lie
 */
export function createImage(source: ImageSource, address: number, powers: number): Image {
  return new ImageWriter(source, address).finish(powers);
}

/** Columns with their children, in the order of an image's columns. */
export function flatColumns({ columns, metadata }: ImageSource): ColumnBuilder[] {
  const all = (list: readonly ColumnBuilder[]): ColumnBuilder[] =>
    list.flatMap((column) => [column, ...all(column.children)]);
  return [...all(columns), ...metadata.filter(isKernels).map(([, column]) => column)];
}

/** Headers are lists of structs: the host appends them. */
function isKernels([kind]: readonly [MetadataColumn, ColumnBuilder]): boolean {
  return kind !== "headers";
}

class ImageWriter {
  private readonly source: ImageSource;
  private readonly address: number;
  private bytes = new Uint8Array(16 * 1024);
  private view = new DataView(this.bytes.buffer);
  private used = 0;
  private readonly columns = new Map<ColumnBuilder, number>();
  private readonly nodes = new Map<StructNode, number>();
  /** Columns below a list, which have more values than there are rows. */
  private readonly repeated = new Set<ColumnBuilder>();

  constructor(source: ImageSource, address: number) {
    this.source = source;
    this.address = address;
  }

  finish(powers: number): Image {
    const { root, columns, metadata } = this.source;
    const call = this.take(CALL.size);
    const kernels = metadata.filter(isKernels);
    for (const column of flatColumns(this.source)) this.addColumn(column);
    for (const column of columns) this.linkColumn(column, false);
    const list = columns.map((column) => this.addressOf(column));
    const pairs = kernels.flatMap(([kind, column]) => {
      assert(kind !== "headers", "headers are the host's");
      return [METADATA_KIND[kind], this.addressOf(column)];
    });
    this.set(call + CALL.columns, this.words(list));
    this.set(call + CALL.columnCount, list.length);
    this.set(call + CALL.metadata, this.words(pairs));
    this.set(call + CALL.metadataCount, kernels.length);
    this.set(call + CALL.powers, powers);
    this.set(call + CALL.depthMax, LIMITS.jsonDepthMax);
    this.set(call + CALL.ignoreUnknown, root.kind === "json" && root.ignoreUnknown ? 1 : 0);
    this.set(call + CALL.root, this.rootSlot(root));
    const topic = this.take(TOPIC_BYTES);
    this.set(call + CALL.topic, topic);
    return this.layOutValues(call, topic);
  }

  private rootSlot(root: ValueRoot): number {
    const slot = this.take(SLOT.size);
    if (root.kind === "json") {
      this.set(slot + SLOT.op, OP.struct);
      this.set(slot + SLOT.members, this.node(root.node));
    } else {
      this.set(slot + SLOT.op, root.isText ? KERNEL_OP.rawText : KERNEL_OP.raw);
      this.set(slot + SLOT.column, this.addressOf(root.column));
    }
    return slot;
  }

  private addColumn(column: ColumnBuilder): void {
    const at = this.take(COLUMN.size);
    this.columns.set(column, at);
    this.set(at + COLUMN.kind, kindOf(column.field.type));
    this.set(at + COLUMN.required, column.field.required ? 1 : 0);
    const fill = fillOf(column.field);
    if (fill === null) return;
    const from = this.take(fill.length + SLACK);
    this.bytes.set(fill, from - this.address);
    this.set(at + COLUMN.fill, from);
    this.set(at + COLUMN.fillBytes, fill.length);
  }

  private linkColumn(column: ColumnBuilder, repeated: boolean): void {
    const at = this.addressOf(column);
    if (repeated) this.repeated.add(column);
    const below = repeated || column.field.type.kind === "list" || column.field.type.kind === "map";
    for (const child of column.children) this.linkColumn(child, below);
    this.set(at + COLUMN.children, this.words(column.children.map((c) => this.addressOf(c))));
    this.set(at + COLUMN.childCount, column.children.length);
  }

  private node(node: StructNode): number {
    const known = this.nodes.get(node);
    if (known !== undefined) return known;
    const at = this.take(NODE.size);
    this.nodes.set(node, at);
    const slots = this.take(node.slots.length * SLOT.size);
    node.slots.forEach((slot, index) => {
      this.slot(slot, slots + index * SLOT.size);
    });
    this.set(at + NODE.slots, slots);
    this.set(at + NODE.slotCount, node.slots.length);
    this.set(at + NODE.follow, this.words([...node.slots.map((_, index) => index + 1), 0]));
    this.set(at + NODE.followBefore, this.take((node.slots.length + 1) * 4));
    const table = keyTable(node.slots);
    this.set(at + NODE.table, this.words([...table]));
    this.set(at + NODE.mask, table.length - 1);
    return at;
  }

  private slot(slot: Slot, at: number): void {
    const [op, parameter] = kernelOp(slot);
    this.set(at + SLOT.op, op);
    this.set(at + SLOT.parameter, parameter);
    this.set(at + SLOT.column, this.addressOf(slot.column));
    this.key(slot.key, at);
    if (slot.members !== null) this.set(at + SLOT.members, this.node(slot.members));
    if (slot.element !== null && op === OP.list) {
      const element = this.take(SLOT.size);
      this.slot(slot.element, element);
      this.set(at + SLOT.element, element);
    }
  }

  /** A slot's key, and the text that it usually stands in. */
  private key(bytes: Uint8Array, at: number): void {
    const key = this.take(TEXT_REST + bytes.length + SLACK) + TEXT_REST;
    this.set(at + SLOT.key, key);
    const total = bytes.length + 2;
    if (!isPlainKey(bytes) || total > TEXT_MAX) {
      // A zero is no byte before a quote.
      this.bytes[at + SLOT.textMask - this.address] = 0xff;
    } else {
      const text = new Uint8Array(TEXT_MAX);
      text.set(bytes, 1);
      text[total - 1] = COLON;
      const mask = new Uint8Array(TEXT_MAX).fill(0xff, 1, total);
      this.bytes.set(text.subarray(0, 16), at + SLOT.text - this.address);
      this.bytes.set(mask.subarray(0, 16), at + SLOT.textMask - this.address);
      this.bytes.set(text.subarray(16), key - TEXT_REST - this.address);
      this.bytes.set(mask.subarray(16), key - TEXT_REST + 16 - this.address);
      this.set(at + SLOT.textBytes, total);
    }
    if (!isPlainKey(bytes)) return;
    this.bytes.set(bytes, key - this.address);
    this.set(at + SLOT.keyBytes, bytes.length);
  }

  /** Gives every column its room, behind the image. */
  private layOutValues(call: number, topic: number): Image {
    const all = [...this.columns.keys()];
    const rowBytes = all.reduce((sum, column) => sum + this.valueBytes(column), 1);
    const rows = Math.max(16, Math.min(ROWS_MAX, Math.floor(VALUES_BYTES / rowBytes)));
    const strings = all.filter((column) => kindOf(column.field.type) === KIND.bytes).length;
    const share = Math.floor(VALUES_BYTES / Math.max(1, strings));
    const stringBytes = Math.max(STRING_BYTES_MIN, Math.min(STRING_BYTES_MAX, share));
    this.set(call + CALL.rowsMax, rows);
    const bits = this.address + align(this.used);
    let end = bits + align((rows * ELEMENTS_PER_ROW) / 8 + SLACK);
    const room = (bytes: number): number => {
      const at = end;
      end += align(bytes + SLACK);
      return at;
    };
    for (const column of all) {
      const at = this.addressOf(column);
      const values = this.repeated.has(column) ? rows * ELEMENTS_PER_ROW : rows;
      const kind = kindOf(column.field.type);
      this.set(at + COLUMN.valuesMax, values);
      this.set(at + COLUMN.nulls, room(4 * values));
      if (kind === KIND.list || kind === KIND.bytes) this.set(at + COLUMN.ends, room(4 * values));
      if (kind === KIND.bytes) {
        this.set(at + COLUMN.data, room(stringBytes));
        this.set(at + COLUMN.bytesMax, stringBytes);
      } else if (widthOf(kind) > 0) this.set(at + COLUMN.data, room(values * widthOf(kind)));
    }
    const input = room(INPUT_BYTES);
    const bytes = this.bytes.slice(0, this.used);
    const columns = [...this.columns.values()];
    return { address: this.address, bytes, columns, bits, topic, input, end };
  }

  private valueBytes(column: ColumnBuilder): number {
    const width = 8 + widthOf(kindOf(column.field.type));
    return this.repeated.has(column) ? width * ELEMENTS_PER_ROW : width;
  }

  private addressOf(column: ColumnBuilder): number {
    const at = this.columns.get(column);
    assert(at !== undefined, "a slot's column is one of the segment's");
    return at;
  }

  private words(values: readonly number[]): number {
    const at = this.take(Math.max(4, values.length * 4));
    for (const [index, value] of values.entries()) this.set(at + index * 4, value);
    return at;
  }

  private set(at: number, value: number): void {
    this.view.setUint32(at - this.address, value, true);
  }

  /** The address of `size` more bytes of image, zero. */
  private take(size: number): number {
    const at = this.used;
    this.used = align(at + size, 8);
    if (this.used > this.bytes.length) {
      const larger = new Uint8Array(2 * this.used);
      larger.set(this.bytes);
      this.bytes = larger;
      this.view = new DataView(larger.buffer);
    }
    return this.address + at;
  }
}

/** The bytes of a column's default, as its data has them; null: it has none. */
function fillOf(field: Field): Uint8Array | null {
  const column = new ColumnBuilder(field);
  const filler = fillerOf(field);
  if (filler === null) return null;
  filler(column);
  return column.seal().data ?? new Uint8Array(0);
}

function align(bytes: number, to = 64): number {
  return Math.ceil(bytes / to) * to;
}

function kindOf(type: Type): number {
  switch (type.kind) {
    case "struct":
      return KIND.struct;
    case "list":
    case "map":
      return KIND.list;
    case "string":
    case "binary":
      return KIND.bytes;
    case "fixed":
      return KIND.host;
    case "boolean":
      return KIND.boolean;
    case "int":
    case "float":
    case "date":
      return KIND.width4;
    case "decimal":
    case "uuid":
      return KIND.width16;
    default:
      return KIND.width8;
  }
}

function widthOf(kind: number): number {
  switch (kind) {
    case KIND.boolean:
      return 1;
    case KIND.width4:
      return 4;
    case KIND.width8:
      return 8;
    case KIND.width16:
      return 16;
    default:
      return 0;
  }
}

/** What the kernel does with a slot's values, and its parameter. */
function kernelOp(slot: Slot): readonly [op: number, parameter: number] {
  switch (slot.op) {
    case OP.eventTime:
      if (slot.microsPerUnit > 0) return [KERNEL_OP.epoch, slot.microsPerUnit];
      return slot.isIso ? timestampOp(slot.column.field.type, 5) : [KERNEL_OP.host, 0];
    case OP.text:
      return textOp(slot.column.field.type as PrimitiveType);
    case OP.map:
      return [KERNEL_OP.host, 0];
    default:
      return [slot.op, 0];
  }
}

function textOp(type: PrimitiveType): readonly [op: number, parameter: number] {
  switch (type.kind) {
    case "date":
      return [KERNEL_OP.date, 0];
    case "time":
      return [KERNEL_OP.time, 0];
    case "uuid":
      return [KERNEL_OP.uuid, 0];
    case "decimal":
      if (type.precision > 18) return [KERNEL_OP.host, 0];
      return [KERNEL_OP.decimal, type.precision * 256 + type.scale];
    case "timestamp":
    case "timestamp_ns":
      return timestampOp(type, type.zone ? 1 : 0);
    default:
      return [KERNEL_OP.host, 0];
  }
}

function timestampOp(type: Type, zone: number): readonly [op: number, parameter: number] {
  return [KERNEL_OP.timestamp, zone + (type.kind === "timestamp_ns" ? 2 : 0)];
}

/** True for a key whose bytes stand in JSON as they are. */
function isPlainKey(key: Uint8Array): boolean {
  return key.subarray(1, -1).every((c) => c >= 0x20 && c !== 0x22 && c !== 0x5c);
}

/** Index + 1 of each plain key's slot by its hash (FNV-1a), open addressing, half empty. */
function keyTable(slots: readonly Slot[]): Uint32Array {
  const size = 2 ** Math.ceil(Math.log2(2 * slots.length + 2));
  const table = new Uint32Array(size);
  for (const [index, { key }] of slots.entries()) {
    if (!isPlainKey(key)) continue;
    let hash = 0x811c9dc5;
    for (const c of key.subarray(1, -1)) hash = Math.imul(hash ^ c, 0x01000193);
    let at = (hash >>> 0) & (size - 1);
    while (table[at] !== 0) at = (at + 1) & (size - 1);
    table[at] = index + 1;
  }
  return table;
}
