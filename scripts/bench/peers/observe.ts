/**
 * Runs a side and observes it from outside: its process tree, and its table's commits.
 */
import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { keep, temporaryFolder, until } from "../../services/process.ts";
import { type Commit, type HeadWatch, watchHead } from "./heads.ts";
import { type Cost, type Meter, meterOf } from "./meter.ts";
import type { Job, Launch, Side } from "./side.ts";

/** A side at work. */
export interface Running {
  readonly startedMs: number;
  readonly meter: Meter;
  readonly head: HeadWatch | null;
  readonly launch: Launch;
  /** What it has printed. */
  readonly logFile: string;
  /** Waits until the table holds `rows`, or until the process has ended when it does so by itself. */
  finished(rows: number): Promise<Finish>;
  /** Ends the process at once; its rows stay. */
  kill(): Promise<void>;
}

/** The moment of the last commit. */
export interface Finish {
  readonly ms: number;
  readonly cost: Cost;
}

/** Longer than any side took for 20 million rows. */
const TIMEOUT_MS = 15 * 60_000;

/** Runs `work` with a new folder that is removed afterwards. */
export async function withFolder<T>(
  name: string,
  work: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = await temporaryFolder(`bench-${name}`);
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Starts a side; the clock starts with its process. */
export async function launch(side: Side, job: Job): Promise<Running> {
  const prepared = await side.prepare(job);
  const logFile = join(job.folder, `${side.name}.log`);
  const log = openSync(logFile, "w");
  const startedMs = Date.now();
  const child = Bun.spawn([...prepared.command], {
    cwd: job.folder,
    stdin: "ignore",
    stdout: log,
    stderr: log,
    env: { ...process.env, ...prepared.env },
  });
  closeSync(log);
  keep(child);
  const meter = meterOf(child);
  let latest: Commit | null = null;
  let reached: ((commit: Commit) => void) | null = null;
  const onCommit = (commit: Commit): void => {
    latest = commit;
    reached?.(commit);
  };
  const head = prepared.table === null ? null : watchHead(prepared.table, onCommit);
  const failure = (what: string): Error => new Error(`${side.name} ${what}:\n${tail(logFile)}`);
  const committed = async (rows: number): Promise<Finish> => {
    let finish: Finish | null = null;
    reached = ({ totalRows, seenMs }) => {
      if (totalRows >= rows && finish === null) finish = { ms: seenMs, cost: meter.cost() };
    };
    if (latest !== null) reached(latest);
    const done = (): boolean => {
      if (finish === null && hasEnded(child)) throw failure("ended before all was committed");
      return finish !== null;
    };
    await until(`${rows} rows of ${side.name}`, done, TIMEOUT_MS).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${tail(logFile)}`);
    });
    return finish ?? { ms: Number.NaN, cost: meter.cost() };
  };
  const ended = async (): Promise<Finish> => {
    const code = await child.exited;
    const ms = Date.now();
    if (code !== 0) throw failure(`ended with ${code}`);
    head?.stop();
    return { ms: latest?.seenMs ?? ms, cost: meter.cost() };
  };
  return {
    startedMs,
    meter,
    head,
    launch: prepared,
    logFile,
    finished: (rows) => (prepared.ends ? ended() : committed(rows)),
    kill: async () => {
      meter.stop();
      head?.stop();
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

/** Waits for the last commit, and ends the process, whatever happened. */
export async function runToEnd(running: Running, rows: number): Promise<Finish> {
  try {
    return await running.finished(rows);
  } finally {
    await running.kill();
  }
}

function hasEnded(child: Subprocess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function tail(file: string): string {
  return readFileSync(file, "utf8").trimEnd().split("\n").slice(-25).join("\n");
}
