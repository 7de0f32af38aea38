/** What a record is routed by: the same as `JSON.parse` says, found without making an object. */
import { expect, test } from "bun:test";
import { FieldText } from "#decode/json/fieldText.ts";
import { splitRecords } from "#decode/records.ts";
import { recordBatch } from "../../support/records.ts";

function textOf(path: string, document: string): string | null {
  const bytes = new TextEncoder().encode(document);
  return new FieldText(path).of(bytes, 0, bytes.length);
}

test("texts, whole numbers and booleans have one; other values, damage and absence have none", () => {
  const cases: readonly (readonly [document: string, text: string | null])[] = [
    ['{"t":"a"}', "a"],
    ['{ "x" : {"t":"no"} , "t" : "b" }', "b"],
    ['{"\\u0074":"é\\n"}', "é\n"],
    ['{"t":17}', "17"],
    ['{"t":-9223372036854775808}', "-9223372036854775808"],
    ['{"t":true}', "true"],
    ['{"t":false}', "false"],
    ['{"t":""}', ""],
    ['{"t":null}', null],
    ['{"t":1.5}', null],
    ['{"t":1e3}', null],
    ['{"t":{"t":"x"}}', null],
    ['{"t":["x"]}', null],
    ["{}", null],
    ['{"T":"x"}', null],
    ['["t"]', null],
    ['{"t":"a"', null],
    ['{"t":"a"}}', null],
    ['{"t":"a","t":"b"}', "b"],
    ['{"t":"a","t":null}', null],
    ["", null],
  ];
  for (const [document, text] of cases) {
    expect([document, textOf("t", document)]).toEqual([document, text]);
  }
});

test("a path leads into objects; of duplicate objects the last counts, whole", () => {
  expect(textOf("a.b.c", '{"a":{"b":{"c":"x"},"c":1},"b":2}')).toBe("x");
  expect(textOf("a.b", '{"a":{"b":"x"},"a":{}}')).toBeNull();
  expect(textOf("a.b", '{"a":{"b":"x"},"a":7}')).toBeNull();
  expect(textOf("a.b", '{"a.b":"x"}')).toBeNull();
});

test("what was found last never shows in the next document", () => {
  const field = new FieldText("t");
  const of = (document: string): string | null => {
    const bytes = new TextEncoder().encode(document);
    return field.of(bytes, 0, bytes.length);
  };
  expect(['{"t":"aa"}', '{"t":"ab"}', '{"t":12}', '{"x":1}', '{"t":"aa"}'].map(of)).toEqual([
    ...["aa", "ab", "12", null, "aa"],
  ]);
});

test("a batch is cut into shares that hold every wanted record once, in order", () => {
  const values = Array.from({ length: 50 }, (_, n) => `{"n":${n}}`);
  const batch = recordBatch(values, { baseOffset: 100n, wantedOffset: 107n });
  const numberOf = (delta: number): number => [0, 2, 2, -1, 1][delta % 5] ?? 0;
  const shares = splitRecords(batch, 4, ({ offsetDelta }) => numberOf(offsetDelta));
  const found = shares.map((share) => {
    const offsets: number[] = [];
    if (share === null) return offsets;
    const [all] = splitRecords({ ...batch, ...share }, 1, ({ offsetDelta }) => {
      offsets.push(offsetDelta);
      return 0;
    });
    expect(all?.recordCount).toBe(share.recordCount);
    return offsets;
  });
  const wanted = values.map((_, n) => n).filter((n) => n >= 7);
  expect(found).toEqual([0, 1, 2, 3].map((each) => wanted.filter((n) => numberOf(n) === each)));
  expect(shares[3]).toBeNull();
});

test("a batch that is all for one is its own bytes", () => {
  const batch = recordBatch(["{}", "{}"]);
  const [none, all] = splitRecords(batch, 2, () => 1);
  expect([none, all?.payload.buffer === batch.payload.buffer]).toEqual([null, true]);
});
