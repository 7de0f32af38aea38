/**
 * The platforms that executables are made for, and where the natives of each come from.
 *
 * There is one executable for all x64 processors: since 1.4 Bun's package for processors without AVX2 is the
 * same file, byte by byte (`scripts/prove/release.ts` compares them, and runs ours on such processors).
 */

/** A platform. */
export interface Target {
  /** As in the names of what is released. */
  readonly name: string;
  /** Bun's own word for it. */
  readonly bun: string;
  /** npm package that holds the runtime, `bin/bun`. */
  readonly runtime: string;
  /** npm package that holds DuckDB's shared library. */
  readonly duckdb: string;
  readonly library: "libduckdb.so" | "libduckdb.dylib";
  readonly processor: "x64" | "arm64";
  /** The program that loads the executable; null on macOS, where the system does. */
  readonly loader: string | null;
}

/** All of them. */
export const TARGETS: readonly Target[] = [
  linux("linux-x64", "x64", "/lib64/ld-linux-x86-64.so.2"),
  linux("linux-x64-musl", "x64", "/lib/ld-musl-x86_64.so.1"),
  linux("linux-arm64", "arm64", "/lib/ld-linux-aarch64.so.1"),
  linux("linux-arm64-musl", "arm64", "/lib/ld-musl-aarch64.so.1"),
  macos("x64"),
  macos("arm64"),
];

/** @throws Error which names those that there are */
export function targetNamed(name: string): Target {
  const found = TARGETS.find((target) => target.name === name);
  if (found !== undefined) return found;
  throw new Error(`${name} is no target; there are ${TARGETS.map((each) => each.name).join(", ")}`);
}

/** The platform of this process; a C library other than glibc is not looked for. */
export function ownTarget(): Target {
  return targetNamed(`${process.platform}-${process.arch}`);
}

function linux(name: string, processor: "x64" | "arm64", loader: string): Target {
  const runtime = `@oven/bun-${name.replace("arm64", "aarch64")}`;
  const duckdb = `@duckdb/node-bindings-${name}`;
  return { name, bun: `bun-${name}`, runtime, duckdb, library: "libduckdb.so", processor, loader };
}

function macos(processor: "x64" | "arm64"): Target {
  const name = `darwin-${processor}`;
  const runtime = `@oven/bun-${name.replace("arm64", "aarch64")}`;
  const duckdb = `@duckdb/node-bindings-${name}`;
  const library = "libduckdb.dylib";
  return { name, bun: `bun-${name}`, runtime, duckdb, library, processor, loader: null };
}
