/**
 * Proof: 2,000,000 events in 6 partitions, through the executable, as PyIceberg, DuckDB and Spark
 * read them, against what an independent read_committed reader finds; values included.
 *
 * `bun scripts/prove/readers.ts [events]`. The executable is built into a folder of its own, with a
 * `bunfig.toml` and an `.env` beside it that it must not read.
 */
import { join } from "node:path";
import { produceEvents } from "../events/events.ts";
import { startKafka } from "../services/kafka.ts";
import { run } from "../services/process.ts";
import { startProduct } from "../services/product.ts";
import { judge, newCourse } from "./course.ts";

const events = Number(process.argv[2] ?? 2_000_000);
const { bootstrap } = await startKafka();
const course = await newCourse({
  bootstrap,
  topic: "events",
  partitions: 6,
  config: { "iceberg.commit": { interval_ms: 1000 } },
});
const executable = join(course.folder, "kafka-iceberg");
const build = join(import.meta.dir, "..", "build.ts");
await run([process.execPath, build, "--outfile", executable]);
await Bun.write(join(course.folder, "bunfig.toml"), 'preload = ["./foreign.ts"]\n');
await Bun.write(join(course.folder, "foreign.ts"), "process.exit(77);\n");
await Bun.write(join(course.folder, ".env"), "STATE_DIRECTORY=/proc/foreign\n");
const { bytes } = await produceEvents({ bootstrap, topic: "events", count: events, codec: "lz4" });
const began = performance.now();
const product = await startProduct({
  config: course.config,
  folder: course.folder,
  command: ["run", "--until-end"],
  executable,
});
const exitCode = await product.exited;
const ingestSeconds = (performance.now() - began) / 1000;
if (exitCode !== 0) throw new Error(`exit ${exitCode}\n${product.log().slice(-3000)}`);
const verdict = await judge(course, { readers: ["pyiceberg", "duckdb", "spark"] });
const { cpuSeconds, peakBytes } = product.usage();
const figures = {
  events,
  bytesPerEvent: Math.round(bytes / events),
  ingestSeconds: Number(ingestSeconds.toFixed(1)),
  cpuSeconds: Number(cpuSeconds.toFixed(1)),
  peakMiB: Math.round(peakBytes / 2 ** 20),
};
console.log(JSON.stringify({ ...figures, verdict }, null, 1));
const rows = Object.values(verdict.readers).map((reader) => reader.rows);
process.exit(verdict.ok && rows.every((count) => count === events) ? 0 : 1);
