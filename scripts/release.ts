/**
 * `bun run release`: everything that is published for a version, in dist/release. The same commit gives the same bytes.
 *
 * For each platform (`release/targets.ts`) an archive with the executable, its manual page, its units, an example
 * configuration and the licences of all parts, and a bill of materials (CycloneDX); for all of them SHA256SUMS, what
 * the changelog says about the version, and the install script.
 *
 * `--target NAME` (repeatable) makes some of them; `--url ADDRESS` is where the install script will look for them.
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { pack } from "./release/archive.ts";
import { changesOf } from "./release/changes.ts";
import { buildExecutable, buildLabel } from "./release/executable.ts";
import { mismatch } from "./release/nativeFile.ts";
import { packageFolder } from "./release/packages.ts";
import { TARGETS, type Target, targetNamed } from "./release/targets.ts";
import { bundledFolders, licencesText, partsOf, sbomText } from "./sbom.ts";

const FOLDER = "dist/release";
const { values } = parseArgs({
  options: { target: { type: "string", multiple: true }, url: { type: "string" } },
});
const targets = values.target?.map(targetNamed) ?? TARGETS;
const { version, commit } = await buildLabel();
const changes = changesOf(await Bun.file("docs/CHANGELOG.md").text(), version);
const bundled = await bundledFolders();
rmSync(FOLDER, { recursive: true, force: true });
mkdirSync(FOLDER, { recursive: true });
console.log(`kafka-iceberg ${version} (${commit})`);
for (const target of targets) await release(target);
await Bun.write(join(FOLDER, "CHANGES.md"), changes);
const installer = await Bun.file("deploy/install.sh").text();
await Bun.write(join(FOLDER, "install.sh"), withUrl(installer, values.url));
await Bun.write(join(FOLDER, "SHA256SUMS"), await sums());

async function release(target: Target): Promise<void> {
  const name = `kafka-iceberg-${target.name}`;
  const outfile = join(FOLDER, name, "kafka-iceberg");
  await buildExecutable({ outfile, target });
  const bytes = await Bun.file(outfile).bytes();
  const problem = mismatch(bytes, target);
  if (problem !== null) throw new Error(`${outfile} ${problem}`);
  const parts = await partsOf(target, bundled, packageFolder);
  const sha256 = sha256Of(bytes);
  await Bun.write(join(FOLDER, name, "LICENSES.txt"), licencesText(parts));
  await Bun.write(join(FOLDER, `${name}.cdx.json`), sbomText(version, parts, sha256));
  const archive = await pack(FOLDER, name);
  const size = (count: number): string => `${(count / 1e6).toFixed(1)} MB`;
  const sizes = `${size(bytes.length)}, packed ${size(Bun.file(archive).size)}`;
  console.log(`${target.name}: ${sizes}, ${parts.length} parts, ${sha256}`);
}

/** In the form of sha256sum. */
async function sums(): Promise<string> {
  const names = [...new Bun.Glob("*").scanSync(FOLDER)].toSorted();
  const lines = names.map(async (name) => {
    return `${sha256Of(await Bun.file(join(FOLDER, name)).bytes())}  ${name}\n`;
  });
  return (await Promise.all(lines)).join("");
}

/** The script with the address as its own, where one is given. */
function withUrl(script: string, url: string | undefined): string {
  if (url === undefined) return script;
  if (!/^https:\/\/[\w.:/%~-]+$/.test(url)) throw new Error(`--url ${url}: no https address`);
  return script.replace(/^from=$/m, `from=${url}`);
}

function sha256Of(bytes: Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
}
