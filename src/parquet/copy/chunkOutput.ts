/**
 * The pages of one column chunk on their way to a file, and what its footer counts of them. Small pages are joined: each
 * costs a reader some 30 microseconds, whatever is in it.
 */
import {
  codecName,
  compress,
  type PageBytes,
  type PageCompression,
} from "#parquet/kernel/compress.ts";
import type { LeafColumn } from "#parquet/kernel/leaves.ts";
import type { PageLimits, Workspace } from "#parquet/kernel/memory.ts";
import { indexBody, Page, plainBody } from "#parquet/kernel/page.ts";
import {
  type ColumnMetaData,
  dataPageHeader,
  dictionaryPageHeader,
} from "#parquet/kernel/thrift.ts";
import type { PageLevels, StoredPage } from "./pages.ts";

/** Where bytes go, in order. */
export interface CopyOutput {
  /** Bytes so far. */
  readonly position: number;
  /** Takes bytes, which may change afterwards. */
  write(bytes: Uint8Array): void;
}

/** Names of the encodings that are copied, by their numbers. */
const ENCODING_NAMES = { 0: "PLAIN", 2: "PLAIN_DICTIONARY", 8: "RLE_DICTIONARY" } as const;
type EncodingNumber = keyof typeof ENCODING_NAMES;

/** What the footer says of a chunk's pages. */
export type ChunkPages = Pick<
  ColumnMetaData,
  | "codec"
  | "encodings"
  | "encoding_stats"
  | "total_uncompressed_size"
  | "total_compressed_size"
  | "data_page_offset"
  | "dictionary_page_offset"
>;

/** What the entries of a page stand for: PLAIN values, of booleans a byte each; or indexes. */
export type PageValues = Uint8Array | Int32Array;

/** Pages of at most this share of the usual size are joined. */
const SMALL_SHARE = 1 / 4;

/** Room for what is joined: one chunk's at a time. */
export class HeldEntries {
  readonly limits: PageLimits;
  readonly repetitions: Uint8Array;
  readonly definitions: Uint8Array;
  readonly plain: Uint8Array;
  readonly indexes: Int32Array;

  constructor(limits: PageLimits) {
    this.limits = limits;
    this.repetitions = new Uint8Array(limits.pageEntries);
    this.definitions = new Uint8Array(limits.pageEntries);
    this.plain = new Uint8Array(limits.pageBytes);
    this.indexes = new Int32Array(limits.pageEntries);
  }
}

/** A chunk's pages. {@link end} writes what is held. */
export class ChunkOutput {
  readonly #workspace: Workspace;
  readonly #leaf: LeafColumn;
  readonly #compression: PageCompression;
  readonly #output: CopyOutput;
  readonly #held: HeldEntries;
  /** Entries that are held, values among them, and what these take of their buffer. */
  #entries = 0;
  #present = 0;
  #used = 0;
  #isIndexed = false;
  /** Bits of an index. */
  #indexBits = 0;
  #dictionaryOffset: number | null = null;
  #dataOffset: number | null = null;
  #uncompressed = 0;
  #compressed = 0;
  /** Data pages, by encoding. */
  readonly #counts = new Map<EncodingNumber, number>();

  constructor({ workspace, leaf, output, held }: ChunkPlace, compression: PageCompression) {
    this.#workspace = workspace;
    this.#leaf = leaf;
    this.#compression = compression;
    this.#output = output;
    this.#held = held;
  }

  /** Writes the dictionary that lies at the workspace's `dictionaryPlain`. @param indexBits of an index of its entries */
  dictionary(count: number, bytes: number, indexBits: number): void {
    this.#indexBits = indexBits;
    const body = { from: this.#workspace.dictionaryPlain, bytes, head: null };
    const payload = compress(this.#workspace, this.#compression, body);
    const size = { uncompressed: bytes, compressed: payload.length };
    this.#dictionaryOffset = this.#output.position;
    this.#emit(dictionaryPageHeader(size, count), payload, bytes);
  }

  /** True for a page that is better joined with others than written as it is. */
  isSmall({ bodyBytes, entries }: Pick<StoredPage, "bodyBytes" | "entries">): boolean {
    const { pageBytes, pageEntries } = this.#held.limits;
    return bodyBytes <= SMALL_SHARE * pageBytes && entries <= SMALL_SHARE * pageEntries;
  }

  /** Writes a page as it is: its codec is that of the chunk. */
  page({ stored, payload, bodyBytes, encoding, isDictionary }: StoredPage): void {
    this.end();
    if (isDictionary) this.#dictionaryOffset = this.#output.position;
    else this.#count(encoding as EncodingNumber);
    this.#emit(stored.subarray(0, stored.length - payload.length), payload, bodyBytes);
  }

  /** Takes entries, which become a page with those before and after them as far as they fit. */
  entries(levels: PageLevels, values: PageValues): void {
    const { limits, repetitions, definitions, plain, indexes } = this.#held;
    // Nulls alone may be in pages of either kind.
    const isEither = levels.present === 0 && this.#entries > 0;
    const isIndexed = isEither ? this.#isIndexed : values instanceof Int32Array;
    const room = isIndexed ? limits.pageEntries : limits.pageBytes;
    const fits = (entries: number, used: number): boolean =>
      entries + levels.entries <= limits.pageEntries && used + values.length <= room;
    if (isIndexed !== this.#isIndexed || !fits(this.#entries, this.#used)) this.end();
    this.#isIndexed = isIndexed;
    if (!fits(0, 0)) {
      this.#write(levels, values);
      return;
    }
    if (levels.repetitions !== null) repetitions.set(levels.repetitions, this.#entries);
    if (levels.definitions !== null) definitions.set(levels.definitions, this.#entries);
    if (isIndexed) indexes.set(values, this.#used);
    else plain.set(values, this.#used);
    this.#entries += levels.entries;
    this.#present += levels.present;
    this.#used += values.length;
  }

  /** Writes what is held. */
  end(): void {
    if (this.#entries === 0) return;
    const { repetitions, definitions, plain, indexes } = this.#held;
    const [entries, present] = [this.#entries, this.#present];
    const values = (this.#isIndexed ? indexes : plain).subarray(0, this.#used);
    this.#write({ entries, present, repetitions, definitions }, values);
    [this.#entries, this.#present, this.#used] = [0, 0, 0];
  }

  /** What was written. */
  get pages(): ChunkPages {
    const dictionary = this.#dictionaryOffset;
    const stats = [...this.#counts].map(([encoding, count]) => ({
      ...{ page_type: "DATA_PAGE" as const, encoding: ENCODING_NAMES[encoding], count },
    }));
    const ofDictionary = {
      ...{ page_type: "DICTIONARY_PAGE" as const, encoding: "PLAIN" as const, count: 1 },
    };
    const used = new Set(stats.map(({ encoding }) => encoding));
    return {
      codec: codecName(this.#compression.codec),
      encodings: [...(dictionary === null ? used : used.add("PLAIN")), "RLE"],
      encoding_stats: dictionary === null ? stats : [ofDictionary, ...stats],
      total_uncompressed_size: BigInt(this.#uncompressed),
      total_compressed_size: BigInt(this.#compressed),
      data_page_offset: BigInt(this.#dataOffset ?? this.#output.position),
      ...(dictionary === null ? {} : { dictionary_page_offset: BigInt(dictionary) }),
    };
  }

  /** Writes a page of its own. */
  #write({ entries, present, repetitions, definitions }: PageLevels, values: PageValues): void {
    const workspace = this.#workspace;
    const isIndexed = values instanceof Int32Array;
    workspace.reserve(entries, isIndexed ? 0 : values.length);
    const page = new Page(workspace, this.#leaf);
    page.entries = entries;
    page.present = present;
    const { bytes, words } = workspace;
    if (repetitions !== null) bytes.set(repetitions.subarray(0, entries), workspace.repetitions);
    if (definitions !== null) bytes.set(definitions.subarray(0, entries), workspace.definitions);
    if (isIndexed) {
      words.set(values, workspace.indexes >> 2);
      this.#data(indexBody(workspace, page, this.#indexBits), entries, 8);
    } else {
      bytes.set(values, workspace.plain);
      page.plainBytes = values.length;
      this.#data(plainBody(workspace, this.#leaf, page), entries, 0);
    }
  }

  #data(body: PageBytes, entries: number, encoding: 0 | 8): void {
    const payload = compress(this.#workspace, this.#compression, body);
    const size = { uncompressed: body.bytes, compressed: payload.length };
    this.#count(encoding);
    this.#emit(dataPageHeader(size, entries, ENCODING_NAMES[encoding]), payload, body.bytes);
  }

  #count(encoding: EncodingNumber): void {
    this.#counts.set(encoding, (this.#counts.get(encoding) ?? 0) + 1);
    this.#dataOffset ??= this.#output.position;
  }

  #emit(header: Uint8Array, payload: Uint8Array, bodyBytes: number): void {
    this.#uncompressed += header.length + bodyBytes;
    this.#compressed += header.length + payload.length;
    this.#output.write(header);
    this.#output.write(payload);
  }
}

/** Where a chunk is written, and with what. */
export interface ChunkPlace {
  readonly workspace: Workspace;
  readonly leaf: LeafColumn;
  readonly output: CopyOutput;
  readonly held: HeldEntries;
}
