/**
 * `kill -9` again and again while a course runs, each time started again at once.
 *
 * Three kinds of kill take turns at random: at an armed failpoint, a short random time after the
 * start (recovery itself is hit), and a random time after the first new snapshot.
 */
import { join } from "node:path";
import { systemClock } from "#base/clock.ts";
import { systemDisk } from "#base/disk.ts";
import { FAILPOINTS } from "#base/failpoint.ts";
import { seededRandom } from "#base/random.ts";
import { readTransactionLog } from "#txlog/read.ts";
import type { Product } from "../services/product.ts";
import { type Course, type Head, progressPast, readHead, type Say, start } from "./course.ts";

/** What a run of kills is. */
export interface KillRun {
  readonly course: Course;
  /** At least so many; more while `flowing` says that events are still produced. */
  readonly kills: number;
  readonly flowing: () => boolean;
  /** 0 to below 1. */
  readonly random: () => number;
  readonly say: Say;
}

/** What happened. */
export interface KillReport {
  /** Kills by failpoint, or by the last step that the transaction log knows. */
  readonly phases: Readonly<Record<string, number>>;
  /** From process start to the first snapshot past the offsets at the kill before, ms. */
  readonly recoveriesMs: readonly number[];
  /** Lives in which no snapshot came although one was waited for. */
  readonly withoutRecovery: number;
  /** Kills while events were produced. */
  readonly whileFlowing: number;
}

const RECOVERY_MS_MAX = 20_000;
/** A slower one is shown with the log of its process. */
const RECOVERY_MS_SLOW = 4000;

/** Starts and kills the product; returns when the last incarnation is dead. */
export async function killRepeatedly(run: KillRun): Promise<KillReport> {
  const phases: Record<string, number> = {};
  const recoveriesMs: number[] = [];
  let withoutRecovery = 0;
  let whileFlowing = 0;
  for (let kill = 1; kill <= run.kills || run.flowing(); kill++) {
    const life = await live(run);
    phases[life.phase] = (phases[life.phase] ?? 0) + 1;
    if (life.recoveryMs !== null) recoveriesMs.push(life.recoveryMs);
    if (life.waitedInVain) withoutRecovery++;
    if (run.flowing()) whileFlowing++;
    run.say(`kill ${kill} of ${run.kills}: ${life.phase}, recovery ${life.recoveryMs ?? "-"} ms`);
  }
  return { phases, recoveriesMs, withoutRecovery, whileFlowing };
}

/** Size of {@link killWhile}. */
export interface KillsWhile {
  readonly course: Course;
  readonly kills: number;
  readonly seed: number;
  readonly say: Say;
}

/** The same while `produce` makes events, and until it has ended. */
export async function killWhile<T>(
  { course, kills, seed, say }: KillsWhile,
  produce: () => Promise<T>,
): Promise<{ readonly report: KillReport; readonly produced: T }> {
  const random = seededRandom(seed);
  let flows = true;
  const flow = produce().finally(() => {
    flows = false;
  });
  const flowing = (): boolean => flows;
  const report = await killRepeatedly({ course, kills, flowing, random: () => random.unit(), say });
  return { report, produced: await flow };
}

interface Life {
  readonly phase: string;
  readonly recoveryMs: number | null;
  readonly waitedInVain: boolean;
}

/** One incarnation, from its start to its end by SIGKILL. */
async function live(run: KillRun): Promise<Life> {
  const { course, random } = run;
  const before = await readHead(course);
  const kind = random();
  const name = FAILPOINTS[Math.floor(random() * FAILPOINTS.length)] ?? "seal";
  const armed = kind < 0.5;
  const nth = 1 + Math.floor(random() * 6);
  const env = armed ? { KAFKA_ICEBERG_FAILPOINT: `${name}=crash@${nth}` } : {};
  const product = await start(course, env);
  let recoveryMs: number | null = null;
  const recovered = recovery(course, product, before).then((ms) => {
    recoveryMs = ms;
  });
  if (armed) await Promise.race([product.exited, fruitless(run)]);
  else if (kind < 0.7) await Bun.sleep(50 + random() * 1500);
  else await recovered;
  const hit = product.ended();
  if (kind >= 0.7) await Bun.sleep(random() * 1000);
  await product.kill();
  if (armed && hit) await recovered;
  if ((recoveryMs ?? 0) > RECOVERY_MS_SLOW) run.say(product.log());
  const phase = armed && hit ? `at ${name}` : `after ${await lastEntry(course)}`;
  return { phase, recoveryMs, waitedInVain: kind >= 0.7 && recoveryMs === null };
}

/** When an armed failpoint will no longer be passed: no events are left, or it takes too long. */
async function fruitless(run: KillRun): Promise<void> {
  const until = Date.now() + RECOVERY_MS_MAX;
  while (run.flowing() && Date.now() < until) await Bun.sleep(100);
  await Bun.sleep(2000);
}

/** From process start to the first snapshot past `before`; null when the process ends without. */
async function recovery(course: Course, product: Product, before: Head): Promise<number | null> {
  const began = Date.now();
  while (Date.now() - began < RECOVERY_MS_MAX) {
    const ended = product.ended();
    try {
      const head = await progressPast(course, before, 100);
      return head.timestampMs - product.startedMs;
    } catch {
      if (ended) return null;
    }
  }
  return null;
}

async function lastEntry(course: Course): Promise<string> {
  let last = "nothing";
  const dir = join(course.folder, "state", "transaction_logs");
  try {
    for await (const item of readTransactionLog(dir, { disk: systemDisk, clock: systemClock })) {
      if (item.kind === "entry") last = item.logged.entry.type;
    }
  } catch {
    // Killed before the log was there.
  }
  return last;
}
