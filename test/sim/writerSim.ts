/**
 * Random schedules of the writer simulation: who does what next, from one seed.
 */

import { isPaused } from "#commit/properties.ts";
import type { AppendResult } from "#commit/shares.ts";
import { type Flush, TableWriter } from "#writer/tableWriter.ts";
import type { Background } from "./background.ts";
import { Maintainer } from "./maintainer.ts";
import { anybodyActs } from "./neighbours.ts";
import { acceptAsIs, adoptOthers, changeForeignRows, pause } from "./people.ts";
import { judgeStop, optionsOf, Process, partsOf, randomField, worldClock } from "./process.ts";
import { Rewriter } from "./rewriter.ts";
import { type CompareAndSet, type Request, World } from "./world.ts";

/** What a schedule may contain besides writers. */
export interface Troubles {
  readonly steps: number;
  readonly compareAndSet: CompareAndSet;
  /** False: a catalog like Nessie. Default true. */
  readonly showsAncestors?: boolean;
  readonly people: boolean;
  /** True: most of it is compaction, and rows of another engine that come and go. */
  readonly rewrites?: boolean;
}

/** How a schedule ended. */
export interface Outcome {
  readonly violations: readonly string[];
  readonly trace: readonly string[];
  readonly commits: number;
}

/** Runs one schedule; the law is checked whenever the table has changed. */
export function runSchedule(seed: number, troubles: Troubles): Promise<Outcome> {
  return new WriterSim(seed, troubles).run();
}

class WriterSim {
  readonly world: World;
  readonly troubles: Troubles;
  readonly processes: Process[];
  readonly rewriter: Rewriter;
  readonly maintainer: Maintainer;
  readonly #background: readonly Background[];
  readonly violations: string[] = [];
  /** Share of steps that are the maintainer's: every schedule has its own, lest rare meetings stay rare. */
  readonly #maintained: number;
  #checkedVersion = 0;
  #arrived: () => void = () => undefined;
  #commits = 0;

  constructor(seed: number, troubles: Troubles) {
    this.world = new World(seed, troubles.compareAndSet, 2, troubles.showsAncestors);
    this.troubles = troubles;
    const other = this.world.random.unit() < 0.15 ? "h" : "g";
    this.processes = [new Process("A", "g"), new Process("B", "g"), new Process("C", other)];
    this.rewriter = new Rewriter(this.world, "R");
    this.maintainer = new Maintainer(this.world);
    this.#background = [this.rewriter, this.maintainer];
    this.#maintained = this.world.pick([0.01, 0.03, 0.15]);
    this.world.onRequest = () => {
      this.#arrived();
      for (const each of this.#background) each.arrived();
    };
  }

  async run(): Promise<Outcome> {
    const { world } = this;
    await adoptOthers(world);
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
    if (world.random.unit() < this.#maintained) return await this.maintainer.act();
    if (this.troubles.rewrites === true && world.random.unit() < 0.6) {
      return await (world.random.unit() < 0.6 ? this.rewriter.act() : changeForeignRows(world));
    }
    const dice = world.random.unit();
    if (dice < 0.56 && (await this.#goOn(dice))) return;
    // Between two tries everything may change.
    const tries = this.processes.some((process) => process.wake !== null);
    if (dice > (tries ? 0.8 : 0.88) && dice < 0.96 && this.troubles.people) {
      return await anybodyActs(world);
    }
    if (dice > 0.96) return this.#crash(this.#victim());
    if (dice > 0.8) return await this.#trouble(dice);
    const idle = this.processes.filter((process) => !process.busy);
    if (idle.length > 0) await this.#act(world.pick(idle));
  }

  /** Whoever crashes; mostly somebody who waits for an answer, because that is the worst time. */
  #victim(): Process {
    const busy = this.processes.filter((process) => process.busy);
    const likely = busy.length > 0 && this.world.random.unit() < 0.7;
    return this.world.pick(likely ? busy : this.processes);
  }

  async #trouble(dice: number): Promise<void> {
    const { world } = this;
    const kind = world.random.unit() < 0.5 ? "before" : "after";
    if (dice > 0.89) world.logFault = { kind, calls: world.below(8), lasts: 1 + world.below(3) };
    else if (dice > 0.86) world.fault = { kind, calls: world.below(12) };
    else if (dice > 0.84) world.loadFails = true;
    else await this.rewriter.act();
  }

  /** Something that was begun goes on: a request is answered, arrives late, a sleeper wakes. */
  async #goOn(dice: number): Promise<boolean> {
    const { world } = this;
    const waiting = world.pending.filter((request) => request.answer !== null);
    const late = world.pending.filter(
      (request) => request.answer === null && world.mayArrive(request),
    );
    const asleep = this.processes.filter((process) => process.wake !== null);
    if (waiting.length > 0 && dice < 0.42) await this.#answer(world.pick(waiting));
    else if (late.length > 0 && dice < 0.45) world.apply(world.pick(late), "lost");
    else if (asleep.length > 0 && world.random.unit() < 0.4) await this.#wake(world.pick(asleep));
    else return false;
    return true;
  }

  async #answer(request: Request): Promise<void> {
    const { world } = this;
    const process = this.processes.find((each) => each.name === request.writer);
    const dice = world.random.unit();
    const answer = (): void => {
      if (!world.mayArrive(request)) world.giveUp(request, "dropped");
      else if (dice < 0.6) world.apply(request, "arrives");
      else if (dice < 0.75) world.apply(request, "lost");
      else if (dice < 0.85) world.giveUp(request, "dropped");
      else world.giveUp(request, "late");
    };
    const background = this.#background.find(({ name }) => name === request.writer);
    if (background !== undefined) await background.untilQuiet(answer);
    else await this.#untilQuiet(process, answer);
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
    process.incarnation++;
    process.wake = null;
    process.writer = null;
    process.busy = false;
    process.held = null;
    process.buffered.clear();
    for (const request of this.world.pending) {
      if (request.writer === process.name) request.answer = null;
    }
    const dice = this.world.random.unit();
    if (dice < 0.1) {
      this.world.say(`${process.name} loses its state directory`);
      process.log.wipe();
    } else if (dice < 0.2 && !this.world.pending.some(({ writer }) => writer === process.name)) {
      // With a request under way nobody could know; without, the table must be asked.
      this.world.say(`${process.name}'s log is set back to a backup`);
      process.log.forget((count) => this.world.below(count + 1));
    }
  }

  /** What an idle process does next: open, seek, read on, flush, or go on with a held flush. */
  async #act(process: Process): Promise<void> {
    const { world } = this;
    const dice = world.random.unit();
    if (process.writer === null) return await this.#start(process, () => this.#open(process));
    if (process.held !== null && dice < 0.7) {
      const { held } = process;
      return await this.#start(process, () => this.#flush(process, held));
    }
    if (process.held !== null && dice < 0.76) {
      return await this.#start(process, () => this.#revoke(process));
    }
    if (dice > 0.95) return await this.#start(process, () => this.#refresh(process));
    const partition = world.below(world.partitions.length);
    const range = process.buffered.get(partition);
    if (range === undefined)
      return await this.#start(process, () => this.#seek(process, partition));
    if (world.random.unit() < 0.5) {
      const end = range.end + BigInt(world.below(6));
      const logEnd = world.logEnd(partition, world.topicOf(range.feed));
      range.end = end > logEnd ? logEnd : end;
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
    const parts = partsOf(world, process.name, log, alive, clock);
    const writer = await TableWriter.open(parts, optionsOf(world, process.group), []);
    if (alive()) process.writer = writer;
    world.say(`${process.name} opens`);
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

  /** Its partitions are taken away while a flush is held. */
  async #revoke(process: Process): Promise<void> {
    const { held, writer } = process;
    process.held = null;
    process.buffered.clear();
    this.world.say(`${process.name} gives its held flush up`);
    if (held !== null) await writer?.giveUp(held);
  }

  async #refresh(process: Process): Promise<void> {
    const done = await process.writer?.refresh();
    if (done === true) this.world.say(`${process.name} puts an own snapshot on a foreign head`);
  }

  #newFlush(process: Process): Flush | null {
    const { world } = this;
    const { writer } = process;
    if (writer === null) return null;
    const segments = [];
    for (const [partition, { feed, start, end }] of process.buffered) {
      if (end === start) continue;
      const more = world.random.unit() < 0.06 ? [randomField(world, process)] : [];
      const batch = world.batch(feed, start, end, more);
      segments.push({ range: { feed, start, end }, batch });
      process.buffered.set(partition, { feed, start: end, end });
    }
    return segments.length === 0 ? null : writer.newFlush(segments);
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
      if (this.world.random.unit() < 0.7) await process.writer?.complete(flush, result);
    }
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
        const groups = new Set(this.processes.map((each) => each.group)).size;
        this.violations.push(...judgeStop(this.world, process.name, error, groups));
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
    for (const each of this.#background) this.violations.push(...each.violations.splice(0));
    if (this.world.version === this.#checkedVersion) return;
    this.#checkedVersion = this.world.version;
    this.violations.push(...(await this.world.law.violations()));
  }

  /**
   * Nobody is stuck: in a healthy world each process ends what it holds, and a fresh one commits
   * everything, unless only a person can say where to go on.
   */
  async #finish(): Promise<void> {
    const { world } = this;
    for (const each of this.#background) each.crash();
    world.fault = null;
    world.logFault = null;
    world.loadFails = false;
    if (isPaused(world.loaded())) await pause(world, false);
    for (const process of [...this.processes]) await this.#comesToAnEnd(process);
    await this.#check();
    for (const request of [...world.pending]) world.giveUp(request, "dropped");
    for (const process of this.processes) this.#crash(process);
    const last = new Process("Z", "g");
    this.processes.push(last);
    await this.#alone(last, () => this.#open(last));
    if (!(await this.#seekAll(last))) {
      await acceptAsIs(world);
      if (!(await this.#seekAll(last))) return;
    }
    await this.#alone(last, () => this.#flush(last, this.#newFlush(last)));
    for (const partition of world.partitions) {
      const [offset] = (await last.writer?.positions([world.feed(partition)])) ?? [];
      if (offset !== world.logEnd(partition)) {
        this.violations.push(`STUCK: p${partition} ends at ${offset}`);
      }
    }
    this.violations.push(...(await world.law.violations()));
  }

  /** What the process has under way ends when nothing disturbs it. */
  async #comesToAnEnd(process: Process): Promise<void> {
    if (process.busy) await this.#alone(process, null);
    for (let tries = 0; tries < 3 && process.held !== null; tries++) {
      const { held } = process;
      await this.#alone(process, () => this.#flush(process, held));
    }
    if (process.held !== null) this.violations.push(`STUCK: ${process.name}'s flush stays held`);
  }

  /** Runs an action (or what is under way) to its end: every request that may still arrive is applied, nobody sleeps. */
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

  /** False when only a person can say where to go on, and the rules say so too. */
  async #seekAll(last: Process): Promise<boolean> {
    const { world } = this;
    for (const partition of world.partitions) {
      await this.#alone(last, () => this.#seek(last, partition));
      if (last.writer === null) return await this.#stopped(last);
      const range = last.buffered.get(partition);
      if (range === undefined) this.violations.push(`STUCK: p${partition} cannot be sought`);
      else range.end = world.logEnd(partition);
    }
    return true;
  }

  /** It has stopped, and was judged: opens it again for the next try. */
  async #stopped(last: Process): Promise<false> {
    await this.#alone(last, () => this.#open(last));
    return false;
  }
}
