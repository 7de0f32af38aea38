/**
 * What a column chunk is put together from, part by part in the order of rows: chunks of other files, and values that
 * are known without reading any.
 */
import type { SourceBytes, SourceChunk } from "./source.ts";

/** A part of a chunk. */
export type ChunkPart =
  | StoredPart
  /** Rows that have no value in this column: their file is older than it. */
  | { readonly kind: "nulls"; readonly rows: number }
  /** A long that grows by one from row to row. */
  | { readonly kind: "counter"; readonly rows: number; readonly first: bigint }
  /** The same long in every row. */
  | { readonly kind: "constant"; readonly rows: number; readonly value: bigint };

/** A chunk of a file. */
export interface StoredPart {
  readonly kind: "stored";
  readonly rows: number;
  readonly source: SourceBytes;
  readonly chunk: SourceChunk;
}

/** Entries of a part: values, nulls and empty lists. */
export function entriesOf(part: ChunkPart): number {
  return part.kind === "stored" ? part.chunk.entries : part.rows;
}

/** Entries of a part that are null. */
export function nullsOf(part: ChunkPart): number {
  switch (part.kind) {
    case "stored":
      return part.chunk.nullCount;
    case "nulls":
      return part.rows;
    case "counter":
    case "constant":
      return 0;
  }
}

/** A long as a PLAIN value. */
export function plainLong(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, value, true);
  return bytes;
}
