/**
 * Runs one proof with its large figures and prints what it found: `bun scripts/prove/run.ts kills`.
 *
 * The same functions run with small figures in test/conformance. Results: docs/PROOFS.md.
 */
import { join } from "node:path";
import { startKafka } from "../services/kafka.ts";
import { temporaryFolder } from "../services/process.ts";
import { type S3Service, startS3 } from "../services/versitygw.ts";
import { proveBackpressure } from "./backpressure.ts";
import { isDeleteMode, proveChanges } from "./changes.ts";
import { proveManyCommits, proveOneCommit } from "./commits.ts";
import { proveCycles } from "./cycles.ts";
import { proveFailpoints } from "./failpoints.ts";
import { proveFanOut } from "./fanOut.ts";
import { proveFaults } from "./faults.ts";
import { proveForeign, proveForeignEnds } from "./foreign.ts";
import { proveComingAndGoing, proveZombies } from "./group.ts";
import { proveHotChanges } from "./hotChanges.ts";
import { proveHotCost, proveHotLatency } from "./hotFigures.ts";
import { proveHotMemory } from "./hotMemory.ts";
import { proveHotQueries } from "./hotQueries.ts";
import { proveHotStorm } from "./hotStorm.ts";
import { proveCompactedKills, proveKills, proveTwoTables } from "./kills.ts";
import { proveLatency } from "./latency.ts";
import { proveFlow, proveTables } from "./memory.ts";
import { proveNeighbour, proveTopics } from "./neighbours.ts";
import { proveOffsetsSurvive } from "./offsetsSurvive.ts";
import { proveOutlets } from "./outlets.ts";
import { provePattern } from "./pattern.ts";
import { proveReplay } from "./replay.ts";
import { proveHangingShutdown, proveShutdown } from "./shutdown.ts";
import { proveManyTables } from "./tables.ts";
import { proveUpsertCycles } from "./upsertCycles.ts";

const say = (line: string): void => console.log(`${new Date().toISOString()} ${line}`);

const PROOFS: Readonly<Record<string, () => Promise<unknown>>> = {
  kills: async () => {
    const { bootstrap } = await startKafka();
    const events = Number(process.argv[3] ?? 1_000_000);
    const kills = Number(process.argv[4] ?? 60);
    const rate = Number(process.argv[5] ?? 3500);
    const report = await proveKills({
      bootstrap,
      topic: "flow",
      partitions: 6,
      events,
      rate,
      kills,
      seed: 1,
      say,
    });
    return { ...report, recoveriesMs: spread(report.recoveriesMs) };
  },
  changes: async () => {
    const { bootstrap } = await startKafka();
    const changes = Number(process.argv[3] ?? 200_000);
    const kills = Number(process.argv[4] ?? 60);
    const formatVersion = process.argv[5] === "2" ? 2 : 3;
    const deleteMode = isDeleteMode(process.argv[6]) ? process.argv[6] : "auto";
    const size = { topic: "changed", partitions: 3, keys: 20_000, rate: 2000, seed: 9, say };
    const run = { ...size, changes, kills, formatVersion, deleteMode } as const;
    const report = await proveChanges({ bootstrap, ...run });
    return { ...report, recoveriesMs: spread(report.recoveriesMs) };
  },
  cycles: async () => {
    const { bootstrap } = await startKafka();
    const cycles = Number(process.argv[3] ?? 300);
    const formatVersion = process.argv[4] === "2" ? 2 : 3;
    const minutes = Number(process.argv[5] ?? 600);
    const seed = Number(process.argv[6] ?? 1);
    const size = { topic: "cycles", events: 300, formatVersion, seed, say } as const;
    return proveCycles({ bootstrap, ...size, cycles, minutes });
  },
  upsertCycles: async () => {
    const { bootstrap } = await startKafka();
    const cycles = Number(process.argv[3] ?? 100);
    const formatVersion = process.argv[4] === "2" ? 2 : 3;
    const minutes = Number(process.argv[5] ?? 600);
    const seed = Number(process.argv[6] ?? 1);
    const size = { topic: "upserts", changes: 300, keys: 400, formatVersion, seed, say } as const;
    return proveUpsertCycles({ bootstrap, ...size, cycles, minutes });
  },
  offsets: async () => {
    const { bootstrap } = await startKafka();
    const events = Number(process.argv[3] ?? 1000);
    return proveOffsetsSurvive({ bootstrap, topic: "offsets", events, say });
  },
  "hot-memory": async () => {
    const [{ bootstrap }, s3] = await Promise.all([startKafka(), startS3()]);
    const events = Number(process.argv[3] ?? 3_000_000);
    const bufferMb = Number(process.argv[4] ?? 500);
    return proveHotMemory({ bootstrap, events, bufferMb, ttlSeconds: 3, say }, s3);
  },
  "hot-latency": async () => {
    const { bootstrap } = await startKafka();
    const rate = Number(process.argv[3] ?? 50_000);
    return proveHotLatency(bootstrap, rate, Number(process.argv[4] ?? 20), say);
  },
  "hot-cost": async () => {
    const { bootstrap } = await startKafka();
    const [events = 4_000_000, rounds = 3] = process.argv.slice(3, 5).map(Number);
    const [before = "", after = "dist/kafka-iceberg"] = process.argv.slice(5);
    return proveHotCost(bootstrap, { events, rounds }, { before, after }, say);
  },
  "hot-storm": async () => {
    const { bootstrap } = await startKafka();
    const rate = Number(process.argv[3] ?? 2000);
    const actSeconds = Number(process.argv[4] ?? 20);
    return proveHotStorm({ bootstrap, topic: "storm", rate, actSeconds, say });
  },
  "hot-changes": async () => {
    const { bootstrap } = await startKafka();
    const minutes = Number(process.argv[3] ?? 10);
    const rate = Number(process.argv[4] ?? 400);
    const seed = Number(process.argv[5] ?? 1);
    const size = { topic: "changing", keys: 3000, actSeconds: 15, seed, say };
    return proveHotChanges({ bootstrap, ...size, minutes, rate });
  },
  "hot-queries": async () => {
    const { bootstrap } = await startKafka();
    const seconds = Number(process.argv[3] ?? 600);
    const rate = Number(process.argv[4] ?? 20_000);
    const s3 = process.argv[5] === "s3" ? await startS3() : undefined;
    return proveHotQueries({ bootstrap, topic: "asked", rate, seconds, s3, say });
  },
  tables: async () => {
    const { bootstrap } = await startKafka();
    const events = Number(process.argv[3] ?? 200_000);
    const kills = Number(process.argv[4] ?? 30);
    const size = { topic: "both", partitions: 3, events, rate: 2500, kills, seed: 3, say };
    const report = await proveTwoTables({ bootstrap, ...size });
    return { ...report, recoveriesMs: spread(report.recoveriesMs) };
  },
  outlets: async () => {
    const { bootstrap } = await startKafka();
    const kills = Number(process.argv[3] ?? 60);
    const rate = Number(process.argv[4] ?? 400);
    // A life takes about 3 s.
    const records = Math.ceil(kills / 2) * 3 * rate;
    return proveOutlets({ bootstrap, topic: "outlets", records, kills, rate, seed: 1, say });
  },
  replay: async () => {
    const { bootstrap } = await startKafka();
    const ranges = Number(process.argv[3] ?? 50);
    const formatVersion = process.argv[4] === "3" ? 3 : 2;
    return proveReplay({
      bootstrap,
      topic: "replayed",
      formatVersion,
      ranges,
      rate: 200,
      seed: 1,
      say,
    });
  },
  compacted: async () => {
    const { bootstrap } = await startKafka();
    const events = Number(process.argv[3] ?? 400_000);
    const kills = Number(process.argv[4] ?? 20);
    const size = { topic: "compacted", partitions: 2, events, kills, seed: 2, say };
    const report = await proveCompactedKills({ bootstrap, ...size });
    return { ...report, recoveriesMs: spread(report.recoveriesMs) };
  },
  failpoints: async () => {
    const { bootstrap } = await startKafka();
    return proveFailpoints(bootstrap, "failpoints", say);
  },
  faults: async () => {
    const [broker, { s3, objects }] = await Promise.all([startKafka(), store()]);
    const faults = Number(process.argv[3] ?? 88);
    // A fault takes about 3 s; events flow during all of them.
    const events = faults * 3 * 2000;
    const size = { topic: "faulty", events, rate: 2000, faults, seed: 1, say };
    return proveFaults({ broker, s3, objects, ...size });
  },
  zombies: async () => {
    const { bootstrap } = await startKafka();
    const cycles = Number(process.argv[3] ?? 50);
    return proveZombies({ bootstrap, topic: "zombies", rate: 1500, cycles, seed: 1, say });
  },
  group: async () => {
    const { bootstrap } = await startKafka();
    const cycles = Number(process.argv[3] ?? 60);
    return proveComingAndGoing({ bootstrap, topic: "group", rate: 3000, cycles, seed: 1, say });
  },
  neighbour: async () => {
    const { bootstrap } = await startKafka();
    const actions = Number(process.argv[3] ?? 200);
    return proveNeighbour({ bootstrap, topic: "shared", rate: 1500, actions, seed: 1 });
  },
  foreign: async () => {
    const { bootstrap } = await startKafka();
    const minutes = Number(process.argv[3] ?? 20);
    return proveForeign({ bootstrap, topic: "foreign", minutes, rate: 200, say });
  },
  foreignEnds: async () => {
    const { bootstrap } = await startKafka();
    return proveForeignEnds({ bootstrap, topic: "ends", rate: 200, say });
  },
  topics: async () => {
    const { bootstrap } = await startKafka();
    return proveTopics(bootstrap, "topic");
  },
  commits: async () => ({
    oneOfFive: await proveOneCommit(5),
    many: await proveManyCommits(Number(process.argv[3] ?? 10_000), 400, 5000, true),
  }),
  shutdown: async () => {
    const [{ bootstrap }, { s3, objects }] = await Promise.all([startKafka(), store()]);
    const events = Number(process.argv[3] ?? 2_000_000);
    const healthy = await proveShutdown({ bootstrap, topic: "load", events });
    const hanging = async (stalled: "commit" | "everything"): Promise<unknown> => {
      const proof = { bootstrap, topic: `hanging-${stalled}`, events: 200_000, stalled };
      return proveHangingShutdown(proof, s3, objects);
    };
    return { healthy, commit: await hanging("commit"), everything: await hanging("everything") };
  },
  backpressure: async () => {
    const [{ bootstrap }, { s3, objects }] = await Promise.all([startKafka(), store()]);
    const events = Number(process.argv[3] ?? 2_000_000);
    const proof = { bootstrap, topic: "pressed", events, bufferMb: 16, hangMs: 10_000 };
    return proveBackpressure(proof, s3, objects);
  },
  memory: async () => {
    const { bootstrap } = await startKafka();
    return proveFlow(bootstrap, Number(process.argv[3] ?? 20_000_000), 128);
  },
  budget: async () => {
    const { bootstrap } = await startKafka();
    const rows = Number(process.argv[3] ?? 2_000_000);
    return proveTables(bootstrap, { tables: 50, partitions: 20, rows, bufferMb: 128 });
  },
  thousand: () =>
    proveManyTables({
      tables: Number(process.argv[3] ?? 1000),
      rowsPerSecond: Number(process.argv[4] ?? 10_000),
      idleSeconds: Number(process.argv[5] ?? 90),
      loadSeconds: Number(process.argv[6] ?? 180),
      say,
    }),
  pattern: async () => {
    const { bootstrap } = await startKafka({ heapMb: 768 });
    return provePattern({
      bootstrap,
      topics: Number(process.argv[3] ?? 1000),
      rowsPerSecond: Number(process.argv[4] ?? 2000),
      idleSeconds: Number(process.argv[5] ?? 60),
      loadSeconds: Number(process.argv[6] ?? 120),
      say,
    });
  },
  fanOut: () => proveFanOut(Number(process.argv[3] ?? 10_000), Number(process.argv[4] ?? 400_000)),
  latency: async () => {
    const { bootstrap } = await startKafka();
    const rate = Number(process.argv[3] ?? 50_000);
    const seconds = Number(process.argv[4] ?? 30);
    const lingerMs = Number(process.argv[5] ?? 1);
    return proveLatency({ bootstrap, topic: "latency", partitions: 6, rate, seconds, lingerMs });
  },
};

async function store(): Promise<{ s3: S3Service; objects: string }> {
  const dataDir = await temporaryFolder("s3");
  return { s3: await startS3({ dataDir }), objects: join(dataDir, "objects") };
}

function spread(values: readonly number[]): Record<string, number> {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN;
  return { count: sorted.length, p50: at(0.5), p90: at(0.9), max: at(1) };
}

const name = process.argv[2] ?? "";
const proof = PROOFS[name];
if (proof === undefined) {
  console.error(`usage: bun scripts/prove/run.ts ${Object.keys(PROOFS).join("|")}`);
  process.exit(2);
}
const began = performance.now();
const text = JSON.stringify(await proof(), null, 1);
console.log(text);
say(`${name}: ${((performance.now() - began) / 1000).toFixed(0)} s`);
// What a verdict says when the law is broken somewhere.
process.exit(text.includes('"ok": false') ? 1 : 0);
