/**
 * The decode kernel's host: copies records in, lets the kernel walk them, copies columns out. One for
 * the whole process; between two batches it holds the last program, and the last rows of one segment
 * until that takes them (decision 0410).
 */

import { copyInto } from "#columns/buffers.ts";
import type { ColumnBuilder } from "#columns/builder.ts";
import type { RecordBytes } from "#decode/decoder.ts";
import { type Refusal, refusalOf } from "#decode/refusal.ts";
import { growMemory, type Kernel, loadKernel } from "#kernel/load.ts";
import { createImage, type Image, type ImageSource, INPUT_BYTES } from "./image.ts";
import { CALL, COLUMN, KIND, STATUS, VERDICT } from "./layout.ts";
import { powersOfFive } from "./powers.ts";
import { type ReaderParts, type ReaderTiming, StraightReader } from "./straightReader.ts";

interface Functions {
  decode(call: number): number;
  nullBits(column: number, start: number, out: number): void;
  boolBits(column: number, start: number, out: number): void;
  truncateAll(call: number, rows: number): void;
  readSlot(slot: number, at: number, depth: number): number;
  tens(): number;
  wholeTens(): number;
  readonly table: WebAssembly.Table;
}

/** In place of the timestamp of all records when each has its own. */
const NO_TIMESTAMP = -(2 ** 63);

/** Behind the input, so that reading may run over its end. */
const ZEROS = new Uint8Array(64);

const encoder = new TextEncoder();

let shared: DecodeKernel | null = null;

/** The kernel of this thread, about 5 ms at the first call. */
export function decodeKernel(): DecodeKernel {
  shared ??= new DecodeKernel();
  return shared;
}

/** Values up to which a run is copied word by word: a view of them would cost more than they do. */
const SHORT_RUN = 48;

/** Why a step ended. */
export type StepEnd =
  /** No record is left. */
  | "done"
  /** Take the rows out and step again. */
  | "again"
  /** The next record is for the host. */
  | "host";

/** A segment whose rows may wait in the kernel. */
export interface RowsOwner {
  /** Takes them out. */
  flush(): void;
}

/** Refusals that are about no field, by verdict. */
const REFUSALS: ReadonlyMap<number, Refusal> = new Map([
  [VERDICT.badJson, refusalOf("bad_json", "")],
  [VERDICT.badUtf8, refusalOf("bad_utf8", "")],
  [VERDICT.tooDeep, refusalOf("too_deep", "")],
  [VERDICT.notAnObject, refusalOf("not_an_object", "")],
  [VERDICT.nullValue, refusalOf("null_value", "")],
]);

/** Decodes the records of one batch after the other, in steps. */
export class DecodeKernel {
  /** Rows that wait in the kernel's columns, and whose they are: of the one whose batch came last. */
  waiting = 0;
  owner: RowsOwner | null = null;
  /** Of the last step. */
  rows = 0;
  skipped = 0;
  /** Largest timestamp of the step's rows, ms. */
  timestampMsMax = 0;
  /** Where the next record begins in the payload, and how many there are from it on. */
  position = 0;
  left = 0;
  private readonly kernel: Kernel<Functions>;
  private readonly powers: number;
  private readonly firstImage: number;
  /** Where the kernel finds the straight reader of the program at hand. */
  private readonly readerPlace: number;
  private image: Image | null = null;
  private topic = "";
  /** Of the batch that was begun last, and not yet noted. */
  private documents = 0;
  private payload: Uint8Array = ZEROS;
  private sliceStart = 0;
  private sliceEnd = 0;
  private bytes: Uint8Array;
  private words: Uint32Array;
  private view: DataView;

  constructor() {
    this.kernel = loadKernel<Functions>("decode");
    const table = powersOfFive();
    this.powers = Math.ceil(this.kernel.heapBase / 64) * 64;
    this.firstImage = Math.ceil((this.powers + table.length) / 64) * 64;
    growMemory(this.kernel.memory, this.firstImage);
    this.bytes = new Uint8Array(this.kernel.memory.buffer);
    this.words = new Uint32Array(this.kernel.memory.buffer);
    this.view = new DataView(this.kernel.memory.buffer);
    this.bytes.set(table, this.powers);
    this.readerPlace = this.kernel.functions.table.grow(1);
  }

  /** The program of a schema. */
  compile(source: ImageSource, timing: ReaderTiming): Image {
    return createImage(source, this.firstImage, this.powers, new StraightReader(timing));
  }

  /**
   * Begins with a batch; rows of another owner than this one are taken out first.
   * @param wantedDelta the first offset delta that is wanted
   */
  begin(owner: RowsOwner, image: Image, batch: RecordBytes, wantedDelta: number): void {
    this.noteDocuments();
    if (this.owner !== owner) this.owner?.flush();
    this.owner = owner;
    if (this.image !== image) this.activate(image);
    const call = image.address;
    // Made meanwhile, or given up.
    const isRead = this.get(call + CALL.straight) !== 0;
    if ((image.straight.read !== null) !== isRead) this.setReader(image);
    this.documents = batch.recordCount;
    if (this.topic !== batch.topic) this.setTopic(image, batch.topic);
    this.set(call + CALL.wanted, Math.max(-0x8000_0000, Math.min(wantedDelta, 0x7fff_ffff)));
    this.set(call + CALL.partition, batch.partition);
    this.view.setBigInt64(call + CALL.baseOffset, batch.baseOffset, true);
    this.setLong(call + CALL.baseTimestamp, batch.baseTimestampMs);
    this.setLong(call + CALL.appendTimestamp, batch.appendTimestampMs ?? NO_TIMESTAMP);
    this.payload = batch.payload;
    this.sliceStart = 0;
    this.sliceEnd = 0;
    this.moveTo(0, batch.recordCount);
  }

  /** Goes on at another record, after the host has taken some. */
  moveTo(position: number, left: number): void {
    this.position = position;
    this.left = left;
  }

  /** Decodes records into the kernel's own columns, behind rows that wait there; they go behind those of `columns`. */
  step(columns: readonly ColumnBuilder[]): StepEnd {
    const image = this.image as Image;
    const call = image.address;
    if (this.position < this.sliceStart || this.position >= this.sliceEnd) {
      this.loadSlice(image, this.position);
    }
    if (this.waiting === 0) this.clearColumns(image, columns);
    this.set(call + CALL.rows, this.waiting);
    this.set(call + CALL.position, image.input + this.position - this.sliceStart);
    this.set(call + CALL.end, image.input + this.sliceEnd - this.sliceStart);
    this.set(call + CALL.left, this.left);
    // Written by the kernel only where a record's value is given up: what has no room there has none.
    this.set(call + CALL.verdict, VERDICT.none);
    const status = this.kernel.functions.decode(call);
    const rows = this.get(call + CALL.rows);
    this.rows = rows - this.waiting;
    this.waiting = rows;
    this.skipped = this.get(call + CALL.skipped);
    this.timestampMsMax = Number(this.view.getBigInt64(call + CALL.timestampMax, true));
    this.left = this.get(call + CALL.left);
    this.position = this.sliceStart + this.get(call + CALL.position) - image.input;
    if (status === STATUS.done) return "done";
    if (status === STATUS.full) return rows > 0 ? "again" : "host";
    const goesOn = status === STATUS.cut && this.sliceEnd < this.payload.length;
    if (!goesOn || this.position === this.sliceStart) return "host";
    // It is looked at again at the beginning of a slice.
    this.sliceEnd = 0;
    return "again";
  }

  /**
   * Why the record that the last step has left for the host is refused; null: the host judges.
   * @param isEvolving false: what is unknown stays so
   */
  refusal(isEvolving: boolean): Refusal | null {
    const image = this.image as Image;
    const { address, conflicts, unknowns, input } = image;
    const verdict = this.get(address + CALL.verdict);
    if (verdict === VERDICT.none) return null;
    const place = this.get(address + CALL.refusedPlace);
    if (verdict === VERDICT.typeConflict) return conflicts.get(place) ?? null;
    if (verdict !== VERDICT.unknownMember) return REFUSALS.get(verdict) ?? null;
    const keyAt = this.sliceStart + this.get(address + CALL.refusedKey) - input;
    return unknowns.get(place)?.(this.payload, keyAt, isEvolving) ?? null;
  }

  /** Appends the rows that wait to the columns that the image was made for, in its order; none waits then. */
  appendTo(columns: readonly ColumnBuilder[]): void {
    const image = this.image as Image;
    for (const [index, column] of columns.entries()) {
      this.appendColumn(image, image.columns[index] as number, column);
    }
    this.waiting = 0;
  }

  /** Takes back all but the first `count` of the rows that wait. */
  takeBack(count: number): void {
    this.kernel.functions.truncateAll((this.image as Image).address, count);
    this.waiting = count;
  }

  private appendColumn(image: Image, at: number, column: ColumnBuilder): void {
    const length = this.get(at + COLUMN.length);
    if (length === 0) return;
    const kind = this.get(at + COLUMN.kind);
    const nullCount = this.get(at + COLUMN.nullCount);
    if (length <= SHORT_RUN && nullCount === 0 && kind !== KIND.boolean) {
      this.appendShort(at, kind, length, column);
      return;
    }
    const data = this.get(at + COLUMN.data);
    const bit = column.length & 7;
    const bitBytes = (bit + length + 7) >> 3;
    let { bytes } = this;
    let start = data;
    let end = data;
    let ends: Int32Array | null = null;
    if (kind === KIND.boolean) {
      this.kernel.functions.boolBits(at, bit, image.bits);
      // Bits of nulls will lie there.
      bytes = bytes.slice(image.bits, image.bits + bitBytes);
      start = 0;
      end = bitBytes;
    } else if (kind === KIND.bytes) {
      end += this.get(at + COLUMN.used);
    } else if (kind > KIND.boolean && kind !== KIND.host) {
      end += length * column.width;
    }
    if (kind === KIND.bytes || kind === KIND.list) {
      ends = new Int32Array(this.bytes.buffer, this.get(at + COLUMN.ends), length);
    }
    let nulls: Uint8Array | null = null;
    if (nullCount > 0) {
      this.kernel.functions.nullBits(at, bit, image.bits);
      nulls = this.bytes.subarray(image.bits, image.bits + bitBytes);
    }
    column.appendRun(length, bytes, start, end, ends, nulls, nullCount);
  }

  /** A run of few values, none of them null. */
  private appendShort(at: number, kind: number, length: number, column: ColumnBuilder): void {
    const first = column.length;
    column.appendRun(length, ZEROS, 0, 0, null, null, 0);
    const data = this.get(at + COLUMN.data);
    if (kind === KIND.bytes) {
      const used = this.get(at + COLUMN.used);
      if (column.dataLength + used > column.data.length) column.growData(used);
      copyInto.call(this.bytes, column.data, column.dataLength, data, data + used);
      column.dataLength += used;
    } else if (kind !== KIND.host && column.words.length > 0) {
      const perValue = column.width >> 2;
      this.copyWords(data >> 2, column.words, first * perValue, length * perValue);
    } else if (kind !== KIND.host && column.width > 0) {
      const end = data + length * column.width;
      copyInto.call(this.bytes, column.data, first * column.width, data, end);
    }
    if (kind === KIND.bytes || kind === KIND.list) {
      this.copyWords(this.get(at + COLUMN.ends) >> 2, column.offsets, first + 1, length);
    }
  }

  private copyWords(from: number, into: Int32Array, at: number, count: number): void {
    const { words } = this;
    for (let index = 0; index < count; index++) into[at + index] = words[from + index] as number;
  }

  private clearColumns(image: Image, columns: readonly ColumnBuilder[]): void {
    for (const [index, column] of columns.entries()) {
      const at = (image.columns[index] as number) >> 2;
      const child = column.children[0];
      this.words[at + (COLUMN.length >> 2)] = 0;
      this.words[at + (COLUMN.used >> 2)] = 0;
      this.words[at + (COLUMN.nullCount >> 2)] = 0;
      this.words[at + (COLUMN.base >> 2)] = child === undefined ? column.dataLength : child.length;
    }
  }

  private loadSlice(image: Image, start: number): void {
    this.sliceStart = start;
    this.sliceEnd = Math.min(this.payload.length, start + INPUT_BYTES);
    this.bytes.set(this.payload.subarray(start, this.sliceEnd), image.input);
    this.bytes.set(ZEROS, image.input + this.sliceEnd - start);
  }

  private activate(image: Image): void {
    if (growMemory(this.kernel.memory, image.end)) {
      this.bytes = new Uint8Array(this.kernel.memory.buffer);
      this.words = new Uint32Array(this.kernel.memory.buffer);
      this.view = new DataView(this.kernel.memory.buffer);
    }
    this.bytes.set(image.bytes, image.address);
    this.image = image;
    this.topic = "";
    image.straight.begin(() => this.readerParts(), image.address);
    this.setReader(image);
  }

  /** Tells the program at hand what it has read. */
  private noteDocuments(): void {
    const { image, documents } = this;
    if (image === null) return;
    const { address, straight } = image;
    const left = this.get(address + CALL.leftStraight);
    straight.note(documents, left, () => this.readerParts(), address);
    this.set(address + CALL.leftStraight, 0);
    this.documents = 0;
  }

  private setReader({ address, straight }: Image): void {
    if (straight.read !== null) this.kernel.functions.table.set(this.readerPlace, straight.read);
    this.set(address + CALL.straight, straight.read === null ? 0 : this.readerPlace);
  }

  private readerParts(): ReaderParts {
    const { functions, memory } = this.kernel;
    const tables = { tens: functions.tens(), wholeTens: functions.wholeTens() };
    return {
      ...tables,
      words: this.words,
      bytes: this.bytes,
      memory,
      readSlot: functions.readSlot,
    };
  }

  private setTopic(image: Image, topic: string): void {
    const { written } = encoder.encodeInto(topic, this.bytes.subarray(image.topic, image.bits));
    this.set(image.address + CALL.topicBytes, written);
    this.topic = topic;
  }

  private get(at: number): number {
    return this.words[at >> 2] as number;
  }

  private set(at: number, value: number): void {
    this.words[at >> 2] = value;
  }

  private setLong(at: number, value: number): void {
    this.view.setBigInt64(at, BigInt(value), true);
  }
}
