import { expect, test } from "bun:test";
import type { Letter } from "#letters/read.ts";
import { letterText, safeText } from "#letters/text.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

const LETTER: Letter = {
  topic: "t",
  topicId: "id",
  partition: 3,
  offset: 7n,
  reason: "bad_json",
  detail: "The value is not valid JSON",
  rejectedMs: 0,
  timestampMs: null,
  key: null,
  value: utf8("{"),
  headers: [{ key: utf8("h"), value: null }],
};

test("no byte of a record acts on a terminal, and plain text stays as it is", () => {
  expect(safeText(utf8('{"n": 1, "é": "日本"}'))).toBe('{"n": 1, "é": "日本"}');
  expect(safeText(utf8("\u001b[2J\u0007\r\n\u009b1m"))).toBe("\\x1b[2J\\x07\\x0d\\x0a\\x9b1m");
  expect(safeText(utf8("\u202eabc\u2066\u200f\u2028"))).toBe(
    "\\u{202e}abc\\u{2066}\\u{200f}\\u{2028}",
  );
  expect(safeText(new Uint8Array([0xff, 0x61, 0xe2, 0x82, 0xc0, 0x80]))).toBe(
    "\\xffa\\xe2\\x82\\xc0\\x80",
  );
  // What looks like an escape of ours is told apart from one.
  expect(safeText(utf8("\\x1b"))).toBe("\\\\x1b");
});

test("every byte stays on one line of plain characters", () => {
  const all = Uint8Array.from({ length: 4096 }, (_, at) => (at * 31 + (at >> 8)) & 0xff);
  expect(safeText(all)).toMatch(/^[\P{C}]*$/u);
});

test("a letter is shown with its coordinates, its parts, and where it was cut", () => {
  const text = letterText({ ...LETTER, value: new Uint8Array(5000).fill(0x61) }, true);
  expect(text).toContain("record:    t/3 offset 7, without a time");
  expect(text).toContain("brought in since");
  expect(text).toContain("header:    h = null");
  expect(text).toContain("... and 904 more bytes (--json shows all)");
  expect(letterText({ ...LETTER, headers: null }, false)).toContain("headers:   damaged");
});
