/**
 * Child processes of scripts and tests: started, watched, stopped, and never left behind.
 *
 * Every child started here is killed when this process exits, however it exits (SIGKILL apart).
 */
import { closeSync, mkdirSync, openSync, statSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Subprocess } from "bun";

const living = new Set<Subprocess>();
let guarded = false;

/** A long-running child whose output goes to a file. */
export interface Service {
  readonly pid: number;
  readonly logFile: string;
  /** Settles with the exit code; a signal gives 128 + its number. */
  readonly exited: Promise<number>;
  /** SIGTERM, then SIGKILL after `graceMs` (default 20,000). */
  stop(graceMs?: number): Promise<void>;
  /** Sends one signal (default SIGKILL) and, when that ends the process, waits for its end. */
  kill(signal?: NodeJS.Signals): Promise<void>;
}

/** How a service is started and when it counts as ready. */
export interface ServiceOptions {
  readonly name: string;
  readonly command: readonly string[];
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Asked every 50 ms; gets what the log gained since this start. */
  readonly ready: (newLog: string) => boolean | Promise<boolean>;
  /** Default 60,000. */
  readonly startTimeoutMs?: number;
}

/** Starts a service and waits until it is ready; its log's tail is in the error when it is not. */
export async function startService(options: ServiceOptions): Promise<Service> {
  const { name, logFile } = options;
  mkdirSync(dirname(logFile), { recursive: true });
  const log = openSync(logFile, "a");
  const logStart = statSync(logFile).size;
  const child = Bun.spawn([...options.command], {
    stdin: "ignore",
    stdout: log,
    stderr: log,
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  closeSync(log);
  keep(child);
  const service = serviceOf(child, logFile);
  const deadline = Date.now() + (options.startTimeoutMs ?? 60_000);
  for (;;) {
    const newLog = await Bun.file(logFile).slice(logStart).text();
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`${name} ended while starting (${logFile}):\n${tail(newLog)}`);
    }
    if (await options.ready(newLog)) return service;
    if (Date.now() > deadline) {
      await service.kill();
      throw new Error(`${name} was not ready in time (${logFile}):\n${tail(newLog)}`);
    }
    await Bun.sleep(50);
  }
}

function serviceOf(child: Subprocess, logFile: string): Service {
  const kill = async (signal: NodeJS.Signals = "SIGKILL"): Promise<void> => {
    child.kill(signal);
    if (signal === "SIGKILL" || signal === "SIGTERM") await child.exited;
  };
  return {
    pid: child.pid,
    logFile,
    exited: child.exited,
    kill,
    stop: async (graceMs = 20_000) => {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
      await child.exited;
      clearTimeout(timer);
    },
  };
}

/** Registers a child so that it ends with this process. */
export function keep(child: Subprocess): void {
  living.add(child);
  void child.exited.then(() => living.delete(child));
  if (guarded) return;
  guarded = true;
  process.on("exit", () => {
    for (const left of living) left.kill("SIGKILL");
  });
  process.once("SIGINT", () => process.exit(130));
  process.once("SIGTERM", () => process.exit(143));
}

/** Options of {@link run}. */
export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly stdin?: string;
}

/** Runs a command to its end and returns its standard output; throws with its error output. */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const child = Bun.spawn([...command], {
    stdin: new Blob([options.stdin ?? ""]),
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  keep(child);
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) {
    throw new Error(`exit ${code}: ${command.join(" ").slice(0, 400)}\n${tail(out)}\n${tail(err)}`);
  }
  return out;
}

/** A TCP port on loopback that was free a moment ago. */
export function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

/** Whether something accepts connections on a loopback port. */
export async function accepts(port: number): Promise<boolean> {
  try {
    const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
    socket.end();
    return true;
  } catch {
    return false;
  }
}

/** A new folder for one run, below `$KAFKA_ICEBERG_TMP` or the system's temporary folder. */
export async function temporaryFolder(name: string): Promise<string> {
  const { KAFKA_ICEBERG_TMP: root = tmpdir() } = process.env;
  mkdirSync(root, { recursive: true });
  return mkdtemp(join(root, `kafka-iceberg-${name}-`));
}

/** Asks every `intervalMs` (default 50) until the answer is true; throws after `timeoutMs`. */
export async function until(
  what: string,
  ask: () => boolean | Promise<boolean>,
  timeoutMs: number,
  intervalMs = 50,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await ask())) {
    if (Date.now() > deadline) throw new Error(`${timeoutMs} ms passed without: ${what}`);
    await Bun.sleep(intervalMs);
  }
}

function tail(text: string): string {
  return text.trimEnd().split("\n").slice(-25).join("\n");
}
