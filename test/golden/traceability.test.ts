/**
 * docs/TRACEABILITY.md answers every item of the requirement documents, and everything that it names
 * exists: tests by name, metrics, keys, pages, sources. What is called later is not there yet.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, normalize } from "node:path";
import { ALIASES, ALL_KEYS } from "#config/keys.ts";
import { metricNames } from "../support/metricNames.ts";

const FIXTURES = "test/fixtures/requirements";
const PAGE = readFileSync("docs/TRACEABILITY.md", "utf8");
const HEADINGS = {
  tests: "Test scenarios",
  metrics: "Metrics",
  keys: "Configuration keys",
  entries: "Transaction log entries",
  documents: "Documents",
  sections: "Sections",
} as const;

/** The answer for a log entry that has its form and nobody who writes it. */
const NOT_WRITTEN = "not written yet";

type Kind = keyof typeof HEADINGS;
const KINDS = Object.keys(HEADINGS) as Kind[];
const ITEMS = JSON.parse(readFileSync(`${FIXTURES}/items.json`, "utf8")) as Record<Kind, string[]>;

interface Row {
  readonly item: string;
  readonly ours: string;
}

const ROWS = Object.fromEntries(KINDS.map((kind) => [kind, rowsOf(HEADINGS[kind])])) as Record<
  Kind,
  Row[]
>;
const ALL_ROWS = KINDS.flatMap((kind) => ROWS[kind]);

function rowsOf(heading: string): Row[] {
  const section = PAGE.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
  return [...section.matchAll(/^\| (\d{3}) \| (.*?) \| (.*) \|$/gm)].map(
    ([, document = "", name = "", ours = ""]) => ({ item: `${document} ${name}`, ours }),
  );
}

/** The places that a row promises for later. */
function placesOf({ ours }: Row): string[] {
  return [...ours.matchAll(/later: [^;`]+, `([^`]+)`/g)].map(([, place = ""]) => place);
}

/** Names in backticks, without the places of later features. */
function namesOf({ ours }: Row): string[] {
  const now = ours.replaceAll(/later: [^;`]+, `[^`]+`/g, "");
  return [...now.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);
}

function linksOf({ ours }: Row): { text: string; path: string }[] {
  return [...ours.matchAll(/\[((?:[^\]\\]|\\.)+)\]\(([^)#]+)\)/g)].map(
    ([, text = "", path = ""]) => ({ text, path: normalize(`docs/${path}`) }),
  );
}

function departuresOf({ ours }: Row): string[] {
  return [...ours.matchAll(/departed: (\w+)/g)].map(([, name = ""]) => name);
}

/** Keys of a parsed TOML document, by path. */
function keysOf(value: object, prefix = ""): string[] {
  return Object.entries(value).flatMap(([name, inner]: [string, unknown]) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? keysOf(inner, `${prefix}${name}.`)
      : [`${prefix}${name}`],
  );
}

describe("docs/TRACEABILITY.md", () => {
  for (const kind of KINDS) {
    test(`has one row for each of the ${kind}, and no other`, () => {
      expect(ITEMS[kind].length).toBeGreaterThan(5);
      expect(ROWS[kind].map((row) => row.item)).toEqual(ITEMS[kind]);
      expect(new Set(ITEMS[kind]).size).toBe(ITEMS[kind].length);
    });
  }

  test("answers each item: by something that exists, as later or as departed", () => {
    const unanswered = ALL_ROWS.filter((row) => {
      const answers = [placesOf(row), namesOf(row), linksOf(row), departuresOf(row)];
      return answers.every((each) => each.length === 0) && row.ours !== NOT_WRITTEN;
    });
    expect(unanswered).toEqual([]);
  });

  test("names tests that exist, and links files that exist", () => {
    const missing = ALL_ROWS.flatMap(linksOf).filter(({ text, path }) => {
      if (!existsSync(path)) return true;
      return path.startsWith("test/") && !readFileSync(path, "utf8").includes(text);
    });
    expect(missing).toEqual([]);
  });

  test("links a test in each row of a test scenario that is not later or departed", () => {
    const without = ROWS.tests.filter((row) => {
      const elsewhere = placesOf(row).length > 0 || departuresOf(row).length > 0;
      const links = linksOf(row).map(({ path }) => path);
      const proven = links.some((path) => path.startsWith("test/") || path.includes("BENCHMARKS"));
      return !elsewhere && !proven;
    });
    expect(without).toEqual([]);
  });

  test("names metrics that are served", () => {
    const served = new Set(metricNames());
    expect(ROWS.metrics.flatMap(namesOf).filter((name) => !served.has(name))).toEqual([]);
  });

  test("names keys that exist, and calls those later that this release refuses", () => {
    const unknown = ROWS.keys.flatMap(namesOf).filter((name) => ALL_KEYS[name] === undefined);
    expect(unknown).toEqual([]);
    const wrong = ROWS.keys.filter((row) => {
      const unbuilt = namesOf(row).some((name) => ALL_KEYS[name]?.unbuilt !== undefined);
      return unbuilt !== placesOf(row).length > 0;
    });
    expect(wrong).toEqual([]);
  });

  test("says of each log entry who writes it, or that nobody does", () => {
    const sources = [...new Bun.Glob("**/*.ts").scanSync("src")].map((path) => `src/${path}`);
    const wrong = ROWS.entries.filter((row) => {
      const written = `type: "${row.item.slice(4)}"`;
      const writers = sources.filter(
        (path) => !path.startsWith("src/txlog/") && readFileSync(path, "utf8").includes(written),
      );
      const named = linksOf(row).map(({ path }) => path);
      return named.length === 0
        ? writers.length > 0
        : !named.every((each) => writers.includes(each));
    });
    expect(wrong).toEqual([]);
  });

  test("lists every key of the documents' TOML blocks, under its own name or its alias's", () => {
    const listed = new Map(ROWS.keys.map((row) => [row.item, namesOf(row)]));
    for (const file of new Bun.Glob("*.toml").scanSync(FIXTURES)) {
      const text = readFileSync(`${FIXTURES}/${file}`, "utf8");
      for (const key of keysOf(Bun.TOML.parse(text))) {
        expect(listed.get(`${file.slice(0, 3)} ${key}`)).toEqual([ALIASES[key] ?? key]);
      }
    }
  });

  test("promises places that do not exist yet, in folders that do", () => {
    const wrong = ALL_ROWS.flatMap(placesOf).filter(
      (place) => existsSync(place) || !existsSync(dirname(place)),
    );
    expect(wrong).toEqual([]);
  });

  test("departs only as its list says", () => {
    const list = new Set([...PAGE.matchAll(/^- (D\d+): /gm)].map(([, name = ""]) => name));
    expect(ALL_ROWS.flatMap(departuresOf).filter((name) => !list.has(name))).toEqual([]);
  });
});
