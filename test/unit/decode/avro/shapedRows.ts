/** Values of Avro through decoders with `[source.transform]`. */
import { expect } from "bun:test";
import type { Field, Type } from "#columns/schema.ts";
import { DECODER_DEFAULTS, type DecoderOptions } from "#decode/options.ts";
import { NO_SHAPING, type ShapingOptions } from "#decode/shaping.ts";
import { avroBytes, bareDecoder, type Decoded, decodeAll } from "../../../support/avroRows.ts";
import { recordBatch } from "../../../support/records.ts";

/** A member of a record's schema. */
export function member(name: string, type: unknown, more: object = {}): object {
  return { name, type, ...more };
}

/** The schema of a record inside another. */
export function struct(name: string, ...fields: readonly object[]): object {
  return { type: "record", name, fields };
}

/** The schema of a row. */
export function record(...fields: readonly object[]): object {
  return struct("R", ...fields);
}

/** A type that may be null. */
export function optional(type: unknown): unknown[] {
  return ["null", type];
}

type More = Partial<DecoderOptions> & {
  readonly shape?: Partial<ShapingOptions>;
  /** Columns of the table; default: those that the schema gives. */
  readonly table?: readonly Field[];
};

/** Decodes values of one schema, by the host alone and by the kernel. */
export function shaped(
  schema: object,
  values: readonly unknown[],
  { shape, table, ...more }: More = {},
): Decoded {
  const separator = more.flattenSeparator ?? ".";
  const shaping = { ...NO_SHAPING, hashSalt: "salt", separator, ...shape };
  const [host, kernel] = [false, "always" as const].map((which) => {
    const decoder = bareDecoder(schema, {
      ...DECODER_DEFAULTS,
      format: "avro",
      metadataColumns: [],
      schemaText: JSON.stringify(schema),
      shaping,
      kernel: which,
      ...more,
    });
    if (table !== undefined) decoder.adopt(table, { dropped: [], hasRows: true });
    return decodeAll(decoder, recordBatch(values.map((value) => avroBytes(schema, value))));
  });
  if (host === undefined || kernel === undefined) throw new Error("nothing was decoded");
  expect(kernel.rows).toEqual(host.rows);
  expect(kernel.rejected).toEqual(host.rejected);
  return host;
}

/** A column that takes nulls. */
export const column = (name: string, type: Type): Field => ({ id: 1, name, required: false, type });
