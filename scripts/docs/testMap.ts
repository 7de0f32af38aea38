/**
 * The test map of docs/TESTING.md: each file of `src/` with the tests that hold it, by who imports whom.
 *
 * A test holds a file that it imports, itself or through its rigs and fakes. A file that no test
 * imports is held through the nearest file above it that some test does import.
 */
import { posix } from "node:path";

/** Tests named for a file; there may be more. */
const SHOWN_MAX = 3;
/** The order in which tests are named: the nearest to a file first. */
const KINDS = ["unit", "contract", "fuzz", "sim", "golden", "conformance"];

type Graph = ReadonlyMap<string, readonly string[]>;

/** The map as a Markdown table, in path order. */
export async function testMap(): Promise<string> {
  const imports = await readImports();
  const tests = directTests(imports);
  const importers = turned(imports);
  const rows = ["| file | tests |", "| --- | --- |"];
  for (const path of imports.keys()) {
    if (!path.startsWith("src/") || path.endsWith(".d.ts")) continue;
    rows.push(`| \`${path.slice(4)}\` | ${cell(path, nearest(path, tests, importers))} |`);
  }
  return rows.join("\n");
}

/** What each file of `src/` and `test/` imports, or starts by its path. */
async function readImports(): Promise<Graph> {
  const imports = new Map<string, readonly string[]>();
  for (const path of [...new Bun.Glob("{src,test}/**/*.ts").scanSync(".")].sort()) {
    const text = await Bun.file(path).text();
    const named = [...text.matchAll(/["'](#|\.{1,2}\/)([^"'\s]+\.ts)["']/g)].map(
      ([, start, rest]) =>
        start === "#" ? `src/${rest}` : posix.normalize(`${posix.dirname(path)}/${start}${rest}`),
    );
    imports.set(path, [...new Set(named)]);
  }
  // Compiled to WebAssembly, and loaded as such.
  const kernels = [...imports.keys()].filter((path) => path.startsWith("src/kernel/assembly/"));
  imports.set("src/kernel/load.ts", [...(imports.get("src/kernel/load.ts") ?? []), ...kernels]);
  return imports;
}

/** The tests that reach a file of `src/` without passing another one. */
function directTests(imports: Graph): Map<string, string[]> {
  const tests = new Map<string, string[]>();
  for (const test of [...imports.keys()].filter((path) => path.endsWith(".test.ts"))) {
    const seen = new Set<string>();
    const open = [test];
    for (let path = open.pop(); path !== undefined; path = open.pop()) {
      if (seen.has(path)) continue;
      seen.add(path);
      if (path.startsWith("src/")) tests.set(path, [...(tests.get(path) ?? []), test]);
      else open.push(...(imports.get(path) ?? []));
    }
  }
  return tests;
}

function turned(imports: Graph): Graph {
  const importers = new Map<string, string[]>();
  for (const [path, named] of imports) {
    for (const each of named) importers.set(each, [...(importers.get(each) ?? []), path]);
  }
  return importers;
}

interface Held {
  /** The file that the tests import. */
  readonly through: string;
  readonly tests: readonly string[];
}

/** The file itself when a test imports it, else the nearest one above it, in the same folder first. */
function nearest(
  path: string,
  tests: ReadonlyMap<string, string[]>,
  importers: Graph,
): Held | null {
  const seen = new Set([path]);
  const open = [path];
  for (let through = open.shift(); through !== undefined; through = open.shift()) {
    const found = tests.get(through);
    if (found !== undefined) return { through, tests: found };
    const above = (importers.get(through) ?? []).filter((each) => each.startsWith("src/"));
    const folder = posix.dirname(path);
    for (const each of above.sort(
      (a, b) => Number(b.startsWith(folder)) - Number(a.startsWith(folder)),
    )) {
      if (!seen.has(each)) open.push(each);
      seen.add(each);
    }
  }
  return null;
}

function cell(path: string, held: Held | null): string {
  if (held === null) return "";
  const ranked = [...held.tests].sort((a, b) => rank(held.through, a) - rank(held.through, b));
  const shown = ranked.slice(0, SHOWN_MAX).map((test) => test.slice(5).replace(".test.ts", ""));
  const more = ranked.length > SHOWN_MAX ? ", ..." : "";
  const through = held.through === path ? "" : `through \`${held.through.slice(4)}\`: `;
  return `${through}${shown.join(", ")}${more}`;
}

/** Lower is nearer: a test of the same name, of the same folder, of a kind that is run more often. */
function rank(path: string, test: string): number {
  const name = posix.basename(path, ".ts").toLowerCase();
  const folder = path.split("/")[1] ?? "";
  const isNamed = posix.basename(test).toLowerCase().startsWith(name);
  const isNear = test.startsWith(`test/unit/${folder}/`);
  const kind = KINDS.indexOf(test.split("/")[1] ?? "");
  return (isNamed ? 0 : 100) + (isNear ? 0 : 10) + (kind < 0 ? KINDS.length : kind);
}
