/**
 * The Avro schemas of manifests and manifest lists, with Iceberg's field ids (Iceberg spec,
 * "Manifests", "Manifest Lists", "Appendix A: Avro").
 *
 * Names, order and optionality are those that Java writes, so that readers which look at names
 * find what they expect.
 */
import type { Json } from "#base/json.ts";
import type { PrimitiveType } from "#columns/schema.ts";

/** A partition field with the type of its values. */
export interface PartitionFieldType {
  readonly fieldId: number;
  readonly name: string;
  readonly type: PrimitiveType;
}

function required(id: number, name: string, type: Json): { [key: string]: Json } {
  return { name, type, "field-id": id };
}

function optional(id: number, name: string, type: Json): { [key: string]: Json } {
  return { name, type: ["null", type], default: null, "field-id": id };
}

/** Iceberg's map with int keys: an array of pairs; the value's id follows the key's. */
function intMap(keyId: number, value: "long" | "bytes"): Json {
  return {
    type: "array",
    logicalType: "map",
    items: {
      type: "record",
      name: `k${keyId}_v${keyId + 1}`,
      fields: [required(keyId, "key", "int"), required(keyId + 1, "value", value)],
    },
  };
}

function list(elementId: number, items: Json): Json {
  return { type: "array", items, "element-id": elementId };
}

/** The schema of a manifest's entries for one partition spec. */
export function manifestEntrySchema(
  formatVersion: 2 | 3,
  partition: readonly PartitionFieldType[],
): Json {
  return {
    type: "record",
    name: "manifest_entry",
    fields: [
      required(0, "status", "int"),
      optional(1, "snapshot_id", "long"),
      optional(3, "sequence_number", "long"),
      optional(4, "file_sequence_number", "long"),
      required(2, "data_file", dataFileSchema(formatVersion, partition)),
    ],
  };
}

function dataFileSchema(formatVersion: 2 | 3, partition: readonly PartitionFieldType[]): Json {
  return {
    type: "record",
    name: "r2",
    fields: [
      required(134, "content", "int"),
      required(100, "file_path", "string"),
      required(101, "file_format", "string"),
      required(102, "partition", partitionSchema(partition)),
      required(103, "record_count", "long"),
      required(104, "file_size_in_bytes", "long"),
      optional(108, "column_sizes", intMap(117, "long")),
      optional(109, "value_counts", intMap(119, "long")),
      optional(110, "null_value_counts", intMap(121, "long")),
      optional(137, "nan_value_counts", intMap(138, "long")),
      optional(125, "lower_bounds", intMap(126, "bytes")),
      optional(128, "upper_bounds", intMap(129, "bytes")),
      optional(131, "key_metadata", "bytes"),
      optional(132, "split_offsets", list(133, "long")),
      optional(135, "equality_ids", list(136, "int")),
      optional(140, "sort_order_id", "int"),
      ...(formatVersion === 3 ? [optional(142, "first_row_id", "long")] : []),
      optional(143, "referenced_data_file", "string"),
      ...(formatVersion === 3
        ? [optional(144, "content_offset", "long"), optional(145, "content_size_in_bytes", "long")]
        : []),
    ],
  };
}

function partitionSchema(partition: readonly PartitionFieldType[]): Json {
  const defined = new Set<Json>();
  const fields = partition.map(({ fieldId, name, type }) => {
    const avroName = avroNameOf(name);
    const original = avroName === name ? {} : { "iceberg-field-name": name };
    return { ...optional(fieldId, avroName, onceDefined(avroTypeOf(type), defined)), ...original };
  });
  return { type: "record", name: "r102", fields };
}

/** Avro allows one definition of a named type in a schema; the next ones are its name. */
function onceDefined(type: Json, defined: Set<Json>): Json {
  if (typeof type !== "object" || type === null || Array.isArray(type)) return type;
  const name = type["name"];
  if (name === undefined) return type;
  if (defined.has(name)) return name;
  defined.add(name);
  return type;
}

/** Java's spelling of names that Avro does not allow: `_x` + code point, a leading digit `_`. */
function avroNameOf(name: string): string {
  let result = "";
  for (let index = 0; index < name.length; index++) {
    const char = name.charAt(index);
    if (/[A-Za-z_]/.test(char)) result += char;
    else if (/[0-9]/.test(char)) result += index === 0 ? `_${char}` : char;
    else result += `_x${char.charCodeAt(0).toString(16).toUpperCase()}`;
  }
  return result;
}

/** The Avro type of an Iceberg primitive type (Iceberg spec, "Appendix A: Avro"). */
function avroTypeOf(type: PrimitiveType): Json {
  switch (type.kind) {
    case "binary":
      return "bytes";
    case "date":
      return { type: "int", logicalType: "date" };
    case "time":
      return { type: "long", logicalType: "time-micros" };
    case "timestamp":
      return { type: "long", logicalType: "timestamp-micros", "adjust-to-utc": type.zone };
    case "timestamp_ns":
      return { type: "long", logicalType: "timestamp-nanos", "adjust-to-utc": type.zone };
    case "uuid":
      return { type: "fixed", name: "uuid_fixed", size: 16, logicalType: "uuid" };
    case "fixed":
      return { type: "fixed", name: `fixed_${type.length}`, size: type.length };
    case "decimal": {
      const { precision, scale } = type;
      const size = decimalBytes(precision);
      const name = `decimal_${precision}_${scale}`;
      return { type: "fixed", name, size, logicalType: "decimal", precision, scale };
    }
    default:
      return type.kind;
  }
}

/** Bytes of the smallest two's complement that holds every decimal of this precision. */
export function decimalBytes(precision: number): number {
  const max = 10n ** BigInt(precision) - 1n;
  return Math.floor(max.toString(2).length / 8) + 1;
}

/** The schema of a manifest list's rows. */
export function manifestListSchema(formatVersion: 2 | 3): Json {
  const summary: Json = {
    type: "record",
    name: "r508",
    fields: [
      required(509, "contains_null", "boolean"),
      optional(518, "contains_nan", "boolean"),
      optional(510, "lower_bound", "bytes"),
      optional(511, "upper_bound", "bytes"),
    ],
  };
  return {
    type: "record",
    name: "manifest_file",
    fields: [
      required(500, "manifest_path", "string"),
      required(501, "manifest_length", "long"),
      required(502, "partition_spec_id", "int"),
      required(517, "content", "int"),
      required(515, "sequence_number", "long"),
      required(516, "min_sequence_number", "long"),
      required(503, "added_snapshot_id", "long"),
      required(504, "added_files_count", "int"),
      required(505, "existing_files_count", "int"),
      required(506, "deleted_files_count", "int"),
      required(512, "added_rows_count", "long"),
      required(513, "existing_rows_count", "long"),
      required(514, "deleted_rows_count", "long"),
      optional(507, "partitions", list(508, summary)),
      optional(519, "key_metadata", "bytes"),
      ...(formatVersion === 3 ? [optional(520, "first_row_id", "long")] : []),
    ],
  };
}
