/**
 * `bun run docs`: writes the generated parts of the documentation.
 */
import { configPage, exampleToml } from "./docs/configText.ts";
import { fileMap } from "./docs/fileMap.ts";
import { dashboardJson } from "./docs/grafana.ts";
import { manPage } from "./docs/manPage.ts";
import { metricsPage } from "./docs/metricsText.ts";
import { testMap } from "./docs/testMap.ts";

await replaceSection("docs/ARCHITECTURE.md", "file map", await fileMap());
await replaceSection("docs/TESTING.md", "test map", await testMap());
await write("docs/CONFIG.md", configPage());
await write("docs/METRICS.md", metricsPage());
await write("config.example.toml", exampleToml());
await write("deploy/grafana/kafka-iceberg.json", dashboardJson());
await write("deploy/kafka-iceberg.1", manPage(await version()));

async function version(): Promise<string> {
  return ((await Bun.file("package.json").json()) as { version: string }).version;
}

/** Writes a page that is generated as a whole. */
async function write(path: string, content: string): Promise<void> {
  await Bun.write(path, content);
  console.log(path);
}

/** Replaces the text between `<!-- begin: name -->` and `<!-- end: name -->`. */
async function replaceSection(path: string, name: string, content: string): Promise<void> {
  const begin = `<!-- begin: ${name} -->`;
  const end = `<!-- end: ${name} -->`;
  const page = await Bun.file(path).text();
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from < 0 || to < from) throw new Error(`${path} has no section ${name}`);
  await Bun.write(path, `${page.slice(0, from + begin.length)}\n${content}\n${page.slice(to)}`);
  console.log(`${path}: ${name}`);
}
