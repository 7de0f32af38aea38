/**
 * The decode kernel against the TypeScript reader: numbers of every form, texts of every declared
 * type, records with keys, headers and holes, and schemas that evolve.
 *
 * `FUZZ_RUNS` values (default 200,000) of each kind from `FUZZ_SEED` (default: of today).
 */
import { expect, test } from "bun:test";
import type { Field, PrimitiveType } from "#columns/schema.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import type { Decoder, SegmentBuilder } from "#decode/decoder.ts";
import { DECODER_DEFAULTS, type DecoderOptions } from "#decode/options.ts";
import { checkLayout, rowsOf } from "../support/columnValues.ts";
import { type RecordInput, recordBatch, varint } from "../support/records.ts";
import { compare } from "./kernelOracle.ts";
import { Texts } from "./texts.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 200_000);
const SEED = Number(process.env["FUZZ_SEED"] ?? Math.floor(Date.now() / 86_400_000));
const BATCH = 500;
/** Of records without a timestamp, in the batches below. */
const NO_TIMESTAMP_DELTA = -3;

const optional = (name: string, type: PrimitiveType): Field => {
  return { id: 0, name, required: false, type };
};

const TEXTS: readonly (readonly [PrimitiveType, (texts: Texts) => string])[] = [
  [{ kind: "date" }, (texts) => texts.quoted(texts.date())],
  [{ kind: "time" }, (texts) => texts.quoted(`${texts.time()}${texts.zone()}`)],
  [{ kind: "timestamp", zone: true }, (texts) => texts.quoted(texts.timestamp())],
  [{ kind: "timestamp", zone: false }, (texts) => texts.quoted(texts.timestamp())],
  [{ kind: "timestamp_ns", zone: true }, (texts) => texts.quoted(texts.timestamp())],
  [{ kind: "uuid" }, (texts) => texts.quoted(texts.uuid())],
  [{ kind: "decimal", precision: 9, scale: 2 }, (texts) => texts.number()],
  [{ kind: "decimal", precision: 18, scale: 6 }, (texts) => texts.quoted(texts.number())],
  [{ kind: "decimal", precision: 38, scale: 10 }, (texts) => texts.number()],
  [{ kind: "long" }, (texts) => texts.number()],
  [{ kind: "int" }, (texts) => texts.number()],
  [{ kind: "float" }, (texts) => texts.number()],
  [{ kind: "double" }, (texts) => texts.number()],
];

for (const [type, text] of TEXTS) {
  test(`${Bun.inspect(type)}: the kernel reads and leaves the same (seed ${SEED})`, () => {
    const texts = new Texts(SEED);
    const options = { ...DECODER_DEFAULTS, fields: [optional("v", type)], metadataColumns: [] };
    for (let done = 0; done < RUNS / 10; done += BATCH) {
      const documents = Array.from({ length: BATCH }, () => `{"v":${text(texts)}}`);
      compare(options, [recordBatch(documents)], `document ${done} of seed ${SEED}`);
    }
  }, 600_000);
}

test(`epochs and ISO texts as event time (seed ${SEED})`, () => {
  const texts = new Texts(SEED);
  const formats = ["epoch_seconds", "epoch_millis", "epoch_micros", "epoch_nanos", "iso8601"];
  for (let done = 0; done < RUNS / 10; done += BATCH) {
    const options = {
      ...DECODER_DEFAULTS,
      fields: [] as Field[],
      metadataColumns: [],
      eventTimeField: "at",
      eventTimeFormat: texts.oneOf(formats),
    };
    const documents = Array.from({ length: BATCH }, () => {
      const value = texts.below(3) === 0 ? texts.number() : texts.quoted(texts.timestamp());
      return `{"at":${value}}`;
    });
    compare(options, [recordBatch(documents)], `document ${done} of seed ${SEED}`);
  }
}, 600_000);

/** Objects of many shapes: optional, unknown and duplicate keys, in any order. */
function shapes(texts: Texts): string {
  const value = (depth: number): string => {
    const kind = texts.below(depth > 3 ? 6 : 8);
    if (kind === 6) return object(depth + 1);
    if (kind === 7) {
      return `[${Array.from({ length: texts.below(4) }, () => value(depth + 1)).join(",")}]`;
    }
    return texts.oneOf(["1", "2.5", '"é\\n"', '"plain"', "null", "true"]);
  };
  const object = (depth: number): string => {
    const members = Array.from({ length: texts.below(6) }, () => {
      const key = texts.oneOf([
        "a",
        "b",
        "c",
        "long_key_of_many_bytes",
        "é",
        "d_x",
        "d",
        "q\\u0041",
      ]);
      return `${texts.oneOf(["", " "])}"${key}":${texts.oneOf(["", " "])}${value(depth)}`;
    });
    return `{${members.join(",")}}`;
  };
  return object(0);
}

/** An object that the kernel's columns or its input may have no room for. */
function large(texts: Texts): string {
  const list = Array.from({ length: 5_000 }, () => '"e"');
  const text = "large".repeat(texts.oneOf([2_000, 60_000]));
  return texts.oneOf([`{"l":[${list.join(",")}]}`, `{"s":"${text}"}`]);
}

/** What documents are: every two hundredth is large. */
const KINDS = [...Array.from({ length: 199 }, () => shapes), large];

test(`records of any shape, with every policy and metadata column (seed ${SEED})`, () => {
  const texts = new Texts(SEED);
  for (let done = 0; done < RUNS / 5; done += BATCH) {
    const options: DecoderOptions = {
      ...DECODER_DEFAULTS,
      onUnknownField: texts.oneOf(["evolve", "ignore", "dead_letter"]),
      onTombstone: texts.oneOf(["dead_letter", "skip", "null_row"]),
      flattenSeparator: texts.oneOf([null, null, "_"]),
      metadataColumns: texts.oneOf([
        ["topic", "partition", "offset", "timestamp", "key", "headers"],
        ["partition", "offset", "timestamp"],
        ["timestamp"],
      ]),
      maxColumns: texts.oneOf([1000, 12]),
    };
    let offset = 0;
    const batches = Array.from({ length: 4 }, () => {
      const records = Array.from({ length: BATCH / 4 }, (_, index): RecordInput => {
        return {
          value: texts.below(20) === 0 ? null : texts.oneOf(KINDS)(texts),
          key: texts.oneOf([null, "", "a key"]),
          headers: texts.below(3) === 0 ? [["h", texts.oneOf([null, "v"])]] : [],
          offsetDelta: index * 2,
          timestampDelta: texts.oneOf([texts.below(1000) - 500, NO_TIMESTAMP_DELTA, 2 ** 20]),
        };
      });
      const baseOffset = BigInt(offset);
      offset += BATCH / 2;
      const wantedOffset = baseOffset + BigInt(texts.oneOf([0, 0, 7, 40]));
      const baseTimestampMs = -1 - NO_TIMESTAMP_DELTA;
      return recordBatch(records, { baseOffset, wantedOffset, baseTimestampMs });
    });
    compare(options, batches, `document ${done} of seed ${SEED}`);
  }
}, 600_000);

test("strings and keys at every length, in every place of sixteen bytes", () => {
  const fields = [optional("k", { kind: "string" }), optional("x".repeat(40), { kind: "string" })];
  const options = { ...DECODER_DEFAULTS, fields, metadataColumns: [] };
  const specials = ["", "é", "€", "😀", "\\n", "\\u20ac", "\\ud83d\\ude00", "\u0001", "\xff"];
  const documents: string[] = [];
  for (let length = 0; length < 70; length++) {
    for (const special of specials) {
      documents.push(`{"k":"${"a".repeat(length)}${special}b"${" ".repeat(length % 5)}}`);
      documents.push(`{"${"x".repeat(length)}":"${special}${"a".repeat(length)}"}`);
    }
  }
  compare(options, [recordBatch(documents)], "strings");
});

test("many keys of every length that share their beginnings, with blanks or without", () => {
  const names = Array.from({ length: 40 }, (_, size) => `${"k".repeat(size)}_`);
  const fields = names.flatMap((name) => [
    optional(name, { kind: "long" }),
    optional(`${name}end`, { kind: "double" }),
  ]);
  const options = { ...DECODER_DEFAULTS, fields, metadataColumns: [] };
  const documents = ["", " ", "\n  "].flatMap((blank) =>
    Array.from({ length: 90 }, (_, leftOut) => {
      const members = fields.flatMap(({ name }, index) =>
        index === leftOut ? [] : [`"${name}":${blank}${index}${index % 2 === 0 ? "" : ".25"}`],
      );
      return `{${blank}${members.join(`,${blank}`)}${blank}}`;
    }),
  );
  compare(options, [recordBatch(documents)], "keys");
});

test("rows wider than the kernel's room, and records larger than its input", () => {
  const options = { ...DECODER_DEFAULTS, fields: null };
  const list = (count: number): string => Array.from({ length: count }, (_, i) => i).join(",");
  const documents = [
    `{"s":"small","l":[1]}`,
    `{"s":"${"x".repeat(300_000)}","l":[]}`,
    `{"s":"${"y".repeat(200_000)}","l":[${list(10_000)}]}`,
    ...Array.from(
      { length: 3000 },
      (_, i) => `{"s":"${"z".repeat(i % 700)}","l":[${list(i % 9)}]}`,
    ),
  ];
  compare(options, [recordBatch(documents)], "large");
});

test("formats string and bytes", () => {
  const values = ["", "text", "é".repeat(20), "x".repeat(5000), null, Buffer.from([0xff, 0x41])];
  for (const format of ["string", "bytes"] as const) {
    const batch = recordBatch(Array.from({ length: 900 }, (_, i) => values[i % 6] ?? null));
    compare({ ...DECODER_DEFAULTS, format }, [batch], format);
  }
});

/** What a decoder makes of some batches, or the error, whether the kernel helps or not. */
function agree(options: Partial<DecoderOptions>, run: (decoder: Decoder) => unknown): void {
  const outcomes = (["always", true, false] as const).map((kernel) => {
    try {
      return run(createDecoder({ ...DECODER_DEFAULTS, ...options, kernel }));
    } catch (error) {
      return String(error);
    }
  });
  expect(outcomes[0]).toEqual(outcomes[2]);
  expect(outcomes[1]).toEqual(outcomes[2]);
}

function sealedRows(segment: SegmentBuilder): unknown {
  const sealed = segment.seal();
  checkLayout(sealed);
  return { fields: sealed.fields, rows: rowsOf(sealed) };
}

test("an open segment keeps its columns' order and types when the table's are adopted", () => {
  const fields = [optional("a", { kind: "string" }), optional("n", { kind: "int" })];
  const adopted = [
    optional("_kafka_offset", { kind: "long" }),
    optional("n", { kind: "long" }),
    optional("between", { kind: "double" }),
    optional("_kafka_key", { kind: "binary" }),
    optional("a", { kind: "string" }),
  ];
  const rows = ['{"a":"y","between":2.5,"n":7}', '{"a":"zz","n":77777777777}', '{"n":8}'];
  agree({ fields, metadataColumns: ["key", "offset"] }, (decoder) => {
    const begun = decoder.builder();
    begun.decode(recordBatch(['{"a":"x","n":1}']));
    decoder.adopt(adopted);
    const fresh = decoder.builder();
    const results = [fresh, begun, fresh].map((each) => each.decode(recordBatch(rows)));
    return [results, sealedRows(begun), sealedRows(fresh)];
  });
});

test("offsets before the batch's first, in any order, and the least timestamps", () => {
  const metadataColumns = ["offset", "timestamp", "headers"] as const;
  const record = (offsetDelta: number): RecordInput => {
    return { value: `{"a":${offsetDelta}}`, offsetDelta, headers: [["h", String(offsetDelta)]] };
  };
  for (const wantedOffset of [-10n, 0n, 93n, 103n, 1n << 40n]) {
    for (const appendTimestampMs of [null, -1, -(2 ** 60), 5]) {
      for (const baseOffset of [0n, 100n]) {
        const records = [record(5), record(-5), record(1), record(6), record(-(2 ** 31))];
        const batch = recordBatch(records, { baseOffset, wantedOffset, appendTimestampMs });
        agree({ fields: [optional("a", { kind: "long" })], metadataColumns }, (decoder) => {
          const segment = decoder.builder();
          return [segment.decode(batch), sealedRows(segment)];
        });
      }
    }
  }
});

test("numbers of records that have too many bytes, and counts of records that lie", () => {
  const padded = (value: bigint, size: number): Buffer => {
    const bytes = Array.from({ length: size }, (_, at) =>
      Number((value >> BigInt(7 * at)) & 0x7fn),
    );
    return Buffer.from(bytes.map((byte, at) => (at < size - 1 ? byte | 0x80 : byte)));
  };
  const value = Buffer.from('{"a":1}');
  const sizes = [1, 2, 5, 6, 9, 10, 11];
  const numbers = sizes.flatMap((size) => [padded(4n, size), padded(-1n, size)]);
  for (const [timestamp, offset] of [...numbers, varint(2n ** 62n)].flatMap((number) => [
    [varint(0), number],
    [number, varint(0)],
  ]) as [Buffer, Buffer][]) {
    const parts = [Buffer.of(0), timestamp, offset, varint(-1), varint(value.length), value];
    const body = Buffer.concat([...parts, varint(0)]);
    const payload = new Uint8Array(Buffer.concat([varint(body.length), body]));
    for (const recordCount of [-1, 0, 1, 2, 2 ** 31 - 1]) {
      agree(
        { fields: [optional("a", { kind: "long" })], metadataColumns: ["offset"] },
        (decoder) => {
          const segment = decoder.builder();
          segment.decode(recordBatch(['{"a":0}']));
          let result: unknown;
          try {
            result = segment.decode(recordBatch([], { payload, recordCount }));
          } catch (error) {
            result = String(error);
          }
          segment.decode(recordBatch(['{"a":2}']));
          return [result, sealedRows(segment)];
        },
      );
    }
  }
});
