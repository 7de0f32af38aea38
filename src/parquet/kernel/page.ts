/**
 * One data page under construction: levels and PLAIN values of rows of one leaf, from any number of
 * batches, in the kernel's memory.
 */
import { assert } from "#base/assert.ts";
import { fail } from "#base/errors.ts";
import type { ColumnData } from "#parquet/columnData.ts";
import type { PageBytes } from "./compress.ts";
import type { LeafColumn } from "./leaves.ts";
import { LEVELS, type Workspace } from "./memory.ts";
import {
  columnsOf,
  fit,
  offsetAt,
  type Room,
  type RowRange,
  roomOf,
  type Span,
  spansOf,
  stage,
  stageNodes,
  stageOffsets,
} from "./pieces.ts";

/** Values of so many bytes have a way of their own in Snappy. */
const WORD_BYTES = 8;

/** A page of one leaf. Only one at a time may use a workspace. */
export class Page {
  readonly #workspace: Workspace;
  readonly #leaf: LeafColumn;
  /** Levels so far. */
  entries = 0;
  /** Values that are not null. */
  present = 0;
  /** PLAIN bytes so far; booleans as bytes. */
  plainBytes = 0;

  constructor(workspace: Workspace, leaf: LeafColumn) {
    this.#workspace = workspace;
    this.#leaf = leaf;
  }

  /** Where the PLAIN values end. */
  get plainEnd(): number {
    return this.#workspace.plain + this.plainBytes;
  }

  /** Empties the page. */
  clear(): void {
    this.entries = 0;
    this.present = 0;
    this.plainBytes = 0;
  }

  /**
   * Takes as many rows as fit, at least one when it is empty, however large that is.
   * @returns the first row not taken
   */
  take(range: RowRange): number {
    const columns = columnsOf(this.#leaf, range.batch);
    const end = fit(this.#leaf, columns, range, this.#room());
    if (end > range.start) {
      this.#append(columns, range.start, end);
      return end;
    }
    if (this.entries > 0) return range.start;
    const needed = roomOf(this.#leaf, columns, range.start, range.start + 1);
    this.#workspace.reserve(needed.entries, needed.bytes);
    this.#append(columns, range.start, range.start + 1);
    return range.start + 1;
  }

  /** Encodes the levels of both kinds, each behind its length (data page V1); their bytes. */
  encodeLevels(): number {
    const { repetitionMax, definitionMax } = this.#leaf;
    const { repetitions, definitions } = this.#workspace;
    const first = this.#encodeLevels(repetitions, repetitionMax, 0);
    return first + this.#encodeLevels(definitions, definitionMax, first);
  }

  #encodeLevels(levels: number, levelMax: number, at: number): number {
    if (levelMax === 0) return 0;
    const { kernel, encodedLevels, encodedLevelsMax, bytes } = this.#workspace;
    const width = 32 - Math.clz32(levelMax);
    const to = encodedLevels + at;
    const room = encodedLevelsMax - at - 4;
    const size = checked(kernel.hybridBytes(levels, this.entries, width, to + 4, room));
    new DataView(bytes.buffer).setUint32(to, size, true);
    return size + 4;
  }

  #room(): Room {
    const { pageEntries, pageBytes } = this.#workspace.limits;
    return {
      entries: Math.max(0, pageEntries - this.entries),
      bytes: Math.max(0, pageBytes - this.plainBytes),
    };
  }

  #append(columns: readonly ColumnData[], start: number, end: number): void {
    const workspace = this.#workspace;
    const spans = spansOf(this.#leaf, columns, start, end);
    const free = stageNodes(workspace, this.#leaf, columns, spans);
    const call = workspace.levelsCall;
    workspace.set(call, LEVELS.definitions, workspace.definitions + this.entries);
    workspace.set(call, LEVELS.repetitions, workspace.repetitions + this.entries);
    workspace.set(call, LEVELS.slots, workspace.slots);
    workspace.set(call, LEVELS.scratch, workspace.scratch);
    workspace.set(call, LEVELS.room, workspace.entriesMax - this.entries);
    checked(workspace.kernel.levels(call, workspace.nodes, spans.length, end - start));
    const present = workspace.get(call, LEVELS.present);
    const isContiguous = workspace.get(call, LEVELS.contiguous) === 1;
    const span = spans.at(-1);
    const column = columns.at(-1);
    assert(span !== undefined && column !== undefined, "a path has a leaf");
    const slots = isContiguous ? 0 : workspace.slots;
    this.plainBytes += present === 0 ? 0 : this.#appendValues(column, span, slots, present, free);
    this.entries += workspace.get(call, LEVELS.entries);
    this.present += present;
  }

  /** Appends the present values of a span; the bytes that they took. */
  #appendValues(
    column: ColumnData,
    span: Span,
    slots: number,
    present: number,
    free: number,
  ): number {
    const workspace = this.#workspace;
    const { kernel } = workspace;
    const { type, width } = this.#leaf;
    const { data } = column;
    assert(data !== null, "a leaf has values");
    const to = this.plainEnd;
    const count = span.end - span.start;
    if (width === 0) {
      const base = offsetAt(column, span.start);
      const dataEnd = offsetAt(column, span.end);
      const values = stageOffsets(workspace, free, column, span);
      stage(workspace, values, data, base, dataEnd);
      const room = workspace.plainBytesMax - this.plainBytes;
      return checked(
        kernel.plainBytes(free, count, base, values, dataEnd - base, slots, present, to, room),
      );
    }
    if (type.kind === "boolean") {
      stage(workspace, free, data, span.start >> 3, (span.end + 7) >> 3);
      kernel.plainBits(free, span.start & 7, slots, present, to);
    } else if (type.kind === "decimal") {
      const bigEndian = Number(type.precision > 18);
      stage(workspace, free, data, 16 * span.start, 16 * span.end);
      kernel.plainDecimals(free, width, bigEndian, slots, present, to);
    } else if (slots === 0) {
      assert(width * span.end <= data.length, "a buffer holds its column's slots");
      workspace.bytes.set(data.subarray(width * span.start, width * span.end), to);
    } else {
      stage(workspace, free, data, width * span.start, width * span.end);
      kernel.plainFixed(free, width, slots, present, to);
    }
    return present * width;
  }
}

/** Makes the body of a page of indexes: levels, the bits of an index, the indexes that lie at the workspace's `indexes`. */
export function indexBody(workspace: Workspace, page: Page, bits: number): PageBytes {
  const { kernel, bytes, encodedLevels, body, bodyBytesMax, indexes } = workspace;
  const levels = page.encodeLevels();
  bytes.copyWithin(body, encodedLevels, encodedLevels + levels);
  bytes[body + levels] = bits;
  const before = levels + 1;
  const room = bodyBytesMax - before;
  const size = checked(kernel.hybridWords(indexes, page.present, bits, body + before, room));
  return { from: body, bytes: before + size, head: null };
}

/** Makes the body of a page: levels and PLAIN values. */
export function plainBody(workspace: Workspace, leaf: LeafColumn, page: Page): PageBytes {
  const { kernel, bytes, encodedLevels, plain, body, bodyBytesMax } = workspace;
  const levels = page.encodeLevels();
  if (leaf.physical === "BOOLEAN") {
    bytes.copyWithin(body, encodedLevels, encodedLevels + levels);
    const room = bodyBytesMax - levels;
    const size = checked(kernel.packBits(plain, page.present, body + levels, room));
    return { from: body, bytes: levels + size, head: null };
  }
  const from = plain - levels;
  bytes.copyWithin(from, encodedLevels, encodedLevels + levels);
  const head = leaf.width === WORD_BYTES ? levels : null;
  return { from, bytes: levels + page.plainBytes, head };
}

/** A function's answer unless it is a fault of `layout.ts`. */
export function checked(answer: number): number {
  if (answer >= 0) return answer;
  if (answer === NULL_IN_REQUIRED) throw fail("internal", "A required column holds a null");
  throw fail("internal", `The encode kernel refused a column: fault ${answer}`);
}

/** Fault of `layout.ts`. */
const NULL_IN_REQUIRED = -3;
