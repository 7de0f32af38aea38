/**
 * Proofs with several instances in one consumer group, each with a state directory of its own, all
 * writing one table: stopped with SIGSTOP beyond their session and continued; joining and leaving.
 */
import { join } from "node:path";
import { seededRandom } from "#base/random.ts";
import { produceEvents } from "../events/events.ts";
import type { Verdict } from "../judge/judge.ts";
import { until } from "../services/process.ts";
import type { Product } from "../services/product.ts";
import {
  type Course,
  judge,
  merge,
  newCourse,
  progressPast,
  readHead,
  runToEnd,
  type Say,
  start,
} from "./course.ts";

/** Size of both proofs. */
export interface GroupProof {
  readonly bootstrap: string;
  readonly topic: string;
  /** Events a second. */
  readonly rate: number;
  /** SIGSTOPs, or comings and goings. */
  readonly cycles: number;
  readonly seed: number;
  readonly say: Say;
}

/** What was found. */
export interface GroupReport {
  /** Flushes given up because another had committed their partitions. */
  readonly fencedFlushes: number;
  /** Commits of others while one was stopped, summed: offsets moved. */
  readonly movedMeanwhile: number;
  readonly verdict: Verdict;
}

const PARTITIONS = 6;
const SESSION_MS = 6000;
/** Commits so close that a stop mostly hits one. */
const QUICK_GROUP = {
  "iceberg.commit": { interval_ms: 100, max_rows: 20 },
  kafka: { session_timeout_ms: SESSION_MS, heartbeat_interval_ms: 2000 },
};

/** One of two instances at a time is stopped until the other has all partitions, then continued. */
export async function proveZombies(proof: GroupProof): Promise<GroupReport> {
  const { bootstrap, topic, rate, cycles, say } = proof;
  const course = await prepare(proof);
  const flow = keepFlowing(bootstrap, topic, rate);
  const members = await Promise.all([member(course, "a"), member(course, "b")]);
  let movedMeanwhile = 0;
  try {
    await Promise.all(members.map((each) => each.ready()));
    for (let cycle = 0; cycle < cycles; cycle++) {
      const zombie = members[cycle % 2] ?? members[0];
      const other = members[(cycle + 1) % 2] ?? members[1];
      await until("both read", () => shares(members), 60_000);
      // Somewhere in the middle of a flush.
      await Bun.sleep((cycle * 37) % 400);
      zombie.signal("SIGSTOP");
      const before = await readHead(course);
      await until("taken over", async () => (await assigned(other)) === PARTITIONS, 60_000);
      const after = await progressPast(course, await readHead(course), 30_000);
      const moved = total(after.offsets) - total(before.offsets);
      movedMeanwhile += moved;
      zombie.signal("SIGCONT");
      say(`cycle ${cycle + 1} of ${cycles}: the other moved ${moved} offsets meanwhile`);
    }
    // The last zombie is heard out before the end.
    await until("both read", () => shares(members), 60_000);
  } finally {
    for (const each of members) each.signal("SIGCONT");
    await flow.stop();
    await Promise.all(members.map((each) => each.terminate()));
  }
  await runToEnd(instance(course, "a"));
  const fencedFlushes = fenced(members);
  return { fencedFlushes, movedMeanwhile, verdict: await judge(course) };
}

/** Three instances come and go at random, by SIGTERM and by SIGKILL. */
export async function proveComingAndGoing(proof: GroupProof): Promise<GroupReport> {
  const { bootstrap, topic, rate, cycles, say } = proof;
  const random = seededRandom(proof.seed);
  const course = await prepare(proof);
  const flow = keepFlowing(bootstrap, topic, rate);
  const names = ["a", "b", "c"];
  const living = new Map<string, Product>();
  const all: Product[] = [];
  const began = await readHead(course);
  for (let cycle = 0; cycle < cycles; cycle++) {
    const name = names[Math.floor(random.unit() * names.length)] ?? "a";
    const product = living.get(name);
    const kill = random.unit() < 0.5;
    if (product === undefined) {
      const started = await member(course, name);
      living.set(name, started);
      all.push(started);
    } else {
      living.delete(name);
      await (kill ? product.kill() : product.terminate());
    }
    say(
      `cycle ${cycle + 1}: ${name} ${product === undefined ? "comes" : kill ? "dies" : "leaves"}`,
    );
    await Bun.sleep(500 + random.unit() * 3000);
  }
  await flow.stop();
  await Promise.all([...living.values()].map((each) => each.terminate()));
  const movedMeanwhile = total((await readHead(course)).offsets) - total(began.offsets);
  await runToEnd(instance(course, "a"));
  return { fencedFlushes: fenced(all), movedMeanwhile, verdict: await judge(course) };
}

function prepare({ bootstrap, topic }: GroupProof): Promise<Course> {
  return newCourse({ bootstrap, topic, partitions: PARTITIONS });
}

/** The same course for an instance with a folder of its own. */
function instance(course: Course, name: string): Course {
  const config = merge(course.config, QUICK_GROUP);
  return { ...course, config, folder: join(course.folder, `instance-${name}`) };
}

function member(course: Course, name: string): Promise<Product> {
  return start(instance(course, name));
}

/** Produces until told to stop. */
function keepFlowing(bootstrap: string, topic: string, rate: number): { stop(): Promise<void> } {
  let stopped = false;
  const run = async (): Promise<void> => {
    for (let seed = 1; !stopped; seed++) {
      await produceEvents({ bootstrap, topic, count: rate * 3, rate, seed });
    }
  };
  const running = run();
  return {
    stop: () => {
      stopped = true;
      return running;
    },
  };
}

async function shares(members: readonly Product[]): Promise<boolean> {
  const counts = await Promise.all(members.map(assigned));
  const sum = counts.reduce((a, b) => a + b, 0);
  return counts.every((count) => count > 0) && sum === PARTITIONS;
}

/** Partitions that an instance reads, by its own account. */
async function assigned(product: Product): Promise<number> {
  const text = await product.metrics().catch(() => "");
  return Number(/^kafka_iceberg_partitions_assigned{[^}]*} (\d+)$/m.exec(text)?.[1] ?? 0);
}

function total(offsets: Readonly<Record<string, number>>): number {
  return Object.values(offsets).reduce((sum, offset) => sum + offset, 0);
}

function fenced(products: readonly Product[]): number {
  const lines = products.flatMap((each) => each.logLines());
  return lines.filter((line) => line.message?.startsWith("Rows dropped") === true).length;
}
