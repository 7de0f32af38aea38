/** Straight readers: when a program gets one, what it takes and what it leaves. */
import { expect, test } from "bun:test";
import { createDecoder } from "#decode/createDecoder.ts";
import type { RecordBytes } from "#decode/decoder.ts";
import type { Image } from "#decode/kernel/image.ts";
import { decodeKernel } from "#decode/kernel/kernel.ts";
import { CALL } from "#decode/kernel/layout.ts";
import { DECODER_DEFAULTS, type DecoderOptions } from "#decode/options.ts";
import { rowsOf } from "../../support/columnValues.ts";
import { recordBatch } from "../../support/records.ts";

const RECORDS = 1000;
/** Of 1,000 records: more than a program reads before it gets a reader. */
const BATCHES = 40;

/** The program at hand, and how many documents its reader has left. */
function program(): { readonly image: Image; readonly left: number } {
  const { image, words } = decodeKernel() as unknown as { image: Image; words: Uint32Array };
  const left = words[(image.address + CALL.leftStraight) >> 2] as number;
  return { image, left: image.straight.left + left };
}

function rows(kernel: DecoderOptions["kernel"], batches: readonly RecordBytes[]): unknown {
  const decoder = createDecoder({ ...DECODER_DEFAULTS, kernel });
  decoder.sample(batches.slice(0, 1));
  const segment = decoder.builder();
  for (const batch of batches) segment.decode(batch);
  return rowsOf(segment.seal());
}

/** What a reader leaves of these documents, which become the same rows without it. */
function leftOf(documents: readonly string[]): number {
  const batch = recordBatch(documents);
  const made = rows("straight", [batch]);
  const { left } = program();
  expect(made).toEqual(rows(false, [batch]));
  return left;
}

const FIRST = '{"a":1,"b":{"c":"x","d":[1,2]},"e":2.5,"f":true}';

test("usual documents are taken: some members missing, one blank behind commas and colons, values of any form", () => {
  const taken = [
    '{"a":7}',
    '{"e":1}',
    '{"b":{"d":[]},"f":false}',
    '{"a": 1, "b": {"c": "x", "d": [1, 2]}, "e": 2.5, "f": true}',
    '{"a":null,"b":null,"e":null,"f":null}',
    '{"a":-9223372036854775808,"b":{"c":"é \\u00e9 \\n","d":[null,-1]},"e":1e300}',
    '{"a":123456789012345,"e":0.1}',
  ];
  expect(leftOf([FIRST, ...taken])).toBe(0);
});

test("all others are left to the kernel", () => {
  const left = [
    '{"b":{"c":"x"},"a":1}',
    '{"a":1,"a":2}',
    '{"a":1,"unknown":null}',
    '{ "a":1}',
    '{"a":1 }',
    '{"a":1,  "e":2}',
    ' {"a":1}',
    "{}",
  ];
  expect(leftOf([FIRST, ...left])).toBe(left.length);
});

test("documents that are none are refused as without a reader", () => {
  const none = [
    '{"a":1}"e":2}',
    '{"a":1,}',
    '{"a":01}',
    '{"a":1',
    '{"a":"}',
    '{"a":1}}',
    '{"a":1.}',
  ];
  expect(leftOf([FIRST, ...none])).toBe(none.length);
});

function batchOf(document: (index: number) => string): RecordBytes {
  return recordBatch(Array.from({ length: RECORDS }, (_, index) => document(index)));
}

test("a program that has read 32,768 documents gets a reader, and loses it when it leaves one in eight", async () => {
  const decoder = createDecoder({ ...DECODER_DEFAULTS, kernel: true });
  const usual = batchOf((index) => `{"a":${index},"b":"x"}`);
  decoder.sample([usual]);
  const segment = decoder.builder();
  for (let batch = 0; batch < BATCHES; batch++) segment.decode(usual);
  const { straight } = program().image;
  while (straight.read === null) await Bun.sleep(1);
  const other = batchOf((index) =>
    index % 4 === 0 ? `{"b":"y","a":${index}}` : `{"a":1,"b":"x"}`,
  );
  for (let batch = 0; batch < BATCHES; batch++) segment.decode(other);
  expect(straight.read).toBeNull();
  expect(segment.seal().rowCount).toBe(2 * BATCHES * RECORDS);
});

test("programs that take turns are judged each by its own documents", async () => {
  const orders = [(n: number) => `{"a":${n},"b":"x"}`, (n: number) => `{"c":"x","d":${n}}`];
  const tables = orders.map((order) => {
    const decoder = createDecoder({ ...DECODER_DEFAULTS, kernel: true });
    decoder.sample([batchOf(order)]);
    return { segment: decoder.builder(), usual: batchOf(order), image: null as Image | null };
  });
  for (let batch = 0; batch < BATCHES; batch++) {
    for (const table of tables) {
      table.segment.decode(table.usual);
      table.image = program().image;
    }
  }
  const [first, second] = tables.map(({ image }) => image?.straight);
  while (first?.read === null || second?.read === null) await Bun.sleep(1);
  const turned = batchOf((n) => `{"b":"y","a":${n}}`);
  for (let batch = 0; batch < BATCHES; batch++) {
    tables[0]?.segment.decode(turned);
    tables[1]?.segment.decode(tables[1].usual);
  }
  expect(first?.read).toBeNull();
  expect(second?.read).not.toBeNull();
});

test("a program of more than 80 members, or with a long key, is the kernel's alone", () => {
  const members = (count: number): string =>
    Array.from({ length: count }, (_, index) => `"m${index}":${index}`).join(",");
  rows("straight", [recordBatch([`{${members(80)}}`])]);
  expect(program().image.straight.read).not.toBeNull();
  rows("straight", [recordBatch([`{${members(81)}}`])]);
  expect(program().image.straight.read).toBeNull();
  rows("straight", [recordBatch([`{"${"k".repeat(43)}":1}`])]);
  expect(program().image.straight.read).toBeNull();
});
