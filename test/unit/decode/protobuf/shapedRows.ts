/** Messages through decoders with `[source.transform]`. */
import { expect } from "bun:test";
import type { Field, Type } from "#columns/schema.ts";
import type { DecoderOptions } from "#decode/options.ts";
import { columnsOf } from "#decode/protobuf/columns.ts";
import { loadProtobuf } from "#decode/protobuf/parse.ts";
import { NO_SHAPING, Shaping, type ShapingOptions } from "#decode/shaping.ts";
import { decodeAll } from "../../../support/avroRows.ts";
import { recordBatch } from "../../../support/records.ts";
import { make } from "./support.ts";

type Row = Readonly<Record<string, unknown>>;
/** What is said beside the message. */
export type More = Partial<DecoderOptions> & {
  readonly shape?: Partial<ShapingOptions>;
  /** Columns of the table; default: those of the message, shaped. */
  readonly table?: readonly Field[];
};

/** A file of one message. */
export const file = (body: string): string =>
  `syntax = "proto3"; import "google/protobuf/timestamp.proto"; message T { ${body} }`;

/** Decodes messages of one type, by the host alone and by the kernel. */
export async function shaped(
  body: string,
  values: readonly (Row | Uint8Array)[],
  { shape, table, ...more }: More = {},
): Promise<{ readonly rows: readonly Row[]; readonly reasons: readonly string[] }> {
  const separator = more.flattenSeparator ?? ".";
  const shaping = { ...NO_SHAPING, hashSalt: "salt", separator, ...shape };
  const text = file(body);
  const message = (await loadProtobuf()).file("t.proto", text, () => null).message("T");
  const fields = table ?? columnsOf(message, more.flattenSeparator ?? null, new Shaping(shaping));
  const results = [];
  for (const kernel of [false, "always"] as const) {
    const made = await make(text, { shaping, fields, kernel, ...more }, "T");
    const bytes = values.map((each) => (each instanceof Uint8Array ? each : made.bytes(each)));
    const { rows, rejected } = decodeAll(made.decoder, recordBatch(bytes));
    results.push({ rows, reasons: rejected.map(({ reason, detail }) => `${reason}: ${detail}`) });
  }
  const [host, kernel] = results;
  if (host === undefined) throw new Error("nothing was decoded");
  expect(kernel).toEqual(host);
  return host;
}

/** A column that takes nulls. */
export const column = (name: string, type: Type): Field => ({ id: 0, name, required: false, type });
