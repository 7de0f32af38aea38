/**
 * Puffin files of deletion vectors (Iceberg Puffin spec): `PFA1 | blobs | PFA1 | footer JSON | its length:
 * i32 little endian | flags: u32, 0 | PFA1`. Blobs and footer are not compressed.
 */
import type { RowSet } from "./rowSet.ts";
import { encodeDeletionVector } from "./vectorWriter.ts";

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

/** Writes one Puffin file, a vector at a time: only their bytes are kept. */
export class PuffinWriter {
  readonly #chunks: Uint8Array[] = [MAGIC];
  readonly #vectors: WrittenVector[] = [];
  #at = MAGIC.length;

  /** Adds the deleted rows of a data file, once for each. */
  add(dataFile: string, rows: RowSet): void {
    const { blob, deleted } = encodeDeletionVector(rows);
    this.#vectors.push({ dataFile, offset: this.#at, length: blob.length, deleted });
    this.#chunks.push(blob);
    this.#at += blob.length;
  }

  finish(): PuffinFile {
    const blobs = this.#vectors.map(({ dataFile, offset, length, deleted }) => ({
      type: "deletion-vector-v1",
      fields: [ROW_POSITION],
      // Both are inherited by the manifest entry; the spec wants -1.
      "snapshot-id": -1,
      "sequence-number": -1,
      offset,
      length,
      properties: { "referenced-data-file": dataFile, cardinality: String(deleted) },
    }));
    const properties = { "created-by": "kafka-iceberg" };
    const footer = Buffer.from(JSON.stringify({ blobs, properties }));
    const tail = Buffer.alloc(8);
    tail.writeInt32LE(footer.length);
    const bytes = Buffer.concat([...this.#chunks, MAGIC, footer, tail, MAGIC]);
    return { bytes, vectors: this.#vectors };
  }
}
