/**
 * `bun run build`: one self-contained executable, `dist/kafka-iceberg`.
 *
 * The executable reads neither `bunfig.toml` nor `.env` of its working folder (Bun's executables do so
 * unless told otherwise). `src/main.ts` is an entry point, and so is every Worker.
 *
 * `--target bun-linux-arm64` and the like build for another platform; `--outfile FILE` elsewhere.
 */
import { mkdir } from "node:fs/promises";
import { parseArgs } from "node:util";

const ENTRIES = ["src/main.ts", "src/parquet/worker.ts"];

const { values } = parseArgs({
  options: { target: { type: "string" }, outfile: { type: "string" } },
});
const outfile = values.outfile ?? "dist/kafka-iceberg";
const { version } = (await Bun.file("package.json").json()) as { version: string };
const commit = await gitCommit();
await mkdir("dist", { recursive: true });
const flags = [
  "--compile",
  // Parsed when it is built, not at each start: 0.03 s of CPU instead of 0.09 (decision 0370).
  "--bytecode",
  "--format=esm",
  "--no-compile-autoload-bunfig",
  "--no-compile-autoload-dotenv",
  `--define=KAFKA_ICEBERG_VERSION=${JSON.stringify(version)}`,
  `--define=KAFKA_ICEBERG_COMMIT=${JSON.stringify(commit)}`,
  ...(values.target === undefined ? [] : [`--target=${values.target}`]),
];
const child = Bun.spawn([process.execPath, "build", ...ENTRIES, ...flags, "--outfile", outfile], {
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
