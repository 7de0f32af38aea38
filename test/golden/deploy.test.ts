/** What is shipped beside the executable is of one version, and of this program. */
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "#config/load.ts";

type Item = { readonly [name: string]: unknown };
const read = (path: string): string => readFileSync(path, "utf8");
const { version } = JSON.parse(read("package.json")) as { readonly version: string };
const CHART = "deploy/helm/kafka-iceberg";
const VARIABLES = { S3_ACCESS_KEY_ID: "k", S3_SECRET_ACCESS_KEY: "s", QUERY_TOKEN: "t" };

test("the chart is of this version, and its configuration is that of the manifests", async () => {
  const chart = Bun.YAML.parse(read(`${CHART}/Chart.yaml`)) as Item;
  expect([chart["version"], chart["appVersion"]]).toEqual([version, version]);
  const values = Bun.YAML.parse(read(`${CHART}/values.yaml`)) as Item;
  const manifests = read("deploy/kubernetes/kafka-iceberg.yaml").split(/^---$/m);
  const map = Bun.YAML.parse(manifests[0] ?? "") as { readonly data: Item };
  const plain = (text: unknown): string =>
    String(text)
      .replace(/ +consumer_group = .*\n/, "")
      .replace(/\nconsumer_group = .*/, "");
  expect(values["config"]).toBe(plain(map.data["config.toml"]));
});

test("the schema of the chart's values knows each of them", () => {
  const { properties } = JSON.parse(read(`${CHART}/values.schema.json`)) as {
    readonly properties: Item;
  };
  const values = Bun.YAML.parse(read(`${CHART}/values.yaml`)) as Item;
  expect(Object.keys(properties).filter((name) => !(name in values))).toEqual([]);
  const templates = [...new Bun.Glob("*").scanSync(`${CHART}/templates`)];
  const used = templates.flatMap((name) => [
    ...read(`${CHART}/templates/${name}`).matchAll(/\.Values\.(\w+)/g),
  ]);
  expect(new Set(used.map(([, name = ""]) => name))).toEqual(new Set(Object.keys(values)));
});

test("the configurations of the examples load", async () => {
  const values = Bun.YAML.parse(read(`${CHART}/values.yaml`)) as { readonly config: string };
  const folder = mkdtempSync(join(tmpdir(), "deploy-"));
  for (const text of [values.config, read("deploy/compose/config.toml")]) {
    const file = join(folder, "config.toml");
    await Bun.write(file, text);
    const asked = { file, envFile: null, flags: {}, purpose: "run", variables: VARIABLES } as const;
    const loaded = await loadConfig(asked);
    expect("problems" in loaded ? loaded.problems : []).toEqual([]);
  }
  rmSync(folder, { recursive: true });
});
