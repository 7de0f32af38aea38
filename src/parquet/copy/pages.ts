/**
 * The pages of a column chunk, one after the other, as they are stored; and what is in a data page of version 1
 * (Parquet format, "Data Pages"): levels, then values.
 */
import { deserializeTCompactProtocol } from "hyparquet/src/thrift.js";
import { LIMITS } from "#base/limits.ts";
import type { LeafColumn } from "#parquet/kernel/leaves.ts";
import { ENCODING } from "#parquet/kernel/thrift.ts";
import { readHybrid } from "./hybrid.ts";
import { type SourceBytes, type SourceChunk, unfit } from "./source.ts";

/** A page. */
export interface StoredPage {
  readonly isDictionary: boolean;
  /** Number of Parquet's `Encoding`. */
  readonly encoding: number;
  /** Values and nulls; of a dictionary: its values. */
  readonly entries: number;
  /** Of repetition levels, and of definition levels. */
  readonly levelEncodings: readonly [number, number];
  /** Uncompressed, header left out. */
  readonly bodyBytes: number;
  /** Header and payload; void at the next page. */
  readonly stored: Uint8Array;
  /** As compressed; void at the next page. */
  readonly payload: Uint8Array;
}

/** Encodings of indexes of a dictionary, by the old name and the new. */
const PLAIN_DICTIONARY = 2;

/** True for pages of indexes. */
export function isIndexed({ encoding }: Pick<StoredPage, "encoding">): boolean {
  return encoding === PLAIN_DICTIONARY || encoding === ENCODING.RLE_DICTIONARY;
}

/** Bytes that are read at once, and those that no header is longer than. */
const WINDOW_BYTES = 1024 * 1024;
const HEADER_BYTES = 64 * 1024;

/**
 * Reads a chunk's pages.
 * @throws AppError `table_unsupported` for pages of version 2, and of other encodings than plain values and indexes
 */
export function* storedPages(
  source: SourceBytes,
  { start, end, hasDictionary }: SourceChunk,
): Generator<StoredPage> {
  if (start < 0 || end > source.bytes) throw unfit("a column chunk lies outside its file");
  let [from, window] = [start, source.read(start, Math.min(end, start + WINDOW_BYTES))];
  /** Makes the window begin at `at` and have so many bytes, where the chunk has them. */
  const reach = (at: number, bytes: number): void => {
    const until = Math.min(end, at + bytes);
    if (until <= from + window.length) return;
    window = source.read(at, Math.min(end, Math.max(until, at + WINDOW_BYTES)));
    from = at;
  };
  for (let at = start; at < end; ) {
    reach(at, HEADER_BYTES);
    const header = readHeader(window, at - from);
    // A dictionary comes first, and where the footer says so: else it has been overlooked.
    if (header.page.isDictionary !== (hasDictionary && at === start)) {
      throw unfit("a chunk has no dictionary where it should be, or one elsewhere");
    }
    const bytes = header.bytes + header.compressed;
    if (header.compressed < 0 || bytes > LIMITS.copiedPageBytesMax || at + bytes > end) {
      throw unfit("a page lies outside its chunk");
    }
    reach(at, bytes);
    const stored = window.subarray(at - from, at - from + bytes);
    yield { ...header.page, stored, payload: stored.subarray(header.bytes) };
    at += bytes;
  }
}

interface PageHeader {
  readonly bytes: number;
  readonly compressed: number;
  readonly page: Omit<StoredPage, "stored" | "payload">;
}

function readHeader(window: Uint8Array, at: number): PageHeader {
  const view = new DataView(window.buffer, window.byteOffset, window.byteLength);
  const reader = { view, offset: at };
  let raw: RawPageHeader;
  try {
    raw = deserializeTCompactProtocol(reader) as unknown as RawPageHeader;
  } catch (error) {
    throw unfit(`a page header cannot be read: ${String(error)}`);
  }
  const isDictionary = raw.field_1 === 2;
  const inner = isDictionary ? raw.field_7 : raw.field_5;
  if (inner === undefined) throw unfit("a page is of version 2");
  const {
    field_1: entries,
    field_2: encoding,
    field_3: definitions = 0,
    field_4: repetitions = 0,
  } = inner;
  const levelEncodings = [repetitions, definitions] as const;
  const page = { isDictionary, encoding, entries, levelEncodings, bodyBytes: raw.field_2 };
  if (encoding !== ENCODING.PLAIN && !isIndexed(page)) {
    throw unfit(`a page has encoding ${encoding}`);
  }
  if (entries < 0 || page.bodyBytes < 0 || page.bodyBytes > LIMITS.copiedPageBytesMax) {
    throw unfit("a page header is damaged");
  }
  return { bytes: reader.offset - at, compressed: raw.field_3, page };
}

/** `PageHeader`: type, both sizes, the headers of a data page and a dictionary page. */
interface RawPageHeader {
  readonly field_1: number;
  readonly field_2: number;
  readonly field_3: number;
  readonly field_5?: RawInnerHeader;
  readonly field_7?: RawInnerHeader;
}

/** Values, encoding; of a data page: encodings of definition and repetition levels. */
interface RawInnerHeader {
  readonly field_1: number;
  readonly field_2: number;
  readonly field_3?: number;
  readonly field_4?: number;
}

/** The entries of a page. */
export interface PageLevels {
  readonly entries: number;
  /** Values that are not null. */
  readonly present: number;
  /** A byte each; null: all are 0. */
  readonly repetitions: Uint8Array | null;
  /** A byte each; null: a value each, in a column that knows no nulls. */
  readonly definitions: Uint8Array | null;
}

/** The uncompressed bytes of a data page. */
export interface PageBody extends PageLevels {
  readonly bytes: Uint8Array;
  /** Where the values begin: behind the levels. */
  readonly valuesAt: number;
}

/**
 * Levels are read as RLE, and said to be it where they are copied. Of columns without levels no writer
 * means what it says of them.
 * @throws AppError `table_unsupported` for a data page with other levels
 */
export function refuseLevels(
  { levelEncodings: [repetitions, definitions] }: StoredPage,
  { repetitionMax, definitionMax }: Pick<LeafColumn, "repetitionMax" | "definitionMax">,
): void {
  const isOther = (max: number, encoding: number): boolean => max > 0 && encoding !== ENCODING.RLE;
  if (isOther(repetitionMax, repetitions) || isOther(definitionMax, definitions)) {
    throw unfit(`levels have encodings ${repetitions} and ${definitions}`);
  }
}

/**
 * Finds the values of a data page, whose levels are RLE.
 * @param bytes uncompressed
 * @throws AppError `table_unsupported` when it is not what it says
 */
export function pageBody(
  { entries }: StoredPage,
  bytes: Uint8Array,
  { repetitionMax, definitionMax }: Pick<LeafColumn, "repetitionMax" | "definitionMax">,
): PageBody {
  if (entries > LIMITS.copiedPageEntriesMax) throw unfit("a page has too many entries");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const behindLevels = (at: number): number => {
    const end = at + 4 <= bytes.length ? at + 4 + view.getUint32(at, true) : bytes.length + 1;
    if (end > bytes.length) throw unfit("a page ends within its levels");
    return end;
  };
  const levelsOf = (from: number, end: number, levelMax: number): Uint8Array => {
    const levels = new Uint8Array(entries);
    readHybrid(bytes, from + 4, end, 32 - Math.clz32(levelMax), levels);
    return levels;
  };
  const definitionsAt = repetitionMax === 0 ? 0 : behindLevels(0);
  const valuesAt = definitionMax === 0 ? definitionsAt : behindLevels(definitionsAt);
  const repetitions = repetitionMax === 0 ? null : levelsOf(0, definitionsAt, repetitionMax);
  const definitions = definitionMax === 0 ? null : levelsOf(definitionsAt, valuesAt, definitionMax);
  const present = definitions === null ? entries : countOf(definitions, definitionMax);
  return { entries, present, repetitions, definitions, bytes, valuesAt };
}

function countOf(levels: Uint8Array, wanted: number): number {
  let count = 0;
  for (let at = 0; at < levels.length; at++) if (levels[at] === wanted) count++;
  return count;
}

/**
 * The PLAIN values of a page, of booleans a byte each.
 * @throws AppError `table_unsupported` when there are fewer than it says
 */
export function plainValues(
  { bytes, valuesAt, present }: PageBody,
  { physical, width }: Pick<LeafColumn, "physical" | "width">,
): Uint8Array {
  const isBits = physical === "BOOLEAN";
  const end = isBits ? valuesAt + ((present + 7) >> 3) : endOf(bytes, valuesAt, present, width);
  if (end > bytes.length) throw unfit("a page ends within its values");
  const values = bytes.subarray(valuesAt, end);
  return isBits ? bitsAsBytes(values, present) : values;
}

/** Where `count` values end, or beyond the bytes. @param width of a value; 0: each is behind its length */
function endOf(bytes: Uint8Array, from: number, count: number, width: number): number {
  if (width > 0) return from + count * width;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = from;
  for (let value = 0; value < count; value++) {
    if (end + 4 > bytes.length) return bytes.length + 1;
    end += 4 + view.getUint32(end, true);
  }
  return end;
}

function bitsAsBytes(bits: Uint8Array, count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  for (let at = 0; at < count; at++) bytes[at] = ((bits[at >> 3] ?? 0) >> (at & 7)) & 1;
  return bytes;
}
