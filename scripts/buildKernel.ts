/**
 * `bun run build:kernel`: AssemblyScript in `src/kernel/assembly/` -> `src/kernel/NAME.wasm`.
 *
 * The modules are committed, so that nobody needs the compiler to run or test; the gate compiles
 * them again and compares (`test/golden/kernel.test.ts`). `--outdir DIR` writes them elsewhere, a name
 * builds that one only.
 */
import { parseArgs } from "node:util";

const SOURCES = "src/kernel/assembly";

const { values, positionals } = parseArgs({
  options: { outdir: { type: "string" } },
  allowPositionals: true,
});
const outdir = values.outdir ?? "src/kernel";
const entries = [...new Bun.Glob("*.ts").scanSync(SOURCES)].sort();
for (const entry of entries) {
  if (positionals.length > 0 && !positionals.includes(entry.replace(/\.ts$/, ""))) continue;
  const outfile = `${outdir}/${entry.replace(/\.ts$/, ".wasm")}`;
  // What calls readers that are generated while the process runs finds them in its table.
  const table = entry === "decode.ts" ? ["--exportTable"] : [];
  const flags = ["-O3", "--converge", "--runtime", "stub", "--use", "abort=", "--enable", "simd"];
  const child = Bun.spawn(
    [
      "node",
      "node_modules/assemblyscript/bin/asc.js",
      `${SOURCES}/${entry}`,
      "-o",
      outfile,
      ...flags,
      ...table,
    ],
    { stdout: "inherit", stderr: "inherit" },
  );
  if ((await child.exited) !== 0) process.exit(1);
  console.log(`${outfile}: ${Bun.file(outfile).size} bytes`);
}
