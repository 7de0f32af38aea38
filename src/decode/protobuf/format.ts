/**
 * Format `protobuf`: each value is a message of one type, whose fields are columns.
 */
import { assert } from "#base/assert.ts";
import type { Format } from "#decode/format.ts";
import type { DecoderOptions } from "#decode/options.ts";
import { protobufRoot } from "./kernelProgram.ts";
import { compileMessage } from "./program.ts";
import { ProtobufReader } from "./reader.ts";

const NO_HEAD = new Uint8Array(0);

/** The format for one table whose records are all of `options.message`. */
export function protobufFormat(
  options: Pick<
    DecoderOptions,
    "message" | "flattenSeparator" | "eventTimeField" | "matchColumns" | "onUnknownField"
  >,
): Format {
  const { message, flattenSeparator, eventTimeField, onUnknownField } = options;
  assert(message !== null, "a Protobuf table has its message");
  const ignoresCase = options.matchColumns === "ignore-case";
  const unknown = onUnknownField === "ignore" ? null : "unknown_field";
  const program = { flattenSeparator, eventTimeField, ignoresCase, unknown } as const;
  return {
    own: [],
    hasFields: true,
    prepare: null,
    learn: (_batches, _recordsMax, known) => known.fields,
    revision: null,
    reader: (columns, schema) => {
      const node = compileMessage(message, columns, { ...program, ...schema });
      // Flattened members are null, not their defaults, in a record without their message.
      const frames = flattenSeparator === null ? [{ head: NO_HEAD, node }] : [];
      return new ProtobufReader(columns, node, protobufRoot(frames));
    },
  };
}
