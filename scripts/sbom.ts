/**
 * What an executable is made of: its bill of materials as CycloneDX 1.6, and the licences of all parts.
 * `bun scripts/sbom.ts [--target linux-arm64]` writes dist/sbom.cdx.json and dist/LICENSES.txt; `release.ts`
 * does so for each platform.
 *
 * The list is what the bundler has put in, not what package.json asks for. The same sources give the same bytes.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ENTRIES } from "./entries.ts";
import { ownTarget, type Target, targetNamed } from "./release/targets.ts";

/** What packages of the runtime do not say themselves. */
const RUNTIME_NOTICE = "scripts/release/runtimeNotice.txt";

/** One part of the executable. */
export interface Part {
  readonly name: string;
  readonly version: string;
  /** SPDX expression. */
  readonly licence: string;
  /** Package URL (purl). */
  readonly url: string;
  /** SHA-512 of the package as it was published, hexadecimal; null: it is no package of the lock file. */
  readonly sha512: string | null;
  /** Its folder, where there is one. */
  readonly folder: string | null;
}

interface Lock {
  readonly packages: Readonly<
    Record<
      string,
      { readonly version: string; readonly integrity?: string; readonly license?: string }
    >
  >;
}

/**
 * All parts for a platform, by name: packages in the bundle, the runtime, DuckDB.
 * @param bundled of {@link bundledFolders} @param folderOf where the natives' packages are, whose licences are
 *   wanted; default: what `npm ci` installed
 */
export async function partsOf(
  { runtime, duckdb }: Target,
  bundled: readonly string[],
  folderOf: (name: string) => Promise<string> = async (name) => `node_modules/${name}`,
): Promise<readonly Part[]> {
  const lock = JSON.parse(readFileSync("package-lock.json", "utf8")) as Lock;
  const packages = bundled.map((folder) => partIn(folder, folder, lock));
  for (const name of [runtime, duckdb]) {
    packages.push(partIn(`node_modules/${name}`, await folderOf(name), lock));
  }
  return packages.toSorted((a, b) => (a.url < b.url ? -1 : 1));
}

/** Folders of the packages that the bundler takes files of. */
export async function bundledFolders(): Promise<readonly string[]> {
  const out = mkdtempSync(join(tmpdir(), "bundle-"));
  const meta = join(out, "meta.json");
  const words = [
    "build",
    ...ENTRIES,
    "--target=bun",
    "--root=src",
    `--outdir=${out}`,
    `--metafile=${meta}`,
  ];
  const child = Bun.spawn([process.execPath, ...words], { stdout: "ignore", stderr: "inherit" });
  if ((await child.exited) !== 0) throw new Error("the bundle was not made");
  const { inputs } = (await Bun.file(meta).json()) as {
    readonly inputs: Readonly<Record<string, unknown>>;
  };
  rmSync(out, { recursive: true });
  const folders = Object.keys(inputs).flatMap((path) => {
    const inside = /^(?:.*\/)?(node_modules\/(?:.*node_modules\/)?(?:@[^/]+\/)?[^/]+)\//.exec(path);
    return inside === null ? [] : [inside[1] ?? ""];
  });
  return [...new Set(folders)];
}

/** @param place its name in the lock file @param folder where its files are */
function partIn(place: string, folder: string, { packages }: Lock): Part {
  const locked = packages[place];
  if (locked === undefined) throw new Error(`${place} is not in package-lock.json`);
  const name = place.replace(/^.*node_modules\//, "");
  const sha512 = /^sha512-(.*)$/.exec(locked.integrity ?? "")?.[1];
  return {
    name,
    version: locked.version,
    licence: locked.license ?? "",
    url: `pkg:npm/${name.replace("@", "%40")}@${locked.version}`,
    sha512: sha512 === undefined ? null : Uint8Array.fromBase64(sha512).toHex(),
    folder: existsSync(folder) ? folder : null,
  };
}

/** The bill of materials. @param sha256 of the executable, hexadecimal; null: it is not known */
export function sbomText(version: string, parts: readonly Part[], sha256: string | null): string {
  const components = parts.map((part) => ({
    type: "library",
    "bom-ref": part.url,
    name: part.name,
    version: part.version,
    ...(part.sha512 === null ? {} : { hashes: [{ alg: "SHA-512", content: part.sha512 }] }),
    licenses: [
      /[ (]/.test(part.licence) ? { expression: part.licence } : { license: { id: part.licence } },
    ],
    purl: part.url,
  }));
  const own = { type: "application", "bom-ref": "kafka-iceberg", name: "kafka-iceberg", version };
  const hashes = sha256 === null ? {} : { hashes: [{ alg: "SHA-256", content: sha256 }] };
  const bom = {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: { component: { ...own, ...hashes, licenses: [{ license: { id: "Apache-2.0" } }] } },
    components,
  };
  return `${JSON.stringify(bom, null, 2)}\n`;
}

/** The licences of all parts, one after the other. */
export function licencesText(parts: readonly Part[]): string {
  const sections = parts.map((part) => {
    return [`${part.name} ${part.version} (${part.licence})`, ...licenceTexts(part)].join("\n\n");
  });
  return `${sections.join(`\n\n${"-".repeat(80)}\n\n`)}\n`;
}

function licenceTexts({ name, folder }: Part): readonly string[] {
  const notice = name.startsWith("@oven/") ? [RUNTIME_NOTICE] : [];
  const files = folder === null ? [] : readdirSync(folder);
  const own = files.filter((each) => /^(licen[cs]e|notice)/i.test(each)).toSorted();
  const paths = [...notice, ...own.map((each) => join(folder ?? "", each))];
  return paths.map((path) => readFileSync(path, "utf8").trim());
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { target: { type: "string" } } });
  const target = values.target === undefined ? ownTarget() : targetNamed(values.target);
  const parts = await partsOf(target, await bundledFolders());
  const { version } = (await Bun.file("package.json").json()) as { readonly version: string };
  mkdirSync("dist", { recursive: true });
  await Bun.write("dist/sbom.cdx.json", sbomText(version, parts, null));
  await Bun.write("dist/LICENSES.txt", licencesText(parts));
  console.log(`dist/sbom.cdx.json, dist/LICENSES.txt: ${parts.length} parts`);
}
