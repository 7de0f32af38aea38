/**
 * Configurations of any form: loading never throws, and problems stand on the right line.
 */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { lineOf, scanStatements } from "#config/positions.ts";
import { nearest } from "#config/problems.ts";
import { load } from "../unit/config/helpers.ts";

const key = fc.stringMatching(/^[a-z][a-z0-9_]{0,8}$/);
const value = fc.oneof(
  fc.integer().map(String),
  fc.constantFrom(
    "true",
    '"plain"',
    '"with # no comment [x] = 1"',
    "'literal \\'",
    '"escaped \\" quote"',
    '"""\nseveral\nlines = 1 [a]\n"""',
    "'''\n[no.table]\n'''",
    "[\n  1, # one\n  2,\n]",
    '{ a = 1, b = "]" }',
    "[[1, 2], [3]]",
    "2026-01-01T00:00:00Z",
  ),
);
const blank = fc.constantFrom("", "\n", "# comment = 1\n", "   \n\n", "#[table]\n");
const statements = fc.uniqueArray(fc.tuple(key, value, blank), {
  selector: ([name]) => name,
  maxLength: 8,
});
const document = fc.tuple(
  statements,
  fc.uniqueArray(fc.tuple(key, statements), { selector: ([name]) => name, maxLength: 4 }),
);

describe("positions of keys", () => {
  test("are the lines of their statements, in any document that parses", () => {
    fc.assert(
      fc.property(document, ([top, tables]) => {
        let text = "";
        const expected: [path: string[], line: number][] = [];
        const add = (path: string[], line: string): void => {
          expected.push([path, text.split("\n").length]);
          text += `${line}\n`;
        };
        const addAll = (prefix: string[], items: [string, string, string][]): void => {
          for (const [name, written, before] of items) {
            text += before;
            add([...prefix, name], `${name} = ${written}`);
          }
        };
        addAll([], top);
        for (const [name, items] of tables.filter(([each]) => !top.some(([t]) => t === each))) {
          add([name], `[${name}] # table`);
          addAll([name], items);
          add([`${name}s-list`, "0"], `[[${name}s-list]]`);
          addAll([`${name}s-list`, "0"], items);
        }
        Bun.TOML.parse(text);
        const found = scanStatements(text);
        for (const [path, line] of expected) {
          expect({ path, line: lineOf(found, path), text }).toEqual({ path, line, text });
        }
      }),
      { numRuns: 200 },
    );
  });

  test("of keys without a statement of their own are their parent's, or none", () => {
    const found = scanStatements('a = { b = 1 }\n"quoted key".c = 2\n[[l]]\n[[l]]\nx = 1\n');
    expect(lineOf(found, ["a", "b"])).toBe(1);
    expect(lineOf(found, ["quoted key", "c"])).toBe(2);
    expect(lineOf(found, ["l", "1", "x"])).toBe(5);
    expect(lineOf(found, ["none"])).toBeNull();
  });
});

describe("loading", () => {
  test("answers any text with a configuration or problems", async () => {
    const line = fc.oneof(
      fc.string({ maxLength: 20 }),
      fc
        .tuple(fc.constantFrom("kafka.topic", "[kafka]", "[[pipelines]]", "name", "iceberg"), value)
        .map(([name, written]) => (name.startsWith("[") ? name : `${name} = ${written}`)),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 6 }), async (lines) => {
        const { config, problems } = await load(lines.join("\n"), { purpose: "run" });
        expect(config === null).toBe(problems.length > 0);
      }),
      { numRuns: 200 },
    );
  });
});

describe("the nearest known word", () => {
  test("is the word itself when known, and never far away", () => {
    fc.assert(
      fc.property(fc.uniqueArray(key, { minLength: 1 }), key, (known, word) => {
        const found = nearest(word, known);
        if (known.includes(word)) expect(found).toBe(word);
        if (found !== null) expect(known).toContain(found);
      }),
    );
  });
});
