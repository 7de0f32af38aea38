/**
 * A stored Parquet file as an Iceberg data file with its column metrics.
 */
import type { DataFile, PartitionValue } from "#iceberg/manifest/manifest.ts";
import type { ColumnMetrics, EncodedFile } from "#parquet/encoder.ts";

/**
 * Describes a data file for a manifest (Iceberg spec, "Manifests"). Its maps are made when they are
 * asked for: a flush may have 10,000 files, and kept they would take most of its memory.
 */
export function dataFile(
  location: string,
  encoded: EncodedFile,
  specId: number,
  partition: readonly PartitionValue[],
): DataFile {
  return {
    content: "data",
    filePath: location,
    fileFormat: "PARQUET",
    specId,
    partition,
    recordCount: BigInt(encoded.rowCount),
    fileSizeBytes: BigInt(encoded.bytes),
    get columnSizes() {
      return metric(encoded, (m) => m.sizeBytes);
    },
    get valueCounts() {
      return metric(encoded, (m) => m.valueCount);
    },
    get nullValueCounts() {
      return metric(encoded, (m) => m.nullCount);
    },
    get nanValueCounts() {
      return metric(encoded, (m) => m.nanCount);
    },
    get lowerBounds() {
      return metric(encoded, (m) => m.lowerBound);
    },
    get upperBounds() {
      return metric(encoded, (m) => m.upperBound);
    },
    splitOffsets: encoded.splitOffsets,
    equalityIds: null,
    sortOrderId: 0,
    firstRowId: null,
    referencedDataFile: null,
    contentOffset: null,
    contentSizeBytes: null,
  };
}

function metric<T>(
  encoded: EncodedFile,
  pick: (metrics: ColumnMetrics) => T | null,
): ReadonlyMap<number, T> {
  const values = new Map<number, T>();
  for (const metrics of encoded.metrics) {
    const value = pick(metrics);
    if (value !== null) values.set(metrics.fieldId, value);
  }
  return values;
}
