/**
 * `kill -9` at every phase of a flush while events flow, restart at once each time; then the judges.
 * Used by the conformance test with few kills and by `scripts/prove/kills.ts` with many.
 */
import { join } from "node:path";
import { systemClock } from "#base/clock.ts";
import { systemDisk } from "#base/disk.ts";
import { FAILPOINTS } from "#base/failpoint.ts";
import { readTransactionLog } from "#txlog/read.ts";
import { type Config, type Product, startProduct } from "../services/product.ts";

/** What a run of kills is. */
export interface KillRun {
  readonly config: Config;
  /** Working folder of every incarnation: state, warehouse. */
  readonly folder: string;
  readonly kills: number;
  /** Share of kills at an armed failpoint; the others come after a random time. */
  readonly failpointShare: number;
  /** Longest time between a start and its kill, ms. */
  readonly lifeMsMax: number;
  readonly random: () => number;
  readonly say: (line: string) => void;
  readonly run?: "source" | "binary";
}

/** What happened. */
export interface KillReport {
  /** Kills by the last step that the log knows. */
  readonly phases: Record<string, number>;
  /** From process start to the first new snapshot, ms; one per restart that lived long enough. */
  readonly recoveriesMs: number[];
}

/** Starts and kills the product again and again in one folder. */
export async function killRepeatedly(run: KillRun): Promise<KillReport> {
  const phases: Record<string, number> = {};
  const recoveriesMs: number[] = [];
  for (let kill = 0; kill < run.kills; kill++) {
    const name = FAILPOINTS[Math.floor(run.random() * FAILPOINTS.length)] ?? "seal";
    const armed = run.random() < run.failpointShare;
    const nth = 1 + Math.floor(run.random() * 6);
    const env = armed ? { KAFKA_ICEBERG_FAILPOINT: `${name}=crash@${nth}` } : {};
    const { folder, config } = run;
    const how = run.run === undefined ? {} : { run: run.run };
    const product = await startProduct({ config, folder, env, ...how });
    const lifeMs = armed ? run.lifeMsMax : 300 + run.random() * run.lifeMsMax;
    await Promise.race([product.exited, Bun.sleep(lifeMs)]);
    const phase = armed && hasEnded(product) ? `failpoint ${name}` : "time";
    await product.kill();
    const recovery = firstCommitMs(product);
    if (recovery !== null) recoveriesMs.push(recovery);
    const at = phase === "time" ? `after ${await lastEntry(folder)}` : phase;
    phases[at] = (phases[at] ?? 0) + 1;
    run.say(`kill ${kill + 1}/${run.kills} ${at}, recovery ${recovery ?? "-"} ms`);
  }
  return { phases, recoveriesMs };
}

function hasEnded(product: Product): boolean {
  try {
    process.kill(product.pid, 0);
    return false;
  } catch {
    return true;
  }
}

/** From process start to the first snapshot of this incarnation, by its own log. */
function firstCommitMs(product: Product): number | null {
  const line = product.logLines().find((each) => each.message === "Flush committed");
  const at = line === undefined ? Number.NaN : Date.parse(String(line["timestamp"]));
  return Number.isNaN(at) ? null : at - product.startedMs;
}

async function lastEntry(folder: string): Promise<string> {
  let last = "nothing";
  const dir = join(folder, "state", "transaction_logs");
  try {
    const parts = { disk: systemDisk, clock: systemClock };
    for await (const item of readTransactionLog(dir, parts)) {
      if (item.kind === "entry") last = item.logged.entry.type;
    }
  } catch {
    // Killed before the log was there.
  }
  return last;
}
