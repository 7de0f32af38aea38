/** Puffin files of deletion vectors (Iceberg Puffin spec, `deletion-vector-v1`). */
import { assert } from "#base/assert.ts";
import { encodePuffin } from "#iceberg/puffin.ts";
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

/** Field id of a row's position: what a vector holds. */
const ROW_POSITION = 2_147_483_645;

/** Bytes of nothing between two vectors. */
const GAP = 1;

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
    const bySize = this.#vectors.toSorted((a, b) => a.blob.length - b.blob.length);
    const blobs = bySize.map(({ dataFile, blob: bytes, deleted }) => ({
      ...{ type: "deletion-vector-v1", fields: [ROW_POSITION], bytes },
      // Both are inherited by the manifest entry; the spec wants -1.
      ...{ snapshotId: -1n, sequenceNumber: -1n },
      properties: { "referenced-data-file": dataFile, cardinality: String(deleted) },
    }));
    const { bytes, places } = encodePuffin(blobs, GAP);
    const vectors = bySize.map(({ dataFile, deleted }, index): WrittenVector => {
      const place = places[index];
      assert(place !== undefined, "every blob has its place");
      return { dataFile, deleted, ...place };
    });
    return { bytes, vectors };
  }
}
