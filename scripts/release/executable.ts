/**
 * One self-contained executable: the bundle as bytecode, behind a runtime, with DuckDB inside
 * (`src/sql/library.ts`).
 *
 * It reads neither `bunfig.toml` nor `.env` of its working folder (Bun's executables do so unless told
 * otherwise). `src/main.ts` is an entry point, and so is every Worker. The same sources give the same bytes,
 * wherever they are built; the file's own name is part of them.
 */
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ENTRIES } from "../entries.ts";
import { type PackedLibrary, packLibrary } from "./library.ts";
import { packageFolder } from "./packages.ts";
import { ownTarget, type Target } from "./targets.ts";

/** What is built, and where. */
export interface ExecutableOptions {
  readonly outfile: string;
  /** null: for this machine, with the runtime that runs this script and what `npm ci` installed. */
  readonly target: Target | null;
}

/** What `--version` will say. */
export interface BuildLabel {
  readonly version: string;
  readonly commit: string;
}

/** Builds it. @throws Error the bundler failed, and has said why */
export async function buildExecutable({ outfile, target }: ExecutableOptions): Promise<BuildLabel> {
  const label = await buildLabel();
  const library = target === null ? await ownLibrary() : await libraryOf(target);
  await mkdir(dirname(outfile), { recursive: true });
  const flags = [
    "--compile",
    // Workers are found by their paths below it, whatever else is packed.
    "--root=src",
    // Parsed when it is built, not at each start: 0.03 s of CPU instead of 0.09 (decision 0370).
    "--bytecode",
    "--format=esm",
    "--no-compile-autoload-bunfig",
    "--no-compile-autoload-dotenv",
    `--define=KAFKA_ICEBERG_VERSION=${JSON.stringify(label.version)}`,
    `--define=KAFKA_ICEBERG_COMMIT=${JSON.stringify(label.commit)}`,
    `--define=KAFKA_ICEBERG_DUCKDB=${JSON.stringify(library?.sha256 ?? "")}`,
    ...(target === null ? [] : await runtimeFlags(target)),
  ];
  const files = [...ENTRIES, ...(library === null ? [] : [library.path])];
  const words = ["build", ...files, ...flags, "--outfile", outfile];
  const child = Bun.spawn([process.execPath, ...words], { stdout: "ignore", stderr: "inherit" });
  if ((await child.exited) !== 0) throw new Error(`${outfile} was not built`);
  return label;
}

/** The version of package.json, and the commit that is built: `-dirty` when files differ from it, `source` outside of git. */
export async function buildLabel(): Promise<BuildLabel> {
  const { version } = (await Bun.file("package.json").json()) as { readonly version: string };
  const git = Bun.spawn(["git", "describe", "--always", "--dirty", "--exclude=*"], {
    stderr: "ignore",
  });
  const text = (await new Response(git.stdout).text()).trim();
  const commit = (await git.exited) === 0 && text !== "" ? text : "source";
  return { version, commit };
}

async function runtimeFlags({ bun, runtime }: Target): Promise<readonly string[]> {
  const path = join(await packageFolder(runtime), "bin", "bun");
  return [`--target=${bun}`, `--compile-executable-path=${path}`];
}

async function libraryOf({ duckdb, library, processor }: Target): Promise<PackedLibrary> {
  return packLibrary(join(await packageFolder(duckdb), library), processor);
}

async function ownLibrary(): Promise<PackedLibrary | null> {
  const { name, duckdb, library, processor } = ownTarget();
  const path = join("node_modules", duckdb, library);
  if (await Bun.file(path).exists()) return packLibrary(path, processor);
  console.error(`${name}: its package of DuckDB is not installed; the executable has no SQL`);
  return null;
}
