/**
 * What records are routed by (SPEC section 4, `iceberg.route_field`): the text of one of their fields,
 * found in a value's bytes without making anything else of them.
 *
 * Every process has to find the same in a record at any time: a table may have passed it for another's. So a
 * registry that does not have the schema of a record gives no answer, and `schema_registry.on_missing` none either.
 */
import { avroRouteField } from "./avro/routeField.ts";
import type { RecordBytes } from "./decoder.ts";
import { FieldText } from "./json/fieldText.ts";
import type { DecoderOptions } from "./options.ts";
import { protobufRouteField } from "./protobuf/routeField.ts";
import type { SchemaRegistry } from "./registry/registry.ts";
import { HEAD_BYTES } from "./registry/wire.ts";

/** Finds the field in values. */
export interface RouteField {
  /** As `Format.prepare`: what a batch's records need first; null: they never need anything. */
  readonly prepare: ((batch: RecordBytes) => Promise<void> | null) | null;
  /**
   * The field's text, that of a whole number, of an enum, of `true` or `false` included; null: the value has
   * none, is damaged, or the field is null or anything else.
   */
  of(bytes: Uint8Array, start: number, end: number): string | null;
}

/**
 * The field at a path, names joined by dots.
 * @param options what values are
 * @param registry where they come with the ids of their schemas; null: they do not
 */
export function routeField(
  path: string,
  options: Pick<DecoderOptions, "format" | "schemaText" | "message">,
  registry: SchemaRegistry | null,
): RouteField {
  switch (options.format) {
    case "json":
      return jsonRouteField(path, 0);
    case "json-schema":
      return jsonRouteField(path, HEAD_BYTES);
    case "avro":
      return avroRouteField(path, options.schemaText, registry);
    case "protobuf":
      return protobufRouteField(path, options.message, registry);
    case "string":
    case "bytes":
      return { prepare: null, of: () => null };
  }
}

/** @param headBytes of a value before its document */
function jsonRouteField(path: string, headBytes: number): RouteField {
  const field = new FieldText(path);
  return {
    prepare: null,
    of: (bytes, start, end) =>
      start + headBytes > end ? null : field.of(bytes, start + headBytes, end),
  };
}
