/**
 * First figures of the whole process (`bun run bench`): a full topic into a table, from process start
 * to the last commit, by `dist/kafka-iceberg run --until-end`.
 *
 * Time, CPU and memory are what Linux says of the process; commits are the table's own snapshots;
 * every run is judged against the topic, so that no figure is of wrong rows.
 * Arguments: `--events N` (2,000,000), `--runs N` (3), `--codec C` (lz4).
 */
import { cpus, loadavg, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Codec, produceEvents } from "../events/events.ts";
import { createTopic } from "../events/topics.ts";
import { judgeTable, readTopic, showTable, type TopicCopy } from "../judge/judge.ts";
import { startKafka } from "../services/kafka.ts";
import { run, temporaryFolder } from "../services/process.ts";
import { startProduct } from "../services/product.ts";

/** One run's figures. */
interface Figures {
  readonly "rows/s": number;
  readonly "rows/CPU-s": number;
  readonly "CPU s": number;
  readonly "peak MiB": number;
  readonly "flush p50 ms": number;
  readonly "flush p99 ms": number;
  readonly "first commit s": number;
  readonly snapshots: number;
}

const PAGE = "docs/BENCHMARKS.md";
const TOPIC = "bench";
const PARTITIONS = 6;

const { values: flags } = parseArgs({
  options: {
    events: { type: "string", default: "2000000" },
    runs: { type: "string", default: "3" },
    codec: { type: "string", default: "lz4" },
  },
});
const count = Number(flags.events);
const [load = 0] = loadavg();
const broker = await startKafka();
const { bootstrap } = broker;
await createTopic(bootstrap, { topic: TOPIC, partitions: PARTITIONS });
await produceEvents({ bootstrap, topic: TOPIC, count, codec: flags.codec as Codec });
const copy = await readTopic(bootstrap, TOPIC);
await run([process.execPath, "scripts/build.ts"]);
const figures: Figures[] = [];
for (let n = 1; n <= Number(flags.runs); n++) {
  figures.push(await measure(copy));
  console.log(`run ${n} of ${flags.runs}: ${JSON.stringify(figures.at(-1))}`);
}
await broker.stop();
console.table(figures);
await writeSection("Ingest", page(figures));
process.exit(0);

async function measure(topic: TopicCopy): Promise<Figures> {
  const folder = await temporaryFolder("bench");
  const warehouse = join(folder, "warehouse");
  const config = {
    kafka: { bootstrap_servers: bootstrap, topic: TOPIC, consumer_group: crypto.randomUUID() },
    iceberg: { warehouse_path: warehouse },
    logging: { format: "json" },
  };
  const command = ["run", "--until-end"];
  const product = await startProduct({ config, command, folder, run: "binary" });
  const code = await product.exited;
  if (code !== 0) throw new Error(`kafka-iceberg ended with ${code}:\n${product.log()}`);
  const { cpuSeconds, peakBytes } = product.usage();
  const table = { folder: join(warehouse, "default", TOPIC) };
  const verdict = await judgeTable({ table, topics: [topic], readers: ["duckdb"] });
  if (!verdict.ok) throw new Error(`wrong rows: ${JSON.stringify(verdict.violations)}`);
  const commits = (await showTable(table)).snapshots
    .filter((snapshot) => snapshot["added rows"] !== "0")
    .map(({ committed = "" }) => Date.parse(committed));
  const flushes = product
    .logLines()
    .filter((line) => "records_flushed" in line)
    .map((line) => Number(line.duration_ms));
  const last = Math.max(...commits);
  const seconds = (last - product.startedMs) / 1000;
  return {
    "rows/s": Math.round(count / seconds),
    "rows/CPU-s": Math.round(count / cpuSeconds),
    "CPU s": Number(cpuSeconds.toFixed(2)),
    "peak MiB": Math.round(peakBytes / 2 ** 20),
    "flush p50 ms": quantile(flushes, 0.5),
    "flush p99 ms": quantile(flushes, 0.99),
    "first commit s": (Math.min(...commits) - product.startedMs) / 1000,
    snapshots: commits.length,
  };
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN;
}

function page(rows: readonly Figures[]): string {
  const names = Object.keys(rows[0] ?? {}) as (keyof Figures)[];
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(" | ")} |`;
  const [cpu] = cpus();
  return [
    `\`bun run bench -- --events ${count} --runs ${flags.runs} --codec ${flags.codec}\` on ${new Date().toISOString().slice(0, 10)}:`,
    `${cpus().length} x ${cpu?.model ?? "unknown processor"}, ${Math.round(totalmem() / 2 ** 30)} GiB, the broker on the same machine; load average before: ${load.toFixed(1)}.`,
    `${count.toLocaleString("en")} events of about 270 bytes in ${PARTITIONS} partitions, file catalog, local disk, all settings at their defaults.`,
    "Each run is a fresh process; rows/s from its start to its last commit; CPU is utime + stime of the whole process up to its exit;",
    "peak is VmHWM; flush is seal to committed, from the log. Every run's rows were judged against the topic.",
    "",
    line(["run", ...names]),
    line(["---", ...names.map(() => "---:")]),
    ...rows.map((row, n) => line([n + 1, ...names.map((name) => row[name])])),
  ].join("\n");
}

/** Replaces one `## ` section of the page, or adds it. */
async function writeSection(title: string, text: string): Promise<void> {
  const file = Bun.file(PAGE);
  const old = (await file.exists()) ? await file.text() : "# Benchmarks\n";
  const sections = old.split(/^(?=## )/m).filter((part) => !part.startsWith(`## ${title}\n`));
  await Bun.write(PAGE, `${sections.join("").trimEnd()}\n\n## ${title}\n\n${text}\n`);
}
