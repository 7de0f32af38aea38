/** The bill of materials holds what is in the executable, and nothing of it has a licence that forbids that. */
import { expect, test } from "bun:test";
import { TARGETS, targetNamed } from "../../scripts/release/targets.ts";
import { bundledFolders, licencesText, partsOf, sbomText } from "../../scripts/sbom.ts";

/** Licences under which parts may travel in an executable, with their texts beside it. */
const GRANTED = [
  "MIT",
  "Apache-2.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "ISC",
  "0BSD",
  "(MIT OR Apache-2.0)",
  "MIT OR Apache-2.0",
];

test("every part is named once, with version, hash and a licence that is granted; twice the same bytes", async () => {
  const target = targetNamed("linux-x64");
  const parts = await partsOf(target, await bundledFolders());
  const names = parts.map(({ name }) => name);
  expect(names).toEqual(
    expect.arrayContaining([
      "kafkajs",
      "avsc",
      "protobufjs",
      "parquet-wasm",
      "@oven/bun-linux-x64",
      "@duckdb/node-bindings-linux-x64",
    ]),
  );
  expect(
    names.filter((name) => ["typescript", "fast-check", "@biomejs/biome", "vega"].includes(name)),
  ).toEqual([]);
  expect(new Set(parts.map(({ url }) => url)).size).toBe(parts.length);
  const odd = parts.filter(
    ({ licence, version, sha512 }) =>
      !GRANTED.includes(licence) || version === "" || sha512?.length !== 128,
  );
  expect(odd).toEqual([]);
  const text = sbomText("1.2.3", parts, null);
  expect(sbomText("1.2.3", await partsOf(target, await bundledFolders()), null)).toBe(text);
  const { components } = JSON.parse(text) as { components: readonly { readonly name: string }[] };
  expect(components.map(({ name }) => name)).toEqual(names);
  const licences = licencesText(parts);
  for (const { name, version } of parts) expect(licences).toContain(`${name} ${version} (`);
}, 60_000);

test("the natives of every platform are pinned by version and hash", async () => {
  for (const target of TARGETS) {
    const natives = await partsOf(target, []);
    expect(natives.map(({ name }) => name)).toEqual([target.duckdb, target.runtime]);
    expect(natives.filter(({ sha512 }) => sha512?.length !== 128)).toEqual([]);
  }
});
