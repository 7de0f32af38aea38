/**
 * Random schedules of changes: two processes that upsert, each with an index, crashes, lost and late
 * answers, foreign engines, a compaction of ours. A world of its own, so that the dice of the other
 * simulations stay as they are.
 */
import type { AppendResult } from "#commit/shares.ts";
import type { RowIndex } from "#keyindex/port.ts";
import { type KeyStore, openKeyStore, volatileKeyStore } from "#keyindex/store.ts";
import { createTableIndex } from "#keyindex/tableIndex.ts";
import { createWasmKeyTable } from "#keyindex/wasmKeyTable.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import type { WriterParts } from "#writer/parts.ts";
import { type Flush, TableWriter } from "#writer/tableWriter.ts";
import { createLossyDisk, type LossyDisk } from "../fakes/lossyDisk.ts";
import { judgeStop, optionsOf, Process, partsOf, worldClock } from "./process.ts";
import { Foreigners } from "./upsertForeign.ts";
import { UpsertLaw } from "./upsertLaw.ts";
import { changeBatch, KEY_FIELDS } from "./upsertRows.ts";
import { type CompareAndSet, type Request, World } from "./world.ts";

/** What a schedule may contain. */
export interface UpsertTroubles {
  readonly steps: number;
  readonly compareAndSet: CompareAndSet;
  /** False: nobody but our own processes. */
  readonly foreign: boolean;
}

/** How a schedule ended. */
export interface UpsertOutcome {
  readonly violations: readonly string[];
  readonly trace: readonly string[];
  readonly commits: number;
}

/** Runs one schedule; the law is checked whenever the table has changed. */
export async function runUpserts(seed: number, troubles: UpsertTroubles): Promise<UpsertOutcome> {
  return await new UpsertSim(seed, troubles).run();
}

const SECRET = { k0: 1n, k1: 2n };

class UpsertSim {
  readonly world: World;
  readonly troubles: UpsertTroubles;
  readonly law: UpsertLaw;
  readonly foreigners: Foreigners;
  readonly processes = [new Process("A", "g"), new Process("B", "g")];
  readonly violations: string[] = [];
  readonly #disks = new Map<string, LossyDisk>();
  #checkedVersion = 0;
  #arrived: () => void = () => undefined;
  #commits = 0;

  constructor(seed: number, troubles: UpsertTroubles) {
    this.world = new World(seed, troubles.compareAndSet, 2, true, undefined, KEY_FIELDS);
    this.troubles = troubles;
    this.law = new UpsertLaw(this.world);
    this.foreigners = new Foreigners(this.world, this.law);
    this.world.onRequest = () => this.#arrived();
    for (const { name } of this.processes) {
      const { random } = this.world;
      if (random.unit() < 0.7) this.#disks.set(name, createLossyDisk({ random }));
    }
  }

  async run(): Promise<UpsertOutcome> {
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
    const dice = world.random.unit();
    if (dice < 0.5 && (await this.#goOn())) return;
    if (dice > 0.86 && dice < 0.95 && this.troubles.foreign) return await this.foreigners.act();
    if (dice > 0.95) return this.#crash(world.pick(this.processes));
    if (dice > 0.83) return this.#trouble();
    const idle = this.processes.filter((process) => !process.busy);
    if (idle.length > 0) await this.#act(world.pick(idle));
  }

  #trouble(): void {
    const { world } = this;
    const kind = world.random.unit() < 0.5 ? "before" : "after";
    if (world.random.unit() < 0.5) world.fault = { kind, calls: world.below(12) };
    else world.loadFails = true;
  }

  /** A request is answered or arrives late, a sleeper wakes. */
  async #goOn(): Promise<boolean> {
    const { world } = this;
    const waiting = world.pending.filter((request) => request.answer !== null);
    const late = world.pending.filter(
      (request) => request.answer === null && world.mayArrive(request),
    );
    const asleep = this.processes.filter((process) => process.wake !== null);
    const dice = world.random.unit();
    if (waiting.length > 0 && dice < 0.7) await this.#answer(world.pick(waiting));
    else if (late.length > 0 && dice < 0.8) world.apply(world.pick(late), "lost");
    else if (asleep.length > 0) await this.#wake(world.pick(asleep));
    else return false;
    return true;
  }

  async #answer(request: Request): Promise<void> {
    const { world } = this;
    const process = this.processes.find((each) => each.name === request.writer);
    const dice = world.random.unit();
    await this.#untilQuiet(process, () => {
      if (!world.mayArrive(request)) world.giveUp(request, "dropped");
      else if (dice < 0.6) world.apply(request, "arrives");
      else if (dice < 0.8) world.apply(request, "lost");
      else if (dice < 0.88) world.giveUp(request, "dropped");
      else world.giveUp(request, "late");
    });
  }

  async #wake(process: Process): Promise<void> {
    await this.#untilQuiet(process, () => {
      const { wake } = process;
      process.wake = null;
      wake?.();
    });
  }

  #crash(process: Process): void {
    this.world.say(`${process.name} crashes`);
    // With the power: what was not synced of its index is there by chance.
    this.#disks.get(process.name)?.crash();
    process.incarnation++;
    process.wake = null;
    process.writer = null;
    process.busy = false;
    process.held = null;
    process.buffered.clear();
    for (const request of this.world.pending) {
      if (request.writer === process.name) request.answer = null;
    }
  }

  async #act(process: Process): Promise<void> {
    const { world } = this;
    if (process.writer === null) return await this.#start(process, () => this.#open(process));
    if (process.held !== null) {
      const { held } = process;
      return await this.#start(process, () => this.#flush(process, held));
    }
    const partition = world.below(world.partitions.length);
    const range = process.buffered.get(partition);
    if (range === undefined) {
      return await this.#start(process, () => this.#seek(process, partition));
    }
    const dice = world.random.unit();
    // Its partition is taken away; it comes back by another seek.
    if (dice < 0.06) return void process.buffered.delete(partition);
    if (dice < 0.5) {
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
    const clock = worldClock(world, alive, (wake) => {
      process.wake = wake;
      this.#arrived();
    });
    const openIndex = async (_: unknown, keyColumns: readonly string[]): Promise<RowIndex> => {
      const store = await this.#openStore(process);
      return createTableIndex({ store, secret: SECRET, keyColumns });
    };
    const parts: WriterParts = {
      ...partsOf(world, process.name, log, alive, clock),
      encoder: createInlineEncoder(),
      keys: { secret: SECRET, openIndex },
    };
    const options = { ...optionsOf(world, process.group), coordinates: null, key: ["key"] };
    const writer = await TableWriter.open(parts, options, []);
    if (alive()) process.writer = writer;
    world.say(`${process.name} opens`);
  }

  /** What a process keeps of its index outlives it; some keep nothing. */
  async #openStore({ name }: Process): Promise<KeyStore> {
    const table = createWasmKeyTable({ slotsFirst: 8 });
    const disk = this.#disks.get(name);
    if (disk === undefined) return volatileKeyStore(table);
    return await openKeyStore({
      disk: disk.mount(),
      folder: "/index",
      table,
      warn: (error) => this.world.say(`${name} keeps nothing of its index: ${error}`),
      sizes: { pending: 4096, log: 512, cycle: 256 },
    });
  }

  async #seek(process: Process, partition: number): Promise<void> {
    const { writer } = process;
    if (writer === null) return;
    const feed = this.world.feed(partition);
    const [position] = await writer.positions([feed]);
    if (position === null || position === undefined) {
      const result = await writer.claim([{ feed, offset: 0n }]);
      if (result.kind === "committed")
        process.buffered.set(partition, { feed, start: 0n, end: 0n });
      return;
    }
    this.world.say(`${process.name} seeks p${partition} to ${position}`);
    process.buffered.set(partition, { feed, start: position, end: position });
  }

  #newFlush(process: Process): Flush | null {
    const { world } = this;
    const segments = [];
    for (const [partition, { feed, start, end }] of process.buffered) {
      if (end === start) continue;
      const offsets = (world.topic.records[partition] ?? []).filter(
        (offset) => offset >= start && offset < end,
      );
      const batch = offsets.length === 0 ? null : changeBatch(partition, offsets);
      segments.push({ range: { feed, start, end }, batch });
      process.buffered.set(partition, { feed, start: end, end });
    }
    return segments.length === 0 ? null : (process.writer?.newFlush(segments) ?? null);
  }

  async #flush(process: Process, flush: Flush | null): Promise<void> {
    if (flush === null || process.writer === null) return;
    const ranges = flush.segments.map(
      ({ range }) => `p${range.feed.partition}[${range.start},${range.end})`,
    );
    this.world.say(`${process.name} flushes ${ranges.join(" ")}`);
    const mine = process.incarnation;
    const result = await process.writer.flush(flush);
    if (process.incarnation === mine) await this.#settle(process, flush, result);
  }

  async #settle(process: Process, flush: Flush, result: AppendResult): Promise<void> {
    this.world.say(`${process.name}: ${result.kind}`);
    const waits = result.kind === "held" || result.kind === "paused";
    process.held = waits ? flush : null;
    if (result.kind === "held" || result.kind === "paused") return;
    if (result.kind === "committed") {
      this.#commits++;
      await process.writer?.complete(flush, result);
    }
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
        this.violations.push(...judgeStop(this.world, process.name, error, 1));
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
      process.wake !== null ||
      this.world.pending.some((each) => each.writer === process.name && each.answer !== null);
    const before = Promise.withResolvers<void>();
    this.#arrived = () => before.resolve();
    begin();
    if (process === undefined || !process.busy) return;
    await before.promise;
    if (!quiet()) await this.#untilQuiet(process, () => undefined);
  }

  async #check(): Promise<void> {
    if (this.world.version === this.#checkedVersion) return;
    this.#checkedVersion = this.world.version;
    this.violations.push(...(await this.law.violations()));
  }

  /** Nobody is stuck: in a healthy world what is held ends, and a fresh process commits everything. */
  async #finish(): Promise<void> {
    const { world } = this;
    world.fault = null;
    world.loadFails = false;
    for (const process of this.processes) await this.#comesToAnEnd(process);
    await this.#check();
    for (const request of [...world.pending]) world.giveUp(request, "dropped");
    for (const process of this.processes) this.#crash(process);
    const last = new Process("Z", "g");
    this.processes.push(last);
    await this.#alone(last, () => this.#open(last));
    for (const partition of world.partitions) {
      await this.#alone(last, () => this.#seek(last, partition));
      const range = last.buffered.get(partition);
      if (range !== undefined) range.end = world.logEnd(partition);
    }
    await this.#alone(last, () => this.#flush(last, this.#newFlush(last)));
    const { offsets } = this.law.truth(world.metadata.currentSnapshotId);
    for (const partition of world.partitions) {
      const [offset, end] = [offsets.get(partition), Number(world.logEnd(partition))];
      if (offset !== end)
        this.violations.push(`STUCK: p${partition} ends at ${offset}, not ${end}`);
    }
    this.violations.push(...(await this.law.violations()));
  }

  async #comesToAnEnd(process: Process): Promise<void> {
    if (process.busy) await this.#alone(process, null);
    for (let tries = 0; tries < 3 && process.held !== null; tries++) {
      const { held } = process;
      await this.#alone(process, () => this.#flush(process, held));
    }
    if (process.held !== null) this.violations.push(`STUCK: ${process.name}'s flush stays held`);
  }

  /** Runs an action, or what is under way, to its end, undisturbed. */
  async #alone(process: Process, action: (() => Promise<void>) | null): Promise<void> {
    if (action !== null) await this.#start(process, action);
    for (let turn = 0; turn < 100 && process.busy; turn++) {
      const mine = this.world.pending.find((each) => each.writer === process.name && each.answer);
      if (mine !== undefined) {
        await this.#untilQuiet(process, () => {
          if (this.world.mayArrive(mine)) this.world.apply(mine, "arrives");
          else this.world.giveUp(mine, "dropped");
        });
      } else await this.#wake(process);
    }
    if (process.busy) this.violations.push(`STUCK: ${process.name} never ends`);
  }
}
