/**
 * The door to hyparquet-writer, beside `bloom.ts`: page headers and the footer in Thrift's compact protocol
 * (parquet-format `parquet.thrift`).
 */
import type { ColumnMetaData, FileMetaData, RowGroup, SchemaElement } from "hyparquet";
import { ByteWriter } from "hyparquet-writer/src/bytewriter.js";
import { writeMetadata } from "hyparquet-writer/src/metadata.js";
import { serializeTCompactProtocol } from "hyparquet-writer/src/thrift.js";

export type { ColumnMetaData, FileMetaData, RowGroup, SchemaElement };

/** Numbers of `Encoding`. */
export const ENCODING = { PLAIN: 0, RLE: 3, RLE_DICTIONARY: 8 } as const;

const DATA_PAGE = 0;
const DICTIONARY_PAGE = 2;

/** `FileMetaData`'s magic number, at both ends of a file. */
export const MAGIC: Uint8Array = new TextEncoder().encode("PAR1");

/** The size of a page before and after compression, its header left out. */
export interface PageSize {
  readonly uncompressed: number;
  readonly compressed: number;
}

/** The header of a data page, V1. `entries`: values, nulls and empty lists. */
export function dataPageHeader(
  size: PageSize,
  entries: number,
  encoding: "PLAIN" | "RLE_DICTIONARY",
): Uint8Array {
  return serialized({
    field_1: DATA_PAGE,
    field_2: size.uncompressed,
    field_3: size.compressed,
    field_5: {
      field_1: entries,
      field_2: ENCODING[encoding],
      field_3: ENCODING.RLE,
      field_4: ENCODING.RLE,
    },
  });
}

/** The header of a dictionary page. */
export function dictionaryPageHeader(size: PageSize, entries: number): Uint8Array {
  return serialized({
    field_1: DICTIONARY_PAGE,
    field_2: size.uncompressed,
    field_3: size.compressed,
    field_7: { field_1: entries, field_2: ENCODING.PLAIN },
  });
}

/** The end of a file: `FileMetaData`, its length, the magic number. */
export function footerBytes(metadata: FileMetaData): Uint8Array {
  const writer = new ByteWriter();
  // Bounds come cut already.
  writeMetadata(writer, metadata, Number.POSITIVE_INFINITY);
  writer.appendBytes(MAGIC);
  return writer.getBytes();
}

function serialized(struct: Parameters<typeof serializeTCompactProtocol>[1]): Uint8Array {
  const writer = new ByteWriter(64);
  serializeTCompactProtocol(writer, struct);
  return writer.getBytes();
}
