/**
 * Generated documents are current: `bun run docs` writes them.
 */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { COMMANDS } from "#cli/commands.ts";
import { commandHelp, programHelp } from "#cli/help.ts";
import { requireBuilt } from "#config/built.ts";
import { loadConfig } from "#config/load.ts";
import { configPage, exampleToml } from "../../scripts/docs/configText.ts";
import { manPage } from "../../scripts/docs/manPage.ts";
import { metricsPage } from "../../scripts/docs/metricsText.ts";

const read = (path: string): Promise<string> => Bun.file(path).text();

describe("generated documents", () => {
  test("docs/CONFIG.md is current", async () => {
    expect(await read("docs/CONFIG.md")).toBe(configPage());
  });

  test("docs/METRICS.md is current", async () => {
    expect(await read("docs/METRICS.md")).toBe(metricsPage());
  });

  test("the manual page is current, and roff takes it", async () => {
    const { version } = (await Bun.file("package.json").json()) as { version: string };
    const page = await read("deploy/kafka-iceberg.1");
    expect(page).toBe(manPage(version));
    const groff = Bun.which("groff");
    if (groff === null) return;
    const checked = Bun.spawnSync([groff, "-man", "-ww", "-z", "deploy/kafka-iceberg.1"]);
    expect([checked.exitCode, checked.stderr.toString()]).toEqual([0, ""]);
  });

  test("config.example.toml is current", async () => {
    expect(await read("config.example.toml")).toBe(exampleToml());
  });

  test("config.example.toml loads, can be run, and changes no default", async () => {
    const load = async (file: string | null) => {
      const flags = file === null ? { topic: "events" } : {};
      const loaded = await loadConfig({
        file,
        envFile: null,
        flags,
        purpose: "run",
        variables: {},
      });
      if ("config" in loaded) return loaded.config;
      throw new Error(JSON.stringify(loaded.problems));
    };
    const example = await load("config.example.toml");
    expect(requireBuilt(example)).toEqual([]);
    const plain = await load(null);
    expect(example.values).toEqual(plain.values);
    expect(example.pipelines[0]?.values).toEqual(plain.pipelines[0]?.values as never);
  });
});

test("every configuration of the pages about catalogs and records loads and can be run", async () => {
  const paths = ["CATALOGS", "ROUTING", "SHAPING", "SCHEMAS", "DEAD_LETTER", "LATE_ROWS"].map(
    (name) => `docs/${name}.md`,
  );
  const pages = (await Promise.all(paths.map(read))).join("\n");
  const blocks = pages.matchAll(/```toml\n(.*?)```/gs);
  const variables = new Proxy<Record<string, string>>({}, { get: () => "id:secret" });
  const folder = mkdtempSync(join(tmpdir(), "catalogs-"));
  let count = 0;
  for (const [, text = ""] of blocks) {
    const file = join(folder, `${count++}.toml`);
    writeFileSync(file, text);
    const loaded = await loadConfig({ file, envFile: null, flags: {}, purpose: "run", variables });
    expect("problems" in loaded ? loaded.problems : requireBuilt(loaded.config)).toEqual([]);
  }
  expect(count).toBeGreaterThan(4);
  rmSync(folder, { recursive: true });
});

describe("help", () => {
  test("of the program", () => expect(programHelp()).toMatchSnapshot());

  for (const command of COMMANDS) {
    test(`of ${command.name}`, () => expect(commandHelp(command)).toMatchSnapshot());
  }

  test("no line is wider than 100 columns", () => {
    const texts = [programHelp(), ...COMMANDS.map(commandHelp)];
    for (const line of texts.join("\n").split("\n")) expect(line.length).toBeLessThanOrEqual(100);
  });
});
