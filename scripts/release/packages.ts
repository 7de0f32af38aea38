/**
 * Packages of other platforms, which `npm ci` does not install here: taken from the registry by npm once a
 * version, kept in the cache folder, and held against the hash in package-lock.json.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "../services/install.ts";
import { run } from "../services/process.ts";

interface Lock {
  readonly packages: Readonly<
    Record<string, { readonly version: string; readonly integrity?: string }>
  >;
}

/**
 * The folder of a package in the version that package-lock.json pins.
 * @throws Error the lock does not know it, or what the registry gave is something else
 */
export async function packageFolder(name: string): Promise<string> {
  const lock = JSON.parse(readFileSync("package-lock.json", "utf8")) as Lock;
  const { version, integrity } = lock.packages[`node_modules/${name}`] ?? {};
  if (version === undefined || integrity === undefined) {
    throw new Error(`package-lock.json has no version and hash of ${name}`);
  }
  const folder = join(cacheFolder(), "packages", `${name}@${version}`);
  if (existsSync(folder)) return folder;
  const part = `${folder}.${process.pid}`;
  mkdirSync(part, { recursive: true });
  try {
    await run(["npm", "pack", "--silent", "--pack-destination", part, `${name}@${version}`]);
    const [archive = ""] = [...new Bun.Glob("*.tgz").scanSync(part)];
    const hash = new Bun.CryptoHasher("sha512");
    hash.update(await Bun.file(join(part, archive)).bytes());
    const found = `sha512-${hash.digest("base64")}`;
    if (found !== integrity) throw new Error(`${name}@${version} is not what the lock pins`);
    await run(["tar", "-xzf", archive, "--strip-components=1"], { cwd: part });
    rmSync(join(part, archive));
    renameSync(part, folder);
  } finally {
    rmSync(part, { recursive: true, force: true });
  }
  return folder;
}
