/**
 * What a simulated process is made of: a transaction log that survives it, ports that fall silent
 * when it dies, and its settings.
 */
import type { Clock } from "#base/clock.ts";
import { AppError, fail } from "#base/errors.ts";
import { silentLogger } from "#base/log.ts";
import { type Feed, feedKey } from "#base/offsets.ts";
import type { Field } from "#columns/schema.ts";
import type { Storage } from "#storage/storage.ts";
import type { LogEntry, LoggedEntry, TransactionLog } from "#txlog/log.ts";
import type { WriterOptions, WriterParts } from "#writer/parts.ts";
import type { Flush, TableWriter } from "#writer/tableWriter.ts";
import { WRITER_OPTIONS } from "../support/writerOptions.ts";
import { PERSON } from "./law.ts";
import { COORDINATES, readCoordinates, rowEncoder } from "./rows.ts";
import type { ClosedSegment } from "./segments.ts";
import type { World } from "./world.ts";

/** A transaction log in memory that survives its process; what was not synced may be lost. */
export class MemoryLog {
  #synced: LogEntry[] = [];
  #unsynced: LogEntry[] = [];

  /** The state directory is lost. */
  wipe(): void {
    this.#synced = [];
    this.#unsynced = [];
  }

  /** A backup is restored: the log knows less than was synced. */
  forget(keep: (count: number) => number): void {
    this.#synced = this.#synced.slice(0, keep(this.#synced.length));
    this.#unsynced = [];
  }

  /** Opens the log anew after a crash; `keep` decides how much of the unsynced tail was written. */
  reopen(keep: (count: number) => number): TransactionLog {
    this.#synced.push(...this.#unsynced.slice(0, keep(this.#unsynced.length)));
    this.#unsynced = [];
    const recovered: LoggedEntry[] = this.#synced.map((entry, index) => ({
      sequence: BigInt(index),
      timeMs: 0,
      entry,
    }));
    return {
      recovered,
      append: (entry, sync = false) => {
        this.#unsynced.push(entry);
        if (sync) this.#synced.push(...this.#unsynced.splice(0));
        return Promise.resolve();
      },
      close: () => Promise.resolve(),
    };
  }
}

/** One process with its memory. */
export class Process {
  readonly name: string;
  readonly group: string;
  readonly log: MemoryLog = new MemoryLog();
  writer: TableWriter | null = null;
  /** By partition: the feed, where it is read from, and up to where it is buffered. */
  readonly buffered: Map<number, { feed: Feed; start: bigint; end: bigint }> = new Map();
  /** Segments that are closed and in no flush yet: they may be written ahead of it. */
  closed: ClosedSegment[] = [];
  held: Flush | null = null;
  busy = false;
  /** Wakes it while it waits before another try. */
  wake: (() => void) | null = null;
  incarnation = 0;

  constructor(name: string, group: string) {
    this.name = name;
    this.group = group;
  }

  /** Drops what is closed of a partition; default: of all. */
  dropClosed(partition?: number): void {
    const isGone = ({ segment }: ClosedSegment): boolean =>
      partition === undefined || segment.range.feed.partition === partition;
    for (const each of this.closed.filter(isGone)) {
      void this.writer?.ahead.drop(feedKey(each.segment.range.feed));
      each.drop();
    }
    this.closed = this.closed.filter((each) => !isGone(each));
  }
}

/** Parts of a writer in this world. */
export function partsOf(
  world: World,
  name: string,
  txlog: TransactionLog,
  alive: () => boolean,
  clock: Clock,
): WriterParts {
  const gone = new Promise<never>(() => undefined);
  const guarded: TransactionLog = {
    recovered: txlog.recovered,
    append: (...args) => (alive() ? appendOrFail(world, txlog, args) : gone),
    close: () => Promise.resolve(),
  };
  return {
    catalog: world.catalog(name, alive, faultyStorage(world, alive)),
    encoder: rowEncoder,
    readCoordinates,
    txlog: guarded,
    clock,
    random: world.random,
    logger: silentLogger,
    observe: () => undefined,
  };
}

/** An entry may fail to be written, or be written and answered with an error. */
async function appendOrFail(
  world: World,
  txlog: TransactionLog,
  args: Parameters<TransactionLog["append"]>,
): Promise<void> {
  const { logFault } = world;
  if (logFault === null || logFault.calls-- > 0) return await txlog.append(...args);
  if (--logFault.lasts <= 0) world.logFault = null;
  world.say(`log: ${args[0].type} fails ${logFault.kind} it is written`);
  if (logFault.kind === "after") await txlog.append(...args);
  throw fail("storage_full", "the log's disk is full");
}

/**
 * The clock of a process: time is the world's, and a sleeper sleeps until the schedule wakes it.
 * @param asleep takes the function that wakes it
 */
export function worldClock(
  world: World,
  alive: () => boolean,
  asleep: (wake: () => void) => void,
): Clock {
  const gone = new Promise<never>(() => undefined);
  return {
    nowMs: () => world.nowMs,
    monotonicMs: () => world.nowMs,
    sleep: () => (alive() ? new Promise((resolve) => asleep(resolve)) : gone),
    turn: () => Promise.resolve(),
  };
}

/** The store as one process sees it: any call may fail, before or after it was done. */
function faultyStorage(world: World, alive: () => boolean): Storage {
  const { storage } = world;
  const gone = new Promise<never>(() => undefined);
  const call = async <T>(what: string, run: () => Promise<T>): Promise<T> => {
    if (!alive()) return await gone;
    const { fault } = world;
    if (fault === null || fault.calls-- > 0) return await run();
    world.fault = null;
    world.say(`storage: ${what} fails ${fault.kind} it is done`);
    if (fault.kind === "after") await run();
    throw fail("storage_unreachable", `${what} got no answer`);
  };
  return {
    put: (at, content) => call("put", () => storage.put(at, content)),
    putIfAbsent: (at, content) => call("putIfAbsent", () => storage.putIfAbsent(at, content)),
    writer: async (at) => {
      const writer = await call("writer", () => storage.writer(at));
      return {
        uploadId: null,
        write: (chunk) => call("write", () => writer.write(chunk)),
        close: () => call("close", () => writer.close()),
        abort: () => call("abort", () => writer.abort()),
      };
    },
    get: (at) => call("get", () => storage.get(at)),
    getRange: (at, start, length) => call("getRange", () => storage.getRange(at, start, length)),
    head: (at) => call("head", () => storage.head(at)),
    remove: (all) => call("remove", () => storage.remove(all)),
    async *list(prefix) {
      await call("list", () => Promise.resolve());
      yield* storage.list(prefix);
    },
    abortUploads: (all) => call("abortUploads", () => storage.abortUploads(all)),
    close: () => Promise.resolve(),
  };
}

/**
 * Options of every writer of a world.
 * @param ahead rows are written before their commit is due
 */
export function optionsOf(world: World, group: string, ahead = false): WriterOptions {
  return {
    ...WRITER_OPTIONS,
    name: world.name,
    group,
    coordinates: COORDINATES,
    commitRetriesMax: 3,
    filesAgeMsMax: world.filesAgeMsMax,
    preserveKafkaPartitions: world.random.unit() < 0.7,
    aheadBytes: ahead ? 1 : Number.POSITIVE_INFINITY,
    thinning: world.thinning,
  };
}

/** Why a process may stop for good in this world now; else what is wrong about its stop. */
export function judgeStop(world: World, name: string, error: unknown, groups: number): string[] {
  const kind = error instanceof AppError ? error.kind : "internal";
  switch (kind) {
    case "catalog_unreachable":
    case "storage_unreachable":
    case "storage_full":
    case "kafka_unreachable":
      return [];
    case "topic_unreadable":
      return ifNeedless(world.topics.length === 1, name, error);
    case "progress": {
      const truth = world.law.truth(world.metadata.currentSnapshotId);
      const asks =
        world.law.readable() !== "yes" ||
        truth.topicId !== world.topic.id ||
        world.topics.length > 1 ||
        (world.lost !== null && String(error).includes("has been written anew"));
      return ifNeedless(!asks, name, error);
    }
    case "table_gone":
      return ifNeedless(world.law.readable() === "yes", name, error);
    case "fenced": {
      const [, mine, other] = /groups (\S+) and (\S+) both/.exec(String(error)) ?? [];
      const named = mine !== undefined && other !== undefined && mine !== other;
      return named && (groups > 1 || other === PERSON) ? [] : [`${name}: ${error}`];
    }
    default:
      return [`${name} failed: ${error}`];
  }
}

function ifNeedless(isNeedless: boolean, name: string, error: unknown): string[] {
  return isNeedless ? [`${name} stopped needlessly: ${error}`] : [];
}

/** A column that several writers may add at once: as last seen in the table, else of a type by its own inference. */
export function randomField(world: World, { name: owner, writer }: Process): Field {
  const index = world.below(3);
  const name = `x${index}`;
  const known = writer?.fields.find((field) => field.name === name);
  const kind = (owner.charCodeAt(0) + index) % 2 === 0 ? "int" : "long";
  return { id: 0, name, required: false, type: known?.type ?? { kind } };
}
