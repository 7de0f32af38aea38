/**
 * Random schedules of the writer simulation: who does what next, from one seed.
 */

import { AppError } from "#base/errors.ts";
import type { SnapshotId } from "#iceberg/metadata.ts";
import type { JobResult } from "#writer/job.ts";
import { readProgress } from "#writer/progress.ts";
import { type Flush, TableWriter } from "#writer/tableWriter.ts";
import { MemoryLog, optionsOf, partsOf } from "./process.ts";
import { type CompareAndSet, type Request, World } from "./world.ts";

/** What a schedule may contain besides writers. */
export interface Troubles {
  readonly steps: number;
  readonly compareAndSet: CompareAndSet;
  readonly people: boolean;
}

/** How a schedule ended. */
export interface Outcome {
  readonly violations: readonly string[];
  readonly trace: readonly string[];
  readonly commits: number;
}

/** One process with its memory. */
class Process {
  readonly name: string;
  readonly log: MemoryLog = new MemoryLog();
  writer: TableWriter | null = null;
  /** Partition -> position of the next record to buffer, and what is buffered. */
  readonly buffered = new Map<number, { start: bigint; end: bigint }>();
  held: Flush | null = null;
  busy = false;
  incarnation = 0;

  constructor(name: string) {
    this.name = name;
  }
}

/** Runs one schedule; the law is checked whenever the table has changed. */
export async function runSchedule(seed: number, troubles: Troubles): Promise<Outcome> {
  const sim = new WriterSim(seed, troubles);
  return await sim.run();
}

class WriterSim {
  readonly world: World;
  readonly troubles: Troubles;
  readonly processes = [new Process("A"), new Process("B"), new Process("C")];
  readonly violations: string[] = [];
  #checkedVersion = 0;
  #arrived: () => void = () => undefined;
  #commits = 0;

  constructor(seed: number, troubles: Troubles) {
    this.world = new World(seed, troubles.compareAndSet);
    this.troubles = troubles;
    this.world.onRequest = () => this.#arrived();
  }

  async run(): Promise<Outcome> {
    const { world } = this;
    for (let step = 0; step < this.troubles.steps && this.violations.length === 0; step++) {
      world.nowMs += 1 + world.below(2000);
      await this.#step();
      await this.#check();
    }
    if (this.violations.length === 0) await this.#finish();
    return { violations: this.violations, trace: world.trace, commits: this.#commits };
  }

  async #step(): Promise<void> {
    const { world } = this;
    const waiting = world.pending.filter((request) => request.answer !== null);
    const late = world.pending.filter((request) => request.answer === null);
    const dice = world.random.unit();
    if (waiting.length > 0 && dice < 0.45) return await this.#answer(pick(world, waiting));
    if (late.length > 0 && dice < 0.52) return world.apply(pick(world, late), "lost");
    if (dice > 0.97) return this.#crash(pick(world, this.processes));
    if (this.troubles.people && dice > 0.88) return await this.#people();
    if (dice > 0.86) {
      world.storageFault = world.random.unit() < 0.5 ? "before" : "after";
      return;
    }
    if (dice > 0.84) {
      world.loadFails = true;
      return;
    }
    const idle = this.processes.filter((process) => !process.busy);
    if (idle.length > 0) await this.#act(pick(world, idle));
  }

  async #answer(request: Request): Promise<void> {
    const { world } = this;
    const process = this.processes.find((each) => each.name === request.writer);
    const dice = world.random.unit();
    await this.#untilQuiet(process, () => {
      if (dice < 0.6) world.apply(request, "arrives");
      else if (dice < 0.75) world.apply(request, "lost");
      else if (dice < 0.85) world.giveUp(request, "dropped");
      else world.giveUp(request, "late");
    });
  }

  async #people(): Promise<void> {
    const { world } = this;
    world.storageFault = null;
    const chain = world.chain();
    const dice = world.random.unit();
    if (dice < 0.4 || chain.length < 2) return await world.foreignAppend();
    if (dice < 0.65) return world.rollback(pick(world, chain.slice(1)) as SnapshotId);
    const keep = 1 + world.below(chain.length - 1);
    const gone = chain.slice(keep);
    const offChain = world.metadata.snapshots
      .map((snapshot) => snapshot.snapshotId)
      .filter((id) => !chain.includes(id));
    if (dice < 0.85) world.expire(gone);
    else if (offChain.length > 0) world.expire([pick(world, offChain) as SnapshotId]);
  }

  #crash(process: Process): void {
    this.world.say(`${process.name} crashes`);
    process.incarnation++;
    process.writer = null;
    process.busy = false;
    process.held = null;
    process.buffered.clear();
    for (const request of this.world.pending) {
      if (request.writer === process.name) request.answer = null;
    }
  }

  /** What an idle process does next: open, seek, read on, flush, or go on with a held flush. */
  async #act(process: Process): Promise<void> {
    const { world } = this;
    if (process.writer === null) return await this.#start(process, () => this.#open(process));
    if (process.held !== null && world.random.unit() < 0.7) {
      const { held } = process;
      return await this.#start(process, () => this.#flush(process, held));
    }
    const partition = world.below(world.records.length);
    const range = process.buffered.get(partition);
    if (range === undefined)
      return await this.#start(process, () => this.#seek(process, partition));
    if (world.random.unit() < 0.5) {
      const end = range.end + BigInt(world.below(6));
      range.end = end > world.logEnd(partition) ? world.logEnd(partition) : end;
      return;
    }
    await this.#start(process, () => this.#flush(process, this.#newFlush(process)));
  }

  async #open(process: Process): Promise<void> {
    const { world } = this;
    const mine = process.incarnation;
    const alive = (): boolean => process.incarnation === mine;
    const log = process.log.reopen((count) => world.below(count + 1));
    const parts = partsOf(world, process.name, log, alive);
    process.writer = await TableWriter.open(parts, optionsOf("g"), []);
    world.say(`${process.name} opens`);
  }

  async #seek(process: Process, partition: number): Promise<void> {
    const { writer } = process;
    if (writer === null) return;
    const feed = this.world.feed(partition);
    const [position] = await writer.positions([feed]);
    if (position === null || position === undefined) {
      const result = await writer.claim([{ feed, offset: 0n }]);
      if (result.kind === "committed") process.buffered.set(partition, { start: 0n, end: 0n });
      return;
    }
    this.world.say(`${process.name} seeks p${partition} to ${position}`);
    process.buffered.set(partition, { start: position, end: position });
  }

  #newFlush(process: Process): Flush | null {
    const { writer } = process;
    if (writer === null) return null;
    const segments = [];
    for (const [partition, { start, end }] of process.buffered) {
      if (end === start) continue;
      const batch = this.world.batch(partition, start, end);
      segments.push({ range: { feed: this.world.feed(partition), start, end }, batch });
      process.buffered.set(partition, { start: end, end });
    }
    return segments.length === 0 ? null : writer.newFlush(segments);
  }

  async #flush(process: Process, flush: Flush | null): Promise<void> {
    if (flush === null || process.writer === null) return;
    const ranges = flush.segments.map(
      ({ range }) => `p${range.feed.partition}[${range.start},${range.end})`,
    );
    this.world.say(`${process.name} flushes ${ranges.join(" ")}`);
    const result = await process.writer.flush(flush);
    this.#settle(process, flush, result);
  }

  #settle(process: Process, flush: Flush, result: JobResult): void {
    this.world.say(`${process.name}: ${result.kind}`);
    process.held = result.kind === "held" ? flush : null;
    if (result.kind === "held" || result.kind === "paused") return;
    if (result.kind === "committed") this.#commits++;
    // Fenced feeds are sought anew: what was buffered of them is dropped.
    for (const feed of result.fenced) process.buffered.delete(feed.partition);
  }

  async #start(process: Process, action: () => Promise<void>): Promise<void> {
    const mine = process.incarnation;
    process.busy = true;
    await this.#untilQuiet(process, () => {
      const end = (): void => {
        if (process.incarnation === mine) process.busy = false;
        this.#arrived();
      };
      action().then(end, (error: unknown) => {
        if (!(error instanceof AppError) || error.kind === "internal")
          this.violations.push(String(error));
        this.world.say(`${process.name} stops: ${error}`);
        if (process.incarnation === mine) this.#crash(process);
        end();
      });
    });
  }

  /** Runs `begin` and waits until the process is idle or waits for the catalog. */
  async #untilQuiet(process: Process | undefined, begin: () => void): Promise<void> {
    const quiet = (): boolean =>
      process === undefined ||
      !process.busy ||
      this.world.pending.some((each) => each.writer === process.name && each.answer !== null);
    const before = Promise.withResolvers<void>();
    this.#arrived = () => before.resolve();
    begin();
    if (process !== undefined && !process.busy) return;
    await before.promise;
    if (!quiet()) await this.#untilQuiet(process, () => undefined);
  }

  async #check(): Promise<void> {
    if (this.world.version === this.#checkedVersion) return;
    this.#checkedVersion = this.world.version;
    this.violations.push(...(await this.world.violations()));
  }

  /** Nobody is stuck: a fresh process on a healthy catalog commits everything, unless only a person can. */
  async #finish(): Promise<void> {
    const { world } = this;
    for (const request of [...world.pending]) world.giveUp(request, "dropped");
    for (const process of this.processes) this.#crash(process);
    world.storageFault = null;
    world.loadFails = false;
    if (readProgress(world.metadata, "main").kind === "unreadable") return;
    const last = new Process("Z");
    this.processes.push(last);
    const healthy = (): void => {
      for (const request of [...world.pending]) world.apply(request, "arrives");
    };
    world.onRequest = healthy;
    await this.#open(last);
    for (const partition of world.records.keys()) {
      await this.#seek(last, partition);
      const range = last.buffered.get(partition);
      if (range === undefined) this.violations.push(`STUCK: p${partition} cannot be sought`);
      else range.end = world.logEnd(partition);
    }
    await this.#flush(last, this.#newFlush(last));
    const progress = readProgress(world.metadata, "main");
    for (const partition of world.records.keys()) {
      const [offset] = (await last.writer?.positions([world.feed(partition)])) ?? [];
      if (offset !== world.logEnd(partition)) {
        this.violations.push(`STUCK: p${partition} ends at ${offset} (${progress.kind})`);
      }
    }
    this.violations.push(...(await world.violations()));
  }
}

function pick<T>(world: World, list: readonly T[]): T {
  return list[world.below(list.length)] as T;
}
