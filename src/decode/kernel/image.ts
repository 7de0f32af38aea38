/**
 * The program of the decode kernel: columns, slots, keys and settings of one version of a table's
 * schema, laid out as the kernel reads them. An image is made once and copied into the kernel's
 * memory whenever another one was there; behind it lie the columns' values of one call, and the
 * input.
 */
import { assert } from "#base/assert.ts";
import { LIMITS } from "#base/limits.ts";
import { ColumnBuilder } from "#columns/builder.ts";
import type { Field, Type } from "#columns/schema.ts";
import { fillerOf } from "#decode/json/defaults.ts";
import type { AppendedColumn } from "#decode/metadata.ts";
import { type Refusal, refusalOf } from "#decode/refusal.ts";
import { CALL, COLUMN, KIND, METADATA_KIND } from "./layout.ts";
import type { StraightReader } from "./straightReader.ts";

/** Rows of one call at most. */
const ROWS_MAX = 1024;
/** Elements of one call at most, for each row: more end the call earlier. */
const ELEMENTS_PER_ROW = 4;
/** Memory of one call's values, roughly: it shall stay in the processor's cache. */
const VALUES_BYTES = 2 * 1024 * 1024;
const STRING_BYTES_MIN = 8 * 1024;
const STRING_BYTES_MAX = 256 * 1024;
/** What the kernel may write behind a column's bytes, and read behind its input and keys. */
export const SLACK = 64;
/** Bytes of records at a time; a larger record is the host's. */
export const INPUT_BYTES: number = 256 * 1024;

/** Where a format's program is written to: memory of the image, zero at first. */
export interface ProgramWriter {
  /** The address of `size` more bytes, a multiple of 8. */
  take(size: number): number;
  /** Writes a 32-bit word. */
  set(at: number, value: number): void;
  /** Takes memory for 32-bit words, and writes them; the address of the first. */
  words(values: readonly number[]): number;
  /** Writes bytes into memory that was taken. */
  copy(at: number, bytes: Uint8Array): void;
  /** The address of one of the segment's columns. */
  addressOf(column: ColumnBuilder): number;
  /** Names the field of a slot, whose value is the end of its record when the column cannot hold it. */
  nameField(slot: number, path: string): void;
  /** Says who judges members without a slot, which are no end of their record else. */
  judgeUnknown(node: number, judge: UnknownJudge): void;
}

/** Why the member whose key's quote is at `keyAt` refuses its record, which has each key once; null: it does not. */
export type UnknownJudge = (
  bytes: Uint8Array,
  keyAt: number,
  isEvolving: boolean,
) => Refusal | null;

/** What a value is to the kernel: a format's program. */
export interface ValueRoot {
  /** True when unknown members are skipped, whatever they hold. */
  readonly ignoreUnknown: boolean;
  /** A batch that holds one of these is the host's; default: none is. */
  readonly hostMarkers?: readonly Buffer[];
  /** Writes the program; the address of its root slot. */
  write(program: ProgramWriter): number;
}

/** The columns of a segment that the kernel fills. */
export interface KernelColumns {
  /** Columns of the value, in the order of the fields. */
  readonly columns: readonly ColumnBuilder[];
  readonly metadata: readonly (readonly [AppendedColumn, ColumnBuilder])[];
}

/** What an image is made from. */
export interface ImageSource extends KernelColumns {
  readonly root: ValueRoot;
  /** What records without a value are. */
  readonly tombstones: Tombstones;
  /** A record without a key is the host's. */
  readonly needsKey: boolean;
  /** What the kernel refuses, with the host's reason; else it leaves what is wrong to the host. */
  readonly refuses: { readonly documents: boolean; readonly nulls: boolean };
}

/** Records without a value: the host's, or deletes of the row that the Kafka key says; `keyRoot`: into these columns. */
export type Tombstones =
  | { readonly kind: "host" }
  | { readonly kind: "deletes"; readonly keyRoot: ValueRoot | null };

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
  /** A batch that holds one of these is the host's. */
  readonly hostMarkers: readonly Buffer[];
  /** Refusals of values that their column cannot hold, by the addresses of their slots. */
  readonly conflicts: ReadonlyMap<number, Refusal>;
  /** Who judges members without a slot, by the addresses of their nodes. */
  readonly unknowns: ReadonlyMap<number, UnknownJudge>;
  /** Reads documents of the usual form, once it is made. */
  readonly straight: StraightReader;
  /** First address behind everything. */
  readonly end: number;
}

/** Topic names have at most 249 characters. */
const TOPIC_BYTES = 256;

/**
 * The image of a schema.
 * @param address where it will lie, a multiple of 64
 * @param powers where the powers of five lie
 */
export function createImage(
  source: ImageSource,
  address: number,
  powers: number,
  straight: StraightReader,
): Image {
  const { hostMarkers = [] } = source.root;
  return { ...new ImageWriter(source, address).finish(powers), hostMarkers, straight };
}

/** Columns with their children, in the order of an image's columns. */
export function flatColumns({ columns, metadata }: KernelColumns): ColumnBuilder[] {
  const all = (list: readonly ColumnBuilder[]): ColumnBuilder[] =>
    list.flatMap((column) => [column, ...all(column.children)]);
  return [...all(columns), ...metadata.filter(isKernels).map(([, column]) => column)];
}

/** Headers are lists of structs: the host appends them. */
function isKernels([kind]: readonly [AppendedColumn, ColumnBuilder]): boolean {
  return kind !== "headers";
}

class ImageWriter implements ProgramWriter {
  private readonly source: ImageSource;
  private readonly address: number;
  private bytes = new Uint8Array(16 * 1024);
  private view = new DataView(this.bytes.buffer);
  private used = 0;
  private readonly columns = new Map<ColumnBuilder, number>();
  /** Columns below a list, which have more values than there are rows. */
  private readonly repeated = new Set<ColumnBuilder>();
  private readonly conflicts = new Map<number, Refusal>();
  private readonly unknowns = new Map<number, UnknownJudge>();

  constructor(source: ImageSource, address: number) {
    this.source = source;
    this.address = address;
  }

  finish(powers: number): Omit<Image, "hostMarkers" | "straight"> {
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
    this.set(call + CALL.ignoreUnknown, root.ignoreUnknown ? 1 : 0);
    this.set(call + CALL.root, root.write(this));
    const { needsKey, tombstones, refuses } = this.source;
    // Each list element and member counts for as many values as it has columns: so small, none has too many.
    const judgedBytes = Math.floor(LIMITS.recordValuesMax / (this.columns.size + 1));
    this.set(call + CALL.judgedBytes, refuses.documents ? judgedBytes : 0);
    this.set(call + CALL.refusesNull, refuses.nulls ? 1 : 0);
    this.set(call + CALL.needsKey, needsKey ? 1 : 0);
    if (tombstones.kind === "deletes") {
      this.set(call + CALL.tombstones, 1);
      if (tombstones.keyRoot !== null)
        this.set(call + CALL.keyRoot, tombstones.keyRoot.write(this));
    }
    const topic = this.take(TOPIC_BYTES);
    this.set(call + CALL.topic, topic);
    return this.layOutValues(call, topic);
  }

  private addColumn(column: ColumnBuilder): void {
    const at = this.take(COLUMN.size);
    this.columns.set(column, at);
    this.set(at + COLUMN.kind, kindOf(column.field.type));
    this.set(at + COLUMN.required, column.field.required ? 1 : 0);
    const fill = fillOf(column.field);
    if (fill === null) return;
    const from = this.take(fill.length + SLACK);
    this.copy(from, fill);
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

  /** Gives every column its room, behind the image. */
  private layOutValues(call: number, topic: number): Omit<Image, "hostMarkers" | "straight"> {
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
    const { address, conflicts, unknowns } = this;
    return { address, bytes, columns, conflicts, unknowns, bits, topic, input, end };
  }

  private valueBytes(column: ColumnBuilder): number {
    const width = 8 + widthOf(kindOf(column.field.type));
    return this.repeated.has(column) ? width * ELEMENTS_PER_ROW : width;
  }

  nameField(slot: number, path: string): void {
    this.conflicts.set(slot, refusalOf("type_conflict", path));
  }

  judgeUnknown(node: number, judge: UnknownJudge): void {
    this.unknowns.set(node, judge);
  }

  addressOf(column: ColumnBuilder): number {
    const at = this.columns.get(column);
    assert(at !== undefined, "a slot's column is one of the segment's");
    return at;
  }

  words(values: readonly number[]): number {
    const at = this.take(Math.max(4, values.length * 4));
    for (const [index, value] of values.entries()) this.set(at + index * 4, value);
    return at;
  }

  set(at: number, value: number): void {
    this.view.setUint32(at - this.address, value, true);
  }

  copy(at: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, at - this.address);
  }

  take(size: number): number {
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

/** The kind of a type's column. */
export function kindOf(type: Type): number {
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
