/**
 * Runs kafka-iceberg itself as a child, from source or from the built executable, and watches it.
 *
 * Scripts, conformance tests and benchmarks see it only as an operator does: a configuration file,
 * signals, HTTP, its log, and what Linux says about the process.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { freePort, keep, temporaryFolder, until } from "./process.ts";

const ROOT = join(import.meta.dir, "..", "..");

/** A TOML value; nested objects are sections. */
export type TomlValue =
  | string
  | number
  | boolean
  | readonly TomlValue[]
  | { readonly [key: string]: TomlValue };

/** Sections of a configuration file. */
export type Config = Readonly<Record<string, Readonly<Record<string, TomlValue>>>>;

/** One element of `[[pipelines]]`: its name, and sections of its own. */
export interface PipelineSections {
  readonly name: string;
  readonly [section: string]: TomlValue;
}

/** Options of {@link startProduct}. */
export interface ProductOptions {
  /** Merged over free server ports; paths may be relative to `folder`. */
  readonly config: Config;
  /** `[[pipelines]]`, default none. */
  readonly pipelines?: readonly PipelineSections[];
  /** Command and flags before `--config`, default `["run"]`. */
  readonly command?: readonly string[];
  /** Working folder (state, logs, warehouse), default a new temporary one. */
  readonly folder?: string;
  /** `source` runs `src/main.ts`; `binary` dist/kafka-iceberg. Default: `$KAFKA_ICEBERG_RUN`, else source. */
  readonly run?: "source" | "binary";
  /** Path of another executable, stronger than `run`. */
  readonly executable?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** One JSON log line; fields as SPEC section 9 names them. */
export interface LogLine {
  readonly message?: string;
  readonly level?: string;
  readonly duration_ms?: number;
  readonly records_flushed?: number;
  readonly [field: string]: unknown;
}

/** A running kafka-iceberg process. */
export interface Product {
  readonly pid: number;
  readonly folder: string;
  /** Base address of `[server] health_address`. */
  readonly url: string;
  readonly startedMs: number;
  /** Exit code; a signal gives 128 + its number. */
  readonly exited: Promise<number>;
  /** Whether it has ended. */
  ended(): boolean;
  /** Waits for `/ready` to answer 200; throws with the log's tail when the process ends before. */
  ready(timeoutMs?: number): Promise<void>;
  /** JSON of `/status`. */
  status(): Promise<unknown>;
  /** Text of `/metrics`. */
  metrics(): Promise<string>;
  /** Everything written to standard output and error so far. */
  log(): string;
  /** Log lines that are JSON objects. */
  logLines(): LogLine[];
  signal(signal: NodeJS.Signals): void;
  /** SIGKILL; waits for the end. */
  kill(): Promise<void>;
  /** SIGTERM; waits for the end and returns the exit code. */
  terminate(): Promise<number>;
  usage(): Usage;
}

/** What the process cost so far; after its end, in all. */
export interface Usage {
  /** utime + stime of all threads. */
  readonly cpuSeconds: number;
  /** VmHWM, read every 50 ms. */
  readonly peakBytes: number;
}

/** Starts the product with a configuration written to `<folder>/config.toml`. */
export async function startProduct(options: ProductOptions): Promise<Product> {
  const folder = options.folder ?? (await temporaryFolder("product"));
  mkdirSync(folder, { recursive: true });
  const port = freePort();
  const { server: given, ...sections } = options.config;
  const server = {
    health_address: `127.0.0.1:${port}`,
    metrics_address: `127.0.0.1:${freePort()}`,
    ...given,
  };
  const configFile = join(folder, "config.toml");
  const elements = (options.pipelines ?? []).map((each) => `[${tomlSection("pipelines", each)}`);
  const text = [toml({ ...sections, server }), ...elements].join("\n");
  await Bun.write(configFile, text.replaceAll("[[pipelines]\n", "[[pipelines]]\n"));
  const child = Bun.spawn(
    [...executable(options), ...(options.command ?? ["run"]), "--config", configFile],
    {
      cwd: folder,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, ...options.env },
    },
  );
  keep(child);
  const log = collect(child);
  return productOf(child, folder, `http://${server.health_address}`, log);
}

function productOf(
  child: Subprocess<"ignore", "pipe", "pipe">,
  folder: string,
  url: string,
  log: () => string,
): Product {
  const usage = watch(child);
  const text = async (path: string): Promise<string> => (await fetch(`${url}${path}`)).text();
  return {
    pid: child.pid,
    folder,
    url,
    startedMs: Date.now(),
    exited: child.exited,
    ended: () => child.exitCode !== null || child.signalCode !== null,
    ready: (timeoutMs = 120_000) =>
      until(
        "/ready",
        async () => {
          if (child.exitCode !== null || child.signalCode !== null) {
            throw new Error(`kafka-iceberg ended before it was ready:\n${log().slice(-4000)}`);
          }
          return (await fetch(`${url}/ready`).catch(() => null))?.ok === true;
        },
        timeoutMs,
        20,
      ),
    status: async () => JSON.parse(await text("/status")) as unknown,
    metrics: () => text("/metrics"),
    log,
    logLines: () => jsonLines(log()),
    signal: (signal) => child.kill(signal),
    kill: async () => {
      child.kill("SIGKILL");
      await child.exited;
    },
    terminate: () => {
      child.kill("SIGTERM");
      return child.exited;
    },
    usage,
  };
}

function executable({ executable: path, run: how }: ProductOptions): string[] {
  const { KAFKA_ICEBERG_RUN } = process.env;
  if (path !== undefined) return [path];
  return (how ?? KAFKA_ICEBERG_RUN) === "binary"
    ? [join(ROOT, "dist", "kafka-iceberg")]
    : [process.execPath, join(ROOT, "src", "main.ts")];
}

/** Collects both outputs; lines of one stream stay in order. */
function collect(child: Subprocess<"ignore", "pipe", "pipe">): () => string {
  let text = "";
  const read = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) text += decoder.decode(chunk, { stream: true });
  };
  void read(child.stdout);
  void read(child.stderr);
  return () => text;
}

/** Samples /proc while the process lives; its exact CPU time is known after its end. */
function watch(child: Subprocess): () => Usage {
  let peakBytes = 0;
  let cpuSeconds = 0;
  const sample = (): void => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
      peakBytes = Math.max(peakBytes, Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024);
      const stat = readFileSync(`/proc/${child.pid}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      cpuSeconds = (Number(fields[11]) + Number(fields[12])) / 100;
    } catch {
      // The process has ended between two samples.
    }
  };
  const timer = setInterval(sample, 50);
  timer.unref();
  void child.exited.then(() => {
    clearInterval(timer);
    const total = child.resourceUsage()?.cpuTime.total;
    if (total !== undefined) cpuSeconds = Number(total) / 1e6;
  });
  return () => {
    if (child.exitCode === null && child.signalCode === null) sample();
    return { cpuSeconds, peakBytes };
  };
}

function jsonLines(text: string): LogLine[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("{") && line.endsWith("}"))
    .map((line) => JSON.parse(line) as LogLine);
}

/** Writes a configuration as TOML. */
export function toml(config: Config): string {
  return Object.entries(config)
    .map(([name, section]) => tomlSection(name, section))
    .join("\n");
}

function tomlSection(name: string, section: Readonly<Record<string, TomlValue>>): string {
  const isTable = (v: TomlValue): v is { readonly [key: string]: TomlValue } =>
    typeof v === "object" && !Array.isArray(v);
  const entries = Object.entries(section);
  const own = entries.filter(([, v]) => !isTable(v)).map(([k, v]) => `${k} = ${tomlValue(v)}\n`);
  const inner = entries.flatMap(([k, v]) => (isTable(v) ? [tomlSection(`${name}.${k}`, v)] : []));
  return `[${name}]\n${own.join("")}${inner.join("")}`;
}

function tomlValue(value: TomlValue): string {
  if (Array.isArray(value)) return `[${value.map(tomlValue).join(", ")}]`;
  if (typeof value === "object") {
    const entries = Object.entries(value).map(([k, v]) => `${JSON.stringify(k)} = ${tomlValue(v)}`);
    return `{ ${entries.join(", ")} }`;
  }
  return JSON.stringify(value);
}
