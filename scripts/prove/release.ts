/**
 * What `bun run release` has made, run on what of its platforms is to be had here: `bun scripts/prove/release.ts`.
 *
 * Each executable alone in an empty read-only root, not as root: x64; x64 on emulated processors without AVX2 and
 * without AVX; arm64 emulated. Each takes a topic into a table, of which foreign readers say whether each row is there once, and
 * asks with SQL. The x64 one compacts as well. `--twice` builds all of it again in a clone elsewhere, and compares.
 *
 * From Debian: bubblewrap, qemu-user-static, libc6-arm64-cross, libstdc++6-arm64-cross.
 */
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { produceEvents } from "../events/events.ts";
import { createTopic } from "../events/topics.ts";
import { judgeTable, readTopic } from "../judge/judge.ts";
import { packageFolder } from "../release/packages.ts";
import { startKafka } from "../services/kafka.ts";
import { run, temporaryFolder } from "../services/process.ts";
import { startProduct } from "../services/product.ts";
import { type BoxOptions, boxed, GLIBC, writeLauncher } from "../services/sandbox.ts";

const RELEASE = resolve("dist/release");
const STARTS = 11;
const say = (line: string): void => console.log(`${new Date().toISOString()} ${line}`);

/** How a platform is to be had here. */
interface Place {
  readonly name: string;
  readonly target: string;
  readonly events: number;
  readonly box: Pick<BoxOptions, "readable" | "before" | "variables">;
  /** Engines that run in processes of their own need a kernel that can start them. */
  readonly compacts: boolean;
}

const ARM_LIBRARIES = "/usr/aarch64-linux-gnu";
const QEMU = "/usr/bin/qemu-";
// An emulated process cannot execute itself again.
const EMULATED = { BUN_JSC_thresholdForFTLOptimizeAfterWarmUp: "1000000" };
const PLACES: readonly Place[] = [
  {
    name: "linux-x64",
    target: "linux-x64",
    events: 200_000,
    box: { readable: GLIBC },
    compacts: true,
  },
  older("without AVX2", "SandyBridge"),
  older("without AVX", "Nehalem"),
  {
    name: "linux-arm64 (qemu)",
    target: "linux-arm64",
    events: 5000,
    box: {
      readable: [ARM_LIBRARIES, `${QEMU}aarch64-static`],
      before: [`${QEMU}aarch64-static`, "-L", ARM_LIBRARIES],
      variables: EMULATED,
    },
    compacts: false,
  },
];

/** Where executables were unpacked, by target. */
const folders = new Map<string, string>();

await sameRuntime();
await starts();
const { bootstrap, stop } = await startKafka();
try {
  for (const place of PLACES) await prove(place);
} finally {
  await stop();
}
if (process.argv.includes("--twice")) await twice();
process.exit(0);

/** x64 of an older kind. */
function older(without: string, processor: string): Place {
  const emulator = `${QEMU}x86_64-static`;
  return {
    name: `linux-x64 ${without} (qemu, ${processor})`,
    target: "linux-x64",
    events: 5000,
    box: {
      readable: [...GLIBC, emulator],
      before: [emulator, "-cpu", processor],
      variables: EMULATED,
    },
    compacts: false,
  };
}

/** Bun's package for processors without AVX2 is the one that is released. */
async function sameRuntime(): Promise<void> {
  const parent = await temporaryFolder("baseline");
  const { version } = (await Bun.file("node_modules/bun/package.json").json()) as {
    readonly version: string;
  };
  await run([
    ...["npm", "pack", "--silent", "--pack-destination", parent],
    `@oven/bun-linux-x64-baseline@${version}`,
  ]);
  const [archive = ""] = [...new Bun.Glob("*.tgz").scanSync(parent)];
  await run(["tar", "-xzf", archive], { cwd: parent });
  const ours = join(await packageFolder("@oven/bun-linux-x64"), "bin", "bun");
  await run(["cmp", ours, join(parent, "package", "bin", "bun")]);
  rmSync(parent, { recursive: true });
  say("linux-x64: the runtime for processors without AVX2 is the same file");
}

/** The median of some starts, of the unpacked executable. */
async function starts(): Promise<void> {
  const executable = await unpacked("linux-x64");
  const times: (readonly [wallMs: number, cpuMs: number])[] = [];
  for (let left = STARTS; left > 0; left--) {
    const began = performance.now();
    const child = Bun.spawn([executable, "--version"], { stdout: "ignore" });
    await child.exited;
    const cpuMs = Number(child.resourceUsage()?.cpuTime.total ?? 0) / 1000;
    times.push([performance.now() - began, cpuMs]);
  }
  const median = (index: 0 | 1): string =>
    (times.map((each) => each[index]).toSorted((a, b) => a - b)[STARTS >> 1] ?? 0).toFixed(0);
  say(`linux-x64: --version takes ${median(0)} ms, ${median(1)} ms of CPU (median of ${STARTS})`);
}

async function prove({ name, target, events, box, compacts }: Place): Promise<void> {
  const folder = await temporaryFolder("release");
  const topic = `events-${PLACES.findIndex((place) => place.name === name)}`;
  await createTopic(bootstrap, { topic, partitions: 2 });
  await produceEvents({ bootstrap, topic, count: events });
  const executable = await unpacked(target);
  const command = boxed({ executable, folder, ...box });
  const launcher = writeLauncher(await temporaryFolder("launcher"), "kafka-iceberg", command);
  const version = (await run([launcher, "--version"])).trim();
  const config = {
    kafka: { bootstrap_servers: bootstrap, topic, consumer_group: topic },
    iceberg: { warehouse_path: "warehouse" },
    "iceberg.commit": { max_rows: Math.ceil(events / 10) },
    logging: { format: "json" },
  };
  const sink = { config, command: ["run", "--until-end"], folder, executable: launcher };
  const product = await startProduct(sink);
  const code = await product.exited;
  if (code !== 0) throw new Error(`${name} ended with ${code}:\n${product.log().slice(-4000)}`);
  const file = ["--config", join(folder, "config.toml")];
  const sql = `SELECT count(*) AS n FROM "${topic}"`;
  const answer = await run([launcher, "query", sql, "--format", "csv", ...file]);
  if (answer !== `n\n${events}\n`) throw new Error(`${name}: SQL counts ${answer}`);
  if (compacts) await run([launcher, "maintenance", "compact", topic, "--yes", ...file]);
  const table = { folder: join(folder, "warehouse", "default", topic) };
  const copy = await readTopic(bootstrap, topic);
  const verdict = await judgeTable({ table, topics: [copy], snapshots: compacts ? "none" : "all" });
  if (!verdict.ok) throw new Error(`${name}: ${JSON.stringify(verdict.violations)}`);
  const rows = JSON.stringify(verdict.readers);
  say(`${name}: ${version}; ${events} events, SQL${compacts ? ", compacted" : ""}; ${rows}`);
}

/** The executable of a target, alone in a folder. */
async function unpacked(target: string): Promise<string> {
  const name = `kafka-iceberg-${target}`;
  const folder = folders.get(target) ?? (await temporaryFolder("unpacked"));
  if (!folders.has(target)) {
    const words = ["-xzf", join(RELEASE, `${name}.tar.gz`), "--strip-components=1"];
    await run(["tar", ...words, "-C", folder, `${name}/kafka-iceberg`]);
  }
  folders.set(target, folder);
  return join(folder, "kafka-iceberg");
}

/** Builds it once more, from a clone in another folder. */
async function twice(): Promise<void> {
  const clone = join(await temporaryFolder("clone"), "elsewhere");
  await run(["git", "clone", "-q", ".", clone]);
  mkdirSync(join(clone, "node_modules"));
  cpSync("node_modules", join(clone, "node_modules"), { recursive: true });
  await run([join(clone, "node_modules", ".bin", "bun"), "scripts/release.ts"], { cwd: clone });
  await run(["cmp", join(clone, "dist/release/SHA256SUMS"), join(RELEASE, "SHA256SUMS")]);
  rmSync(clone, { recursive: true });
  say("built again in a clone elsewhere: the same bytes, all of them");
}
