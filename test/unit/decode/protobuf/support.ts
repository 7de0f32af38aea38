/** Helpers of the Protobuf tests: a file in, a decoder out, and messages written by protobufjs. */
import protobuf from "protobufjs";
import type { Decoder } from "#decode/decoder.ts";
import type { DecoderOptions } from "#decode/options.ts";
import { columnsOf } from "#decode/protobuf/columns.ts";
import { loadProtobuf } from "#decode/protobuf/parse.ts";
import { makeDecoder } from "../support.ts";

/** A type whose records are decoded, and the writer of its messages. */
export interface Made {
  readonly decoder: Decoder;
  /** The bytes of a message, given as protobufjs takes it. */
  bytes(value: Record<string, unknown>): Uint8Array;
}

/** The decoder of a file's message `name`, null for its only one. */
export async function make(
  file: string,
  options: Partial<DecoderOptions> = {},
  name: string | null = null,
): Promise<Made> {
  const schema = (await loadProtobuf()).file("test.proto", file, () => null);
  const message = schema.message(name);
  const root = new protobuf.Root();
  for (const each of file.matchAll(/import "(.*?)"/g)) {
    root.addJSON(protobuf.common.get(each[1] ?? "")?.nested ?? {});
  }
  protobuf.parse(file, root, { keepCase: true });
  const type = root.lookupType(message.name);
  const fields = columnsOf(message, options.flattenSeparator ?? null);
  return {
    decoder: makeDecoder({ format: "protobuf", message, fields, infer: false, ...options }),
    bytes: (value) => type.encode(type.fromObject(value)).finish(),
  };
}

/** Bytes written as hexadecimal digits, blanks between them. */
export function hex(text: string): Uint8Array {
  return Uint8Array.fromHex(text.replaceAll(" ", ""));
}
