/**
 * The hand-written pages are true where a test can see it: links lead somewhere, the journey of
 * docs/ARCHITECTURE.md names functions that exist, docs/TROUBLESHOOTING.md quotes the program.
 */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const read = (path: string): string => readFileSync(path, "utf8");
const files = (pattern: string, cwd: string): string[] => [
  ...new Bun.Glob(pattern).scanSync({ cwd }),
];

/** All of `src/` as one text in which no string is broken over lines. */
const SOURCE = files("**/*.ts", "src")
  .map((path) => read(`src/${path}`))
  .join("\n")
  .replaceAll(/["'`]\s*\+\s*["'`]/g, "");

/** Whether a file declares or calls a function, private ones (`#name`) included. */
function hasFunction(path: string, name: string): boolean {
  return new RegExp(`(?<![\\w.])(?:#|this\\.)?${name}(?:<[^>]*>)?\\(`).test(read(path));
}

test("every link between pages leads to a file", () => {
  const pages = ["README.md", ...files("**/*.md", "docs").map((page) => `docs/${page}`)];
  const broken = pages.flatMap((page) =>
    [...read(page).matchAll(/\]\((?!https?:|#)([^)#\s]+)[^)]*\)/g)]
      .map(([, target = ""]) => join(dirname(page), target))
      .filter((path) => !existsSync(path))
      .map((path) => `${page}: ${path}`),
  );
  expect(broken).toEqual([]);
});

/** The places that a text names, as `file`: `function`, `function`, and those of them that are not there. */
function places(text: string): { readonly count: number; readonly wrong: readonly string[] } {
  const named = [...text.matchAll(/`([\w/]+\.ts)`: ((?:`\w+`(?:, )?)+)/g)];
  const wrong = named.flatMap(([, path = "", names = ""]) =>
    names
      .split(", ")
      .map((name) => name.replaceAll("`", ""))
      .filter(
        (name) => name !== "" && !(existsSync(`src/${path}`) && hasFunction(`src/${path}`, name)),
      )
      .map((name) => `${path}: ${name}`),
  );
  return { count: named.length, wrong };
}

/** One section of a page, without its heading. */
function sectionOf(page: string, heading: string): string {
  return read(page).split(`## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
}

test("the journey of a record names files and functions that exist", () => {
  const { count, wrong } = places(sectionOf("docs/ARCHITECTURE.md", "The journey of a record"));
  expect(count).toBeGreaterThan(20);
  expect(wrong).toEqual([]);
});

test("the steps of the journey stand in their order", () => {
  const journey = sectionOf("docs/ARCHITECTURE.md", "The journey of a record");
  const steps = [...journey.matchAll(/^\| (\d+) \|/gm)].map(([, step]) => Number(step));
  expect(steps).toEqual(steps.map((_, index) => index + 1));
});

test("each of the twenty questions is answered by files and functions that exist", () => {
  const rows =
    sectionOf("docs/CONTRIBUTING.md", "Twenty questions").match(/^\| .+\? \| .+$/gm) ?? [];
  expect(rows.length).toBe(20);
  for (const row of rows) {
    const { count, wrong } = places(row);
    expect([row, count > 0, wrong]).toEqual([row, true, []]);
  }
});

test("every sentence that docs/TROUBLESHOOTING.md quotes is in the source", () => {
  const quoted = [...read("docs/TROUBLESHOOTING.md").matchAll(/^> (.+)$/gm)];
  expect(quoted.length).toBeGreaterThan(40);
  const wrong = quoted
    .map(([, sentence = ""]) => sentence)
    .filter((sentence) =>
      sentence
        // At gaps, and where sentences are put together from parts.
        .split(/…| \(|: |; /)
        .map((part) => part.trim())
        .some((part) => part.length > 1 && !SOURCE.includes(part)),
    );
  expect(wrong).toEqual([]);
});
