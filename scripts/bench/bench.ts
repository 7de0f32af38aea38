/**
 * The benchmark with peers, `bun run bench`: who keeps an Iceberg table from a topic, and at what cost.
 *
 *   bun run bench                                  everything, about 20 minutes
 *   bun run bench -- --only ours,floor --runs 3    some sides; the others' figures stay
 *   bun run bench -- --only ours --parts ingest --runs 5 --before dist/old    beside an earlier build
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
import { before, ours } from "./peers/ours.ts";
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
/** A small buffer: what counts in the sustained part is memory as much as pace. */
const SUSTAINED_BUFFER_MB = 128;
const PARTS = ["ingest", "freshness", "sustained", "steady", "hot", "idle"];
/** Measured unless `--only` says otherwise. */
const SIDES = [ours, floor, pythonLoop, flink, connectTuned, connectStock];

const { values: flags } = parseArgs({
  options: {
    parts: { type: "string", default: PARTS.join(",") },
    only: { type: "string", default: SIDES.map(({ name }) => name).join(",") },
    events: { type: "string", default: "8000000" },
    runs: { type: "string", default: "1" },
    /** Another executable of ours, measured in turn with the others in the ingest and steady parts; not kept. */
    before: { type: "string" },
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
const names = chosen(
  flags.only,
  [...SIDES, connectPlain].map(({ name }) => name),
);
const parts = chosen(flags.parts, [...PARTS, "page"]).filter((part) => part !== "page");
const sides = [...SIDES, connectPlain].filter(({ name }) => names.includes(name));
const intervalMs = Number(flags.interval);
const wantsOurs = sides.includes(ours);
const origin = {
  machine: machine(),
  versions: await versions(),
  ...(wantsOurs ? { commit: await head() } : {}),
};

const failures: string[] = [];
if (parts.length > 0) await withFolder("product", measure);
await writePage();
for (const failure of failures) console.error(`\nFAILED: ${failure}`);
process.exit(failures.length === 0 ? 0 : 1);

/** Words of a list separated by commas; throws for one that is not known. */
function chosen(list: string, known: readonly string[]): string[] {
  const words = list.split(",");
  const unknown = words.filter((word) => !known.includes(word));
  if (unknown.length > 0) throw new Error(`no such thing: ${unknown}; there are ${known}`);
  return words;
}

async function measure(folder: string): Promise<void> {
  const executable = join(folder, "kafka-iceberg");
  if (wantsOurs) await run([process.execPath, "scripts/build.ts", "--outfile", executable]);
  const broker = await startKafka();
  try {
    const job = { bootstrap: broker.bootstrap, intervalMs, executable };
    for (const part of parts) await measurePart(part, job);
  } finally {
    await broker.stop();
    await run(["rm", "-rf", broker.dataDir]);
  }
}

/** One measurement that fails is told at the end, and what was measured before and after it stays. */
async function attempt(what: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    console.error(error);
    failures.push(`${what}: ${error}`);
  }
}

interface Setting {
  readonly bootstrap: KafkaBroker["bootstrap"];
  readonly intervalMs: number;
  readonly executable: string;
}

async function measurePart(part: string, setting: Setting): Promise<void> {
  if (part === "ingest") await ingestPart(setting);
  else if (part === "freshness") await freshnessPart(setting);
  else if (wantsOurs) await attempt(part, () => oursPart(part, setting));
}

/** Every side over one topic: all of them once, then again, for each codec. */
async function ingestPart(setting: Setting): Promise<void> {
  const topic = "ingest";
  const events = Number(flags.events);
  const partitions = await fill(setting, topic, events);
  const results = new Map<string, IngestRun[]>();
  let agreed: string | null = null;
  const one = async (side: Side, codec: PageCodec): Promise<void> => {
    const job = { ...setting, topic, codec, untilEnd: true };
    const { figures, checked } = await measureIngest(side, job, partitions);
    agreed ??= checked.sums.join();
    if (agreed !== checked.sums.join()) throw new Error(`${side.name} holds other values`);
    const { name, title } = side;
    const runs = [...(results.get(`${name} ${codec}`) ?? []), figures];
    results.set(`${name} ${codec}`, runs);
    console.log(`${name} ${codec} ${runs.length}: ${JSON.stringify(figures)}`);
    if (name === "before") return;
    await save({ kind: "ingest", side: name, title, codec, events, intervalMs, ...dated(runs) });
  };
  for (let round = 1; round <= Number(flags.runs); round++) {
    for (const codec of flags.codecs.split(",") as PageCodec[]) {
      const all = flags.before === undefined ? sides : [before(flags.before), ...sides];
      for (const side of all) await attempt(`${side.name} ${codec}`, () => one(side, codec));
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
    const { name: one, title } = side;
    const job = { ...setting, intervalMs, codec: "snappy", untilEnd: false } as const;
    await attempt(`freshness of ${one}`, async () => {
      const runs = dated([await measureFreshness(side, job, load)]);
      await save({ kind: "freshness", side: one, title, intervalMs, rate, seconds, ...runs });
    });
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
    const limited = { ...job, topic, untilEnd: true, bufferMb: SUSTAINED_BUFFER_MB };
    const figures = await measureSustained(ours, limited, partitions);
    await deleteTopic(setting.bootstrap, topic);
    await save({ kind: "sustained", ...common, ...dated([figures]) });
  } else if (part === "steady") {
    if (flags.before !== undefined) {
      const earlier = await measureSteady(before(flags.before), job, load);
      console.log(`before steady ${intervalMs} ms: ${JSON.stringify(earlier)}`);
    }
    const figures = await measureSteady(ours, job, load);
    await save({ kind: "steady", ...common, ...dated([figures]) });
  } else if (part === "hot") {
    const hot = { ...load, rate: Number(flags["hot-rate"]), lingerMs: 0 };
    const figures = await measureHot(ours, job, hot);
    await save({ kind: "hot", ...common, ...dated([figures]) });
  } else if (part === "idle") {
    const figures = await measureIdle(ours, job, seconds, PARTITIONS);
    await save({ kind: "idle", ...common, ...dated([figures]) });
  }
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
async function save(entry: Entry): Promise<void> {
  const { kind, side, intervalMs, runs } = entry;
  if (kind !== "ingest") console.log(`${side} ${kind} ${intervalMs} ms: ${JSON.stringify(runs)}`);
  const old = await stored();
  const figures = { ...old, ...origin, entries: mergeEntries(old.entries, [entry]) };
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
