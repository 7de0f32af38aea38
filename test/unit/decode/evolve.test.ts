/** Inference and evolution: what documents teach, and what they must not. */
import { expect, test } from "bun:test";
import { typeName } from "#columns/evolve.ts";
import type { Decoder } from "#decode/decoder.ts";
import type { DecoderOptions } from "#decode/options.ts";
import { rowsOf } from "../../support/columnValues.ts";
import { recordBatch } from "../../support/records.ts";
import { decode, field, makeDecoder } from "./support.ts";

const describe = (decoder: Decoder): string[] =>
  decoder.fields.map((each) => `${each.name} ${typeName(each.type)}`);

test("sample learns types in the order first seen; any fraction makes a double", () => {
  const decoder = makeDecoder();
  expect(decoder.needsSample).toBe(true);
  decoder.sample([
    recordBatch(['{"n":1,"s":"x","2":true}', '{"l":[],"o":{},"z":null,"n":2}']),
    recordBatch(['{"n":2.5,"l":[1,null,2e0],"o":{"a":{"b":[["x"]]}}}', "broken", "[1]"]),
  ]);
  expect(decoder.needsSample).toBe(false);
  expect(describe(decoder)).toEqual([
    "n double",
    "s string",
    "2 boolean",
    "l list<double>",
    "o struct<a: struct<b: list<list<string>>>>",
  ]);
});

test("sample looks at inferRows records and skips those below the wanted offset", () => {
  const decoder = makeDecoder({ inferRows: 2 });
  const records = ['{"old":1}', '{"a":1}', null, '{"b":1}', '{"c":1}'];
  decoder.sample([recordBatch(records, { wantedOffset: 1n })]);
  expect(describe(decoder)).toEqual(["a long", "b long"]);
});

test("where kinds differ the first typed one counts and the others are type conflicts", () => {
  const decoder = makeDecoder();
  const documents = ['{"a":{},"b":[1,"x"]}', '{"a":"s"}', '{"a":{"x":1}}', '{"b":[2]}'];
  const { rows, reasons } = decode(decoder, documents);
  expect(describe(decoder)).toEqual(["a string", "b list<long>"]);
  expect(reasons).toEqual(["0 type_conflict", "2 type_conflict"]);
  expect(rows).toEqual([
    { a: "s", b: null },
    { a: null, b: [2n] },
  ]);
});

test("null, [] and {} create nothing, and cost no second pass", () => {
  const decoder = makeDecoder({ fields: [field("a", "long")] });
  const { rows } = decode(decoder, ['{"a":1,"x":null,"y":[],"z":{"w":[{}]}}']);
  expect(rows).toEqual([{ a: 1n }]);
  expect(describe(decoder)).toEqual(["a long"]);
});

test("new fields appear inside structs, list elements and map values, null in older rows", () => {
  const map = {
    kind: "map",
    key: field("key", "string", true),
    value: field("value", { kind: "struct", fields: [field("p", "long")] }),
  } as const;
  const decoder = makeDecoder({ fields: [field("m", map)] });
  const segment = decoder.builder();
  segment.decode(recordBatch(['{"s":{"a":1},"l":[{"a":1}],"m":{"k":{"p":1}}}']));
  segment.decode(recordBatch(['{"s":{"b":"x"},"l":[{"b":2.5},{"a":3}],"m":{"k":{"q":"y"}}}']));
  expect(describe(decoder)).toEqual([
    "m map<string, struct<p: long, q: string>>",
    "s struct<a: long, b: string>",
    "l list<struct<a: long, b: double>>",
  ]);
  expect(rowsOf(segment.seal())).toEqual([
    { m: new Map([["k", { p: 1n, q: null }]]), s: { a: 1n, b: null }, l: [{ a: 1n, b: null }] },
    {
      m: new Map([["k", { p: null, q: "y" }]]),
      s: { a: null, b: "x" },
      l: [
        { a: null, b: 2.5 },
        { a: 3n, b: null },
      ],
    },
  ]);
});

test("a segment opened before the schema grew takes the new columns with its next batch", () => {
  const decoder = makeDecoder();
  const [early, late] = [decoder.builder(), decoder.builder()];
  early.decode(recordBatch(['{"a":1}']));
  late.decode(recordBatch(['{"b":2}']));
  early.decode(recordBatch(['{"b":3}']));
  expect(rowsOf(early.seal())).toEqual([
    { a: 1n, b: null },
    { a: null, b: 3n },
  ]);
  expect(rowsOf(late.seal())).toEqual([{ a: null, b: 2n }]);
});

test("a broken record teaches nothing, also when its broken part comes after a new field", () => {
  const decoder = makeDecoder();
  const { reasons } = decode(decoder, ['{"new":1', '{"new":1}x', '{"a":1}']);
  expect(describe(decoder)).toEqual(["a long"]);
  expect(reasons).toEqual(["0 bad_json", "1 bad_json"]);
});

test("a record that is refused for another field's type teaches nothing", () => {
  const decoder = makeDecoder({ fields: [field("a", "long")] });
  expect(decode(decoder, ['{"new":1,"a":"x"}']).reasons).toEqual(["0 type_conflict"]);
  expect(describe(decoder)).toEqual(["a long"]);
});

test("on_unknown_field ignore drops what has no column, dead_letter rejects its records", () => {
  const fields = [field("a", "long"), field("s", { kind: "struct", fields: [field("x", "long")] })];
  const documents = ['{"a":1,"b":2}', '{"s":{"x":1,"y":[{"z":0}]}}', '{"a":3,"b":null}'];
  const ignoring = decode(makeDecoder({ fields, onUnknownField: "ignore" }), documents);
  expect(ignoring.rows).toEqual([
    { a: 1n, s: null },
    { a: null, s: { x: 1n } },
    { a: 3n, s: null },
  ]);
  const strict = decode(makeDecoder({ fields, onUnknownField: "dead_letter" }), documents);
  expect(strict.reasons).toEqual(["0 unknown_field", "1 unknown_field"]);
  expect(strict.result.rejected[1]?.detail).toBe('Field "s.y" is not in the schema');
});

test("a sentence about a field names its full path, at any depth and flattened, and stays short", () => {
  const inner = field("x", "long", true);
  const struct = { kind: "struct", fields: [inner, field("y", "long")] } as const;
  const fields = [
    field("s", { kind: "struct", fields: [field("t", struct)] }),
    field("l", { kind: "list", element: field("element", struct) }),
  ];
  const detailOf = (options: Partial<DecoderOptions>, document: string): string | undefined =>
    decode(makeDecoder(options), [document]).result.rejected[0]?.detail;
  const cases: readonly (readonly [string, string])[] = [
    ['{"s":{"t":{"x":"no"}}}', "s.t.x"],
    ['{"s":{"t":{"y":1}}}', "s.t.x"],
    ['{"l":[{"x":1,"y":true}]}', "l.element.y"],
    ['{"l":[{"x":null}]}', "l.element.x"],
    ['{"l":[{"x":1,"new":1}]}', "l.element.new"],
    ['{"s":{"t":5}}', "s.t"],
  ];
  for (const [document, path] of cases) {
    expect(detailOf({ fields, onUnknownField: "dead_letter" }, document)).toContain(`"${path}"`);
  }
  const flat = { fields: [field("a_b_c", "long")], flattenSeparator: "_" };
  expect(detailOf(flat, '{"a":{"b":{"c":"no"}}}')).toContain('"a_b_c"');
  expect(detailOf(flat, '{"a":{"b":7}}')).toContain('"a_b"');
  const strict = { ...flat, onUnknownField: "dead_letter" } as const;
  expect(detailOf(strict, '{"a":{"b":{"d":1}}}')).toContain('"a_b_d"');
  expect(detailOf({}, `{"${"k".repeat(5_000_000)}":1}`)?.length).toBeLessThan(500);
});

test("no column gets a name that is too long, or that Iceberg keeps for itself", () => {
  const long = "k".repeat(256);
  const decoder = makeDecoder({ flattenSeparator: null });
  const documents = [
    `{"${long}":1}`,
    `{"a":{"${long}":1,"b":2}}`,
    ...["_file", "_POS", "_partition", "_row_id", "_change_type"].map((name) => `{"${name}":1}`),
    `{"${long.slice(1)}":1,"a":{"_file":1},"_files":2}`,
  ];
  const { reasons, names } = decode(decoder, documents);
  expect(reasons).toEqual([
    ...["0 bad_field_name", "1 bad_field_name"],
    ...Array.from({ length: 5 }, (_, index) => `${index + 2} reserved_field_name`),
  ]);
  expect(names).toEqual(["a", long.slice(1), "_files"]);
  const flat = decode(makeDecoder({ flattenSeparator: "_" }), ['{"":{"file":1},"b":1}', '{"b":1}']);
  expect(flat.reasons).toEqual(["0 bad_field_name"]);
  expect(() => makeDecoder({ fields: [field("_File", "long")] })).toThrow("keeps that name");
  const prefixed = { metadataColumns: ["partition"], metadataPrefix: "_" } as const;
  expect(() => makeDecoder(prefixed)).toThrow("source.metadata_prefix");
});

test("names that differ only by case, or are empty, reject their records and lose nothing silently", () => {
  const decoder = makeDecoder();
  const documents = ['{"userId":1}', '{"userid":2}', '{"":3}', '{"o":{"A":1,"a":2}}', '{"":null}'];
  const { reasons, names } = decode(decoder, documents);
  expect(reasons).toEqual(["1 ambiguous_field", "2 bad_field_name", "3 ambiguous_field"]);
  expect(names).toEqual(["userId", "o"]);
});

test("an object whose only member has no usable name is refused, and decoding ends", () => {
  const { reasons } = decode(makeDecoder(), ['{"o":{"":1}}', '{"a":1}']);
  expect(reasons).toEqual(["0 bad_field_name"]);
});

test("a field named like a metadata column is refused, however the schema came about", () => {
  const decoder = makeDecoder({ metadataColumns: ["offset"] });
  const { reasons, rows } = decode(decoder, [
    '{"_KAFKA_offset":9}',
    '{"a":1,"_kafka_offset":null}',
  ]);
  expect(reasons).toEqual(["0 ambiguous_field"]);
  expect(rows).toEqual([{ a: 1n, _kafka_offset: 1n }]);
});

test("beyond max_columns new fields reject their records, known ones go on", () => {
  const decoder = makeDecoder({ maxColumns: 3 });
  const segment = decoder.builder();
  const first = segment.decode(recordBatch(['{"a":1,"s":{"x":1,"y":2,"z":3}}', '{"a":2}']));
  expect(describe(decoder)).toEqual(["a long", "s struct<x: long, y: long>"]);
  expect(first.rejected.map((reject) => reject.reason)).toEqual(["too_many_columns"]);
  const second = segment.decode(recordBatch(['{"a":3,"b":1}', '{"a":4,"b":[]}']));
  expect(second.rows).toBe(1);
  expect(second.rejected[0]?.detail).toContain('"b"');
});

test("adopt takes the table's types and order, keeps what is not there yet, and needs no sample", () => {
  const decoder = makeDecoder({ metadataColumns: ["offset"] });
  decoder.adopt([
    { ...field("price", "double"), id: 1 },
    { ...field("day", "date"), id: 2 },
  ]);
  expect(decoder.needsSample).toBe(false);
  const { rows } = decode(decoder, ['{"price":1,"day":"1970-01-02","extra":true}']);
  expect(rows).toEqual([{ price: 1, day: 1, _kafka_offset: 0n, extra: true }]);
  expect(decoder.fields.map((each) => each.id)).toEqual([1, 2, 0, 0]);
});

test("adopting its own first columns back does not end the sampling of a new table", () => {
  const decoder = makeDecoder({ metadataColumns: ["offset"], eventTimeField: "ts" });
  decoder.adopt(decoder.fields.map((each, index) => ({ ...each, id: index + 1 })));
  expect(decoder.needsSample).toBe(true);
  decoder.sample([recordBatch(['{"v":0.5,"ts":1}'])]);
  expect(describe(decoder)).toEqual(["ts timestamptz", "_kafka_offset long", "v double"]);
});

test("own columns keep their types when the table's differ", () => {
  const decoder = makeDecoder({ metadataColumns: ["offset", "timestamp"] });
  decoder.adopt([
    { ...field("_kafka_timestamp", "string"), id: 1 },
    { ...field("_kafka_offset", "long"), id: 2 },
  ]);
  expect(describe(decoder)).toEqual(["_kafka_timestamp timestamptz", "_kafka_offset long"]);
  const raw = makeDecoder({ format: "bytes" });
  raw.adopt([
    { ...field("other", "long"), id: 1 },
    { ...field("value", "long"), id: 2 },
  ]);
  expect(decode(raw, ["x"]).rows).toEqual([{ other: null, value: "78" }]);
});

test("flatten makes columns of nested objects, whatever way the separator splits the name", () => {
  const decoder = makeDecoder({ flattenSeparator: "_" });
  const documents = [
    '{"device":{"os":"ios","screen_size":{"w":1}},"tags":[{"a":1}],"plain":2}',
    '{"device_os":"web","device":{"screen":{"size":{"w":5}}}}',
    '{"device":null,"plain":3}',
    '{"device":{"os":"a","new":true}}',
  ];
  const { rows, reasons } = decode(decoder, documents);
  expect(reasons).toEqual([]);
  expect(describe(decoder)).toEqual([
    "device_os string",
    "device_screen_size_w long",
    "tags list<struct<a: long>>",
    "plain long",
    "device_new boolean",
  ]);
  expect(
    rows.map((row) => [row["device_os"], row["device_screen_size_w"], row["device_new"]]),
  ).toEqual([
    ["ios", 1n, null],
    ["web", 5n, null],
    [null, null, null],
    ["a", null, true],
  ]);
});

test("flatten: of duplicate keys the last one counts, and a scalar for an object is a conflict", () => {
  const fields = [field("a.b", "long"), field("a.c", "long")];
  const decoder = makeDecoder({ flattenSeparator: ".", fields });
  const { rows, reasons } = decode(decoder, [
    '{"a":{"b":1},"a":{"b":2}}',
    '{"a":7}',
    '{"a":{"b":1},"a":{"c":2}}',
    '{"a":{"b":1},"a":null}',
  ]);
  expect(rows).toEqual([
    { "a.b": 2n, "a.c": null },
    { "a.b": null, "a.c": 2n },
    { "a.b": null, "a.c": null },
  ]);
  expect(reasons).toEqual(["1 type_conflict"]);
});

test("flatten: two places of a record that are one column are refused, not dropped silently", () => {
  const decoder = makeDecoder({ flattenSeparator: "_" });
  const { rows, reasons } = decode(decoder, [
    '{"a":{"b":1},"a_b":2}',
    '{"a_b":2}',
    '{"a":{"b":1}}',
  ]);
  expect(rows).toEqual([{ a_b: 2n }, { a_b: 1n }]);
  expect(reasons).toEqual(["0 colliding_field"]);
});

test("a name with many separators compiles quickly", () => {
  const name = Array.from({ length: 40 }, (_, i) => `p${i}`).join("_");
  const decoder = makeDecoder({ flattenSeparator: "_", fields: [field(name, "long")] });
  expect(decode(decoder, [`{"${name}":1}`]).rows).toEqual([{ [name]: 1n }]);
});

test("a required flattened column may come by either way of writing it", () => {
  const fields = [field("a_b", "long", true), field("a_c", "long")];
  const decoder = makeDecoder({ flattenSeparator: "_", fields });
  const { rows, reasons } = decode(decoder, [
    '{"a":{"c":1},"a_b":2}',
    '{"a":{"b":3}}',
    '{"a":{"c":4}}',
    "{}",
  ]);
  expect(rows).toEqual([
    { a_b: 2n, a_c: 1n },
    { a_b: 3n, a_c: null },
  ]);
  expect(reasons).toEqual(["2 missing_field", "3 missing_field"]);
});
