/** Decoders, and fields of routes, of commands, which have no pipeline beside them whose registry they could ask. */
import { createDecoder } from "./createDecoder.ts";
import type { Decoder } from "./decoder.ts";
import { formatOf, keyFormatOf } from "./formatOf.ts";
import type { DecoderOptions } from "./options.ts";
import { SchemaRegistry } from "./registry/registry.ts";
import { type RouteField, routeField } from "./routeField.ts";

/** Options of a registry, and what it is built from. */
type RegistryParts = ConstructorParameters<typeof SchemaRegistry>;

/**
 * A decoder with a schema registry of its own.
 * @param registry null: values come without ids of schemas
 * @throws as `createDecoder`
 */
export function createLoneDecoder(
  options: DecoderOptions,
  registry: RegistryParts[0] | null,
  parts: RegistryParts[1],
): Decoder {
  const schemas = registry === null ? null : new SchemaRegistry(registry, parts);
  return createDecoder(options, formatOf(options, schemas), keyFormatOf(options, schemas));
}

/**
 * The field that records name tables by, with a schema registry of its own.
 * @param registry null: values come without ids of schemas
 */
export function createLoneRouteField(
  path: string,
  options: DecoderOptions,
  registry: RegistryParts[0] | null,
  parts: RegistryParts[1],
): RouteField {
  const schemas = registry === null ? null : new SchemaRegistry(registry, parts);
  return routeField(path, options, schemas);
}
