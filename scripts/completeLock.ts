/**
 * Completes package-lock.json after `npm install` against a registry that lacks some platforms'
 * packages (docs/decisions/0080-lock-file.md); `npm ci` refuses a lock without them, anywhere.
 *
 * Each missing package is an optional dependency pinned exactly by its parent: version, system and
 * processor follow from that pin and the name. There is no integrity hash for what was not seen.
 */
export {};

interface LockEntry {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const SYSTEMS = ["darwin", "linux", "win32", "android", "freebsd", "openharmony"];
const PROCESSORS = ["x64", "arm64", "arm", "ia32", "ppc64", "riscv64", "s390x"];
const PATH = "package-lock.json";

const lock = (await Bun.file(PATH).json()) as { packages: Record<string, LockEntry> };
const known = Object.keys(lock.packages);
let added = 0;
for (const parent of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
    if (known.some((path) => path.endsWith(`node_modules/${name}`))) continue;
    lock.packages[`node_modules/${name}`] = entryOf(name, version, parent.dev === true);
    known.push(`node_modules/${name}`);
    added++;
  }
}
lock.packages = Object.fromEntries(
  Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)),
);
await Bun.write(PATH, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`${added} entries added to ${PATH}`);

function entryOf(name: string, version: string, dev: boolean): Record<string, unknown> {
  const words = name.slice(name.indexOf("/") + 1).split("-");
  const system = SYSTEMS.find((word) => words.includes(word));
  const processor = PROCESSORS.find((word) => words.includes(word));
  if (system === undefined || processor === undefined || !/^\d/.test(version)) {
    throw new Error(`${name}@${version}: not a pinned platform package`);
  }
  const musl = words.some((word) => word.startsWith("musl"));
  return {
    version,
    cpu: [processor],
    ...(dev ? { dev } : {}),
    ...(system === "linux" ? { libc: [musl ? "musl" : "glibc"] } : {}),
    optional: true,
    os: [system],
  };
}
