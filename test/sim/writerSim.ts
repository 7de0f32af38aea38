/**
 * Random schedules of the writer simulation: who does what next, from one seed.
 */

import { isPaused } from "#commit/properties.ts";
import type { SealedSegment } from "#writer/parts.ts";
import { TableWriter } from "#writer/tableWriter.ts";
import { type Outcome, WriterFrame } from "./frame.ts";
import { Maintainer } from "./maintainer.ts";
import { anybodyActs } from "./neighbours.ts";
import { acceptAsIs, adoptOthers, changeForeignRows, pause } from "./people.ts";
import { optionsOf, Process, partsOf, randomField, worldClock } from "./process.ts";
import { Rewriter } from "./rewriter.ts";
import { type CompareAndSet, World } from "./world.ts";

/** What a schedule may contain besides writers. */
export interface Troubles {
  readonly steps: number;
  readonly compareAndSet: CompareAndSet;
  /** False: a catalog like Nessie. Default true. */
  readonly showsAncestors?: boolean;
  readonly people: boolean;
  /** Rows may be written before they are flushed; default false. */
  readonly ahead?: boolean;
  /** True: most of it is compaction, and rows of another engine that come and go. */
  readonly rewrites?: boolean;
}

/** Runs one schedule; the law is checked whenever the table has changed. */
export function runSchedule(seed: number, troubles: Troubles): Promise<Outcome> {
  return new WriterSim(seed, troubles).run(troubles.steps);
}

class WriterSim extends WriterFrame {
  readonly troubles: Troubles;
  readonly rewriter: Rewriter;
  readonly maintainer: Maintainer;
  /** Share of steps that are the maintainer's: every schedule has its own, lest rare meetings stay rare. */
  readonly #maintained: number;

  constructor(seed: number, troubles: Troubles) {
    const world = new World(seed, troubles.compareAndSet, 2, troubles.showsAncestors);
    const other = world.random.unit() < 0.15 ? "h" : "g";
    const processes = [new Process("A", "g"), new Process("B", "g"), new Process("C", other)];
    const rewriter = new Rewriter(world, "R");
    const maintainer = new Maintainer(world);
    super(world, processes, [0.6, 0.75, 0.85], [rewriter, maintainer]);
    this.troubles = troubles;
    this.rewriter = rewriter;
    this.maintainer = maintainer;
    this.#maintained = world.pick([0.01, 0.03, 0.15]);
  }

  protected override begin(): Promise<void> {
    return adoptOthers(this.world);
  }

  protected async step(): Promise<void> {
    const { world } = this;
    if (world.random.unit() < this.#maintained) return await this.maintainer.act();
    if (this.troubles.rewrites === true && world.random.unit() < 0.6) {
      return await (world.random.unit() < 0.6 ? this.rewriter.act() : changeForeignRows(world));
    }
    const dice = world.random.unit();
    if (dice < 0.56 && (await this.#goOn(dice))) return;
    // Between two tries everything may change.
    const tries = this.asleep.length > 0;
    if (dice > (tries ? 0.8 : 0.88) && dice < 0.96 && this.troubles.people) {
      return await anybodyActs(world);
    }
    if (dice > 0.96) return this.crash(this.#victim());
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
    const { world, waiting, late, asleep } = this;
    if (waiting.length > 0 && dice < 0.42) await this.answer(world.pick(waiting));
    else if (late.length > 0 && dice < 0.45) world.apply(world.pick(late), "lost");
    else if (asleep.length > 0 && world.random.unit() < 0.4) await this.wake(world.pick(asleep));
    else return false;
    return true;
  }

  /** Its log, too, or a part of it. */
  protected override lose(process: Process): void {
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
    if (process.writer === null) return await this.start(process, () => this.open(process));
    if (process.held !== null && dice < 0.7) {
      const { held } = process;
      return await this.start(process, () => this.flush(process, held));
    }
    if (process.held !== null && dice < 0.76) {
      return await this.start(process, () => this.#revoke(process));
    }
    if (dice > 0.95) return await this.start(process, () => this.#refresh(process));
    const partition = world.below(world.partitions.length);
    const range = process.buffered.get(partition);
    if (range === undefined) return await this.start(process, () => this.seek(process, partition));
    const next = world.random.unit();
    if (this.troubles.ahead === true && next > 0.8)
      return await this.start(process, () => this.writeAhead(process, partition));
    if (next < 0.5) return this.readOn(range);
    await this.start(process, () => this.flush(process, this.newFlush(process)));
  }

  protected async open(process: Process): Promise<void> {
    const { world } = this;
    const mine = process.incarnation;
    const alive = (): boolean => process.incarnation === mine;
    const log = process.log.reopen((count) => world.below(count + 1));
    const clock = worldClock(world, alive, this.asleepAs(process));
    const parts = partsOf(world, process.name, log, alive, clock);
    const options = optionsOf(world, process.group, this.troubles.ahead);
    const writer = await TableWriter.open(parts, options, []);
    if (alive()) process.writer = writer;
    world.say(`${process.name} opens`);
  }

  /** Its partitions are taken away while a flush is held. */
  async #revoke(process: Process): Promise<void> {
    const { held, writer } = process;
    process.held = null;
    process.buffered.clear();
    process.dropClosed();
    this.world.say(`${process.name} gives its held flush up`);
    if (held !== null) await writer?.giveUp(held);
  }

  async #refresh(process: Process): Promise<void> {
    const done = await process.writer?.refresh();
    if (done === true) this.world.say(`${process.name} puts an own snapshot on a foreign head`);
  }

  protected segment(range: SealedSegment["range"], process: Process): SealedSegment {
    const { world } = this;
    const more = world.random.unit() < 0.06 ? [randomField(world, process)] : [];
    return { range, batch: world.batch(range.feed, range.start, range.end, more) };
  }

  protected override completes(): boolean {
    return this.world.random.unit() < 0.7;
  }

  protected law(): Promise<string[]> {
    return this.world.law.violations();
  }

  protected override async heal(): Promise<void> {
    await super.heal();
    if (isPaused(this.world.loaded())) await pause(this.world, false);
  }

  /** Unless only a person can say where to go on. */
  protected async finish(last: Process): Promise<void> {
    const { world } = this;
    if (!(await this.#seekAll(last))) {
      await acceptAsIs(world);
      if (!(await this.#seekAll(last))) return;
    }
    await this.alone(last, () => this.flush(last, this.newFlush(last)));
    for (const partition of world.partitions) {
      const [offset] = (await last.writer?.positions([world.feed(partition)])) ?? [];
      if (offset !== world.logEnd(partition)) {
        this.violations.push(`STUCK: p${partition} ends at ${offset}`);
      }
    }
    this.violations.push(...(await world.law.violations()));
  }

  /** False when only a person can say where to go on, and the rules say so too. */
  async #seekAll(last: Process): Promise<boolean> {
    const { world } = this;
    for (const partition of world.partitions) {
      await this.alone(last, () => this.seek(last, partition));
      if (last.writer === null) return await this.#stopped(last);
      const range = last.buffered.get(partition);
      if (range === undefined) this.violations.push(`STUCK: p${partition} cannot be sought`);
      else range.end = world.logEnd(partition);
    }
    return true;
  }

  /** It has stopped, and was judged: opens it again for the next try. */
  async #stopped(last: Process): Promise<false> {
    await this.alone(last, () => this.open(last));
    return false;
  }
}
