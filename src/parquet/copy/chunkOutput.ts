/** The pages of one column chunk on their way to a file, and what its footer counts of them. */
import { codecName, compress, type PageCompression } from "#parquet/kernel/compress.ts";
import type { Workspace } from "#parquet/kernel/memory.ts";
import { checked } from "#parquet/kernel/page.ts";
import {
  type ColumnMetaData,
  dataPageHeader,
  dictionaryPageHeader,
} from "#parquet/kernel/thrift.ts";
import { codecOf, decompressed } from "./codecs.ts";
import type { PageBody, StoredPage } from "./pages.ts";
import { unfit } from "./source.ts";

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

/** A chunk's pages. */
export class ChunkOutput {
  readonly #workspace: Workspace;
  readonly #compression: PageCompression;
  readonly #output: CopyOutput;
  #dictionaryOffset: number | null = null;
  #dataOffset: number | null = null;
  #uncompressed = 0;
  #compressed = 0;
  /** Data pages, by encoding. */
  readonly #counts = new Map<EncodingNumber, number>();

  constructor(workspace: Workspace, compression: PageCompression, output: CopyOutput) {
    this.#workspace = workspace;
    this.#compression = compression;
    this.#output = output;
  }

  /** Writes the dictionary that lies at the workspace's `dictionaryPlain`. */
  dictionary(count: number, bytes: number): void {
    const payload = this.#compress(this.#workspace.dictionaryPlain, bytes);
    const size = { uncompressed: bytes, compressed: payload.length };
    this.#dictionaryOffset = this.#output.position;
    this.#emit(dictionaryPageHeader(size, count), payload, bytes);
  }

  /** Writes a page as it is, as far as its codec is that of the chunk. */
  page(page: StoredPage, codec: number): void {
    const { stored, payload, bodyBytes, encoding, entries } = page;
    if (codecOf(codec) !== this.#compression.codec) {
      this.body(decompressed(codec, page), entries, encoding === 0 ? 0 : 8);
      return;
    }
    if (page.isDictionary) this.#dictionaryOffset = this.#output.position;
    else this.#count(encoding as EncodingNumber);
    this.#emit(stored.subarray(0, stored.length - payload.length), payload, bodyBytes);
  }

  /** Writes the body of a data page. */
  body(body: Uint8Array, entries: number, encoding: 0 | 8): void {
    const workspace = this.#workspace;
    workspace.reserve(0, body.length);
    workspace.bytes.set(body, workspace.plain);
    this.#data(workspace.plain, body.length, entries, encoding);
  }

  /** Writes the indexes that lie at the workspace's `indexes`, behind the levels of `body`. */
  indexes({ bytes, valuesAt, present }: PageBody, entries: number, bits: number): void {
    const workspace = this.#workspace;
    if (valuesAt > workspace.encodedLevelsMax) throw unfit("the levels of a page are too long");
    const { body, indexes, kernel, bodyBytesMax } = workspace;
    workspace.bytes.set(bytes.subarray(0, valuesAt), body);
    workspace.bytes[body + valuesAt] = bits;
    const before = valuesAt + 1;
    const room = bodyBytesMax - before;
    const size = checked(kernel.hybridWords(indexes, present, bits, body + before, room));
    this.#data(body, before + size, entries, 8);
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

  #data(from: number, bytes: number, entries: number, encoding: 0 | 8): void {
    const payload = this.#compress(from, bytes);
    const size = { uncompressed: bytes, compressed: payload.length };
    this.#count(encoding);
    this.#emit(dataPageHeader(size, entries, ENCODING_NAMES[encoding]), payload, bytes);
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

  #compress(from: number, bytes: number): Uint8Array {
    return compress(this.#workspace, this.#compression, { from, bytes, head: null });
  }
}
