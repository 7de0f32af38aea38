/** Avro values through a decoder: values are written by avsc, or are bytes as they are. */
import avro from "avsc";
import type { Field } from "#columns/schema.ts";
import { avroFormat } from "#decode/avro/format.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import type { Decoder, RecordBytes, Rejected } from "#decode/decoder.ts";
import { DECODER_DEFAULTS, type DecoderOptions } from "#decode/options.ts";
import { checkLayout, rowsOf, type Value } from "./columnValues.ts";
import { recordBatch } from "./records.ts";

/** The bytes of a value. Longs beyond 2^53 are not for this. */
export function avroBytes(schema: object, value: unknown): Uint8Array {
  const type = avro.Type.forSchema(schema as avro.Schema, { wrapUnions: "always" });
  return new Uint8Array(type.toBuffer(value));
}

/** A value in Confluent's wire format. */
export function framed(id: number, bytes: Uint8Array): Uint8Array {
  const head = new Uint8Array(5);
  new DataView(head.buffer).setInt32(1, id);
  return new Uint8Array([...head, ...bytes]);
}

/** A decoder of bare values of one schema. */
export function bareDecoder(schema: object, more: Partial<DecoderOptions> = {}): Decoder {
  const options: DecoderOptions = {
    ...DECODER_DEFAULTS,
    format: "avro",
    schemaText: JSON.stringify(schema),
    metadataColumns: [],
    ...more,
  };
  return createDecoder(options, avroFormat(options, null));
}

/** What a decoder makes of a batch. */
export interface Decoded {
  readonly fields: readonly Field[];
  readonly rows: { [name: string]: Value }[];
  readonly rejected: readonly Rejected[];
}

/** Decodes a batch for good, after its columns were learned where that is needed. */
export function decodeAll(decoder: Decoder, batch: RecordBytes): Decoded {
  if (decoder.needsSample) decoder.sample([batch]);
  const segment = decoder.builder();
  const { rejected } = segment.decode(batch);
  const sealed = segment.seal();
  checkLayout(sealed);
  return { fields: sealed.fields, rows: rowsOf(sealed), rejected };
}

/** Decodes bare values of one schema. */
export function decodeBare(
  schema: object,
  values: readonly unknown[],
  more: Partial<DecoderOptions> = {},
): Decoded {
  const bytes = values.map((each) => (each instanceof Uint8Array ? each : avroBytes(schema, each)));
  return decodeAll(bareDecoder(schema, more), recordBatch(bytes));
}
