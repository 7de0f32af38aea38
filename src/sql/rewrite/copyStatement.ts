/**
 * The COPY statement that writes rows as a Parquet file of an Iceberg table: every field with its id at
 * every depth, and the keys of its footer. Pure.
 *
 * DuckDB's "v1" files have no DELTA encodings, which older readers refuse (decision 0100).
 */
import { childFields, type Field, isPrimitive, type Type } from "#columns/schema.ts";
import { sqlName, sqlText } from "#sql/duckdb/instance.ts";
import { POSITION_FIELD } from "#sql/selectRows.ts";

/** How rows are written. */
export interface CopyOptions {
  /** Path of the new file. */
  readonly path: string;
  readonly codec: string;
  /** Null: the codec's default. */
  readonly level: number | null;
  readonly rowGroupRows: number;
  readonly keys: Readonly<Record<string, string>>;
}

/** Codecs by the names that DuckDB has for them. */
const CODECS: Readonly<Record<string, string>> = {
  ...{ none: "uncompressed", snappy: "snappy", gzip: "gzip", zstd: "zstd", brotli: "brotli" },
  lz4: "lz4_raw",
};

/**
 * A select whose rows come in an order; rows that compare equal as they lie in the files, so that the same files
 * always become the same one. @param terms of the order (`sortTerms`); none: as the select has them
 */
export function ordered(select: string, terms: readonly string[]): string {
  if (terms.length === 0) return select;
  const all = [...terms, sqlName(POSITION_FIELD.name)];
  return `SELECT * FROM (${select}) ORDER BY ${all.join(", ")}`;
}

/** `COPY (select) TO 'path' (...)`. @param fields those of the select, in its order */
export function copyStatement(
  select: string,
  fields: readonly Field[],
  { path, codec, level, rowGroupRows, keys }: CopyOptions,
): string {
  const keyList = Object.entries(keys).map(([key, value]) => `${sqlText(key)}: ${sqlText(value)}`);
  const options = [
    "FORMAT parquet",
    "PARQUET_VERSION v1",
    `COMPRESSION ${CODECS[codec] ?? "zstd"}`,
    ...(codec === "zstd" && level !== null ? [`COMPRESSION_LEVEL ${level}`] : []),
    `ROW_GROUP_SIZE ${rowGroupRows}`,
    `FIELD_IDS ${fieldIds(fields)}`,
    `KV_METADATA {${keyList.join(", ")}}`,
  ];
  return `COPY (${select}) TO ${sqlText(path)} (${options.join(", ")})`;
}

function fieldIds(fields: readonly Field[]): string {
  return `{${fields.map(memberId).join(", ")}}`;
}

function memberId({ id, name, type }: Field): string {
  if (isPrimitive(type)) return `${sqlText(name)}: ${id}`;
  const children = childrenOf(type).map(memberId);
  return `${sqlText(name)}: {__duckdb_field_id: ${id}, ${children.join(", ")}}`;
}

/** Children under the names that DuckDB has for them. */
function childrenOf(type: Type): readonly Field[] {
  if (type.kind === "list") return [{ ...type.element, name: "element" }];
  if (type.kind === "map") {
    return [
      { ...type.key, name: "key" },
      { ...type.value, name: "value" },
    ];
  }
  return childFields(type);
}

/** A float or double that is in no list and no map. */
export interface FloatLeaf {
  readonly fieldId: number;
  /** As a statement names it. */
  readonly sql: string;
}

/** The floats of which manifests have bounds. */
export function floatLeaves(fields: readonly Field[], of = ""): FloatLeaf[] {
  return fields.flatMap(({ id, name, type }) => {
    const sql = of === "" ? sqlName(name) : `${of}.${sqlName(name)}`;
    if (type.kind === "struct") return floatLeaves(type.fields, sql);
    return type.kind === "float" || type.kind === "double" ? [{ fieldId: id, sql }] : [];
  });
}

/** Why DuckDB cannot write these columns as Iceberg has them; null: it can. */
export function unwritable(fields: readonly Field[]): string | null {
  const names = new Set<string>();
  for (const { name, type } of fields) {
    const key = name.toLowerCase();
    if (names.has(key)) return `two of its columns are named ${name}, but for upper and lower case`;
    names.add(key);
    if (type.kind === "fixed") return `column ${name} is of type fixed`;
    if (type.kind === "timestamp_ns" && type.zone) {
      return `column ${name} has nanoseconds with a time zone`;
    }
    const below = isPrimitive(type) ? null : unwritable(childrenOf(type));
    if (below !== null) return below;
  }
  return null;
}
