/**
 * Puffin files of deletion vectors (Iceberg Puffin spec): `PFA1 | blobs | PFA1 | footer JSON | its length:
 * i32 little endian | flags: u32, 0 | PFA1`. Blobs and footer are not compressed.
 */
import type { RowSet } from "./rowSet.ts";
import { type EncodedVector, encodeDeletionVector } from "./vectorWriter.ts";

/** Where the vector of a data file lies in the Puffin file. */
export interface WrittenVector {
  /** Location of the data file. */
  readonly dataFile: string;
  readonly offset: number;
  readonly length: number;
  /** Deleted rows. */
  readonly deleted: number;
}

/** A Puffin file in memory. */
export interface PuffinFile {
  readonly bytes: Uint8Array;
  readonly vectors: readonly WrittenVector[];
}

const MAGIC = Buffer.from("PFA1");
/** Field id of a row's position: what a vector holds. */
const ROW_POSITION = 2_147_483_645;

/** Bytes of nothing between two blobs. */
const GAP = new Uint8Array(1);

/**
 * Writes one Puffin file, a vector at a time: only their bytes are kept.
 *
 * They lie in the order of their sizes, smallest first, and do not touch each other. DuckDB 1.5.5 reads on
 * to what it has cached behind a vector, when that is no more than the vector again, and then takes what
 * lies in between for the vector itself: here it is always more (decision 0392).
 */
export class PuffinWriter {
  readonly #vectors: (EncodedVector & { readonly dataFile: string })[] = [];

  /** Adds the deleted rows of a data file, once for each. */
  add(dataFile: string, rows: RowSet): void {
    this.#vectors.push({ dataFile, ...encodeDeletionVector(rows) });
  }

  /** The file, with its vectors as they lie in it. */
  finish(): PuffinFile {
    const chunks: Uint8Array[] = [MAGIC];
    let at = MAGIC.length;
    const bySize = this.#vectors.toSorted((a, b) => a.blob.length - b.blob.length);
    const vectors = bySize.map(({ dataFile, blob, deleted }): WrittenVector => {
      const { length } = blob;
      const offset = at;
      chunks.push(blob, GAP);
      at += length + GAP.length;
      return { dataFile, offset, length, deleted };
    });
    const properties = { "created-by": "kafka-iceberg" };
    const footer = Buffer.from(JSON.stringify({ blobs: vectors.map(footerBlob), properties }));
    const tail = Buffer.alloc(8);
    tail.writeInt32LE(footer.length);
    return { bytes: Buffer.concat([...chunks, MAGIC, footer, tail, MAGIC]), vectors };
  }
}

function footerBlob({ dataFile, offset, length, deleted }: WrittenVector): object {
  return {
    type: "deletion-vector-v1",
    fields: [ROW_POSITION],
    // Both are inherited by the manifest entry; the spec wants -1.
    "snapshot-id": -1,
    "sequence-number": -1,
    offset,
    length,
    properties: { "referenced-data-file": dataFile, cardinality: String(deleted) },
  };
}
