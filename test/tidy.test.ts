/**
 * Checks non-functional properties of the code itself, after TigerBeetle's `src/tidy.zig`.
 *
 * Biome checks layers, cycles and function length; this file checks what Biome cannot see.
 */
import { expect, test } from "bun:test";
import { fileMap } from "../scripts/docs/fileMap.ts";
import { testMap } from "../scripts/docs/testMap.ts";
import { MUTATIONS } from "./sim/mutations.ts";

const FILE_LINES_MAX = 400;

/** Text that may not appear in `src/`, what to use instead, and the only files allowed to use it. */
const BANNED: readonly (readonly [pattern: RegExp, instead: string, homes: readonly string[]])[] = [
  [
    /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(/,
    "Clock from #base/clock.ts",
    ["base/clock.ts"],
  ],
  [/\bsetTimeout\(|\bsetInterval\(/, "Clock.sleep from #base/clock.ts", ["base/clock.ts"]],
  [/\bMath\.random\(|\bcrypto\.randomUUID\(/, "Random from #base/random.ts", ["base/random.ts"]],
  [
    /\bprocess\.env\b|\bBun\.env\b/,
    "a key in config/keys.ts",
    ["config/environment.ts", "base/kernelSwitch.ts", "main.ts"],
  ],
  [/\bnew TextDecoder\b/, "utf8Text() from #base/text.ts", ["base/text.ts"]],
  [
    /\bcatalog\.commit\(/,
    "the commit loop, commit/commit.ts",
    [
      "commit/together.ts",
      "catalog/open.ts",
      "catalog/guard.ts",
      "catalog/latestViews.ts",
      "catalog/metadataCache.ts",
    ],
  ],
  [
    /\bstorage\.remove\(/,
    "commit/removal.ts, which knows the rules",
    [
      "commit/removal.ts",
      // A catalog's own versions and pointers, the loads of a scratch warehouse, objects of a probe.
      "storage/probe.ts",
      "catalog/file.ts",
      "catalog/pointer.ts",
      "loadtest/scratch.ts",
    ],
  ],
  [
    /^(?:export )?const \w*BYTES_MAX\b/m,
    "a bound in base/limits.ts",
    [
      // Sizes that a format or a foreign system gives.
      "catalog/names.ts",
      "storage/local.ts",
      "consumer/kafkaConsumer.ts",
      "consumer/fetch/fetcher.ts",
      "loadtest/batches.ts",
      "loadtest/producer.ts",
      // Steps inside one algorithm, in memory that a bound of limits.ts holds as a whole.
      "columns/buffers.ts",
      "consumer/codec/blocks.ts",
      "decode/json/strings.ts",
      "decode/kernel/image.ts",
      "parquet/reference.ts",
      "parquet/kernel/encode.ts",
      "parquet/kernel/memory.ts",
    ],
  ],
  // In a loop over rows, before the compiler sees through it, it is an array for each row: 200 MB for four million.
  [
    /\b(?:const|let) \[[^\]]+\] = \[\s*[\w.]+(?:\?\.)?\[/,
    "a declaration for each element of an array",
    [],
  ],
  [/\bthrow new Error\(/, "fail() from #base/errors.ts", []],
  [/\bFIXME\b|\bTODO\b|\bXXX\b/, "nothing: fix it before merge", []],
];

interface Source {
  readonly path: string;
  readonly text: string;
}

async function sourceFiles(): Promise<Source[]> {
  const paths = [...new Bun.Glob("**/*.ts").scanSync("src")].sort();
  return Promise.all(
    paths.map(async (path) => ({ path, text: await Bun.file(`src/${path}`).text() })),
  );
}

/** Names of exported declarations with no doc comment above them and their decorators. */
function undocumentedExports(text: string): string[] {
  const lines = text.split("\n");
  const names: string[] = [];
  lines.forEach((line, index) => {
    const match = /^export (?:async )?(?:function\*?|class|interface|type|const) (\w+)/.exec(line);
    const above = lines.slice(0, index).findLast((each) => !/^@|^\/\/ @ts-ignore/.test(each));
    if (match?.[1] && !(above ?? "").trimEnd().endsWith("*/")) names.push(match[1]);
  });
  return names;
}

function complaints({ path, text }: Source): string[] {
  const errors: string[] = [];
  if (!text.startsWith("/**")) errors.push(`${path}: no file header comment`);
  const lineCount = text.split("\n").length;
  if (lineCount > FILE_LINES_MAX)
    errors.push(`${path}: ${lineCount} lines, over ${FILE_LINES_MAX}`);
  for (const name of undocumentedExports(text)) errors.push(`${path}: export ${name} has no doc`);
  const code = text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
  for (const [pattern, instead, homes] of BANNED) {
    const found = pattern.exec(pattern.source.includes("FIXME") ? text : code);
    if (found && !homes.includes(path)) {
      errors.push(`${path}: "${found[0]}" is banned, use ${instead}`);
    }
  }
  return errors;
}

test("tidy: every file in src/ follows docs/CONTRIBUTING.md", async () => {
  const errors = (await sourceFiles()).flatMap(complaints);
  expect(errors).toEqual([]);
});

test("tidy: each text that a deliberate mistake replaces (test/sim/mutations.ts) stands once in src/", async () => {
  const sources = await sourceFiles();
  const counts = MUTATIONS.flatMap(({ name, edits }) =>
    edits.map(({ find }) => ({
      name,
      find,
      found: sources.reduce((sum, { text }) => sum + text.split(find).length - 1, 0),
    })),
  );
  expect(counts.length).toBeGreaterThan(0);
  expect(counts.filter(({ found }) => found !== 1)).toEqual([]);
});

test("tidy: the file map in docs/ARCHITECTURE.md is current (bun run docs)", async () => {
  const page = await Bun.file("docs/ARCHITECTURE.md").text();
  expect(page).toContain(await fileMap());
});

test("tidy: every file of src/ has tests, and docs/TESTING.md names them (bun run docs)", async () => {
  const map = await testMap();
  expect(map.split("\n").filter((row) => /\| +\|$/.test(row))).toEqual([]);
  expect(await Bun.file("docs/TESTING.md").text()).toContain(map);
});

test("tidy: the layers of docs/ARCHITECTURE.md stand once each, and may import what biome.json lets them", async () => {
  const rules = await Bun.file("biome.json").text();
  const allowed = new Map(
    [...rules.matchAll(/"message": "(\w+)\/ may import only: ([^;]*);/g)].map(
      ([, folder = "", names = ""]) => [
        folder,
        names.split(", ").filter((name) => name !== folder),
      ],
    ),
  );
  const page = await Bun.file("docs/ARCHITECTURE.md").text();
  const rows = [
    ...page.matchAll(
      /^\| (?:words|edges|table|flows|app) \| `(\w+)\/` \| .* \|([^|]*)\|[^|]*\|$/gm,
    ),
  ];
  const folders = new Set(
    [...new Bun.Glob("*/**/*.ts").scanSync("src")].map((path) => path.split("/")[0]),
  );
  expect(rows.map(([, folder = ""]) => folder).sort()).toEqual([...folders].sort() as string[]);
  const told = rows.filter(([, , names = ""]) => !/all of the above|anything/.test(names));
  for (const [, folder = "", names = ""] of told) {
    const list = names
      .trim()
      .split(", ")
      .filter((name) => name !== "");
    expect({ folder, list: list.sort() }).toEqual({
      folder,
      list: (allowed.get(folder) ?? []).sort(),
    });
  }
});
