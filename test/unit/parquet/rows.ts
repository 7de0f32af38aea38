/**
 * Test helper: batches from plain values, and the columns of every type.
 *
 * Values: null; boolean; number (int, float, double, date); bigint (long, time, timestamps, unscaled
 * decimal); string; Uint8Array (uuid, fixed, binary); object (struct); array (list); pairs (map).
 */
import type { ColumnBatch } from "#columns/batch.ts";
import { ColumnBuilder, sealColumns } from "#columns/builder.ts";
import type { Field, Type } from "#columns/schema.ts";
import { encodeParquet } from "#parquet/encode.ts";
import type { ByteSink, EncodedFile, EncodeOptions, RowSlice } from "#parquet/encoder.ts";

export type Row = readonly unknown[];

let nextId = 1;

/** A field with the next free id; optional unless said. */
export function field(name: string, type: Type, required = false): Field {
  return { id: nextId++, name, type, required };
}

export function listOf(type: Type, required = false): Type {
  return { kind: "list", element: field("element", type, required) };
}

export function mapOf(key: Type, value: Type): Type {
  return { kind: "map", key: field("key", key, true), value: field("value", value) };
}

export function structOf(members: Readonly<Record<string, Type>>): Type {
  return {
    kind: "struct",
    fields: Object.entries(members).map(([name, type]) => field(name, type)),
  };
}

export function batchOf(fields: readonly Field[], rows: readonly Row[]): ColumnBatch {
  const builders = fields.map((each) => new ColumnBuilder(each));
  for (const row of rows) {
    builders.forEach((builder, index) => {
      append(builder, row[index]);
    });
  }
  return sealColumns(builders, rows.length);
}

function append(builder: ColumnBuilder, value: unknown): void {
  const { type } = builder.field;
  if (value === null || value === undefined) {
    builder.appendNull();
    return;
  }
  switch (type.kind) {
    case "boolean":
      builder.appendBoolean(value as boolean);
      return;
    case "int":
    case "date":
      builder.appendInt(value as number);
      return;
    case "float":
    case "double":
      builder.appendFloat(value as number);
      return;
    case "long":
    case "time":
    case "timestamp":
    case "timestamp_ns":
    case "decimal":
      builder.appendBigInt(value as bigint);
      return;
    case "string":
    case "uuid":
    case "fixed":
    case "binary": {
      const bytes = typeof value === "string" ? Buffer.from(value) : (value as Uint8Array);
      builder.appendBytes(bytes, 0, bytes.length);
      return;
    }
    case "struct":
      type.fields.forEach((member, index) => {
        const child = builder.children[index];
        if (child) append(child, (value as Record<string, unknown>)[member.name]);
      });
      builder.endStruct();
      return;
    case "list":
      for (const element of value as unknown[]) {
        if (builder.children[0]) append(builder.children[0], element);
      }
      builder.endList();
      return;
    case "map":
      for (const pair of value as [unknown, unknown][]) {
        pair.forEach((part, index) => {
          const child = builder.children[index];
          if (child) append(child, part);
        });
      }
      builder.endList();
  }
}

/**
 * The value in a form that every reader's answer can be brought to: integers and unscaled decimals
 * as text, floats as the hex digits of their bits, bytes as hex digits, maps as pairs.
 */
export function canonical(type: Type, value: unknown): unknown {
  if (value === null || value === undefined) return null;
  switch (type.kind) {
    case "boolean":
    case "string":
      return value;
    case "float":
      return Buffer.from(new Uint8Array(new Float32Array([value as number]).buffer)).toString(
        "hex",
      );
    case "double":
      return Buffer.from(new Uint8Array(new Float64Array([value as number]).buffer)).toString(
        "hex",
      );
    case "uuid":
    case "fixed":
    case "binary":
      return Buffer.from(value as Uint8Array).toString("hex");
    case "struct":
      return Object.fromEntries(
        type.fields.map((member) => [
          member.name,
          canonical(member.type, (value as Record<string, unknown>)[member.name]),
        ]),
      );
    case "list":
      return (value as unknown[]).map((element) => canonical(type.element.type, element));
    case "map":
      return (value as [unknown, unknown][]).map(([key, each]) => [
        canonical(type.key.type, key),
        canonical(type.value.type, each),
      ]);
    case "int":
    case "long":
    case "decimal":
    case "date":
    case "time":
    case "timestamp":
    case "timestamp_ns":
      return String(value);
  }
}

/** Every row of a batch. */
export function allRows(batch: ColumnBatch): RowSlice {
  return { batch, rows: null };
}

/** An encoded file with its bytes, in the chunks in which the sink got them. */
export interface WholeFile extends EncodedFile {
  readonly chunks: readonly Uint8Array[];
}

/** Encodes and keeps what goes to the sink. */
export async function whole(encode: (sink: ByteSink) => Promise<EncodedFile>): Promise<WholeFile> {
  const chunks: Uint8Array[] = [];
  const file = await encode(async (chunk) => {
    chunks.push(chunk.slice());
  });
  return { ...file, chunks };
}

/** `encodeParquet` with the file's bytes. */
export function encodeWhole(
  fields: readonly Field[],
  batches: readonly ColumnBatch[],
  options: EncodeOptions,
): Promise<WholeFile> {
  return whole((sink) => encodeParquet(fields, batches, options, sink));
}

/** The whole file as one piece. */
export function bytesOf(file: { readonly chunks: readonly Uint8Array[] }): Uint8Array {
  return new Uint8Array(Buffer.concat(file.chunks));
}

const UUIDS = ["00000000000000000000000000000000", "ffffffffffffffffffffffffffffffff"];
const LONG_TEXT = "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich 🥊🥊";

/** Every type of SPEC 5 with its extremes: name, type, values (each column is padded with nulls). */
export function everyType(): readonly (readonly [string, Type, readonly unknown[]])[] {
  const day = 86_400_000_000n;
  const times: readonly unknown[] = [0n, -1n, -62_135_596_800_000_000n, 253_402_300_799_999_999n];
  const nanos: readonly unknown[] = [0n, -1n, -(2n ** 63n) + 1000n, 2n ** 63n - 1000n];
  const decimals = Array.from({ length: 38 }, (_, index): readonly [string, Type, unknown[]] => {
    const precision = index + 1;
    const most = 10n ** BigInt(precision) - 1n;
    const scale = Math.min(precision, 4);
    return [`decimal_${precision}`, { kind: "decimal", precision, scale }, [0n, most, -most, -1n]];
  });
  return [
    ["boolean", { kind: "boolean" }, [true, false, null, true]],
    ["int", { kind: "int" }, [0, -(2 ** 31), 2 ** 31 - 1]],
    ["long", { kind: "long" }, [0n, -(2n ** 63n), 2n ** 63n - 1n]],
    ["float", { kind: "float" }, [0, -0, Number.NaN, Infinity, -Infinity, 1.5]],
    ["double", { kind: "double" }, [-0, 5e-324, Number.NaN, 1.7976931348623157e308, -2.5]],
    ["only_nan", { kind: "double" }, Array(8).fill(Number.NaN)],
    ["date", { kind: "date" }, [0, -1, -719_162, 2_932_896]],
    ["time", { kind: "time" }, [0n, day - 1n]],
    ["timestamp", { kind: "timestamp", zone: false }, times],
    ["timestamptz", { kind: "timestamp", zone: true }, times],
    ["timestamp_ns", { kind: "timestamp_ns", zone: false }, nanos],
    ["timestamptz_ns", { kind: "timestamp_ns", zone: true }, nanos],
    ["string", { kind: "string" }, ["", "a", LONG_TEXT, "\u{10ffff}".repeat(17)]],
    ["uuid", { kind: "uuid" }, UUIDS.map((hex) => Uint8Array.fromHex(hex))],
    ["fixed", { kind: "fixed", length: 20 }, [new Uint8Array(20), new Uint8Array(20).fill(255)]],
    ["binary", { kind: "binary" }, [new Uint8Array(0), new Uint8Array(40).fill(255)]],
    ["all_null", { kind: "string" }, []],
    ...decimals,
    [
      "struct",
      structOf({ a: { kind: "string" }, b: structOf({ c: { kind: "double" } }) }),
      [{ a: "x", b: { c: 1.5 } }, null, { a: null, b: null }, { a: "", b: { c: null } }],
    ],
    ["longs", listOf({ kind: "long" }), [[], [1n, null, -3n], null, [2n ** 62n]]],
    ["list_of_list", listOf(listOf({ kind: "string" })), [[[]], [null, ["x", null]], null, []]],
    [
      "list_of_struct",
      listOf(structOf({ u: { kind: "uuid" } })),
      [[{ u: new Uint8Array(16) }, null]],
    ],
    [
      "map",
      mapOf({ kind: "string" }, { kind: "decimal", precision: 20, scale: 0 }),
      [
        [],
        [
          ["k", 10n ** 19n],
          ["l", null],
        ],
        null,
      ],
    ],
  ];
}

/** Rows of at least eight, columns side by side. */
export function everyTypeRows(): {
  readonly fields: readonly Field[];
  readonly rows: readonly Row[];
} {
  const columns = everyType();
  const fields = columns.map(([name, type]) => field(name, type));
  const rows = Array.from({ length: 8 }, (_, row) =>
    columns.map(([, , values]) => values[row] ?? null),
  );
  return { fields, rows };
}
