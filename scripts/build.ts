/**
 * `bun run build`: one self-contained executable, `dist/kafka-iceberg`.
 *
 * DuckDB travels inside it (`src/sql/library.ts`).
 *
 * The executable reads neither `bunfig.toml` nor `.env` of its working folder (Bun's executables do so
 * unless told otherwise). `src/main.ts` is an entry point, and so is every Worker.
 *
 * `--target bun-linux-arm64` and the like build for another platform; `--outfile FILE` elsewhere.
 */
import { mkdir } from "node:fs/promises";
import { parseArgs } from "node:util";
import { ENTRIES } from "./entries.ts";

/** Level 19 would save another 2 MB, and takes a minute. */
const PACK_LEVEL = 12;

const { values } = parseArgs({
  options: { target: { type: "string" }, outfile: { type: "string" } },
});
const outfile = values.outfile ?? "dist/kafka-iceberg";
const duckdb = await packDuckDb(values.target ?? `bun-${process.platform}-${process.arch}`);
const { version } = (await Bun.file("package.json").json()) as { version: string };
const commit = await gitCommit();
await mkdir("dist", { recursive: true });
const flags = [
  "--compile",
  // Workers are found by their paths below it, whatever else is packed.
  "--root=src",
  // Parsed when it is built, not at each start: 0.03 s of CPU instead of 0.09 (decision 0370).
  "--bytecode",
  "--format=esm",
  "--no-compile-autoload-bunfig",
  "--no-compile-autoload-dotenv",
  `--define=KAFKA_ICEBERG_VERSION=${JSON.stringify(version)}`,
  `--define=KAFKA_ICEBERG_COMMIT=${JSON.stringify(commit)}`,
  `--define=KAFKA_ICEBERG_DUCKDB=${JSON.stringify(duckdb.sha256)}`,
  ...(values.target === undefined ? [] : [`--target=${values.target}`]),
];
const files = [...ENTRIES, ...(duckdb.packed === null ? [] : [duckdb.packed])];
const child = Bun.spawn([process.execPath, "build", ...files, ...flags, "--outfile", outfile], {
  stdout: "ignore",
  stderr: "inherit",
});
if ((await child.exited) !== 0) process.exit(1);
const { size } = Bun.file(outfile);
console.log(`${outfile}: ${version} (${commit}), ${Math.round(size / 1e6)} MB`);

/** The commit that is built, `-dirty` when files differ from it; `source` outside of git. */
async function gitCommit(): Promise<string> {
  const git = Bun.spawn(["git", "describe", "--always", "--dirty", "--exclude=*"], {
    stderr: "ignore",
  });
  const text = (await new Response(git.stdout).text()).trim();
  return (await git.exited) === 0 && text !== "" ? text : "source";
}

/**
 * DuckDB's shared library for a platform, compressed, in `dist/native/`: a fifth of its size, packed
 * once a version. A platform whose package is not installed gets an executable without SQL.
 */
async function packDuckDb(target: string): Promise<{ packed: string | null; sha256: string }> {
  const [, system = "", machine = ""] = /^bun-(linux|darwin)-(x64|arm64)/.exec(target) ?? [];
  const name = system === "darwin" ? "libduckdb.dylib" : "libduckdb.so";
  const file = Bun.file(`node_modules/@duckdb/node-bindings-${system}-${machine}/${name}`);
  if (!(await file.exists())) {
    console.error(`${target}: its package of DuckDB is not installed; the executable has no SQL`);
    return { packed: null, sha256: "" };
  }
  const bytes = await file.bytes();
  const sha256 = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
  const packed = `dist/native/${sha256.slice(0, 16)}/libduckdb.zst`;
  if (!(await Bun.file(packed).exists())) {
    await Bun.write(packed, await Bun.zstdCompress(bytes, { level: PACK_LEVEL }));
  }
  return { packed, sha256 };
}
