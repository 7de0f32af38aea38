/**
 * Where in a Parquet file of any writer the chunks of each column lie, read from its footer (Parquet format,
 * `FileMetaData`).
 */
import { deserializeTCompactProtocol } from "hyparquet/src/thrift.js";

/** Bytes of a file, from `start` to before `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** A column of the table, whatever it has within. */
export interface ColumnPlace {
  /** Null in files of writers that know no ids. */
  readonly fieldId: number | null;
  /** Its chunks, dictionary pages included. */
  readonly chunks: readonly ByteRange[];
}

/** Bytes after `FileMetaData`: its length and the magic number. */
export const TRAILER_BYTES = 8;

/** The length of `FileMetaData` by a file's last {@link TRAILER_BYTES} bytes; null: it is no Parquet file. */
export function metadataLength(trailer: Uint8Array): number | null {
  const isParquet =
    trailer.length === TRAILER_BYTES && String.fromCharCode(...trailer.subarray(4)) === "PAR1";
  if (!isParquet) return null;
  return new DataView(trailer.buffer, trailer.byteOffset, TRAILER_BYTES).getUint32(0, true);
}

/**
 * The columns of a file, in the order of its schema.
 * @param metadata `FileMetaData`
 */
export function readLayout(metadata: Uint8Array): readonly ColumnPlace[] {
  const view = new DataView(metadata.buffer, metadata.byteOffset, metadata.byteLength);
  const read = deserializeTCompactProtocol({ view, offset: 0 }) as unknown as RawMetadata;
  const { field_2: elements, field_4: groups = [] } = read;
  const columns: ColumnPlace[] = [];
  let leaves = 0;
  for (let at = 1; at < elements.length; ) {
    const { field_9: fieldId = null } = elements[at] ?? {};
    const below = subtree(elements, at);
    const first = leaves;
    leaves += below.leaves;
    const chunks = groups.flatMap(({ field_1: all }) => all.slice(first, leaves).map(placeOf));
    columns.push({ fieldId, chunks });
    at = below.end;
  }
  return columns;
}

/** Where a schema element ends, with all that is below it, and how many leaves that has. */
function subtree(
  elements: readonly RawElement[],
  at: number,
): { readonly end: number; readonly leaves: number } {
  const children = elements[at]?.field_5 ?? 0;
  if (children === 0) return { end: at + 1, leaves: 1 };
  let [end, leaves] = [at + 1, 0];
  for (let child = 0; child < children; child++) {
    const below = subtree(elements, end);
    end = below.end;
    leaves += below.leaves;
  }
  return { end, leaves };
}

function placeOf({ field_3: column }: RawChunk): ByteRange {
  const { field_7: bytes, field_9: data, field_11: dictionary } = column;
  // Some writers put 0 where there is no dictionary.
  const hasDictionary = dictionary !== undefined && dictionary > 0n && dictionary < data;
  const start = Number(hasDictionary ? dictionary : data);
  return { start, end: start + Number(bytes) };
}

/** What `FileMetaData` decodes to; field numbers of parquet.thrift. */
interface RawMetadata {
  readonly field_2: readonly RawElement[];
  readonly field_4?: readonly { readonly field_1: readonly RawChunk[] }[];
}

/** `SchemaElement`: num_children, field_id. */
interface RawElement {
  readonly field_5?: number;
  readonly field_9?: number;
}

/** `ColumnChunk`: meta_data with total_compressed_size, data_page_offset, dictionary_page_offset. */
interface RawChunk {
  readonly field_3: {
    readonly field_7: bigint;
    readonly field_9: bigint;
    readonly field_11?: bigint;
  };
}
