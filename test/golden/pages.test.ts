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

test("the journey of a record names files and functions that exist", () => {
  const page = read("docs/ARCHITECTURE.md");
  const journey = page.split("## The journey of a record")[1]?.split("\n## ")[0] ?? "";
  const steps = [...journey.matchAll(/`([\w/]+\.ts)`: ((?:`\w+`(?:, )?)+)/g)];
  expect(steps.length).toBeGreaterThan(20);
  const wrong = steps.flatMap(([, path = "", names = ""]) =>
    names
      .split(", ")
      .map((name) => name.replaceAll("`", ""))
      .filter((name) => name !== "" && !hasFunction(`src/${path}`, name))
      .map((name) => `${path}: ${name}`),
  );
  expect(wrong).toEqual([]);
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
