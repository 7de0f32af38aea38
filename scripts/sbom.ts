/**
 * `bun scripts/sbom.ts [--target bun-linux-arm64]`: what the executable is made of, as CycloneDX 1.6 in
 * dist/sbom.cdx.json, and the licences of all parts in dist/LICENSES.txt.
 *
 * The list is what the bundler has put in, not what package.json asks for. The same sources give the same bytes.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ENTRIES } from "./entries.ts";

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
    Record<string, { readonly version: string; readonly integrity?: string }>
  >;
}

/** All parts for a platform, by name: packages in the bundle, the runtime, DuckDB. */
export async function partsOf(target: string): Promise<readonly Part[]> {
  const lock = JSON.parse(readFileSync("package-lock.json", "utf8")) as Lock;
  const folders = await bundledFolders();
  const duckdb = `node_modules/@duckdb/node-bindings-${target.replace(/^bun-/, "")}`;
  const packages = [...folders, duckdb, "node_modules/bun"].map((folder) => partIn(folder, lock));
  return packages.toSorted((a, b) => (a.url < b.url ? -1 : 1));
}

/** Folders of the packages that the bundler takes files of. */
async function bundledFolders(): Promise<readonly string[]> {
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

function partIn(folder: string, { packages }: Lock): Part {
  const locked = packages[folder];
  if (locked === undefined) throw new Error(`${folder} is not in package-lock.json`);
  const manifest = `${folder}/package.json`;
  const { name = folder.replace(/^.*node_modules\//, ""), license = "" } = existsSync(manifest)
    ? (JSON.parse(readFileSync(manifest, "utf8")) as {
        readonly name?: string;
        readonly license?: string;
      })
    : {};
  const sha512 = /^sha512-(.*)$/.exec(locked.integrity ?? "")?.[1];
  return {
    name,
    version: locked.version,
    licence: license === "" && name.startsWith("@duckdb/") ? "MIT" : license,
    url: `pkg:npm/${name.replace("@", "%40")}@${locked.version}`,
    sha512: sha512 === undefined ? null : Uint8Array.fromBase64(sha512).toHex(),
    folder: existsSync(manifest) ? folder : null,
  };
}

/** The bill of materials. */
export function sbomText(version: string, parts: readonly Part[]): string {
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
  const bom = {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: { component: { ...own, licenses: [{ license: { id: "Apache-2.0" } }] } },
    components,
  };
  return `${JSON.stringify(bom, null, 2)}\n`;
}

/** The licences of all parts, one after the other. */
export function licencesText(parts: readonly Part[]): string {
  return parts
    .map((part) => {
      const { folder } = part;
      const files =
        folder === null
          ? []
          : readdirSync(folder).filter((each) => /^(licen[cs]e|notice)/i.test(each));
      const texts = files
        .toSorted()
        .map((each) => readFileSync(join(folder ?? "", each), "utf8").trim());
      return [`${part.name} ${part.version} (${part.licence})`, ...texts].join("\n\n");
    })
    .join(`\n\n${"-".repeat(80)}\n\n`);
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { target: { type: "string" } } });
  const parts = await partsOf(values.target ?? `bun-${process.platform}-${process.arch}`);
  const { version } = (await Bun.file("package.json").json()) as { readonly version: string };
  mkdirSync("dist", { recursive: true });
  await Bun.write("dist/sbom.cdx.json", sbomText(version, parts));
  await Bun.write("dist/LICENSES.txt", `${licencesText(parts)}\n`);
  console.log(`dist/sbom.cdx.json, dist/LICENSES.txt: ${parts.length} parts`);
}
