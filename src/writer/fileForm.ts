/**
 * How the data files of a table are written, by its head and our settings.
 */
import { writeJson } from "#base/json.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import type { OpenFileOptions } from "#parquet/encoder.ts";
import { type FileOrder, fileOrder } from "./fileOrder.ts";
import type { WriterOptions } from "./parts.ts";
import { currentFields } from "./schema.ts";
import { bloomFilters, fileCodec, fileSizes } from "./tableProperties.ts";

/** What the files of one flush have in common. */
export interface FileForm {
  /** Equal for heads whose files have the same columns and form, in the same place. */
  readonly id: string;
  readonly sort: FileOrder;
  /** Bytes from which on a file takes no more rows. */
  readonly fileBytes: number;
  readonly encode: OpenFileOptions;
}

/** The form of new files. */
export function fileForm(options: WriterOptions, table: LoadedTable): FileForm {
  const { properties, ...metadata } = table.metadata;
  const sort = fileOrder(table, options);
  const { fileBytes, rowGroupBytes } = fileSizes(options, properties);
  const encode = {
    ...fileCodec(options, properties),
    rowGroupRows: options.rowGroupRows,
    rowGroupBytes,
    bloomFilters: bloomFilters(currentFields(table), properties, options.bloomColumns),
  };
  const { tableUuid, location, currentSchemaId, defaultSpecId, defaultSortOrderId } = metadata;
  const place = [tableUuid, location, properties["write.data.path"] ?? ""];
  const ids = [currentSchemaId, defaultSpecId, defaultSortOrderId];
  const id = writeJson({ place, ids, fileBytes: `${fileBytes}`, encode });
  return { id, sort, fileBytes, encode };
}
