/**
 * `bun run build`: the executable for this machine, `dist/kafka-iceberg`.
 *
 * `--target linux-arm64` and the like (`release/targets.ts`) build for another platform; `--outfile FILE` elsewhere.
 */
import { parseArgs } from "node:util";
import { buildExecutable } from "./release/executable.ts";
import { targetNamed } from "./release/targets.ts";

const { values } = parseArgs({
  options: { target: { type: "string" }, outfile: { type: "string" } },
});
const outfile = values.outfile ?? "dist/kafka-iceberg";
const target = values.target === undefined ? null : targetNamed(values.target);
const { version, commit } = await buildExecutable({ outfile, target });
console.log(`${outfile}: ${version} (${commit}), ${Math.round(Bun.file(outfile).size / 1e6)} MB`);
