/**
 * Table properties of the table's owner that files are written by (Iceberg's configuration page,
 * "Table properties"). A key of ours that is set wins; a value that is none of Iceberg's is ignored, as
 * in Java.
 */
import { type AppError, fail } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import { joinPath } from "#columns/paths.ts";
import { childFields, type Field } from "#columns/schema.ts";
import { type BloomColumn, type ParquetCodec, ROW_GROUP_BYTES } from "#parquet/encoder.ts";
import type { FileSetting, WriterOptions } from "./parts.ts";

type Properties = Readonly<Record<string, string>>;

/** What manifests say of a column: nothing, or all but its bounds. Every other column has bounds. */
export type ReducedMetrics = "none" | "counts";

const CODECS: Readonly<Record<string, ParquetCodec>> = {
  uncompressed: "none",
  none: "none",
  snappy: "snappy",
  gzip: "gzip",
  lz4: "lz4",
  lz4_raw: "lz4",
  zstd: "zstd",
  brotli: "brotli",
};

/** Levels of codecs that have any: least and greatest. */
const LEVELS: Readonly<Partial<Record<ParquetCodec, readonly [number, number]>>> = {
  gzip: [0, 9],
  zstd: [1, 22],
  brotli: [0, 11],
};

/** Our bounds have this many characters: a table that wants fewer gets none. */
const BOUNDS_CHARACTERS = 16;

/** `write.parquet.compression-codec` and `-level`, unless the configuration has a codec. */
export function fileCodec(
  { codec, codecLevel, unset }: Pick<WriterOptions, "codec" | "codecLevel" | "unset">,
  properties: Properties,
): { readonly codec: ParquetCodec; readonly level: number | null } {
  const asked = CODECS[properties["write.parquet.compression-codec"]?.toLowerCase() ?? ""];
  if (unset?.has("codec") !== true || asked === undefined) return { codec, level: codecLevel };
  const text = properties["write.parquet.compression-level"] ?? "";
  const [least, most] = LEVELS[asked] ?? [1, 0];
  const level = /^\d{1,2}$/.test(text) ? Number(text) : -1;
  return { codec: asked, level: level >= least && level <= most ? level : null };
}

/** `write.target-file-size-bytes` and `write.parquet.row-group-size-bytes`, unless keys say others. */
export function fileSizes(
  options: Pick<WriterOptions, "fileBytesTarget" | "rowGroupBytes" | "unset">,
  properties: Properties,
): { readonly fileBytes: number; readonly rowGroupBytes: number } {
  const bytes = (setting: FileSetting, key: string, own: number): number => {
    const text = properties[key] ?? "";
    const asked = /^\d{1,15}$/.test(text) ? Number(text) : 0;
    return options.unset?.has(setting) === true && asked > 0 ? asked : own;
  };
  const { fileBytesTarget = Number.POSITIVE_INFINITY, rowGroupBytes = ROW_GROUP_BYTES } = options;
  const fileBytes = bytes("file bytes", "write.target-file-size-bytes", fileBytesTarget);
  const groupKey = "write.parquet.row-group-size-bytes";
  const groupBytes = bytes("row group bytes", groupKey, rowGroupBytes);
  // A file can end behind a row group only.
  return { fileBytes, rowGroupBytes: Math.min(groupBytes, fileBytes) };
}

/** Iceberg's defaults of `write.parquet.bloom-filter-*`. */
const BLOOM_BYTES = 1024 * 1024;
const BLOOM_FALSE_POSITIVES = 0.01;
const BLOOM_ENABLED = "write.parquet.bloom-filter-enabled.column.";

/** The properties by which a table says that columns have bloom filters. */
export function bloomProperties(columns: readonly string[]): Record<string, string> {
  return Object.fromEntries(columns.map((column) => [BLOOM_ENABLED + column, "true"]));
}

/** Leaf columns with bloom filters: by `write.parquet.bloom-filter-*`, and our own. */
export function bloomFilters(
  fields: readonly Field[],
  properties: Properties,
  own: readonly string[] = [],
): BloomColumn[] {
  const asked = Number(properties["write.parquet.bloom-filter-max-bytes"]);
  const bytesMax = Math.min(asked > 0 ? asked : BLOOM_BYTES, LIMITS.bloomFilterBytesMax);
  const found: BloomColumn[] = [];
  for (const { path, field } of leafPaths(fields)) {
    const isAsked = properties[BLOOM_ENABLED + path]?.toLowerCase() === "true";
    if (!isAsked && !own.includes(path)) continue;
    const share = Number(properties[`write.parquet.bloom-filter-fpp.column.${path}`]);
    found.push({
      fieldId: field.id,
      falsePositives: share > 0 && share < 1 ? share : BLOOM_FALSE_POSITIVES,
      bytesMax,
    });
  }
  return found;
}

/** Columns of these that could not have a bloom filter, since they are not there, or hold others. */
export function missingBloomColumns(fields: readonly Field[], own: readonly string[]): string[] {
  const paths = new Set([...leafPaths(fields)].map(({ path }) => path));
  return own.filter((column) => !paths.has(column));
}

function* leafPaths(
  fields: readonly Field[],
  parent = "",
): Generator<{ readonly path: string; readonly field: Field }> {
  for (const field of fields) {
    const path = joinPath(parent, field.name);
    const children = childFields(field.type);
    if (children.length === 0) yield { path, field };
    else yield* leafPaths(children, path);
  }
}

/** Columns by field id whose metrics `write.metadata.metrics.*` reduces. */
export function reducedMetrics(
  fields: readonly Field[],
  properties: Properties,
): ReadonlyMap<number, ReducedMetrics> {
  const reduced = new Map<number, ReducedMetrics>();
  const byDefault = properties["write.metadata.metrics.default"];
  const visit = (siblings: readonly Field[], parent: string): void => {
    for (const { id, name, type } of siblings) {
      const path = joinPath(parent, name);
      const mode = reducedMode(properties[`write.metadata.metrics.column.${path}`] ?? byDefault);
      if (mode !== null) reduced.set(id, mode);
      visit(childFields(type), path);
    }
  };
  visit(fields, "");
  return reduced;
}

function reducedMode(text: string | undefined): ReducedMetrics | null {
  const mode = text?.trim().toLowerCase() ?? "";
  if (mode === "none" || mode === "counts") return mode;
  const truncated = /^truncate\((\d{1,9})\)$/.exec(mode);
  return truncated !== null && Number(truncated[1]) < BOUNDS_CHARACTERS ? "counts" : null;
}

/** The error of a table whose owner wants other files than Parquet; null: it may be written. */
export function formatRefusal(table: string, properties: Properties): AppError | null {
  const format = properties["write.format.default"] ?? "parquet";
  if (format.toLowerCase() === "parquet") return null;
  return fail(
    "table_unsupported",
    `Table ${table} wants files in format ${format} (write.format.default); kafka-iceberg writes ` +
      "Parquet only",
    { table },
  );
}
