/**
 * Files of position deletes (Iceberg spec, "Position Delete Files"): rows of data files by path and
 * position, sorted by both, for `commit/`, which knows no Parquet.
 */
import { assert } from "#base/assert.ts";
import type { Column, ColumnBatch } from "#columns/batch.ts";
import type { Field } from "#columns/schema.ts";
import type { DeletedRows, WritePositionDeletes } from "#commit/rowDeletes.ts";
import type { ParquetEncoder, RowSlice } from "#parquet/encoder.ts";

const FILE_PATH: Field = {
  id: 2_147_483_546,
  name: "file_path",
  required: true,
  type: { kind: "string" },
};
const POS: Field = { id: 2_147_483_545, name: "pos", required: true, type: { kind: "long" } };
const FIELDS = [FILE_PATH, POS];

/** Rows of one batch: with paths of 200 bytes some 13 MB. */
const BATCH_ROWS = 65_536;
const ROW_GROUP_ROWS = 1_000_000;

/** Writes position deletes with a pipeline's own encoder. */
export function positionDeleteWriter(encoder: ParquetEncoder): WritePositionDeletes {
  return async (storage, location, deletes) => {
    const first = deletes[0];
    const last = deletes.at(-1);
    assert(first !== undefined && last !== undefined, "a delete file has rows");
    const target = await storage.writer(location);
    const options = {
      codec: "zstd" as const,
      level: null,
      rowGroupRows: ROW_GROUP_ROWS,
      metadata: {},
    };
    try {
      const encoded = await encoder.encode(FIELDS, slices(deletes), options, (chunk) =>
        target.write(chunk),
      );
      const stored = await target.close();
      assert(stored.bytes === encoded.bytes, "the store has every byte that was encoded");
      const { bytes, rowCount, splitOffsets } = encoded;
      return {
        recordCount: BigInt(rowCount),
        fileSizeBytes: BigInt(bytes),
        splitOffsets,
        // In full: by equal bounds readers know that the deletes are of one data file.
        lowerBounds: new Map([[FILE_PATH.id, Buffer.from(first.path)]]),
        upperBounds: new Map([[FILE_PATH.id, Buffer.from(last.path)]]),
      };
    } catch (error) {
      await target.abort().catch(() => undefined);
      throw error;
    }
  };
}

/** Made as the encoder asks for them: each row repeats its path. */
function* slices(deletes: readonly DeletedRows[]): Generator<RowSlice> {
  for (const { path, rows } of deletes) {
    const text = Buffer.from(path);
    for (let at = 0; at < rows.length; at += BATCH_ROWS) {
      yield { batch: batchOf(text, rows.subarray(at, at + BATCH_ROWS)), rows: null };
    }
  }
}

function batchOf(path: Uint8Array, rows: Uint32Array): ColumnBatch {
  const { length } = rows;
  const offsets = new Int32Array(length + 1);
  const texts = new Uint8Array(length * path.length);
  const positions = new BigInt64Array(length);
  for (let index = 0; index < length; index++) {
    texts.set(path, index * path.length);
    offsets[index + 1] = (index + 1) * path.length;
    positions[index] = BigInt(rows[index] as number);
  }
  const column = { length, nullCount: 0, validity: null, offsets: null, children: [] };
  const columns: Column[] = [
    { ...column, field: FILE_PATH, offsets, data: texts },
    { ...column, field: POS, data: new Uint8Array(positions.buffer) },
  ];
  return { fields: FIELDS, rowCount: length, columns, byteCount: texts.length + 12 * length };
}
