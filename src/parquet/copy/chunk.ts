/**
 * One column chunk put together from parts: pages go over as they are stored, byte for byte, where they can. Indexes are
 * written anew where the part's dictionary has other places in that of the chunk; a page is compressed anew where
 * its codec is another than the chunk's, and where it is small, with those beside it.
 *
 * Memory holds one page, the small ones that become one, and where the entries of each part's dictionary are.
 */
import type { BloomColumn } from "#parquet/encoder.ts";
import type { PageCodec, PageCompression } from "#parquet/kernel/compress.ts";
import type { LeafColumn } from "#parquet/kernel/leaves.ts";
import type { Workspace } from "#parquet/kernel/memory.ts";
import type { Extremes } from "#parquet/kernel/statistics.ts";
import type { ColumnMetaData } from "#parquet/kernel/thrift.ts";
import { ChunkOutput, type ChunkPlace } from "./chunkOutput.ts";
import { chosenCompression, codecOf, decompressed } from "./codecs.ts";
import { dictionaryBody, type Mapping, mergeDictionaries } from "./dictionaries.ts";
import { readHybrid } from "./hybrid.ts";
import {
  isIndexed,
  type PageBody,
  pageBody,
  plainValues,
  refuseLevels,
  type StoredPage,
  storedPages,
} from "./pages.ts";
import { type ChunkPart, entriesOf, nullsOf, plainLong, type StoredPart } from "./parts.ts";
import { unfit } from "./source.ts";
import { countedLongs, fullLevels, nullLevels, unrolled } from "./synthesis.ts";
import { ChunkWatch } from "./watch.ts";

/** A finished chunk. */
export interface CopiedChunk {
  readonly metadata: ColumnMetaData;
  readonly extremes: Extremes;
  /** To be written behind the chunks; null: the chunk has none. */
  readonly bloomFilter: Uint8Array | null;
}

/** What a chunk is written with. */
export interface CopyParts extends ChunkPlace {
  /** Of pages that are written anew, where parts do not say otherwise. */
  readonly compression: PageCompression;
  readonly bloom: BloomColumn | null;
}

/**
 * Writes a chunk.
 * @throws AppError `table_unsupported` when a part has pages of another kind
 */
export function copyChunk(copy: CopyParts, parts: readonly ChunkPart[]): CopiedChunk {
  return new Chunk(copy, parts).write();
}

const NOTHING = new Uint8Array(0);
const SAME: Mapping = { kind: "same" };
/** Rows of a page of which no value is read. */
const PAGE_ROWS = 8192;

/** The dictionary of a part. */
interface OwnDictionary {
  readonly count: number;
  /** Where it is needed. */
  readonly plain: Uint8Array;
  /** Entries that are NaN, where rows are looked at; null: none. */
  readonly nans: ReadonlySet<number> | null;
}

class Chunk {
  readonly #workspace: Workspace;
  readonly #leaf: LeafColumn;
  readonly #parts: readonly ChunkPart[];
  readonly #watch: ChunkWatch;
  readonly #output: ChunkOutput;
  readonly #codec: PageCodec;

  constructor(copy: CopyParts, parts: readonly ChunkPart[]) {
    const { workspace, leaf } = copy;
    this.#workspace = workspace;
    this.#leaf = leaf;
    this.#parts = parts;
    this.#watch = new ChunkWatch(workspace, leaf, copy.bloom);
    const compression = chosenCompression(parts, copy.compression);
    this.#codec = compression.codec;
    this.#output = new ChunkOutput(copy, compression);
  }

  write(): CopiedChunk {
    const [first, ...others] = this.#parts;
    // A part that is alone keeps its dictionary, whatever its size, and its pages.
    if (others.length === 0 && first?.kind === "stored") this.#writeStored(first, SAME, true);
    else {
      const mappings = this.#mergeDictionaries();
      for (const [at, part] of this.#parts.entries()) this.#write(part, mappings[at] ?? SAME);
    }
    this.#output.end();
    const [entries, nulls] = [sum(this.#parts, entriesOf), sum(this.#parts, nullsOf)];
    return {
      metadata: {
        type: this.#leaf.physical,
        path_in_schema: [...this.#leaf.path],
        num_values: BigInt(entries),
        statistics: this.#watch.statistics(nulls),
        ...this.#output.pages,
      },
      extremes: this.#watch.floats,
      bloomFilter: this.#watch.endBloom(),
    };
  }

  #mergeDictionaries(): readonly Mapping[] {
    const merged = mergeDictionaries(this.#workspace, this.#leaf, this.#parts);
    // Also an empty one: pages of nulls alone may be pages of indexes.
    const isUsed = merged.mappings.some(({ kind }) => kind === "same" || kind === "moved");
    if (isUsed) this.#output.dictionary(merged.count, merged.bytes, merged.indexBits);
    return merged.mappings;
  }

  #write(part: ChunkPart, mapping: Mapping): void {
    switch (part.kind) {
      case "stored":
        this.#writeStored(part, mapping, false);
        return;
      case "nulls":
        this.#watch.begin(part);
        for (const { rows } of pagesOf(part.rows)) this.#output.entries(nullLevels(rows), NOTHING);
        return;
      case "counter":
        this.#writeCounter(part.first, part.rows, this.#watch.begin(part));
        return;
      case "constant":
        if (this.#watch.begin(part)) this.#watch.see(plainLong(part.value), 1);
        this.#writeConstant(part.rows, mapping);
    }
  }

  #writeCounter(first: bigint, count: number, isSeen: boolean): void {
    for (const { start, rows } of pagesOf(count)) {
      const longs = countedLongs(first + BigInt(start), rows);
      if (isSeen) this.#watch.see(longs, rows);
      this.#output.entries(fullLevels(rows, this.#leaf), longs);
    }
  }

  #writeConstant(count: number, mapping: Mapping): void {
    const index = mapping.kind === "moved" ? mapping.to[0] : 0;
    if (mapping.kind === "unrolled" || index === undefined) throw unfit("a dictionary is full");
    for (const { rows } of pagesOf(count)) {
      this.#output.entries(fullLevels(rows, this.#leaf), new Int32Array(rows).fill(index));
    }
  }

  /** @param isAlone its dictionary is the chunk's */
  #writeStored(part: StoredPart, mapping: Mapping, isAlone: boolean): void {
    const isSeen = this.#watch.begin(part);
    const { codec, entries: wanted } = part.chunk;
    const isKept = codecOf(codec) === this.#codec;
    let entries = 0;
    let own: OwnDictionary | null = null;
    for (const page of storedPages(part.source, part.chunk)) {
      if (page.isDictionary) {
        own = this.#takeDictionary(page, codec, isSeen, isSeen || mapping.kind === "unrolled");
        if (isAlone) this.#output.page(page);
        continue;
      }
      refuseLevels(page, this.#leaf);
      entries += page.entries;
      const as = { codec, isSeen, isKept: isAlone || (isKept && !this.#output.isSmall(page)) };
      if (!isIndexed(page)) this.#writePlain(page, as);
      else if (own === null) throw unfit("a page of indexes has no dictionary");
      else this.#writeIndexed(page, as, mapping, own);
    }
    if (entries !== wanted) throw unfit("a chunk has other values than it says");
  }

  #takeDictionary(
    page: StoredPage,
    codec: number,
    isSeen: boolean,
    isRead: boolean,
  ): OwnDictionary {
    const plain = isRead ? dictionaryBody(page, codec, this.#leaf.width) : NOTHING;
    const count = page.entries;
    return { count, plain, nans: isSeen ? this.#watch.seeDictionary(plain, count) : null };
  }

  #writePlain(page: StoredPage, { codec, isSeen, isKept }: PageUse): void {
    if (isSeen || !isKept) {
      const body = pageBody(page, decompressed(codec, page), this.#leaf);
      const values = plainValues(body, this.#leaf);
      if (isSeen) this.#watch.see(values, body.present);
      if (!isKept) this.#output.entries(body, values);
    }
    if (isKept) this.#output.page(page);
  }

  #writeIndexed(
    page: StoredPage,
    { codec, isKept }: PageUse,
    mapping: Mapping,
    own: OwnDictionary,
  ): void {
    if (mapping.kind === "none") throw unfit("a page of indexes has no dictionary");
    const isSame = mapping.kind === "same" && isKept;
    if (!isSame || own.nans !== null) {
      const body = pageBody(page, decompressed(codec, page), this.#leaf);
      const indexes = readIndexes(body, own.count);
      if (own.nans !== null) this.#watch.addNans(countIn(indexes, own.nans));
      if (mapping.kind === "moved") move(indexes, mapping.to);
      const isUnrolled = mapping.kind === "unrolled";
      const values = isUnrolled ? unrolled(own.plain, this.#leaf.width, indexes) : indexes;
      if (!isSame) this.#output.entries(body, values);
    }
    if (isSame) this.#output.page(page);
  }
}

/** What becomes of a page. */
interface PageUse {
  readonly codec: number;
  /** Its values are shown to the watch. */
  readonly isSeen: boolean;
  /** It is written as it is stored, unless its indexes move. */
  readonly isKept: boolean;
}

/** @param count of the dictionary */
function readIndexes({ bytes, valuesAt, present }: PageBody, count: number): Int32Array {
  const indexes = new Int32Array(present);
  const bits = bytes[valuesAt] ?? 0;
  if (bits > 31) throw unfit("an index has too many bits");
  readHybrid(bytes, valuesAt + 1, bytes.length, bits, indexes);
  if (indexes.some((index) => index >= count)) throw unfit("an index is beyond its dictionary");
  return indexes;
}

/** Rows in pages of a bounded size. */
function* pagesOf(count: number): Generator<{ readonly start: number; readonly rows: number }> {
  for (let start = 0; start < count; start += PAGE_ROWS) {
    yield { start, rows: Math.min(PAGE_ROWS, count - start) };
  }
}

/** Indexes as the dictionary of the chunk has them. */
function move(indexes: Int32Array, to: Uint16Array): void {
  for (let at = 0; at < indexes.length; at++) indexes[at] = to[indexes[at] as number] as number;
}

function countIn(indexes: Int32Array, wanted: ReadonlySet<number>): number {
  return indexes.reduce((count, index) => count + (wanted.has(index) ? 1 : 0), 0);
}

function sum(parts: readonly ChunkPart[], of: (part: ChunkPart) => number): number {
  return parts.reduce((total, part) => total + of(part), 0);
}
