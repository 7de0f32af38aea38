/** A table and data files made by hand, for tests of manifests and appends. */
import type { Schema } from "#columns/schema.ts";
import type { DataFile, PartitionValue } from "#iceberg/manifest/manifest.ts";
import type { PartitionSpec, TableMetadata } from "#iceberg/metadata/metadata.ts";
import { newTableMetadata } from "#iceberg/metadata/newTable.ts";
import { encodeSingleValue } from "#iceberg/singleValue.ts";

/** Columns `id`, `day`, `name`. */
export const SCHEMA: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: "id", required: true, type: { kind: "long" } },
    { id: 2, name: "day", required: false, type: { kind: "date" } },
    { id: 3, name: "name", required: false, type: { kind: "string" } },
  ],
};

/** Partitioned by the identity of `day`. */
export const BY_DAY: PartitionSpec = {
  specId: 0,
  fields: [{ sourceId: 2, fieldId: 1000, name: "day", transform: "identity" }],
};

/** An empty table in `/table`. */
export function tableOf(
  formatVersion: 2 | 3,
  properties: Readonly<Record<string, string>> = {},
  spec: PartitionSpec = BY_DAY,
): TableMetadata {
  return newTableMetadata({
    uuid: "11111111-2222-4333-8444-555555555555",
    location: "/table",
    fields: SCHEMA.fields,
    spec: () => spec,
    formatVersion,
    properties,
    timestampMs: 1000,
  });
}

/** A data file of ten rows with ids from `first`. */
export function fileOf(
  name: string,
  partition: readonly PartitionValue[] = [20_000],
  first = 0n,
): DataFile {
  const long = (value: bigint): Uint8Array => encodeSingleValue({ kind: "long" }, value);
  return {
    content: "data",
    filePath: `/table/data/${name}.parquet`,
    fileFormat: "PARQUET",
    specId: 0,
    partition,
    recordCount: 10n,
    fileSizeBytes: 1234n,
    columnSizes: new Map([[1, 80n]]),
    valueCounts: new Map([[1, 10n]]),
    nullValueCounts: new Map([[1, 0n]]),
    nanValueCounts: new Map(),
    lowerBounds: new Map([[1, long(first)]]),
    upperBounds: new Map([[1, long(first + 9n)]]),
    splitOffsets: [4n],
    equalityIds: null,
    sortOrderId: 0,
    firstRowId: null,
    referencedDataFile: null,
    contentOffset: null,
    contentSizeBytes: null,
  };
}
