/**
 * Rows that deletion vectors hide, as a relation in memory: a row of it for each 32 rows of a data file of
 * which one is deleted, so that a million deletes are some ten thousand rows, whatever their order.
 */
import { fail } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import type { Column } from "#columns/batch.ts";
import type { Field } from "#columns/schema.ts";
import { readDeletionVector, type VectorPlace } from "#iceberg/deletes/deletionVector.ts";
import type { HotRows, RowPart } from "./duckdb/hotScan.ts";

/** The vector of one data file, as it lies in its Puffin file. */
export interface DataVector extends VectorPlace {
  /** What the statement calls the data file. */
  readonly file: number;
  readonly blob: Uint8Array;
}

const FILE = intField(1, "file");
/** The number of a row / 32. */
const WORD = intField(2, "word");
/** Of the 32 rows, lowest first: 1 is deleted. */
const BITS = intField(3, "bits");
const FIELDS = [FILE, WORD, BITS];

/**
 * Reads vectors, on the thread that runs the statement.
 * @param isWhole true: with a row for each 32 rows of a file that has a vector, also where none of them is deleted, so that
 *   a join with it keeps the order of the file's rows (it would put those without a match behind the others)
 * @throws AppError `storage_corrupt` for a damaged one, `query` when they take too much memory
 */
export function deletedRows(vectors: readonly DataVector[], isWhole = false): HotRows {
  let [files, words, masks] = [new Int32Array(1024), new Int32Array(1024), new Int32Array(1024)];
  let count = 0;
  const add = (file: number, word: number, bits: number): void => {
    if (count === files.length) [files, words, masks] = [grown(files), grown(words), grown(masks)];
    files[count] = file;
    words[count] = word;
    masks[count] = bits;
    count++;
  };
  for (const { file, blob, ...place } of vectors) {
    let next = 0;
    const fill = (end: number): void => {
      while (isWhole && next < end) add(file, next++, 0);
    };
    readDeletionVector(blob, place, (word, bits) => {
      fill(word);
      add(file, word, bits);
      next = word + 1;
    });
    fill(Math.ceil(place.rows / 32));
  }
  const columns = [
    columnOf(FILE, files, count),
    columnOf(WORD, words, count),
    columnOf(BITS, masks, count),
  ];
  const read: RowPart["read"] = (wanted) => wanted.flatMap((index) => columns[index] ?? []);
  return { fields: FIELDS, parts: [{ rowCount: count, read }] };
}

function grown(column: Int32Array): Int32Array<ArrayBuffer> {
  const length = 2 * column.length;
  if (length * 4 * FIELDS.length > LIMITS.deletedRowsBytesMax) {
    throw fail("query", "The table has more deleted rows than fit into memory: compact it first");
  }
  const larger = new Int32Array(length);
  larger.set(column);
  return larger;
}

function intField(id: number, name: string): Field {
  return { id, name, required: true, type: { kind: "int" } };
}

function columnOf(field: Field, values: Int32Array, length: number): Column {
  const data = new Uint8Array(values.buffer);
  return { field, length, nullCount: 0, validity: null, offsets: null, data, children: [] };
}
