/**
 * One column chunk: all pages of a leaf for the rows of a row group, with a dictionary while that
 * pays.
 *
 * A dictionary is complete only at the chunk's end but stands before its pages, so pages of indexes
 * (a few bits a value) wait for it. What is chosen, by what was seen:
 * - No dictionary when most of a sample's values are distinct, or when the first page is smaller
 *   without; from the page on that finds it full, PLAIN pages (Parquet allows both in one chunk).
 * - No compression of a chunk of PLAIN pages whose first page hardly shrinks.
 */
import type { BloomColumn } from "#parquet/encoder.ts";
import { ChunkBloom } from "./bloom.ts";
import {
  codecName,
  compress,
  type PageBytes,
  type PageCodec,
  type PageCompression,
} from "./compress.ts";
import { ChunkDictionary } from "./dictionary.ts";
import type { LeafColumn } from "./leaves.ts";
import type { Workspace } from "./memory.ts";
import type { Output } from "./output.ts";
import { indexBody, Page, plainBody } from "./page.ts";
import type { RowRange } from "./pieces.ts";
import {
  addExtremes,
  clearExtremes,
  type Extremes,
  footerStatistics,
  readExtremes,
} from "./statistics.ts";
import { type ColumnMetaData, dataPageHeader, dictionaryPageHeader } from "./thrift.ts";

/** Bytes of a first page that are compressed to see whether it pays. */
const TRIAL_BYTES = 64 * 1024;

/**
 * Share that compression must take off: below it, time is worth more. Snappy takes a tenth off
 * random UUIDs as text, at four times the cost of all other columns of an event.
 */
const SAVING_MIN = 0.125;

/** Values of so many bytes have a way of their own in Snappy. */
const WORD_BYTES = 8;

/** A first page below this decides nothing. */
const TRIAL_BYTES_MIN = 4096;

/** A finished chunk. */
export interface EncodedChunk {
  readonly metadata: ColumnMetaData;
  readonly extremes: Extremes;
  readonly nullCount: number;
  /** Where its first page begins. */
  readonly offset: number;
  /** What a trial has chosen, here or earlier; null: none was needed. */
  readonly chosen: PageCodec | null;
  /** Its bloom filter, which is to be written behind the chunks. */
  readonly bloomFilter: Uint8Array | null;
}

/** What a chunk is made with. */
export interface ChunkParts {
  readonly workspace: Workspace;
  readonly leaf: LeafColumn;
  readonly compression: PageCompression;
  /** What a trial in an earlier chunk of the leaf has chosen; null: it is tried again. */
  readonly chosen: PageCodec | null;
  readonly output: Output;
  /** Null: the chunk has no bloom filter. */
  readonly bloom: BloomColumn | null;
}

/** Writes the pages of a leaf for these rows. */
export async function encodeChunk(
  parts: ChunkParts,
  ranges: readonly RowRange[],
): Promise<EncodedChunk> {
  const { workspace, leaf } = parts;
  const chunk = new Chunk(parts);
  const page = new Page(workspace, leaf);
  clearExtremes(workspace);
  for (const range of ranges) {
    for (let start = range.start; start < range.end; ) {
      const next = page.take({ ...range, start });
      if (next === start) {
        await chunk.write(page);
        page.clear();
      }
      start = next;
    }
  }
  await chunk.write(page);
  return chunk.end();
}

class Chunk {
  readonly #workspace: Workspace;
  readonly #leaf: LeafColumn;
  readonly #output: Output;
  /** Of the file; the chunk's is chosen with its first page. */
  readonly #codecAsked: PageCodec;
  readonly #level: number;
  readonly #bloom: ChunkBloom | null;
  #codec: PageCodec | null = null;
  #chosen: PageCodec | null;
  /** Open as long as the next page may use it; null: there is none, or it is written. */
  #dictionary: ChunkDictionary | null = null;
  /** Headers and pages that wait for the dictionary. */
  #held: Uint8Array[] = [];
  #dictionaryOffset: number | null = null;
  #dataOffset: number | null = null;
  #entries = 0;
  #nullCount = 0;
  #uncompressed = 0;
  #compressed = 0;
  #plainPages = 0;
  #indexPages = 0;

  constructor(parts: ChunkParts) {
    this.#workspace = parts.workspace;
    this.#leaf = parts.leaf;
    this.#output = parts.output;
    this.#codecAsked = parts.compression.codec;
    this.#level = parts.compression.level;
    this.#chosen = parts.chosen;
    this.#bloom = parts.bloom === null ? null : new ChunkBloom(parts.bloom);
    if (parts.leaf.physical === "BOOLEAN") return;
    this.#dictionary = new ChunkDictionary(parts.workspace, parts.leaf);
  }

  /** Writes a page, or holds it until the dictionary is written. */
  async write(page: Page): Promise<void> {
    const { bytes: memory, plain } = this.#workspace;
    this.#bloom?.add(memory.subarray(plain, page.plainEnd), this.#leaf.width);
    const isIndexed = page.present > 0 && this.#dictionary !== null && this.#lookUp(page);
    if (!isIndexed && page.present > 0 && this.#dictionary !== null) await this.#endDictionary();
    this.#entries += page.entries;
    this.#nullCount += page.entries - page.present;
    const isFloat = this.#leaf.physical === "FLOAT" || this.#leaf.physical === "DOUBLE";
    if (!isIndexed || isFloat) {
      const { plain } = this.#workspace;
      addExtremes(this.#workspace, this.#leaf, plain, page.plainEnd, page.present);
    }
    const body = isIndexed
      ? indexBody(this.#workspace, page, this.#dictionary?.indexBits ?? 0)
      : plainBody(this.#workspace, this.#leaf, page);
    this.#codec ??= this.#chooseCodec(body);
    const payload = this.#compress(this.#codec, body);
    const size = { uncompressed: body.bytes, compressed: payload.length };
    const header = dataPageHeader(size, page.entries, isIndexed ? "RLE_DICTIONARY" : "PLAIN");
    this.#uncompressed += header.length + body.bytes;
    this.#compressed += header.length + payload.length;
    if (isIndexed) this.#indexPages++;
    else this.#plainPages++;
    if (this.#dictionary !== null) this.#held.push(header, new Uint8Array(payload));
    else await this.#emit([header, payload]);
  }

  /** Ends the chunk. */
  async end(): Promise<EncodedChunk> {
    if (this.#dictionary !== null) await this.#endDictionary();
    const extremes = readExtremes(this.#workspace);
    const [dataOffset, dictionaryOffset] = [this.#dataOffset ?? 0, this.#dictionaryOffset];
    const hasDictionary = dictionaryOffset !== null;
    const stats: NonNullable<ColumnMetaData["encoding_stats"]> = [
      { page_type: "DICTIONARY_PAGE", encoding: "PLAIN", count: Number(hasDictionary) },
      { page_type: "DATA_PAGE", encoding: "RLE_DICTIONARY", count: this.#indexPages },
      { page_type: "DATA_PAGE", encoding: "PLAIN", count: this.#plainPages },
    ];
    const metadata: ColumnMetaData = {
      type: this.#leaf.physical,
      encodings: hasDictionary ? ["PLAIN", "RLE", "RLE_DICTIONARY"] : ["PLAIN", "RLE"],
      path_in_schema: [...this.#leaf.path],
      codec: codecName(this.#codec ?? this.#codecAsked),
      num_values: BigInt(this.#entries),
      total_uncompressed_size: BigInt(this.#uncompressed),
      total_compressed_size: BigInt(this.#compressed),
      data_page_offset: BigInt(dataOffset),
      ...(hasDictionary ? { dictionary_page_offset: BigInt(dictionaryOffset) } : {}),
      statistics: footerStatistics(this.#leaf, extremes, this.#nullCount),
      encoding_stats: stats.filter(({ count }) => count > 0),
    };
    const nullCount = this.#nullCount;
    const bloomFilter = this.#bloom?.end() ?? null;
    const [offset, chosen] = [dictionaryOffset ?? dataOffset, this.#chosen];
    return { metadata, extremes, nullCount, offset, chosen, bloomFilter };
  }

  #lookUp(page: Page): boolean {
    const dictionary = this.#dictionary;
    if (dictionary === null) return false;
    return this.#indexPages > 0 ? dictionary.lookUp(page) : dictionary.lookUpFirst(page);
  }

  /** Writes the dictionary, if a page uses it, and what waited for it. */
  async #endDictionary(): Promise<void> {
    const dictionary = this.#dictionary;
    this.#dictionary = null;
    if (dictionary !== null && this.#indexPages > 0) {
      const { count, bytes } = dictionary;
      const { dictionaryPlain } = this.#workspace;
      const isFloat = this.#leaf.physical === "FLOAT" || this.#leaf.physical === "DOUBLE";
      const end = dictionaryPlain + bytes;
      if (!isFloat) addExtremes(this.#workspace, this.#leaf, dictionaryPlain, end, count);
      const codec = this.#codec ?? this.#codecAsked;
      const head = this.#leaf.width === WORD_BYTES ? 0 : null;
      const payload = this.#compress(codec, { from: dictionaryPlain, bytes, head });
      const size = { uncompressed: bytes, compressed: payload.length };
      const header = dictionaryPageHeader(size, count);
      this.#uncompressed += header.length + bytes;
      this.#compressed += header.length + payload.length;
      this.#dictionaryOffset = this.#output.position;
      await this.#output.write(header);
      await this.#output.write(payload);
    }
    const held = this.#held;
    this.#held = [];
    if (held.length > 0) await this.#emit(held);
  }

  async #emit(parts: readonly Uint8Array[]): Promise<void> {
    this.#dataOffset ??= this.#output.position;
    for (const part of parts) await this.#output.write(part);
  }

  #compress(codec: PageCodec, page: PageBytes): Uint8Array {
    return compress(this.#workspace, { codec, level: this.#level }, page);
  }

  /** The file's codec, unless the page is PLAIN, of some size, and hardly shrinks. */
  #chooseCodec(body: PageBytes): PageCodec {
    const codec = this.#codecAsked;
    if (codec === "none" || this.#dictionary !== null || body.bytes < TRIAL_BYTES_MIN) return codec;
    if (this.#chosen !== null) return this.#chosen;
    const tried = Math.min(body.bytes, TRIAL_BYTES);
    const { length } = this.#compress(codec, { ...body, bytes: tried });
    this.#chosen = length > (1 - SAVING_MIN) * tried ? "none" : codec;
    return this.#chosen;
  }
}
