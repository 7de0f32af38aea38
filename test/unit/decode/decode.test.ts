/** Decoding batches: records, coordinates, formats, limits, and what errors leave behind. */
import { expect, test } from "bun:test";
import { AppError } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import { DECODER_DEFAULTS, type DecoderOptions } from "#decode/options.ts";
import { rowsOf } from "../../support/columnValues.ts";
import { recordBatch, varint } from "../../support/records.ts";
import { decode, field, makeDecoder } from "./support.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

test("metadata columns hold the record's coordinates, key and headers", () => {
  const decoder = makeDecoder({
    format: "string",
    onTombstone: "null_row",
    metadataColumns: ["topic", "partition", "offset", "timestamp", "key", "headers"],
    metadataPrefix: "k_",
  });
  const { rows, result } = decode(
    decoder,
    [
      {
        value: "a",
        key: "id",
        headers: [
          ["h", "1"],
          ["h", null],
        ],
      },
      { value: null, timestampDelta: -5000, offsetDelta: 7 },
    ],
    { baseOffset: 2n ** 53n + 1n },
  );
  expect(rows).toEqual([
    {
      value: "a",
      k_topic: "events",
      k_partition: 3,
      k_offset: 2n ** 53n + 1n,
      k_timestamp: 1_760_000_000_000_000n,
      k_key: "6964",
      k_headers: [
        { key: "h", value: "31" },
        { key: "h", value: null },
      ],
    },
    {
      value: null,
      k_topic: "events",
      k_partition: 3,
      k_offset: 2n ** 53n + 8n,
      k_timestamp: 1_759_999_995_000_000n,
      k_key: null,
      k_headers: [],
    },
  ]);
  expect(result.timestampMsMax).toBe(1_760_000_000_000);
});

test("offsets carry over 2^32 within a batch", () => {
  const decoder = makeDecoder({ format: "bytes", metadataColumns: ["offset"] });
  const { rows } = decode(decoder, ["a", "b", "c"], { baseOffset: 2n ** 32n - 2n });
  expect(rows.map((row) => row["_kafka_offset"])).toEqual([
    2n ** 32n - 2n,
    2n ** 32n - 1n,
    2n ** 32n,
  ]);
});

test("LogAppendTime is every record's timestamp; no timestamp is null", () => {
  const decoder = makeDecoder({ format: "bytes", metadataColumns: ["timestamp"] });
  const appended = decode(decoder, ["a", "b"], { appendTimestampMs: 5 });
  expect(appended.rows.map((row) => row["_kafka_timestamp"])).toEqual([5000n, 5000n]);
  expect(appended.result.timestampMsMax).toBe(5);
  const none = decode(decoder, [{ value: "a", timestampDelta: 0 }], { baseTimestampMs: -1 });
  expect(none.rows).toEqual([{ value: "61", _kafka_timestamp: null }]);
});

test("a header key that is not UTF-8 does not spoil the column", () => {
  const decoder = makeDecoder({ format: "bytes", metadataColumns: ["headers"] });
  const good = recordBatch([{ value: "v", headers: [["k", "1"]] }]);
  const payload = good.payload.map((byte) => (byte === 0x6b ? 0xff : byte));
  const segment = decoder.builder();
  segment.decode({ ...good, payload });
  expect(rowsOf(segment.seal())).toEqual([
    { value: "76", _kafka_headers: [{ key: "\ufffd", value: "31" }] },
  ]);
});

test("records below the wanted offset are skipped, not counted as rejected", () => {
  const records = ["bad", "bad", '{"a":1}', '{"a":2}'];
  const { rows, result } = decode(makeDecoder(), records, { wantedOffset: 12n, baseOffset: 10n });
  expect(rows).toEqual([{ a: 1n }, { a: 2n }]);
  expect(result).toMatchObject({ rows: 2, skipped: 2, rejected: [] });
});

test("string refuses values that are not UTF-8, bytes takes anything", () => {
  const records = [Uint8Array.of(0xff), utf8("日"), null];
  const text = decode(makeDecoder({ format: "string", onTombstone: "null_row" }), records);
  expect(text.reasons).toEqual(["0 bad_utf8"]);
  expect(text.rows).toEqual([{ value: "日" }, { value: null }]);
  const bytes = decode(makeDecoder({ format: "bytes", onTombstone: "null_row" }), records);
  expect(bytes.rows).toEqual([{ value: "ff" }, { value: "e697a5" }, { value: null }]);
});

test("a rejected record names topic, partition, offset, timestamp and field, and carries its bytes", () => {
  const decoder = makeDecoder({ fields: [field("amount", "long")] });
  const bad = { key: "k", value: '{"amount":"secret"}', headers: [["h", null]] } as const;
  const { result, rows } = decode(decoder, ['{"amount":1}', bad], { baseOffset: 40n });
  expect(rows).toEqual([{ amount: 1n }]);
  expect(result.rejected).toEqual([
    {
      topic: "events",
      partition: 3,
      offset: 41n,
      timestampMs: 1_760_000_000_001,
      reason: "type_conflict",
      detail: 'Field "amount" does not fit the type of its column',
      record: {
        key: utf8("k"),
        value: utf8('{"amount":"secret"}'),
        headers: Uint8Array.of(2, 0x68, 1),
      },
    },
  ]);
});

test("on_tombstone says what becomes of records without a value, in every format", () => {
  const records = [
    { key: "a", value: '{"a":1}' },
    { key: "b", value: null },
    { key: "c", value: '{"a":2}' },
  ];
  const outcomes = (options: Partial<DecoderOptions>): unknown => {
    const both = (["always", false] as const).map((kernel) => {
      const decoder = makeDecoder({ metadataColumns: ["offset", "key"], kernel, ...options });
      const { rows, reasons, result } = decode(decoder, records);
      return [rows.map((row) => row["_kafka_offset"]), reasons, result.skipped];
    });
    expect(both[0]).toEqual(both[1]);
    return both[0];
  };
  for (const format of ["json", "string", "bytes"] as const) {
    const fields = format === "json" ? [field("a", "long")] : null;
    expect(outcomes({ format, fields, onTombstone: "null_row" })).toEqual([[0n, 1n, 2n], [], 0]);
    expect(outcomes({ format, fields, onTombstone: "skip" })).toEqual([[0n, 2n], [], 1]);
    expect(outcomes({ format, fields, onTombstone: "dead_letter" })).toEqual([
      ...[[0n, 2n], ["1 null_value"], 0],
    ]);
  }
  const required = { fields: [field("a", "long", true)], onTombstone: "null_row" } as const;
  expect(outcomes(required)).toEqual([[0n, 2n], ["1 missing_field"], 0]);
});

test("each kind of bad value has its reason, and good rows around are untouched", () => {
  const cases: [string | Uint8Array | null, string][] = [
    ["", "bad_json"],
    ["{", "bad_json"],
    ['{"a":1}{}', "bad_json"],
    ['{"a":1,}', "bad_json"],
    ['\ufeff{"a":1}', "bad_json"],
    ["[]", "not_an_object"],
    ["1", "not_an_object"],
    ["nul", "bad_json"],
    [null, "null_value"],
    [Uint8Array.of(...utf8('{"a":"'), 0xc3, ...utf8('"}')), "bad_utf8"],
    ['{"zz":"\\ud800"}', "bad_utf8"],
    ['{"a":1e19}', "type_conflict"],
    ['{"a":18446744073709551616}', "type_conflict"],
    ['{"a":1.5}', "type_conflict"],
    ['{"a":"1"}', "type_conflict"],
    ['{"a":"x","b":broken}', "bad_json"],
  ];
  for (const [value, reason] of cases) {
    const decoder = makeDecoder({ fields: [field("a", "long")] });
    const { rows, reasons } = decode(decoder, ['{"a":1}', value, '{"a":2}']);
    expect([value, ...reasons]).toEqual([value, `1 ${reason}`]);
    expect(rows).toEqual([{ a: 1n }, { a: 2n }]);
  }
});

test("depth and size bombs are data errors; the deepest allowed nesting is read", () => {
  const nest = (depth: number): string => `{"x":${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}}`;
  const max = LIMITS.jsonDepthMax;
  const huge = new Uint8Array(LIMITS.recordBytesMax + 1).fill(0x20);
  const documents = [nest(max), nest(max + 1), "[".repeat(1e6), '{"x":'.repeat(1e5), huge];
  const { reasons, rows } = decode(makeDecoder(), documents);
  expect(reasons).toEqual(["1 too_deep", "2 too_deep", "3 too_deep", "4 too_large"]);
  expect(rows).toEqual([{}]);
  const struct = (depth: number): string => `${'{"s":'.repeat(depth)}1${"}".repeat(depth)}`;
  const evolved = decode(makeDecoder(), [struct(max), struct(max + 1)]);
  expect(evolved.reasons).toEqual(["1 too_deep"]);
});

test("a record of tens of millions of values is refused before it takes the memory", () => {
  const members = Array.from({ length: 20 }, (_, index) => field(`c${index}`, "long"));
  const fields = [
    field("l", { kind: "list", element: field("element", "long") }),
    field("s", { kind: "list", element: field("element", { kind: "struct", fields: members }) }),
    field("m", {
      kind: "map",
      key: field("key", "string", true),
      value: field("value", { kind: "struct", fields: members }),
    }),
  ];
  const keys = Array.from({ length: 200_000 }, (_, index) => `"${index}":{}`);
  const documents = [
    `{"l":[${"1,".repeat(2_500_000)}1]}`,
    `{"s":[${"{},".repeat(200_000)}{}]}`,
    `{"m":{${keys.join(",")}}}`,
    `{${'"l":[],'.repeat(2_200_000)}"l":[1]}`,
    '{"l":[1]}',
  ];
  for (const kernel of ["always", false] as const) {
    const segment = makeDecoder({ fields, kernel }).builder();
    const result = segment.decode(recordBatch(documents));
    expect(result.rejected.map(({ reason }) => reason)).toEqual(Array(4).fill("too_many_values"));
    expect(segment.byteCount).toBeLessThan(128 * 1024 * 1024);
    expect(rowsOf(segment.seal())).toEqual([{ l: [1n], s: null, m: null }]);
  }
}, 60_000);

test("a number of a million digits costs no exception and no time", () => {
  const digits = "9".repeat(1_000_000);
  const decoder = makeDecoder({ fields: [field("a", "long"), field("d", "double")] });
  const { reasons } = decode(decoder, [
    `{"a":${digits}}`,
    `{"d":${digits}}`,
    `{"a":1e${digits}}`,
    `{"d":0.${digits}}`,
  ]);
  expect(reasons).toEqual(["0 type_conflict", "1 type_conflict", "2 type_conflict"]);
});

test("on_type_conflict fail throws a data error with the coordinates, and the batch leaves no trace", () => {
  const decoder = makeDecoder({ fields: [field("a", "long")], onTypeConflict: "fail" });
  const segment = decoder.builder();
  segment.decode(recordBatch(['{"a":1}']));
  let error: unknown;
  try {
    segment.decode(recordBatch(['{"a":2}', '{"a":"x"}'], { baseOffset: 5n }));
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(AppError);
  expect(error).toMatchObject({
    kind: "data",
    context: { topic: "events", partition: 3, offset: 6n },
  });
  expect(segment.rowCount).toBe(1);
  expect(rowsOf(segment.seal())).toEqual([{ a: 1n }]);
});

test("a batch whose lengths lie is batch_corrupt, and leaves no trace", () => {
  const good = recordBatch(['{"a":1}', '{"a":2}']);
  const cases: Partial<typeof good>[] = [
    { payload: good.payload.subarray(0, good.payload.length - 3) },
    { recordCount: 3 },
    { payload: Uint8Array.from([...varint(5), 0, 0, 0, ...varint(100), 0]) },
    { payload: Uint8Array.from([...varint(6), 0, 0, 0, 1, ...varint(100)]) },
    { payload: new Uint8Array(20).fill(0xff) },
    { payload: Uint8Array.from([...varint(-4)]) },
    { payload: Uint8Array.from([...varint(12), 0, ...new Uint8Array(11).fill(0x80)]) },
  ];
  for (const change of cases) {
    const segment = makeDecoder({ fields: [field("a", "long")] }).builder();
    expect(() => segment.decode({ ...good, ...change })).toThrow(/does not fit|record batch holds/);
    expect(segment.rowCount).toBe(0);
    expect(rowsOf(segment.seal())).toEqual([]);
  }
});

test("headers whose lengths lie are batch_corrupt", () => {
  const good = recordBatch([{ value: "v", headers: [["k", "1"]] }]);
  const at = good.payload.length;
  for (const [back, byte] of [
    [2, 100],
    [4, 101],
    [4, 100],
  ] as const) {
    const payload = good.payload.slice();
    payload[at - back] = byte;
    const segment = makeDecoder({ format: "bytes", metadataColumns: ["headers"] }).builder();
    expect(() => segment.decode({ ...good, payload })).toThrow("header");
    expect(segment.rowCount).toBe(0);
  }
});

test("a document that ends early never reads on into the next record", () => {
  const decoder = makeDecoder({ fields: [field("a", "string"), field("b", "long")] });
  const { rows, reasons } = decode(decoder, ['{"a":"open', '","b":1}', '{"b":12', '{"b":3} ']);
  expect(reasons).toEqual(["0 bad_json", "1 bad_json", "2 bad_json"]);
  expect(rows).toEqual([{ a: null, b: 3n }]);
});

test("required fields that are null or missing reject the record", () => {
  const inner = { kind: "struct", fields: [field("x", "long", true)] } as const;
  const decoder = makeDecoder({ fields: [field("id", "long", true), field("s", inner)] });
  const { rows, reasons } = decode(decoder, [
    '{"id":1}',
    "{}",
    '{"id":null}',
    '{"id":2,"s":{}}',
    '{"id":3,"s":{"x":1}}',
  ]);
  expect(reasons).toEqual(["1 missing_field", "2 missing_field", "3 missing_field"]);
  expect(rows).toEqual([
    { id: 1n, s: null },
    { id: 3n, s: { x: 1n } },
  ]);
});

test("of duplicate keys the last one counts, also nested, and also when an earlier one did not fit", () => {
  const fields = [
    field("a", "long"),
    field("s", { kind: "struct", fields: [field("x", "long"), field("y", "string")] }),
    field("l", { kind: "list", element: field("element", "long") }),
  ];
  const { rows, reasons } = decode(makeDecoder({ fields }), [
    '{"a":1,"s":{"x":1,"y":"p"},"l":[1,2],"a":2,"s":{"x":3,"x":4},"l":[5]}',
    '{"a":"bad","a":9007199254740993,"s":{"x":"bad","x":1}}',
    '{"a":1,"a":null}',
    '{"a":1,"a":"bad"}',
  ]);
  expect(rows).toEqual([
    { a: 2n, s: { x: 4n, y: null }, l: [5n] },
    { a: 9007199254740993n, s: { x: 1n, y: null }, l: null },
    { a: null, s: null, l: null },
  ]);
  expect(reasons).toEqual(["3 type_conflict"]);
});

test("keys come in any order, with escapes and white space, and are the same keys", () => {
  const decoder = makeDecoder({
    fields: [field("a", "long"), field("é", "long"), field('q"', "long")],
  });
  const { rows } = decode(decoder, [
    '{"a":1,"é":2,"q\\"":3}',
    '{ "q\\u0022" : 3 , "\\u00e9" : 2 , "\\u0061" : 1 }',
    '{"é":2,"a":1,"q\\"":3}',
  ]);
  const row = { a: 1n, é: 2n, 'q"': 3n };
  expect(rows).toEqual([row, row, row]);
});

test("two declared columns of one name, also by case or with a metadata column, are a usage error", () => {
  const make = (...names: string[]): unknown =>
    createDecoder({ ...DECODER_DEFAULTS, fields: names.map((name) => field(name, "long")) });
  expect(() => make("a", "A")).toThrow('Two columns are called "A"');
  expect(() => make("_kafka_offset")).toThrow("_kafka_offset");
});

test("an empty segment costs little, and byteCount covers what is held", () => {
  const decoder = makeDecoder({
    fields: Array.from({ length: 50 }, (_, i) => field(`c${i}`, "string")),
  });
  const segment = decoder.builder();
  expect(segment.byteCount).toBeLessThan(50 * 64);
  segment.decode(recordBatch([`{"c0":"${"x".repeat(100_000)}"}`]));
  expect(segment.byteCount).toBeGreaterThan(100_000);
});
