/**
 * What the simulations of writers have in common: processes that open the table, seek, read on, flush and
 * die; requests that are answered, lost or late; the law, looked at whenever the table has changed; and an end
 * at which nobody may be stuck. What happens when is each simulation's own.
 */
import type { AppendResult } from "#commit/shares.ts";
import type { SealedSegment } from "#writer/parts.ts";
import type { Flush } from "#writer/tableWriter.ts";
import type { Background } from "./background.ts";
import { judgeStop, Process } from "./process.ts";
import { ClosedSegment } from "./segments.ts";
import type { Request, World } from "./world.ts";

/** How a schedule ended. */
export interface Outcome {
  readonly violations: readonly string[];
  readonly trace: readonly string[];
  readonly commits: number;
}

/** Up to which dice a request arrives, is applied without an answer, or is dropped; else it is late. */
export type Answers = readonly [arrives: number, lost: number, dropped: number];

/** One schedule under way. */
export abstract class WriterFrame {
  readonly world: World;
  readonly processes: Process[];
  readonly violations: string[] = [];
  readonly #background: readonly Background[];
  readonly #answers: Answers;
  #checkedVersion = 0;
  #arrived: () => void = () => undefined;
  #commits = 0;

  /** @param background processes that make runs of their own */
  protected constructor(
    world: World,
    processes: Process[],
    answers: Answers,
    background: readonly Background[] = [],
  ) {
    this.world = world;
    this.processes = processes;
    this.#answers = answers;
    this.#background = background;
    world.onRequest = () => {
      this.#arrived();
      for (const each of background) each.arrived();
    };
  }

  /** Opens the table for a process. */
  protected abstract open(process: Process): Promise<void>;
  /** What one step is. */
  protected abstract step(): Promise<void>;
  /** What a process buffers of a range. */
  protected abstract segment(range: SealedSegment["range"], process: Process): SealedSegment;
  /** How the law is broken now. */
  protected abstract law(): Promise<string[]>;
  /** In a healthy world, after everybody has died: a fresh process commits everything. */
  protected abstract finish(last: Process): Promise<void>;

  /** Before the first step. */
  protected begin(): Promise<void> {
    return Promise.resolve();
  }

  /** Where a table that does not know a partition begins with it. */
  protected first(_partition: number): bigint {
    return 0n;
  }

  /** What else is lost with a process. */
  protected lose(_process: Process): void {}

  /** Whether a process says of a flush that it is complete. */
  protected completes(): boolean {
    return true;
  }

  /** Nothing goes wrong any more. */
  protected async heal(): Promise<void> {
    for (const each of this.#background) each.crash();
    this.world.fault = null;
    this.world.logFault = null;
    this.world.loadFails = false;
  }

  /** Runs `steps` steps, then to the end. */
  async run(steps: number): Promise<Outcome> {
    const { world } = this;
    await this.begin();
    for (let step = 0; step < steps && this.violations.length === 0; step++) {
      world.nowMs += 1 + world.below(2000);
      await this.step();
      await this.check();
    }
    if (this.violations.length === 0) await this.#end();
    return { violations: this.violations, trace: world.trace, commits: this.#commits };
  }

  /** The processes that wait before another try. */
  protected get asleep(): Process[] {
    return this.processes.filter((process) => process.wake !== null);
  }

  /** Requests whose writers wait for an answer. */
  protected get waiting(): Request[] {
    return this.world.pending.filter((request) => request.answer !== null);
  }

  /** Requests that nobody waits for and that may still arrive. */
  protected get late(): Request[] {
    const { world } = this;
    return world.pending.filter((request) => request.answer === null && world.mayArrive(request));
  }

  protected async answer(request: Request): Promise<void> {
    const { world } = this;
    const process = this.processes.find((each) => each.name === request.writer);
    const dice = world.random.unit();
    const [arrives, lost, dropped] = this.#answers;
    const answer = (): void => {
      if (!world.mayArrive(request)) world.giveUp(request, "dropped");
      else if (dice < arrives) world.apply(request, "arrives");
      else if (dice < lost) world.apply(request, "lost");
      else if (dice < dropped) world.giveUp(request, "dropped");
      else world.giveUp(request, "late");
    };
    const background = this.#background.find(({ name }) => name === request.writer);
    if (background !== undefined) await background.untilQuiet(answer);
    else await this.#untilQuiet(process, answer);
  }

  /** Something that was begun goes on: a request is answered or arrives late, a sleeper wakes; false: nothing was. */
  protected async goOn([answered, arrived]: readonly [number, number]): Promise<boolean> {
    const { world, waiting, late, asleep } = this;
    const dice = world.random.unit();
    if (waiting.length > 0 && dice < answered) await this.answer(world.pick(waiting));
    else if (late.length > 0 && dice < arrived) world.apply(world.pick(late), "lost");
    else if (asleep.length > 0) await this.wake(world.pick(asleep));
    else return false;
    return true;
  }

  /** A call of the store, up to so many from now, fails, or the next load of the table does. */
  protected trouble(callsMax: number): void {
    const { world } = this;
    const kind = world.random.unit() < 0.5 ? "before" : "after";
    if (world.random.unit() < 0.5) world.fault = { kind, calls: world.below(callsMax) };
    else world.loadFails = true;
  }

  protected async wake(process: Process): Promise<void> {
    await this.#untilQuiet(process, () => {
      const { wake } = process;
      process.wake = null;
      wake?.();
    });
  }

  protected crash(process: Process): void {
    this.world.say(`${process.name} crashes`);
    process.incarnation++;
    process.wake = null;
    process.writer = null;
    process.busy = false;
    process.held = null;
    process.buffered.clear();
    process.closed = [];
    for (const request of this.world.pending) {
      if (request.writer === process.name) request.answer = null;
    }
    this.lose(process);
  }

  /** Takes what wakes a process that sleeps. */
  protected asleepAs(process: Process): (wake: () => void) => void {
    return (wake) => {
      process.wake = wake;
      this.#arrived();
    };
  }

  /** Finds where a partition is to be read from. */
  protected async seek(process: Process, partition: number): Promise<void> {
    const { writer } = process;
    if (writer === null) return;
    const feed = this.world.feed(partition);
    const [position] = await writer.positions([feed]);
    if (position === null || position === undefined) {
      const offset = this.first(partition);
      const result = await writer.claim([{ feed, offset }]);
      if (result.kind === "committed")
        process.buffered.set(partition, { feed, start: offset, end: offset });
      return;
    }
    this.world.say(`${process.name} seeks p${partition} to ${position}`);
    process.buffered.set(partition, { feed, start: position, end: position });
  }

  /** Buffers up to five offsets more. */
  protected readOn(range: { readonly feed: SealedSegment["range"]["feed"]; end: bigint }): void {
    const { world } = this;
    const end = range.end + BigInt(world.below(6));
    const logEnd = world.logEnd(range.feed.partition, world.topicOf(range.feed));
    range.end = end > logEnd ? logEnd : end;
  }

  /** What a process has buffered, as a flush; null: nothing. */
  protected newFlush(process: Process): Flush | null {
    const { writer } = process;
    if (writer === null) return null;
    const segments = process.closed.splice(0).map(({ segment }) => segment);
    for (const partition of process.buffered.keys()) {
      segments.push(...this.#close(process, partition));
    }
    return segments.length === 0 ? null : writer.newFlush(segments);
  }

  /** A segment of a partition is full, and written before its commit is due. */
  protected async writeAhead(process: Process, partition: number): Promise<void> {
    const closed = this.#close(process, partition).map((segment) => new ClosedSegment(segment));
    for (const { segment } of closed) {
      const { start, end } = segment.range;
      this.world.say(`${process.name} writes p${partition}[${start},${end}) ahead`);
    }
    process.closed.push(...closed);
    if (closed.length > 0) await process.writer?.ahead.add(closed);
  }

  /** Ends what is buffered of a partition. */
  #close(process: Process, partition: number): SealedSegment[] {
    const range = process.buffered.get(partition);
    if (range === undefined || range.end === range.start) return [];
    const { feed, start, end } = range;
    process.buffered.set(partition, { feed, start: end, end });
    return [this.segment({ feed, start, end }, process)];
  }

  protected async flush(process: Process, flush: Flush | null): Promise<void> {
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
      if (this.completes()) await process.writer?.complete(flush, result);
    }
    // Fenced feeds are sought anew: what was buffered of them is dropped.
    for (const feed of result.fenced) {
      process.buffered.delete(feed.partition);
      process.dropClosed(feed.partition);
    }
  }

  protected async start(process: Process, action: () => Promise<void>): Promise<void> {
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
        if (process.incarnation === mine) this.crash(process);
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

  protected async check(): Promise<void> {
    for (const each of this.#background) this.violations.push(...each.violations.splice(0));
    if (this.world.version === this.#checkedVersion) return;
    this.#checkedVersion = this.world.version;
    this.violations.push(...(await this.law()));
  }

  /** In a healthy world each process ends what it holds; what is on its way then is dropped. */
  async #end(): Promise<void> {
    const { world } = this;
    await this.heal();
    for (const process of [...this.processes]) await this.#comesToAnEnd(process);
    await this.check();
    for (const request of [...world.pending]) world.giveUp(request, "dropped");
    for (const process of this.processes) this.crash(process);
    const last = new Process("Z", "g");
    this.processes.push(last);
    await this.alone(last, () => this.open(last));
    await this.finish(last);
  }

  /** What the process has under way ends when nothing disturbs it. */
  async #comesToAnEnd(process: Process): Promise<void> {
    if (process.busy) await this.alone(process, null);
    for (let tries = 0; tries < 3 && process.held !== null; tries++) {
      const { held } = process;
      await this.alone(process, () => this.flush(process, held));
    }
    if (process.held !== null) this.violations.push(`STUCK: ${process.name}'s flush stays held`);
  }

  /** Runs an action (or what is under way) to its end: every request that may still arrive is applied, nobody sleeps. */
  protected async alone(process: Process, action: (() => Promise<void>) | null): Promise<void> {
    if (action !== null) await this.start(process, action);
    for (let turn = 0; turn < 100 && process.busy; turn++) {
      const mine = this.world.pending.find((each) => each.writer === process.name && each.answer);
      if (mine !== undefined) {
        await this.#untilQuiet(process, () => {
          if (this.world.mayArrive(mine)) this.world.apply(mine, "arrives");
          else this.world.giveUp(mine, "dropped");
        });
      } else await this.wake(process);
    }
    if (process.busy) this.violations.push(`STUCK: ${process.name} never ends`);
  }
}
