/** Records that the kernel refuses: for the reasons of the TypeScript reader, which is not asked. */
import { describe, expect, test } from "bun:test";
import { createDecoder } from "#decode/createDecoder.ts";
import type { DecodeResult } from "#decode/decoder.ts";
import type { Format } from "#decode/format.ts";
import { formatOf } from "#decode/formatOf.ts";
import { DECODER_DEFAULTS, type DecoderOptions } from "#decode/options.ts";
import { type RecordInput, recordBatch } from "../../support/records.ts";
import { field } from "./support.ts";

const STRING = { kind: "string" } as const;
const FIELDS = [
  field("n", "long"),
  field("s", "string"),
  field("b", "boolean"),
  field("d", "double"),
  field("o", { kind: "struct", fields: [field("x", "int")] }),
  field("l", { kind: "list", element: field("element", STRING) }),
];
const OPTIONS: DecoderOptions = { ...DECODER_DEFAULTS, fields: FIELDS, infer: false };
const GOOD = '{"n":1,"s":"a","b":true,"d":1.5,"o":{"x":1},"l":["a"]}';

const bytes = (...parts: readonly (string | number)[]): Uint8Array =>
  new Uint8Array(
    Buffer.concat(
      parts.map((part) => (typeof part === "string" ? Buffer.from(part) : Buffer.of(part))),
    ),
  );

/** Values by the reason for which they are refused. */
const BAD: Readonly<Record<string, readonly (string | Uint8Array | null)[]>> = {
  bad_json: [
    GOOD.slice(0, -1),
    `${GOOD}}`,
    `${GOOD} x`,
    "",
    "  ",
    "{",
    "nul",
    '{"n":01}',
    '{"n":1.}',
    '{"n":}',
    '{"n" 1}',
    '{"n":1,}',
    '{"s":"a',
    '{"s":"a\n"}',
    '{"s":"\\x"}',
    '{"s":"\\ud800\\u12"}',
    '{"s":"\\',
    '{"l":["a",]}',
    '{"u":tru}',
  ],
  bad_utf8: [
    bytes('{"s":"', 0xff, '"}'),
    bytes('{"s":"', 0xe2, 0x82),
    bytes('{"', 0xc0, 0x80, '":1}'),
    '{"s":"\\ud800"}',
    '{"s":"\\udc00"}',
    '{"s":"\\ud800',
  ],
  too_deep: [
    `{"l":${"[".repeat(80)}${"]".repeat(80)}}`,
    `{"u":${'{"a":'.repeat(80)}`,
    "[".repeat(65),
  ],
  not_an_object: [`[${GOOD}]`, "1", " null ", '"text"', "[]"],
  null_value: [null],
  type_conflict: [
    '{"n":"1"}',
    '{"n":1,"s":2}',
    '{"b":1}',
    '{"d":{}}',
    '{"o":[]}',
    '{"o":{"x":"1"}}',
    '{"l":{}}',
    '{"l":["a",1]}',
    '{"n":"first","b":"second"}',
  ],
  bad_field_name: [
    '{"":1}',
    `{"${"x".repeat(1000)}":1}`,
    '{"o":{"":[1]}}',
    '{"":1,"n":"too late"}',
  ],
  ambiguous_field: ['{"N":1}', '{"o":{"X":2}}'],
};

/** Bad values between good ones, as many headers behind each as are no blank, comma or digit in its text. */
function batchOf(values: readonly (string | Uint8Array | null)[], headers: number) {
  const some = Array.from({ length: headers }, (_, n) => [`h${n}`, ","] as const);
  const records = values.flatMap((value): RecordInput[] => [
    { value: GOOD },
    { value, headers: some, key: "k" },
  ]);
  return recordBatch([...records, GOOD], { baseOffset: 40n });
}

/** JSON whose reader is not to be used. */
function unread(options: DecoderOptions): Format {
  const real = formatOf(options);
  return {
    ...real,
    reader: (columns, schema) => {
      const reader = real.reader(columns, schema);
      return Object.defineProperty(reader, "read", {
        value: () => {
          throw new Error("the reader was asked");
        },
      });
    },
  };
}

function outcome(
  options: DecoderOptions,
  values: readonly (string | Uint8Array | null)[],
  headers: number,
  format?: Format,
): DecodeResult {
  const segment = createDecoder(options, format).builder();
  const result = segment.decode(batchOf(values, headers));
  expect(segment.rowCount).toBe(values.length + 1);
  return result;
}

describe("a record is refused by the kernel as by the reader, whatever lies behind it", () => {
  for (const [reason, values] of Object.entries(BAD)) {
    // A count of headers is the byte behind a value: none, a line's end, a blank, a comma, a digit, a colon.
    for (const headers of [0, 5, 16, 22, 24, 29]) {
      test(`${reason}, ${headers} headers`, () => {
        const kernel = outcome({ ...OPTIONS, kernel: "always" }, values, headers, unread(OPTIONS));
        const straight = outcome(
          { ...OPTIONS, kernel: "straight" },
          values,
          headers,
          unread(OPTIONS),
        );
        const host = outcome({ ...OPTIONS, kernel: false }, values, headers);
        expect(kernel).toEqual(host);
        expect(straight).toEqual(host);
        expect(host.rejected.map((each) => each.reason)).toEqual(values.map(() => reason as never));
      });
    }
  }
});

const OTHERS: Readonly<Record<string, Partial<DecoderOptions>>> = {
  "where what does not fit is kept": { onUnknownField: "rescue", onTypeConflict: "rescue" },
  "where unknown fields refuse their record": { onUnknownField: "dead_letter" },
  "where unknown fields are ignored": { onUnknownField: "ignore" },
  "where names are found whatever their case": { matchColumns: "ignore-case" },
  "where a table is full": { maxColumns: 3 },
  "where metadata may be missing": { metadataColumns: ["key", "timestamp"] },
};

describe("every policy has the same outcome with the kernel", () => {
  const values = [
    ...Object.values(BAD).flat(),
    '{"n":"x","n":2}',
    '{"a":1,"\\u0061":2,"n":"x"}',
    '{"n":1.5}',
  ];
  for (const [name, policy] of Object.entries(OTHERS)) {
    test(name, () => {
      const all = [false, "always", "straight"] as const;
      const outcomes = all.map((kernel) => {
        const segment = createDecoder({ ...OPTIONS, ...policy, kernel }).builder();
        const { rows, rejected } = segment.decode(batchOf(values, 0));
        return { rows, rejected };
      });
      for (const each of outcomes) expect<unknown>(each).toEqual(outcomes[0]);
    });
  }
});

/** Bad values whose reasons the kernel tells. */
const REFUSED: Readonly<Record<string, string | null>> = {
  bad_json: "{",
  type_conflict: '{"n":"1"}',
  null_value: null,
  ambiguous_field: '{"N":1}',
};
const MANY = Array.from({ length: 300 }, (_, index) => field(`s${index}`, STRING));
/** Good values that the kernel leaves to the host without a reason, and the fields of their tables. */
const TOO_LARGE = {
  "a list longer than its column": [FIELDS, `{"n":1,"l":[${'"secret",'.repeat(4999)}"a"]}`],
  "a record longer than the kernel's input": [FIELDS, `{"n":1,"s":"${"secret".repeat(50_000)}"}`],
  "a text longer than the room of one of 300 columns": [
    [...FIELDS, ...MANY],
    `{"n":1,"s":"${"secret".repeat(1500)}"}`,
  ],
} as const;

const good = (count: number): string[] => Array.from({ length: count }, () => GOOD);

/** What comes of values, from index `cut` on in another batch: of the same segment, and of the next one. */
function outcomeOfTwo(
  options: DecoderOptions,
  values: readonly (string | null)[],
  cut: number,
): readonly DecodeResult[] {
  const decoder = createDecoder(options);
  const first = decoder.builder();
  const second = recordBatch([...values.slice(cut), ...good(30)], { baseOffset: BigInt(cut) });
  return [
    first.decode(recordBatch(values.slice(0, cut))),
    first.decode(second),
    decoder.builder().decode(second),
  ];
}

describe("a record without room in the kernel is not refused for what an earlier one was", () => {
  for (const [large, [fields, value]] of Object.entries(TOO_LARGE)) {
    for (const [reason, bad] of Object.entries(REFUSED)) {
      for (const between of [0, 1, 40]) {
        test(`${large} behind ${reason}, ${between} good ones between`, () => {
          const values = [...good(30), bad, ...good(between), value, GOOD];
          // All in one batch, or the bad one in the first and the large one in the second.
          for (const cut of [values.length, values.length - 2]) {
            const host = outcomeOfTwo({ ...OPTIONS, fields, kernel: false }, values, cut);
            const rejected = host.flatMap((each) => each.rejected.map((one) => one.reason));
            expect<unknown>(rejected).toEqual([reason]);
            for (const kernel of ["always", "straight", true] as const) {
              expect(outcomeOfTwo({ ...OPTIONS, fields, kernel }, values, cut)).toEqual(host);
            }
          }
        });
      }
    }
  }
});
