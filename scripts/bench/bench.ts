/**
 * The benchmark with peers, `bun run bench`: who keeps an Iceberg table from a topic, and at what cost.
 *
 *   bun run bench                                  everything, about 20 minutes
 *   bun run bench -- --only ours,floor --runs 3    some sides; the others' figures stay
 *   bun run bench -- --parts sustained,steady,hot,idle --sustained 20000000 --rate 250000 --seconds 60
 *
 * Sides run one after the other, round by round. Every part's figures are merged into
 * docs/benchmarks.json as soon as they are there; docs/BENCHMARKS.md and docs/benchmarks.svg are
 * written from it (`--parts page` writes only those).
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Codec } from "../events/events.ts";
import { deleteTopic } from "../events/topics.ts";
import { type KafkaBroker, startKafka } from "../services/kafka.ts";
import { run } from "../services/process.ts";
import { connectPlain, connectStock, connectTuned } from "./peers/connect.ts";
import { flink } from "./peers/flink.ts";
import { floor } from "./peers/floor.ts";
import { measureFreshness } from "./peers/freshness.ts";
import { type IngestRun, measureIngest } from "./peers/ingest.ts";
import { withFolder } from "./peers/observe.ts";
import { ours } from "./peers/ours.ts";
import { pythonLoop } from "./peers/pythonLoop.ts";
import type { PageCodec, Side } from "./peers/side.ts";
import { measureHot, measureIdle, measureSteady } from "./peers/steady.ts";
import { measureSustained } from "./peers/sustained.ts";
import { fillTopic } from "./peers/topic.ts";
import { type Entry, type Figures, mergeEntries } from "./report/figures.ts";
import { benchmarkPage } from "./report/page.ts";
import { plotSvg } from "./report/plot.ts";
import { machine, versions } from "./report/versions.ts";

const DATA = "docs/benchmarks.json";
const PAGE = "docs/BENCHMARKS.md";
const PLOT = "docs/benchmarks.svg";
const PARTITIONS = 6;
/** Measured unless `--only` says otherwise. */
const SIDES = [ours, floor, pythonLoop, flink, connectTuned, connectStock];

const { values: flags } = parseArgs({
  options: {
    parts: { type: "string", default: "ingest,freshness,sustained,steady,hot,idle" },
    only: { type: "string", default: SIDES.map(({ name }) => name).join(",") },
    events: { type: "string", default: "8000000" },
    runs: { type: "string", default: "1" },
    codecs: { type: "string", default: "snappy,zstd" },
    /** Of the topic's record batches. */
    codec: { type: "string", default: "lz4" },
    /** Commit interval of every side, ms. */
    interval: { type: "string", default: "5000" },
    "freshness-rate": { type: "string", default: "20000" },
    "freshness-seconds": { type: "string", default: "60" },
    sustained: { type: "string", default: "20000000" },
    rate: { type: "string", default: "250000" },
    /** For produce to queryable. */
    "hot-rate": { type: "string", default: "50000" },
    /** Of the steady, hot and idle parts. */
    seconds: { type: "string", default: "60" },
  },
});
const names = flags.only.split(",");
const sides = [...SIDES, connectPlain].filter(({ name }) => names.includes(name));
const known: readonly string[] = [...SIDES, connectPlain].map(({ name }) => name);
const unknown = names.filter((name) => !known.includes(name));
if (unknown.length > 0) throw new Error(`no such side: ${unknown} (${known})`);
const intervalMs = Number(flags.interval);
const wantsOurs = sides.includes(ours);
const origin = {
  machine: machine(),
  versions: await versions(),
  ...(wantsOurs ? { commit: await head() } : {}),
};

await withFolder("product", async (folder) => {
  const executable = join(folder, "kafka-iceberg");
  if (wantsOurs) await run([process.execPath, "scripts/build.ts", "--outfile", executable]);
  const broker = await startKafka();
  try {
    const job = { bootstrap: broker.bootstrap, intervalMs, executable };
    for (const part of flags.parts.split(",")) await measurePart(part, job);
  } finally {
    await broker.stop();
    await run(["rm", "-rf", broker.dataDir]);
  }
});
await writePage();
process.exit(0);

interface Setting {
  readonly bootstrap: KafkaBroker["bootstrap"];
  readonly intervalMs: number;
  readonly executable: string;
}

async function measurePart(part: string, setting: Setting): Promise<void> {
  if (part === "ingest") await ingestPart(setting);
  else if (part === "freshness") await freshnessPart(setting);
  else if (part !== "page" && wantsOurs) await oursPart(part, setting);
}

/** Every side over one topic: all of them once, then again, for each codec. */
async function ingestPart(setting: Setting): Promise<void> {
  const topic = "ingest";
  const events = Number(flags.events);
  const partitions = await fill(setting, topic, events);
  const results = new Map<string, { side: Side; codec: PageCodec; runs: IngestRun[] }>();
  let agreed: string | null = null;
  for (let round = 1; round <= Number(flags.runs); round++) {
    for (const codec of flags.codecs.split(",") as PageCodec[]) {
      for (const side of sides) {
        const job = { ...setting, topic, codec, untilEnd: true };
        const { figures, checked } = await measureIngest(side, job, partitions);
        agreed ??= checked.sums.join();
        if (agreed !== checked.sums.join()) throw new Error(`${side.name} holds other values`);
        const result = results.get(`${side.name} ${codec}`) ?? { side, codec, runs: [] };
        result.runs.push(figures);
        results.set(`${side.name} ${codec}`, result);
        console.log(`${side.name} ${codec} ${round}: ${JSON.stringify(figures)}`);
        const { name, title } = side;
        await save([
          { kind: "ingest", side: name, title, codec, events, intervalMs, ...dated(result.runs) },
        ]);
      }
    }
  }
  await deleteTopic(setting.bootstrap, topic);
}

/** Ours at 1 s too: its own promise is about that interval. */
async function freshnessPart(setting: Setting): Promise<void> {
  const rate = Number(flags["freshness-rate"]);
  const seconds = Number(flags["freshness-seconds"]);
  const load = { rate, seconds, partitions: PARTITIONS };
  const jobs = sides
    .filter((side) => ![floor, connectStock, connectPlain].includes(side))
    .map((side) => ({ side, intervalMs }));
  if (wantsOurs && intervalMs !== 1000) jobs.unshift({ side: ours, intervalMs: 1000 });
  for (const { side, intervalMs } of jobs) {
    const job = { ...setting, intervalMs, codec: "snappy", untilEnd: false } as const;
    const figures = await measureFreshness(side, job, load);
    console.log(`${side.name}, ${intervalMs} ms: ${JSON.stringify(figures)}`);
    const { name, title } = side;
    await save([
      { kind: "freshness", side: name, title, intervalMs, rate, seconds, ...dated([figures]) },
    ]);
  }
}

async function oursPart(part: string, setting: Setting): Promise<void> {
  const { name: side, title } = ours;
  const job = { ...setting, codec: "snappy", untilEnd: false } as const;
  const seconds = Number(flags.seconds);
  const load = { rate: Number(flags.rate), seconds, partitions: PARTITIONS, lingerMs: 5 };
  const common = { side, title, intervalMs };
  if (part === "sustained") {
    const topic = "sustained";
    const partitions = await fill(setting, topic, Number(flags.sustained));
    const figures = await measureSustained(ours, { ...job, topic, untilEnd: true }, partitions);
    await deleteTopic(setting.bootstrap, topic);
    await save([{ kind: "sustained", ...common, ...dated([figures]) }]);
  } else if (part === "steady") {
    const figures = await measureSteady(ours, job, load);
    await save([{ kind: "steady", ...common, ...dated([figures]) }]);
  } else if (part === "hot") {
    const hot = { ...load, rate: Number(flags["hot-rate"]), lingerMs: 0 };
    const figures = await measureHot(ours, job, hot);
    await save([{ kind: "hot", ...common, ...dated([figures]) }]);
  } else if (part === "idle") {
    const figures = await measureIdle(ours, job, seconds, PARTITIONS);
    await save([{ kind: "idle", ...common, ...dated([figures]) }]);
  } else throw new Error(`no such part: ${part}`);
}

async function fill({ bootstrap }: Setting, topic: string, count: number) {
  const began = performance.now();
  const codec = flags.codec as Codec;
  const range = await fillTopic({ bootstrap, topic, partitions: PARTITIONS, count, codec });
  console.log(`produced ${count} events in ${Math.round((performance.now() - began) / 1000)} s`);
  return range;
}

function dated<Run>(runs: readonly Run[]): { date: string; runs: readonly Run[] } {
  return { date: new Date().toISOString().slice(0, 16).replace("T", " "), runs };
}

/** Merges into the file, so that what was measured survives a failure of what follows. */
async function save(entries: readonly Entry[]): Promise<void> {
  for (const { kind, side, runs } of entries) {
    if (kind !== "ingest") console.log(`${side} ${kind}: ${JSON.stringify(runs)}`);
  }
  const old = await stored();
  const figures = { ...old, ...origin, entries: mergeEntries(old.entries, entries) };
  await Bun.write(DATA, `${JSON.stringify(figures, null, 2)}\n`);
}

async function stored(): Promise<Figures> {
  const file = Bun.file(DATA);
  if (await file.exists()) return (await file.json()) as Figures;
  return { machine: "", versions: "", commit: "", entries: [] };
}

async function writePage(): Promise<void> {
  const figures = await stored();
  await Bun.write(PAGE, benchmarkPage(figures));
  await Bun.write(PLOT, `${await plotSvg(figures.entries)}\n`);
  console.log(`${PAGE}, ${PLOT} and ${DATA} are written`);
}

async function head(): Promise<string> {
  return (await run(["git", "describe", "--always", "--dirty", "--exclude=*"])).trim();
}
