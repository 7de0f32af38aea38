/**
 * Avro values to columns against avsc: generated schemas and values, whole and broken.
 *
 * What avsc reads and we refuse: text that is no UTF-8, values that their column cannot hold, and bytes
 * that nobody writes so (avsc writes the same value with others, or not at all).
 *
 * `FUZZ_RUNS` values (default 40,000) from `FUZZ_SEED` (default: of today).
 */
import { expect, test } from "bun:test";
import avro from "avsc";
import { avroFormat } from "#decode/avro/format.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import { DECODER_DEFAULTS, type DecoderOptions } from "#decode/options.ts";
import { checkLayout, rowsOf } from "../support/columnValues.ts";
import { recordBatch } from "../support/records.ts";
import { Conflict, expectedRow, hasReplacement } from "./avroOracle.ts";
import { AvroSchemas, type Members, namesOf } from "./avroSchemas.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 40_000);
const SEED = Number(process.env["FUZZ_SEED"] ?? Math.floor(Date.now() / 86_400_000));
const VALUES = 40;

const LONG = avro.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(value);
    return bytes;
  },
  fromJSON: BigInt,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === "bigint",
  compare: (a: bigint, b: bigint) => (a === b ? 0 : a < b ? -1 : 1),
});

interface Tap {
  readLong(): number;
  readString(): string;
  skipLong(): void;
  isValid(): boolean;
}
interface Reads {
  _read(tap: Tap): unknown;
}

/**
 * avsc believes any count of elements, and reads behind the end as often as it says: in vain, but for
 * hours. Here each element must begin within the value.
 */
function boundBlocks(): void {
  const read = <T>(tap: Tap, element: () => T): T[] => {
    const found: T[] = [];
    for (let count = tap.readLong(); count !== 0; count = tap.readLong()) {
      if (count < 0) tap.skipLong();
      for (let left = Math.abs(count); left > 0; left--) {
        if (!tap.isValid() || found.length > 2_200_000) throw new Error("too many elements");
        found.push(element());
      }
    }
    return found;
  };
  const arrays = avro.types.ArrayType.prototype as unknown as Reads;
  const maps = avro.types.MapType.prototype as unknown as Reads;
  arrays._read = function (this: { readonly itemsType: Reads }, tap: Tap) {
    return read(tap, () => this.itemsType._read(tap));
  };
  maps._read = function (this: { readonly valuesType: Reads }, tap: Tap) {
    return Object.fromEntries(read(tap, () => [tap.readString(), this.valuesType._read(tap)]));
  };
}

boundBlocks();

/** What a value has to become: a row, or why it may be refused. */
type Wanted =
  | { readonly row: ReturnType<typeof expectedRow> }
  | { readonly refused: readonly string[] };

function judge(type: avro.Type, schema: Members, bytes: Uint8Array, nanos: boolean): Wanted {
  let value: unknown;
  try {
    value = type.fromBuffer(Buffer.from(bytes));
  } catch {
    return { refused: ["bad_avro", "bad_utf8", "too_many_values"] };
  }
  try {
    const isUsual = Buffer.compare(type.toBuffer(value), bytes) === 0;
    if (!isUsual) return { refused: ["bad_avro", "bad_utf8", "type_conflict", "any"] };
    if (hasReplacement(value)) return { refused: ["bad_utf8", "any"] };
    return { row: expectedRow(schema as never, value, namesOf(schema as never), nanos) };
  } catch (error) {
    if (error instanceof Conflict) return { refused: ["type_conflict"] };
    return { refused: ["bad_avro", "bad_utf8", "any"] };
  }
}

function check(seed: number, kernel: DecoderOptions["kernel"]): number {
  const picks = new AvroSchemas(seed);
  const schema = picks.row();
  const text = JSON.stringify(schema);
  const named = namesOf(schema as never);
  const type = avro.Type.forSchema(JSON.parse(text), {
    wrapUnions: "always",
    typeHook: (each) => {
      const { type: name = each } = each as { readonly type?: unknown };
      return name === "long" ? LONG : undefined;
    },
  });
  const values = Array.from({ length: VALUES }, () => {
    const bytes = type.toBuffer(picks.value(schema as never, named));
    return picks.below(3) === 0 ? picks.broken(bytes) : new Uint8Array(bytes);
  });
  const nanos = picks.below(2) === 0;
  const options = {
    ...DECODER_DEFAULTS,
    format: "avro" as const,
    schemaText: text,
    hasNanos: nanos,
    metadataColumns: ["offset"] as const,
    kernel,
  };
  const decoder = createDecoder(options, avroFormat(options, null));
  const batch = recordBatch(values);
  decoder.sample([batch]);
  const segment = decoder.builder();
  const { rejected } = segment.decode(batch);
  const sealed = segment.seal();
  checkLayout(sealed);
  const rows = new Map(rowsOf(sealed).map(({ _kafka_offset: at, ...row }) => [Number(at), row]));
  const reasons = new Map(rejected.map(({ offset, reason }) => [Number(offset), reason]));
  for (const [index, bytes] of values.entries()) {
    const wanted = judge(type, schema, bytes, nanos);
    const told = { seed, index, text, bytes: bytes.toHex() };
    const reason = reasons.get(index);
    if ("row" in wanted) {
      expect({ ...told, reason, row: rows.get(index) }).toEqual({
        ...told,
        reason: undefined,
        row: wanted.row,
      });
    } else if (reason !== undefined || !wanted.refused.includes("any")) {
      expect({ ...told, wanted: wanted.refused, reason: String(reason) }).toEqual({
        ...told,
        wanted: wanted.refused,
        reason: expect.stringMatching(new RegExp(`^(${wanted.refused.join("|")})$`)),
      });
    }
  }
  return values.length;
}

test(`values of generated schemas become the rows that avsc reads, or are refused for a reason (seed ${SEED})`, () => {
  for (let done = 0, seed = SEED * 100_000; done < RUNS; seed++)
    done += check(seed, seed % 2 === 0 ? "always" : false);
}, 600_000);
