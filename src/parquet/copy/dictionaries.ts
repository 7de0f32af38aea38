/**
 * The dictionaries of a chunk's parts as one, and where each part's entries are in it.
 */
import { ChunkDictionary } from "#parquet/kernel/dictionary.ts";
import type { LeafColumn } from "#parquet/kernel/leaves.ts";
import type { Workspace } from "#parquet/kernel/memory.ts";
import { decompressed } from "./codecs.ts";
import { type StoredPage, storedPages } from "./pages.ts";
import { type ChunkPart, plainLong, type StoredPart } from "./parts.ts";
import { unfit } from "./source.ts";
import { startsOf } from "./synthesis.ts";

/** Where a part's entries are in the dictionary of the chunk. */
export type Mapping =
  /** The part has no dictionary. */
  | { readonly kind: "none" }
  /** Each where it was. */
  | { readonly kind: "same" }
  | { readonly kind: "moved"; readonly to: Uint16Array }
  /** The dictionary is full: values take the place of indexes. */
  | { readonly kind: "unrolled" };

/** The dictionary of a chunk, in the workspace's memory, and what became of each part's. */
export interface MergedDictionary {
  readonly count: number;
  /** PLAIN, at the workspace's `dictionaryPlain`. */
  readonly bytes: number;
  readonly indexBits: number;
  /** By part. */
  readonly mappings: readonly Mapping[];
}

const SAME: Mapping = { kind: "same" };

/** Puts the dictionaries together, as many as there is room for. */
export function mergeDictionaries(
  workspace: Workspace,
  leaf: LeafColumn,
  parts: readonly ChunkPart[],
): MergedDictionary {
  const dictionary = new ChunkDictionary(workspace, leaf);
  let isFull = false;
  const mappings = parts.map((part): Mapping => {
    const own = dictionaryOf(part, leaf.width);
    if (own === null) return { kind: "none" };
    const { plain, count } = own;
    if (isFull || count > workspace.limits.dictionaryEntries) return { kind: "unrolled" };
    workspace.reserve(count, plain.length);
    workspace.bytes.set(plain, workspace.plain);
    isFull = !dictionary.merge(count, workspace.plain + plain.length);
    if (isFull) return { kind: "unrolled" };
    const first = workspace.indexes >> 2;
    const to = Uint16Array.from(workspace.words.subarray(first, first + count));
    return to.every((index, at) => index === at) ? SAME : { kind: "moved", to };
  });
  const { count, bytes, indexBits } = dictionary;
  return { count, bytes, indexBits, mappings };
}

interface PartDictionary {
  readonly plain: Uint8Array;
  readonly count: number;
}

function dictionaryOf(part: ChunkPart, width: number): PartDictionary | null {
  if (part.kind === "constant") return { plain: plainLong(part.value), count: 1 };
  if (part.kind !== "stored" || !part.chunk.hasDictionary) return null;
  return readDictionary(part, width);
}

function readDictionary({ source, chunk }: StoredPart, width: number): PartDictionary {
  for (const page of storedPages(source, chunk)) {
    return { plain: dictionaryBody(page, chunk.codec, width), count: page.entries };
  }
  throw unfit("a chunk lacks the dictionary that its footer names");
}

/**
 * The values of a dictionary page, PLAIN.
 * @param width bytes of a value; 0: each is behind its length
 * @throws AppError `table_unsupported` when they are not as many as it says
 */
export function dictionaryBody(page: StoredPage, codec: number, width: number): Uint8Array {
  const plain = decompressed(codec, page);
  if (startsOf(plain, width).length !== page.entries + 1) throw unfit("a dictionary is damaged");
  return plain;
}
