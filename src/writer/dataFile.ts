/**
 * A stored Parquet file as an Iceberg data file with its column metrics.
 */
import type { DataFile, PartitionValue } from "#iceberg/manifest/manifest.ts";
import type { ColumnMetrics, EncodedFile } from "#parquet/encoder.ts";
import type { ReducedMetrics } from "./tableProperties.ts";

/** What a manifest says of a file. */
export type DescribedFile = Pick<EncodedFile, "bytes" | "rowCount" | "splitOffsets" | "metrics">;

/**
 * Describes a data file for a manifest (Iceberg spec, "Manifests"). Its maps are made when they are
 * asked for: a flush may have 10,000 files, and kept they would take most of its memory.
 * @param reduced columns of which manifests say less: what a person hides must not stand there
 * @param sortOrderId of the table, by which the file's rows are sorted; default: they are not
 */
export function dataFile(
  location: string,
  encoded: DescribedFile,
  specId: number,
  partition: readonly PartitionValue[],
  reduced: ReadonlyMap<number, ReducedMetrics>,
  sortOrderId = 0,
): DataFile {
  const metric = <T>(pick: (metrics: ColumnMetrics) => T | null): ReadonlyMap<number, T> =>
    metricsOf(encoded, pick, (id) => reduced.get(id) !== "none");
  const bound = <T>(pick: (metrics: ColumnMetrics) => T | null): ReadonlyMap<number, T> =>
    metricsOf(encoded, pick, (id) => !reduced.has(id));
  return {
    content: "data",
    filePath: location,
    fileFormat: "PARQUET",
    specId,
    partition,
    recordCount: BigInt(encoded.rowCount),
    fileSizeBytes: BigInt(encoded.bytes),
    get columnSizes() {
      return metric((m) => m.sizeBytes);
    },
    get valueCounts() {
      return metric((m) => m.valueCount);
    },
    get nullValueCounts() {
      return metric((m) => m.nullCount);
    },
    get nanValueCounts() {
      return metric((m) => m.nanCount);
    },
    get lowerBounds() {
      return bound((m) => m.lowerBound);
    },
    get upperBounds() {
      return bound((m) => m.upperBound);
    },
    splitOffsets: encoded.splitOffsets,
    equalityIds: null,
    sortOrderId,
    firstRowId: null,
    referencedDataFile: null,
    contentOffset: null,
    contentSizeBytes: null,
  };
}

function metricsOf<T>(
  encoded: DescribedFile,
  pick: (metrics: ColumnMetrics) => T | null,
  isShown: (fieldId: number) => boolean,
): ReadonlyMap<number, T> {
  const values = new Map<number, T>();
  for (const metrics of encoded.metrics) {
    const value = pick(metrics);
    if (value !== null && isShown(metrics.fieldId)) values.set(metrics.fieldId, value);
  }
  return values;
}
