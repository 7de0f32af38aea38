/**
 * A thousand tables of one pipeline: real catalog, store, encoder and transaction log before a source
 * in memory. What an idle process costs, and how far the table that waits longest is behind.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "#base/clock.ts";
import { systemDisk } from "#base/disk.ts";
import { silentLogger } from "#base/log.ts";
import {
  type Feed,
  type FeedKey,
  type FeedOffset,
  feedKey,
  NO_LEADER_EPOCH,
} from "#base/offsets.ts";
import { systemRandom } from "#base/random.ts";
import { openCatalog } from "#catalog/open.ts";
import type { Consumer, ConsumerEvent, LogBounds } from "#consumer/consumer.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { createWorkerEncoder } from "#parquet/pool.ts";
import { Pipeline } from "#pipeline/pipeline.ts";
import { Sink } from "#pipeline/sink.ts";
import { Source } from "#pipeline/source.ts";
import { createLocalStorage } from "#storage/local.ts";
import { openTransactionLog } from "#txlog/openLog.ts";
import { recordBatch } from "../../test/support/records.ts";
import { temporaryFolder } from "../services/process.ts";
import { LOG, writerOptions } from "./writers.ts";

/** How much. */
export interface ManyTablesSize {
  readonly tables: number;
  /** Over all tables. */
  readonly rowsPerSecond: number;
  readonly idleSeconds: number;
  readonly loadSeconds: number;
  readonly say: (line: string) => void;
}

/** What {@link proveManyTables} found. */
export interface ManyTablesReport {
  readonly startSeconds: number;
  /** Share of one core while nothing comes: to be below 0.05. */
  readonly idleCores: number;
  readonly loadCores: number;
  readonly rows: number;
  readonly rowsCommitted: number;
  readonly commits: number;
  /** The longest that any table had rows without a commit: to be below 60. */
  readonly behindSecondsMax: number;
  readonly peakMb: number;
}

const ROWS_A_BATCH = 10;
const LOOK_MS = 250;

/** A topic for each table, whose batches are made when the test says so. */
class ManyTopics implements Consumer {
  readonly topics: readonly Feed[];
  readonly #events: (ConsumerEvent | null)[] = [];
  #wake: () => void = () => undefined;

  constructor(count: number) {
    this.topics = Array.from({ length: count }, (_, n) => {
      return { clusterId: "proof", topic: `topic${n}`, topicId: `topic${n}`, partition: 0 };
    });
  }

  push(event: ConsumerEvent | null): void {
    this.#events.push(event);
    this.#wake();
  }

  async next(): Promise<ConsumerEvent | null> {
    while (this.#events.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#events.shift() ?? null;
  }

  open(): Promise<void> {
    return Promise.resolve();
  }

  feeds(): readonly Feed[] {
    return this.topics;
  }

  start(): void {}

  epoch(): number {
    return 1;
  }

  released(): void {}
  pause(): void {}
  resume(): void {}
  stopFetching(): void {}

  bounds(feeds: readonly Feed[]): Promise<LogBounds[]> {
    const bound = { logStart: 0n, highWatermark: 0n, lastStableOffset: 0n };
    return Promise.resolve(feeds.map((feed) => ({ feed, ...bound })));
  }

  offsetsAt(feeds: readonly Feed[]): Promise<null[]> {
    return Promise.resolve(feeds.map(() => null));
  }

  groupOffsets(feeds: readonly Feed[]): Promise<null[]> {
    return Promise.resolve(feeds.map(() => null));
  }

  acknowledge(_: readonly FeedOffset[]): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.push(null);
    return Promise.resolve();
  }
}

/** Opens the tables, lets them lie, then gives all of them rows. */
export async function proveManyTables(size: ManyTablesSize): Promise<ManyTablesReport> {
  const { say } = size;
  const folder = await temporaryFolder("many-tables");
  const parts = { clock: systemClock, random: systemRandom, disk: systemDisk, log: silentLogger };
  const observe = (): void => undefined;
  const storage = createLocalStorage(parts);
  const warehouse = join(folder, "warehouse");
  const catalog = openCatalog(
    { type: "file", warehouse, readOnly: false },
    { ...parts, observe, storage },
  );
  await catalog.open();
  const dir = join(folder, "log");
  mkdirSync(dir, { recursive: true });
  const txlog = await openTransactionLog({ ...LOG, dir }, parts);
  const encoder = createWorkerEncoder({ clock: systemClock });
  const shared = { ...parts, catalog, txlog, encoder, logger: silentLogger, observe };
  const policy = { intervalMs: 5000, rowsMax: 0, bytesMax: 128 << 20, emptyIntervalMs: 60_000 };
  const consumer = new ManyTopics(size.tables);
  const sinks: Sink[] = [];
  const targetsOf = (topic: string) => {
    const decoder = createDecoder({ ...DECODER_DEFAULTS, inferRows: 1 });
    const name = { namespace: ["default"], table: topic };
    const sink = new Sink({ ...writerOptions("proof", []), name }, shared, decoder, policy);
    sinks.push(sink);
    return [{ sink, source: new Source(decoder) }];
  };
  const pipeline = new Pipeline(
    { ...shared, consumer, targetsOf },
    {
      name: "p",
      start: { reset: "earliest", timestampMs: 0, fromGroup: false },
      revokeFlushMs: 30_000,
      bufferBytesMax: () => 256 << 20,
      inferRows: 1,
      inferWaitMs: 1000,
      rejects: { action: "fail" },
      acknowledge: { enabled: true, intervalMs: 5000 },
    },
  );
  await pipeline.open();
  const began = performance.now();
  const running = pipeline.run();
  consumer.push({ type: "assigned", feeds: consumer.topics });
  const isReading = (): boolean =>
    pipeline.feeds.all().filter(({ epoch }) => epoch > 0).length === size.tables;
  while (!isReading()) await Bun.sleep(100);
  const startSeconds = rounded((performance.now() - began) / 1000);
  say(`${size.tables} tables are read after ${startSeconds} s`);
  await Bun.sleep(3000);
  const idleCores = await coresOf(() => Bun.sleep(size.idleSeconds * 1000));
  say(`idle: ${idleCores} cores`);
  const load = new Load(consumer, sinks, size);
  const loadCores = await coresOf(() => load.run());
  await pipeline.shutdown(60_000);
  await running;
  await encoder.close();
  await txlog.close();
  const rowsCommitted = sinks.reduce((sum, sink) => sum + sink.rowsCommitted, 0);
  const peakMb = Math.round(process.resourceUsage().maxRSS / 1024);
  const { rows, commits, behindSecondsMax } = load;
  const found = { rows, rowsCommitted, commits, behindSecondsMax, peakMb };
  return { startSeconds, idleCores, loadCores, ...found };
}

/** Rows for every table in turn, and how long each has waited for a commit. */
class Load {
  rows = 0;
  commits = 0;
  behindSecondsMax = 0;
  readonly #consumer: ManyTopics;
  readonly #sinks: readonly Sink[];
  readonly #size: ManyTablesSize;
  readonly #offsets: bigint[];
  readonly #waitingSince: (number | null)[];
  readonly #lastCommits: (number | null)[];

  constructor(consumer: ManyTopics, sinks: readonly Sink[], size: ManyTablesSize) {
    this.#consumer = consumer;
    this.#sinks = sinks;
    this.#size = size;
    this.#offsets = sinks.map(() => 0n);
    this.#waitingSince = sinks.map(() => null);
    this.#lastCommits = sinks.map(() => null);
  }

  async run(): Promise<void> {
    const beganMs = performance.now();
    const endMs = beganMs + this.#size.loadSeconds * 1000;
    let lookedMs = beganMs;
    for (let next = 0; performance.now() < endMs; ) {
      const due = ((performance.now() - beganMs) / 1000) * this.#size.rowsPerSecond;
      for (; this.rows < due; next = (next + 1) % this.#sinks.length) this.#give(next);
      if (performance.now() - lookedMs >= LOOK_MS) {
        lookedMs = performance.now();
        this.#look(lookedMs);
      }
      await Bun.sleep(10);
    }
    this.#look(performance.now());
  }

  #give(index: number): void {
    const feed = this.#consumer.topics[index] as Feed;
    const key: FeedKey = feedKey(feed);
    const baseOffset = this.#offsets[index] ?? 0n;
    const nextOffset = baseOffset + BigInt(ROWS_A_BATCH);
    this.#offsets[index] = nextOffset;
    const place = { feed, key, epoch: 1, wantedOffset: baseOffset, nextOffset };
    const arrivedMs = performance.now();
    const batch = { ...BATCH, ...place, baseOffset, leaderEpoch: NO_LEADER_EPOCH, arrivedMs };
    this.#consumer.push({ type: "batch", batch: { ...batch, baseTimestampMs: Date.now() } });
    this.#waitingSince[index] ??= performance.now();
    this.rows += ROWS_A_BATCH;
  }

  #look(nowMs: number): void {
    for (const [index, sink] of this.#sinks.entries()) {
      const since = this.#waitingSince[index] ?? null;
      if (since === null) continue;
      this.behindSecondsMax = Math.max(this.behindSecondsMax, rounded((nowMs - since) / 1000));
      if (sink.lastCommitMs === this.#lastCommits[index]) continue;
      this.#lastCommits[index] = sink.lastCommitMs;
      this.commits++;
      // What came since the last look may have missed the commit.
      this.#waitingSince[index] = sink.buffer.rows > 0 ? nowMs - LOOK_MS : null;
    }
  }
}

const BATCH = recordBatch(
  Array.from({ length: ROWS_A_BATCH }, (_, n) =>
    JSON.stringify({ id: n, name: `name ${n}`, url: `https://example.org/${n}`, ok: n % 2 === 0 }),
  ),
);

/** Cores that this process used meanwhile. */
async function coresOf(action: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  const began = performance.now();
  await action();
  const { user, system } = process.cpuUsage(before);
  return rounded((user + system) / 1000 / (performance.now() - began));
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
