/**
 * Columns as Arrow's C data interface has them: structs of words that point into the columns' own
 * memory, nothing copied. https://arrow.apache.org/docs/format/CDataInterface.html
 *
 * Whoever reads them must not outlive what stands behind: `keep` holds every struct and buffer.
 */
import { type Pointer, ptr } from "bun:ffi";
import { assert } from "#base/assert.ts";
import { openLibc } from "#base/libc.ts";
import type { Column } from "#columns/batch.ts";
import { bitmapBytes } from "#columns/bitmap.ts";
import { valueBytes } from "#columns/builder.ts";
import { childFields, type Field, type Type } from "#columns/schema.ts";
import { cText } from "./symbols.ts";

/** A struct, and all that it points to. */
export interface Struct {
  readonly address: Pointer;
  readonly keep: readonly unknown[];
}

const NULLABLE = 2n;
const SCHEMA_WORDS = 9;
const ARRAY_WORDS = 10;

/** An `ArrowSchema`: a struct of these fields. */
export function arrowSchema(fields: readonly Field[]): Struct {
  const structs = new Structs();
  const address = structs.schema(
    "+s",
    "",
    fields.map((field) => schemaOf(structs, field)),
  );
  return { address: Number(address) as Pointer, keep: structs.keep };
}

function schemaOf(structs: Structs, { name, type }: Field): bigint {
  const children = childFields(type).map((child) => schemaOf(structs, child));
  const nested = type.kind === "map" ? [structs.schema("+s", "entries", children)] : children;
  return structs.schema(formatOf(type), name, nested, type.kind === "uuid" ? UUID_EXTENSION : null);
}

/** An `ArrowArray`: rows `[first, first + rows)` of these columns. `first`: a multiple of 64. */
export function arrowArray(columns: readonly Column[], first: number, rows: number): Struct {
  const structs = new Structs();
  const children = columns.map((column) => arrayOf(structs, column, first, rows));
  const address = structs.array(rows, [null], children);
  return { address: Number(address) as Pointer, keep: structs.keep };
}

function arrayOf(structs: Structs, column: Column, first: number, rows: number): bigint {
  const { field, validity, offsets, data, children } = column;
  const bits = (bytes: Uint8Array): Uint8Array =>
    bytes.subarray(first / 8, first / 8 + bitmapBytes(rows));
  const valid = validity === null ? null : bits(validity);
  if (offsets !== null) {
    const starts = offsets.subarray(first, first + rows + 1);
    if (data !== null) return structs.array(rows, [valid, starts, data], []);
    const end = offsets[first + rows] ?? 0;
    const whole = children.map((child) => arrayOf(structs, child, 0, end));
    const nested = field.type.kind === "map" ? [structs.array(end, [null], whole)] : whole;
    return structs.array(rows, [valid, starts], nested);
  }
  if (data === null) {
    return structs.array(
      rows,
      [valid],
      children.map((child) => arrayOf(structs, child, first, rows)),
    );
  }
  const isBits = field.type.kind === "boolean";
  const values = isBits ? bits(data) : data.subarray(first * valueBytes(field.type));
  return structs.array(rows, [valid, values], []);
}

/** Structs of words, and all memory that they point to. */
class Structs {
  readonly keep: unknown[] = [];

  schema(
    format: string,
    name: string,
    children: readonly bigint[],
    about: Buffer | null = null,
  ): bigint {
    const words = new BigUint64Array(SCHEMA_WORDS);
    words[0] = this.#address(cText(format));
    words[1] = this.#address(cText(name));
    words[2] = this.#address(about);
    words[3] = NULLABLE;
    words[4] = BigInt(children.length);
    words[5] = this.#address(children.length === 0 ? null : BigUint64Array.from(children));
    words[7] = released();
    return this.#address(words);
  }

  array(
    length: number,
    buffers: readonly (NodeJS.TypedArray | null)[],
    children: readonly bigint[],
  ): bigint {
    const words = new BigUint64Array(ARRAY_WORDS);
    words[0] = BigInt(length);
    words[1] = UNKNOWN_NULLS;
    words[3] = BigInt(buffers.length);
    words[4] = BigInt(children.length);
    words[5] = this.#address(BigUint64Array.from(buffers, (each) => this.#address(each)));
    words[6] = this.#address(children.length === 0 ? null : BigUint64Array.from(children));
    words[8] = released();
    return this.#address(words);
  }

  #address(memory: NodeJS.TypedArray | null): bigint {
    if (memory === null) return 0n;
    // An empty buffer has no address of its own; nothing is read from this one.
    const held = memory.byteLength === 0 ? EMPTY : memory;
    this.keep.push(held);
    return BigInt(ptr(held));
  }
}

const EMPTY = new Uint8Array(new SharedArrayBuffer(64));

/** All ones: the reader counts them itself. */
const UNKNOWN_NULLS = 0xffff_ffff_ffff_ffffn;

/** `ARROW:extension:name = arrow.uuid`, as metadata is laid out: count, then length and bytes of each. */
const UUID_EXTENSION: Buffer = ((): Buffer => {
  const parts = ["ARROW:extension:name", "arrow.uuid"].map((text) => {
    const length = Buffer.alloc(4);
    length.writeInt32LE(text.length);
    return Buffer.concat([length, Buffer.from(text)]);
  });
  const count = Buffer.alloc(4);
  count.writeInt32LE(1);
  return Buffer.concat([count, ...parts]);
})();

function formatOf(type: Type): string {
  switch (type.kind) {
    case "boolean":
      return "b";
    case "int":
      return "i";
    case "long":
      return "l";
    case "float":
      return "f";
    case "double":
      return "g";
    case "decimal":
      return `d:${type.precision},${type.scale}`;
    case "date":
      return "tdD";
    case "time":
      return "ttu";
    case "timestamp":
      return type.zone ? "tsu:UTC" : "tsu:";
    case "timestamp_ns":
      return type.zone ? "tsn:UTC" : "tsn:";
    case "string":
      return "u";
    case "uuid":
      return "w:16";
    case "fixed":
      return `w:${type.length}`;
    case "binary":
      return "z";
    case "struct":
      return "+s";
    case "list":
      return "+l";
    case "map":
      return "+m";
  }
}

interface Dlsym {
  readonly dlsym: (library: null, name: Uint8Array) => number | null;
}

let release = 0n;

/**
 * What `release` points to: a native function that does nothing, since whichever thread drops the last
 * reference calls it, and JavaScript may not run there.
 */
function released(): bigint {
  if (release === 0n) {
    const libc = openLibc<Dlsym>({ dlsym: { args: ["ptr", "ptr"], returns: "ptr" } });
    release = BigInt(libc?.dlsym(null, cText("abs")) ?? 0);
  }
  assert(release !== 0n, "the C library has abs()");
  return release;
}
