/**
 * Format `json`: each value is an object, whose members are columns.
 */
import type { Format } from "#decode/format.ts";
import type { DecoderOptions } from "#decode/options.ts";
import { compileRow } from "./program.ts";
import { JsonReader } from "./reader.ts";

/** The format for one table. */
export function jsonFormat(
  options: Pick<
    DecoderOptions,
    "flattenSeparator" | "eventTimeField" | "matchColumns" | "onUnknownField"
  >,
): Format {
  const { flattenSeparator, eventTimeField, onUnknownField } = options;
  const ignoresCase = options.matchColumns === "ignore-case";
  const program = { flattenSeparator, eventTimeField, ignoresCase };
  return {
    own: [],
    hasFields: true,
    prepare: null,
    reader: (columns, schema) => {
      const root = compileRow(columns, { ...program, ...schema });
      const isFull = onUnknownField === "evolve" && schema.isFull;
      return new JsonReader(columns, root, isFull ? "too_many_columns" : onUnknownField);
    },
  };
}
