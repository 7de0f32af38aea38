/**
 * Chromium without a screen: Debian's packages, unpacked into the cache (300 MB), nothing installed.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder, ensure } from "./install.ts";
import { run } from "./process.ts";

/** How the browser is run. */
export interface Chromium {
  readonly binary: string;
  readonly env: Readonly<Record<string, string>>;
}

const PACKAGE = "chromium-headless-shell";

/** Takes the one that is installed, else unpacks it and those of its libraries that are missing here. */
export async function chromium(): Promise<Chromium> {
  const installed = Bun.which(PACKAGE) ?? Bun.which("chromium");
  if (installed !== null) return { binary: installed, env: {} };
  const folder = join(cacheFolder(), "chromium");
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  const libraries = join(folder, "usr/lib", `${machine}-linux-gnu`);
  const found: Chromium = {
    binary: join(folder, "usr/lib/chromium", PACKAGE),
    // PulseAudio's library looks for a part of itself in a folder of its own.
    env: { LD_LIBRARY_PATH: `${libraries}:${join(libraries, "pulseaudio")}` },
  };
  await ensure({
    name: PACKAGE,
    version: PACKAGE,
    marker: join(folder, ".done"),
    verify: () => run([found.binary, "--version"], { env: found.env }),
    install: () => unpack(folder),
  });
  return found;
}

async function unpack(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const plan = await run(["apt-get", "install", "-s", "--no-install-recommends", PACKAGE]);
  const packages = [...plan.matchAll(/^Inst (\S+)/gm)].map(([, name = ""]) => name);
  await run(["apt-get", "download", ...packages], { cwd: folder });
  for (const file of new Bun.Glob("*.deb").scanSync(folder)) {
    await run(["dpkg-deb", "-x", join(folder, file), folder]);
    await Bun.file(join(folder, file)).delete();
  }
}
