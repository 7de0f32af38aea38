/**
 * One process of the pipeline simulation: a pipeline as it ships, on ports of the simulated world.
 */
import type { Clock } from "#base/clock.ts";
import { type Logger, silentLogger } from "#base/log.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { deadLetters, LETTER_COLUMNS } from "#pipeline/deadLetters.ts";
import { Pipeline } from "#pipeline/pipeline.ts";
import { Sink } from "#pipeline/sink.ts";
import { Source } from "#pipeline/source.ts";
import { SimConsumer, type SimGroup } from "./group.ts";
import { MemoryLog, optionsOf, partsOf } from "./process.ts";
import type { SimClock } from "./simClock.ts";
import { pickyFormat, routeOf, type SimTable } from "./tables.ts";

/** One process with its memory. */
export class Process {
  readonly name: string;
  readonly groupName: string;
  readonly log: MemoryLog = new MemoryLog();
  pipeline: Pipeline | null = null;
  consumer: SimConsumer | null = null;
  sinks: readonly Sink[] = [];
  /** Errors of its tables that were judged. */
  readonly judged: Map<number, unknown> = new Map();
  /** What it had read when it learned that its topic is gone, by partition. */
  read: { readonly topicId: string; readonly positions: ReadonlyMap<number, bigint> } | null = null;
  /** Rows were dropped since, because the head did not admit them. */
  fenced = false;
  incarnation = 0;

  constructor(name: string, groupName: string) {
    this.name = name;
    this.groupName = groupName;
  }
}

/** What a process is started with. */
export interface ProcessStart {
  readonly process: Process;
  readonly tables: readonly SimTable[];
  readonly group: SimGroup;
  readonly clock: Clock;
  readonly alive: () => boolean;
}

/** A pipeline that fills these tables; the caller runs it. */
export function startProcess({ process, tables, group, clock, alive }: ProcessStart): {
  readonly pipeline: Pipeline;
  readonly consumer: SimConsumer;
  readonly sinks: readonly Sink[];
} {
  const { world } = group;
  process.judged.clear();
  const log = process.log.reopen((count) => world.below(count + 1));
  const logger: Logger = {
    log: (_, message) => {
      if (message.startsWith("Rows dropped")) process.fenced = true;
    },
    with: () => logger,
  };
  const policy = { intervalMs: 200, rowsMax: 0, bytesMax: 1 << 20, emptyIntervalMs: 400 };
  const hasLetters = tables.some(({ beside }) => beside !== null);
  // Every process judges in its own way, and each changes its mind in time.
  const judge = (): number => process.incarnation + Math.floor(clock.nowMs() / 1500);
  const sinkOf = (table: SimTable, columns: ConstructorParameters<typeof Sink>[2]): Sink => {
    const parts = { ...partsOf(table.world, process.name, log, alive, clock), logger };
    const options = optionsOf(table.world, process.groupName);
    const partitionForms = table.world.hourly ? ["hour(_kafka_timestamp)"] : [];
    const create = { ...options.create, partitionForms };
    return new Sink({ ...options, create }, parts, columns, policy, table.rank);
  };
  const sinks = new Map<SimTable, Sink>();
  const targets = tables.flatMap((table) => {
    if (table.beside !== null) return [];
    const options = { ...DECODER_DEFAULTS, inferRows: 5, kernel: !hasLetters };
    const decoder = hasLetters
      ? createDecoder(options, pickyFormat(judge))
      : createDecoder(options);
    const sink = sinkOf(table, decoder);
    sinks.set(table, sink);
    const sides = tables.flatMap((side) => {
      if (side.beside !== table) return [];
      const own = sinkOf(side, LETTER_COLUMNS);
      sinks.set(side, own);
      return [deadLetters(own)];
    });
    return [{ sink, source: new Source(decoder), sides }];
  });
  const consumer = new SimConsumer(process.name, group);
  const parts = {
    consumer,
    clock,
    random: world.random,
    logger: silentLogger,
    observe: () => undefined,
    targetsOf: () => targets,
    route: routeOf(targets.length),
  };
  const pipeline = new Pipeline(parts, {
    name: "p",
    start: { reset: "earliest", timestampMs: 0, fromGroup: false },
    revokeFlushMs: 300,
    bufferBytesMax: world.random.unit() < 0.2 ? 200 : 1 << 22,
    inferRows: 5,
    inferWaitMs: 100,
    rejects: { action: hasLetters ? "table" : "skip" },
    acknowledge: { enabled: true, intervalMs: 0 },
  });
  return { pipeline, consumer, sinks: tables.flatMap((table) => sinks.get(table) ?? []) };
}

/** A dead process's timers never fire. */
export function aliveClock(clock: SimClock, alive: () => boolean): Clock {
  const gone = new Promise<never>(() => undefined);
  return {
    nowMs: () => clock.nowMs(),
    monotonicMs: () => clock.monotonicMs(),
    turn: () => (alive() ? clock.turn() : gone),
    sleep: async (ms: number, signal?: AbortSignal) => {
      if (!alive()) await gone;
      await clock.sleep(ms, signal);
      if (!alive()) await gone;
    },
  };
}
