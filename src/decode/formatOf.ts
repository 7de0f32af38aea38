/**
 * The formats that a table's options name, of values and of Kafka's keys.
 */
import { avroFormat } from "./avro/format.ts";
import type { Format } from "./format.ts";
import { jsonFormat } from "./json/format.ts";
import { jsonSchemaFormat } from "./jsonSchema/format.ts";
import type { DecoderOptions, KeyFormat } from "./options.ts";
import { protobufFormat } from "./protobuf/format.ts";
import { rawFormat } from "./raw.ts";
import type { SchemaRegistry } from "./registry/registry.ts";
import type { RecordPart } from "./registry/subjects.ts";
import { NO_SHAPING, Shaping } from "./shaping.ts";

/** The format of Kafka's keys, where columns are to be taken from them by schemas or documents; else null. */
export function keyFormatOf(
  options: DecoderOptions,
  registry: SchemaRegistry | null,
): Format | null {
  const { changes, rowKey } = options;
  if (rowKey !== null) {
    if (rowKey.format === "json") return jsonFormat(ofKeys(options), "row_key");
    return framedKeyFormat(options, registry, rowKey.format, rowKey.columns, "row_key");
  }
  if (changes === null || changes.keyFields.length === 0) return null;
  return framedKeyFormat(options, registry, changes.keyFormat, changes.keyFields, "key");
}

function framedKeyFormat(
  options: DecoderOptions,
  registry: SchemaRegistry | null,
  format: KeyFormat,
  columns: readonly string[],
  part: RecordPart,
): Format | null {
  if (registry === null) return null;
  const shaping = shapingOf(options);
  const own = ofKeys(options);
  switch (format) {
    case "avro": {
      const fields = columns.map((name) => shaping.fieldPath(name));
      return avroFormat(own, registry, fields, part);
    }
    case "protobuf":
      return protobufFormat(own, registry, part);
    case "json-schema":
      return jsonSchemaFormat(own, registry, part);
    default:
      return null;
  }
}

/** A key is no envelope, and what it has beside the columns of the key says nothing. */
function ofKeys(options: DecoderOptions): DecoderOptions {
  return {
    ...options,
    changes: null,
    schemaText: null,
    message: null,
    onUnknownField: "ignore",
    onTypeConflict: "dead_letter",
  };
}

/**
 * The format that `source.format` names.
 * @param registry where values come with the ids of their schemas; default: they do not
 */
export function formatOf(options: DecoderOptions, registry: SchemaRegistry | null = null): Format {
  switch (options.format) {
    case "json":
      return jsonFormat(options);
    case "json-schema":
      // Without a registry nothing is read: who asks wants the columns that are known before.
      return registry === null ? jsonFormat(options) : jsonSchemaFormat(options, registry);
    case "avro":
      return avroFormat(options, registry);
    case "protobuf":
      return protobufFormat(options, registry);
    case "string":
    case "bytes":
      return rawFormat(options.format);
  }
}

/**
 * Which fields are columns; a member that says what was done is none.
 * @param hidden further fields that are none
 */
export function shapingOf(
  { shaping, changes }: DecoderOptions,
  hidden: readonly string[] = [],
): Shaping {
  const given = shaping ?? NO_SHAPING;
  const opField = changes?.opField ?? null;
  return new Shaping(given, opField === null ? hidden : [...hidden, opField]);
}
