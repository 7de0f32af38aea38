/**
 * The running process: what all pipelines share, signals, the HTTP surface, and the exit code.
 */
import { isatty } from "node:tty";
import { systemClock } from "#base/clock.ts";
import { systemDisk } from "#base/disk.ts";
import { describe, EXIT, type ExitCode, kindOf, POLICY, policyOf } from "#base/errors.ts";
import type { Observation, Observe } from "#base/events.ts";
import { armFailpoint } from "#base/failpoint.ts";
import { VECTORS } from "#base/kernelSwitch.ts";
import { assertLimits } from "#base/limits.ts";
import { systemRandom } from "#base/random.ts";
import { buildPipeline } from "#config/buildPipeline.ts";
import { buildProcess, type ProcessOptions } from "#config/buildProcess.ts";
import type { AppConfig } from "#config/config.ts";
import { cacheFolder, type Environment } from "#config/environment.ts";
import { machineMemory } from "#config/memory.ts";
import { REASONS } from "#decode/rejects.ts";
import { CopySlots } from "#maintenance/copySlots.ts";
import type { ParquetEncoder } from "#parquet/encoder.ts";
import { createWorkerEncoder } from "#parquet/pool.ts";
import type { Sink } from "#pipeline/sink.ts";
import { type AppLogger, createLogger } from "#server/log.ts";
import { createMetrics } from "#server/metrics.ts";
import {
  type Address,
  type RunningServer,
  type ServerOptions,
  startServer,
} from "#server/server.ts";
import type { StatusSource } from "#server/status.ts";
import { type StatusLine, startStatusLine } from "#server/statusLine.ts";
import { openTransactionLog } from "#txlog/openLog.ts";
import { openStateDir } from "#txlog/stateDir.ts";
import { collectWhileFlowing, type Flow } from "./collecting.ts";
import type { CopyParts } from "./copies.ts";
import { BOUNDLESS, DiskBudget, type DiskRoom } from "./diskBudget.ts";
import { findTable } from "./findTable.ts";
import { openKeys, type ProcessKeys } from "./keys.ts";
import { Lookups } from "./lookup.ts";
import { PipelineRun, type RunLimits, type SharedParts } from "./pipelineRun.ts";
import { folderSizes, watchFolders } from "./probes.ts";
import { profileRoute } from "./profile.ts";
import { Queries } from "./queries.ts";
import { Readers } from "./readers.ts";
import { Reload } from "./reload.ts";
import { routesOf } from "./routes.ts";
import { statusSource } from "./status.ts";
import { NO_NOTIFIER, notifyManager } from "./systemd.ts";
import type { TableReader } from "./tableReport.ts";

/** What the command line adds to the configuration. */
export interface RunOptions {
  readonly untilEnd: boolean;
  readonly version: string;
  readonly commit: string;
  /** Reads the configuration again, for SIGHUP; default: it is not read again. Throws `usage`. */
  readonly reload?: () => Promise<AppConfig>;
  /** Default: a person, by signals and a terminal. */
  readonly supervisor?: Supervisor;
}

/** A program that runs the pipelines for a while: it ends them itself, and shows what it wants. */
export interface Supervisor {
  /** Gets every observation, besides the metrics. */
  observe(observation: Observation): void;
  /** Gets the log lines. */
  log(line: string): void;
  /** Called once, before the pipelines run; whoever has them can stop them. */
  started(pipelines: readonly PipelineRun[]): void;
}

/** `run --until-end` waits this long for a service that is away (SPEC section 3). */
const UNTIL_END_STARTUP_MS = 60_000;
/** Part of the shutdown time that is kept for leaving the group and closing. */
const SHUTDOWN_RESERVE_MS = 1000;

const WITHOUT_VECTORS =
  "This processor has no AVX, which the fast readers need: records are read and written several times slower";

/** Runs every pipeline until a signal, their end, or (`untilEnd`) until all is committed. */
export async function runApp(
  config: AppConfig,
  environment: Environment,
  run: RunOptions,
): Promise<ExitCode> {
  assertLimits();
  armFailpoint(environment.variable("KAFKA_ICEBERG_FAILPOINT") ?? null);
  const terminal = isatty(1);
  const options = await buildProcess(config, environment, await machineMemory(), terminal);
  const logger = createLogger({
    ...options.log,
    clock: systemClock,
    write: (line) => (run.supervisor ? run.supervisor.log(line) : process.stdout.write(line)),
  });
  try {
    return await runWith(config, environment, run, options, logger);
  } catch (error) {
    logger.log("error", describe(error), { kind: kindOf(error) });
    return policyOf(error).exitCode;
  } finally {
    logger.flush();
  }
}

/** What compaction and copies take of the process. */
function rewriteParts(
  { stateDir, memory }: ProcessOptions,
  environment: Environment,
  encoder: ParquetEncoder,
  room: DiskRoom,
): CopyParts {
  return {
    ...{ encoder, room, memoryBytesMax: memory.rewriteBytes },
    slots: new CopySlots((bytes) => room.reserve(bytes)),
    libraryFolder: cacheFolder(environment),
    scratch: `${stateDir}/scratch`,
  };
}

/** Null: there is no bound. */
async function diskBudget(
  { stateDir, txlog, stateBytesMax }: ProcessOptions,
  logger: AppLogger,
): Promise<DiskBudget | null> {
  if (stateBytesMax === null) return null;
  const parts = { clock: systemClock, disk: systemDisk, logger };
  const budget = new DiskBudget(parts, [stateDir, txlog.dir], stateBytesMax);
  await budget.look();
  return budget;
}

async function runWith(
  config: AppConfig,
  environment: Environment,
  run: RunOptions,
  options: ProcessOptions,
  logger: AppLogger,
): Promise<ExitCode> {
  const parts = { clock: systemClock, random: systemRandom, disk: systemDisk, log: logger };
  const state = await openStateDir(options.stateDir, { ...parts, pid: process.pid });
  const budget = await diskBudget(options, logger);
  const txlog = await openTransactionLog(options.txlog, parts);
  const metrics = metricsOf(run, options);
  const encoder = createWorkerEncoder({ clock: systemClock, ...options.memory });
  if (options.memory.warning !== null) logger.log("warn", options.memory.warning);
  const keys = await openKeys(state.path, parts);
  const shared: Omit<SharedParts, "keys"> = {
    ...parts,
    ...{ logger, encoder, txlog },
    readers: new Readers(),
    rewrites: rewriteParts(options, environment, encoder, budget ?? BOUNDLESS),
    crash: () => crash(logger),
    observe: (pipeline) => observer(metrics.observe(pipeline), run.supervisor),
    bufferBytesMax: () => options.memory.bufferBytesBeside(keys.bytes, config.pipelines.length),
    keepMs: options.query?.keepMs ?? 0,
  };
  const pipelines = await Promise.all(
    config.pipelines.map(async (pipeline) => {
      const built = await buildPipeline(pipeline, environment, state.instanceId);
      const { name } = pipeline;
      return new PipelineRun(built, {
        ...shared,
        encoder: encoder.lane(name),
        keys: keys.of(name),
      });
    }),
  );
  const ended = new AbortController();
  const watched = watchFolders({ ...parts, state }, [options.txlog.dir], ended.signal);
  void budget?.watch(ended.signal);
  const status = statusSource({
    stateTrouble: () => watched.trouble ?? budget?.trouble ?? null,
    stateFolders: [state.path, options.txlog.dir],
    clock: systemClock,
    version: run.version,
    commit: run.commit,
    startedMs: systemClock.nowMs(),
    lag: options.lag,
    pipelines,
  });
  const { server, queries } = serve(options, run, { status, metrics, pipelines, log: logger });
  const line = run.supervisor
    ? NO_LINE
    : startStatusLine({ status, clock: systemClock, stream: process.stderr });
  const limits = limitsOf(options, run);
  let notifier = NO_NOTIFIER;
  const stop = (): void => {
    notifier.stopping();
    for (const pipeline of pipelines) void pipeline.stop(limits.shutdownTimeoutMs);
  };
  const reload = reloadOf(config, run, pipelines, logger);
  const unlisten = run.supervisor ? () => undefined : onSignals(logger, pipelines, stop, reload);
  run.supervisor?.started(pipelines);
  void collectWhileFlowing(systemClock, flowOf(pipelines, keys), ended.signal);
  const { version } = run;
  logger.log("info", "Started", { version, pipelines: pipelines.length, urls: server.urls });
  if (!VECTORS) logger.log("warn", WITHOUT_VECTORS);
  const told = { clock: systemClock, isReady: status.ready };
  const own = { pid: process.pid, ended: ended.signal };
  if (!run.supervisor) notifier = await notifyManager(environment, told, own);
  const codes = await Promise.all(pipelines.map((each) => each.run(limits, run.untilEnd)));
  ended.abort();
  unlisten();
  line.stop();
  await server.stop();
  await queries?.close();
  await encoder.close();
  await keys.close();
  await txlog.close();
  await state.close();
  const worst = worstOf(codes);
  logger.log("info", "Stopped", { exit_code: worst });
  return worst;
}

/** The metrics of the process. */
function metricsOf(run: RunOptions, options: ProcessOptions): ReturnType<typeof createMetrics> {
  return createMetrics({
    version: run.version,
    commit: run.commit,
    memoryBudgetBytes: options.memory.limitBytes,
    topicPartitionMetrics: options.topicPartitionMetrics,
    rejectReasons: [...Object.keys(REASONS), "batch_corrupt"],
    stateDiskBytes: () => folderSizes(systemDisk, [options.stateDir, options.txlog.dir]),
    clock: systemClock,
  });
}

function limitsOf(options: ProcessOptions, { untilEnd }: RunOptions): RunLimits {
  return {
    startupTimeoutMs: untilEnd ? UNTIL_END_STARTUP_MS : options.startupTimeoutMs,
    shutdownTimeoutMs: Math.max(0, options.shutdownTimeoutMs - SHUTDOWN_RESERVE_MS),
  };
}

/** Begins to answer over HTTP. */
function serve(
  options: ProcessOptions,
  run: RunOptions,
  {
    status,
    metrics,
    pipelines,
    log,
  }: {
    readonly status: StatusSource;
    readonly metrics: ReturnType<typeof createMetrics>;
    readonly pipelines: readonly PipelineRun[];
    readonly log: AppLogger;
  },
): { server: RunningServer; queries: Queries | null } {
  const readers = (): TableReader[] => pipelines.flatMap(({ reader }) => reader ?? []);
  const queries = queriesOf(options, pipelines);
  const routes = routesOf(status, metrics, readers);
  if (queries !== null) routes.push(queries.route);
  if (options.query?.hasLookup === true) routes.push(lookupsOf(pipelines).route);
  routes.push(profileRoute(systemClock, options.hasProfile));
  const server = startServer(serverOptions(options, run), routes, { clock: systemClock, log });
  return { server, queries };
}

function queriesOf(
  { query: options, txlog }: ProcessOptions,
  pipelines: readonly PipelineRun[],
): Queries | null {
  if (options === null) return null;
  const tables = (): Iterable<Sink> =>
    pipelines.flatMap(({ pipeline }) => [...(pipeline?.tables ?? [])]);
  return new Queries({ clock: systemClock, options, tables, logFolder: txlog.dir });
}

function lookupsOf(pipelines: readonly PipelineRun[]): Lookups {
  return new Lookups({
    clock: systemClock,
    find: (name) => {
      const prefixes = new Map<Sink, string>();
      for (const { pipeline, metadataPrefix } of pipelines) {
        for (const sink of pipeline?.tables ?? []) prefixes.set(sink, metadataPrefix);
      }
      const found = findTable(prefixes.keys(), name);
      return found.map((sink) => ({ sink, prefix: prefixes.get(sink) ?? "" }));
    },
  });
}

/** A backfill beside a running process needs no port of its own (SPEC section 4, `[server]`). */
function serverOptions({ server }: ProcessOptions, { untilEnd }: RunOptions): ServerOptions {
  if (!untilEnd) return server;
  const optional = (address: Address | null): Address | null =>
    address === null ? null : { ...address, isRequired: false };
  return { ...server, health: optional(server.health), metrics: optional(server.metrics) };
}

/**
 * Ends the process at once, whatever else runs in it: memory is shared by all tables and can no longer
 * be trusted. Nothing is lost by it: the next start goes on from the tables' offsets.
 */
function crash(logger: AppLogger): never {
  logger.log("error", "The process ends: something happened that must not happen", {});
  logger.flush();
  process.exit(POLICY.internal.exitCode);
}

const NO_LINE: StatusLine = { stop: () => undefined };

function observer(metrics: Observe, supervisor: Supervisor | undefined): Observe {
  if (supervisor === undefined) return metrics;
  return (observation) => {
    metrics(observation);
    supervisor.observe(observation);
  };
}

function worstOf(codes: readonly ExitCode[]): ExitCode {
  let worst: ExitCode = EXIT.ok;
  for (const code of codes) if (code > worst) worst = code;
  return worst;
}

function flowOf(pipelines: readonly PipelineRun[], keys: Pick<ProcessKeys, "bytes">): Flow {
  const sum = (of: (pipeline: PipelineRun) => number): number =>
    pipelines.reduce((total, each) => total + of(each), 0);
  return {
    consumed: () => sum((each) => each.recordsConsumed),
    buffered: () => sum((each) => each.bufferedBytes),
    external: () => process.memoryUsage().arrayBuffers,
    resident: () => process.memoryUsage.rss() - keys.bytes,
  };
}

/** What SIGHUP does. */
function reloadOf(
  config: AppConfig,
  { reload }: RunOptions,
  pipelines: readonly PipelineRun[],
  logger: AppLogger,
): () => void {
  if (reload === undefined) return () => undefined;
  const reloading = new Reload(config, reload, pipelines, logger);
  return () => void reloading.again();
}

/**
 * The first signal stops in order; the second one exits at once, and nothing is lost by it. SIGHUP reads the
 * configuration again; of a terminal it says that the terminal has gone.
 */
function onSignals(
  logger: AppLogger,
  pipelines: readonly PipelineRun[],
  stop: () => void,
  reload: () => void,
): () => void {
  let asked = false;
  const handler = (signal: NodeJS.Signals): void => {
    if (asked) {
      for (const pipeline of pipelines) pipeline.sayUncommitted();
      logger.flush();
      process.exit(EXIT.ok);
    }
    asked = true;
    const rows = pipelines.reduce((sum, { uncommittedRows }) => sum + uncommittedRows, 0);
    logger.log("info", "Stopping", { signal, uncommitted_rows: rows });
    stop();
  };
  process.on("SIGTERM", handler);
  process.on("SIGINT", handler);
  const onHangUp = isatty(0) ? handler : reload;
  process.on("SIGHUP", onHangUp);
  return () => {
    process.off("SIGTERM", handler);
    process.off("SIGINT", handler);
    process.off("SIGHUP", onHangUp);
  };
}
