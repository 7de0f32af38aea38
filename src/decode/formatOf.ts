/**
 * The formats that a table's options name, of values and of Kafka's keys.
 */
import { avroFormat } from "./avro/format.ts";
import type { Format } from "./format.ts";
import { jsonFormat } from "./json/format.ts";
import { jsonSchemaFormat } from "./jsonSchema/format.ts";
import type { DecoderOptions } from "./options.ts";
import { protobufFormat } from "./protobuf/format.ts";
import { rawFormat } from "./raw.ts";
import type { SchemaRegistry } from "./registry/registry.ts";
import { NO_SHAPING, Shaping } from "./shaping.ts";

/** The format of Kafka's keys, where columns are to be taken from them by a registry's schemas; else null. */
export function keyFormatOf(
  options: DecoderOptions,
  registry: SchemaRegistry | null,
): Format | null {
  const { changes } = options;
  if (changes === null || registry === null || changes.keyFields.length === 0) return null;
  const shaping = shapingOf(options);
  const fieldOfColumn = (name: string): string => shaping.fieldPath(name);
  // A key is no envelope, and what it has beside the columns of the key says nothing.
  const own: DecoderOptions = {
    ...options,
    changes: null,
    schemaText: null,
    message: null,
    onUnknownField: "ignore",
    onTypeConflict: "dead_letter",
  };
  switch (changes.keyFormat) {
    case "avro":
      return avroFormat(own, registry, changes.keyFields.map(fieldOfColumn));
    case "protobuf":
      return protobufFormat(own, registry, "key");
    case "json-schema":
      return jsonSchemaFormat(own, registry, "key");
    default:
      return null;
  }
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

/** Which fields are columns; a member that says what was done is none. */
export function shapingOf({ shaping, changes }: DecoderOptions): Shaping {
  const given = shaping ?? NO_SHAPING;
  const opField = changes?.opField ?? null;
  if (opField === null) return new Shaping(given);
  return new Shaping({ ...given, exclude: [...given.exclude, opField] });
}
