/**
 * One process of the pipeline simulation: a pipeline as it ships, on ports of the simulated world.
 */
import type { Clock } from "#base/clock.ts";
import { fail } from "#base/errors.ts";
import { type Logger, silentLogger } from "#base/log.ts";
import type { Catalog } from "#catalog/catalog.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { deadLetters, LETTER_COLUMNS } from "#pipeline/deadLetters.ts";
import { lateColumns, lateTable } from "#pipeline/lateRows.ts";
import { Pipeline } from "#pipeline/pipeline.ts";
import { Sink } from "#pipeline/sink.ts";
import { Source } from "#pipeline/source.ts";
import { SimConsumer, type SimGroup } from "./group.ts";
import { MemoryLog, optionsOf, partsOf } from "./process.ts";
import type { SimClock } from "./simClock.ts";
import { LATENESS, pickyFormat, routeBetween, type SimTable, TOPIC_ID } from "./tables.ts";
import { togetherIn } from "./together.ts";
import type { World } from "./world.ts";

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
  /** What its calls to the catalog come to: `waits`, until the process may go on; `fails`, at once. */
  stall: "none" | "waits" | "fails" = "none";
  readonly #waiting: (() => void)[] = [];

  constructor(name: string, groupName: string) {
    this.name = name;
    this.groupName = groupName;
  }

  /** Its calls get through again. */
  goOn(): void {
    this.stall = "none";
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** True while one of its calls waits to get through. */
  get waits(): boolean {
    return this.#waiting.length > 0;
  }

  /**
   * Resolves when a call to the catalog gets through.
   * @param isSlow it waits although others go through meanwhile
   */
  async reach(isSlow = false): Promise<void> {
    if (this.stall === "fails") throw fail("catalog_unreachable", "the catalog is away");
    if (!isSlow && this.stall === "none") return;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

/**
 * A catalog as a process reaches it that may stand still, or be cut off from it for a while.
 * @param isSlow whether a load of a table waits
 */
function reached(process: Process, catalog: Catalog, isSlow: () => boolean): Catalog {
  return {
    ...catalog,
    load: async (...args) => {
      await process.reach(isSlow());
      return await catalog.load(...args);
    },
    commit: async (...args) => {
      if (process.stall === "fails") return { kind: "unknown", cause: "the catalog is away" };
      await process.reach();
      return await catalog.commit(...args);
    },
  };
}

/**
 * A process stands still, or loses the catalog alone, often long enough to lose its partitions; one that
 * does goes on.
 * @returns the members that their group takes for dead
 */
export function stallOrGoOn(
  process: Process,
  groups: ReadonlyMap<string, SimGroup>,
  world: World,
): SimConsumer[] {
  const group = groups.get(process.groupName);
  const { consumer } = process;
  if (process.stall !== "none" || process.waits) {
    world.say(`${process.name} goes on`);
    process.goOn();
    return [];
  }
  process.stall = world.pick(["waits", "fails"]);
  world.say(`${process.name}: its calls to the catalog: ${process.stall}`);
  if (consumer === null || group?.members.includes(consumer) !== true) return [];
  if (world.random.unit() < 0.5) return [];
  group.expel(consumer);
  return [consumer];
}

/** What a process is started with. */
export interface ProcessStart {
  readonly process: Process;
  readonly tables: readonly SimTable[];
  readonly group: SimGroup;
  readonly clock: Clock;
  readonly alive: () => boolean;
  /** One record in so many is bad. */
  readonly badOf: number;
  /** Whether a load of a table waits; null: the process never stands still either. */
  readonly isSlow: (() => boolean) | null;
}

/** A pipeline that fills these tables; the caller runs it. */
export function startProcess(start: ProcessStart): {
  readonly pipeline: Pipeline;
  readonly consumer: SimConsumer;
  readonly sinks: readonly Sink[];
} {
  const { process, tables, group, clock, alive, badOf, isSlow } = start;
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
  const hasLetters = tables.some(({ rank }) => rank === "dead_letter");
  // Every process judges in its own way, and each changes its mind in time.
  const judge = (): number => process.incarnation + Math.floor(clock.nowMs() / 1500);
  const hasLate = tables.some(({ rank }) => rank === "late");
  const eventTimeField = hasLate ? LATENESS.timeColumn : null;
  const catalogs = new Map<string, Catalog>();
  const commitTogether = togetherIn(world, catalogs);
  const sinkOf = (table: SimTable, columns: ConstructorParameters<typeof Sink>[2]): Sink => {
    const own = partsOf(table.world, process.name, log, alive, clock);
    const ownCatalog = isSlow === null ? own.catalog : reached(process, own.catalog, isSlow);
    catalogs.set(table.world.name.table, ownCatalog);
    const catalog = table.together ? { ...ownCatalog, commitTogether } : ownCatalog;
    const parts = { ...own, catalog, logger };
    const options = optionsOf(table.world, process.groupName, table.writesAhead);
    const partitionForms = table.world.hourly ? ["hour(_kafka_timestamp)"] : [];
    const create = { ...options.create, partitionForms };
    const columnsBy = table.rank === "late" ? "declaration" : "records";
    const commit = { ...policy, together: table.together };
    return new Sink({ ...options, create, columnsBy }, parts, columns, commit, table.rank);
  };
  const sinks = new Map<SimTable, Sink>();
  const targets = tables.flatMap((table) => {
    if (table.beside !== null) return [];
    const options = { ...DECODER_DEFAULTS, inferRows: 5, kernel: !hasLetters, eventTimeField };
    const decoder = hasLetters
      ? createDecoder(options, pickyFormat(judge, badOf, eventTimeField))
      : createDecoder(options);
    const sink = sinkOf(table, decoder);
    sinks.set(table, sink);
    const sides = tables.flatMap((side) => {
      if (side.beside !== table) return [];
      const isLate = side.rank === "late";
      const own = sinkOf(side, isLate ? lateColumns(decoder, TOPIC_ID) : LETTER_COLUMNS);
      sinks.set(side, own);
      return [isLate ? lateTable(own, TOPIC_ID) : deadLetters(own)];
    });
    return [{ sink, source: new Source(decoder, hasLate ? LATENESS : null), sides }];
  });
  const consumer = new SimConsumer(process.name, group);
  const route = routeBetween(tables);
  const parts = {
    consumer,
    clock,
    random: world.random,
    logger: silentLogger,
    observe: () => undefined,
    targetsOf: () => targets,
    ...(route === undefined ? {} : { route }),
  };
  const bufferBytes = world.random.unit() < 0.2 ? 200 : 1 << 22;
  const pipeline = new Pipeline(parts, {
    name: "p",
    start: { reset: "earliest", timestampMs: 0, fromGroup: false },
    revokeFlushMs: 300,
    bufferBytesMax: () => bufferBytes,
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

/** Rows that a process had read of a topic that is gone, and that never came into the table. */
export function thrownAway({ name, read, fenced }: Process, { law }: World): string[] {
  if (read === null || fenced) return [];
  const committed = law.everCommitted(read.topicId);
  return [...read.positions].flatMap(([partition, position]) =>
    position > (committed.get(partition) ?? 0n)
      ? [`THROWN AWAY: ${name} had read p${partition} up to ${position}`]
      : [],
  );
}

/** Whether one of its tables has stopped. */
export function isStopped({ sinks }: Process): boolean {
  return sinks.some(({ state }) => state.kind === "stopped");
}

/** Lets everything that can go on do so. */
export async function settled(): Promise<void> {
  for (let turns = 0; turns < 2; turns++) await new Promise((resolve) => setImmediate(resolve));
}
