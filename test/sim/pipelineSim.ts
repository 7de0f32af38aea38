/**
 * Random schedules of whole pipelines: groups, decoder, hot buffer, writer and catalog together, from
 * one seed. The process under test is `src/pipeline/pipeline.ts` as it ships.
 */

import { kindOf } from "#base/errors.ts";
import { readProgress } from "#commit/progress.ts";
import { isPaused } from "#commit/properties.ts";
import { type SimConsumer, SimGroup } from "./group.ts";
import { anybodyActs } from "./neighbours.ts";
import { acceptAsIs, adoptOthers, pause } from "./people.ts";
import {
  aliveClock,
  isStopped,
  Process,
  settled,
  stallOrGoOn,
  startProcess,
  thrownAway,
} from "./pipelineProcess.ts";
import { SimClock } from "./simClock.ts";
import {
  behindOf,
  judgeEnd,
  type Shape,
  type SimTable,
  tablesOf,
  togetherViolations,
} from "./tables.ts";
import { type CompareAndSet, type Request, World } from "./world.ts";

/** How a schedule ended. */
export interface PipelineOutcome {
  readonly violations: readonly string[];
  readonly trace: readonly string[];
  readonly snapshots: number;
}

/** What a schedule may contain. */
export interface PipelineTroubles {
  readonly steps: number;
  readonly compareAndSet: CompareAndSet;
  readonly people: boolean;
  /** The log of one partition is lost and written anew; default false. */
  readonly lostLogs?: boolean;
  /**
   * Processes stand still or lose the catalog alone, bad records may be few, and tables may hold feeds of
   * another topic, so that summaries hold deltas and a rollback may forget the topic; default false.
   */
  readonly stalls?: boolean;
  /** Tables that the topic fills. */
  readonly tables: Shape;
}

/** Runs one schedule. */
export async function runPipelineSchedule(
  seed: number,
  troubles: PipelineTroubles,
): Promise<PipelineOutcome> {
  const sim = new PipelineSim(seed, troubles);
  return await sim.run();
}

class PipelineSim {
  readonly world: World;
  readonly groups: Map<string, SimGroup>;
  readonly clock: SimClock;
  readonly troubles: PipelineTroubles;
  readonly violations: string[] = [];
  readonly processes: Process[];
  readonly zombies: SimConsumer[] = [];
  readonly tables: readonly SimTable[];
  /** Share of steps in which a process stands still or goes on: every schedule has its own; 0: none does. */
  readonly #stalling: number;
  /** Share of loads of a table that wait, until the troubles end. */
  #slowLoads: number;
  /** One record in so many is bad in this schedule. */
  readonly #badOf: number;
  readonly #checked = new Map<World, number>();
  /** A person has acted: a table may no longer be what its commits made it. */
  #disordered = false;

  constructor(seed: number, troubles: PipelineTroubles) {
    this.world = new World(seed, troubles.compareAndSet, 3);
    this.tables = tablesOf(this.world, troubles.tables);
    this.groups = new Map(["g", "h"].map((name) => [name, new SimGroup(this.world)]));
    const other = this.world.random.unit() < 0.15 ? "h" : "g";
    this.processes = [new Process("A", "g"), new Process("B", "g"), new Process("C", other)];
    const { stalls = false } = troubles;
    this.#stalling = stalls ? this.world.pick([0.02, 0.06, 0.12]) : 0;
    this.#slowLoads = stalls ? this.world.pick([0, 0.02, 0.1]) : 0;
    this.#badOf = stalls ? this.world.pick([3, 3, 9]) : 3;
    this.clock = new SimClock(this.world.nowMs, (nowMs) => {
      this.world.nowMs = Math.max(this.world.nowMs, nowMs);
    });
    this.troubles = troubles;
    this.world.mayLoseLogs = troubles.lostLogs === true;
  }

  async run(): Promise<PipelineOutcome> {
    if (this.troubles.stalls === true)
      for (const { world } of this.tables) await adoptOthers(world);
    for (let step = 0; step < this.troubles.steps && this.violations.length === 0; step++) {
      await this.#step();
      await settled();
      await this.#check();
    }
    if (this.violations.length === 0) await this.#finish();
    for (const process of this.processes) this.#crash(process);
    const { history, trace } = this.world;
    return { violations: this.violations, trace, snapshots: history.size };
  }

  /** Requests on their way to any table. */
  get #pending(): { readonly world: World; readonly request: Request }[] {
    return this.tables.flatMap(({ world }) => world.pending.map((request) => ({ world, request })));
  }

  get #anyWorld(): World {
    return this.tables.length === 1 ? this.world : this.world.pick(this.tables).world;
  }

  async #step(): Promise<void> {
    const { world } = this;
    if (this.#stalling > 0 && world.random.unit() < this.#stalling) {
      this.zombies.push(...stallOrGoOn(world.pick(this.processes), this.groups, world));
      return;
    }
    const dice = world.random.unit();
    const waiting = this.#pending.filter(({ request }) => request.answer !== null);
    const late = this.#pending.filter(({ request }) => request.answer === null);
    if (waiting.length > 0 && dice < 0.3) return this.#answer();
    if (late.length > 0 && dice < 0.34) {
      const found = world.pick(late);
      found.world.apply(found.request, "lost");
      return;
    }
    if (dice < 0.6) return this.#deliver();
    if (dice < 0.82) return this.clock.advance(1 + world.below(400));
    if (dice < 0.86) return this.#startOrEnd();
    if (dice < 0.9) return this.#rebalance();
    if (dice < 0.96) return this.#trouble(dice);
    if (world.mayLoseLogs && dice > 0.98) this.#loseLog();
    if (!this.troubles.people || dice <= 0.97) return;
    this.#disordered = true;
    const mains = this.tables.filter(({ beside }) => beside === null);
    await anybodyActs(world.pick(mains).world);
  }

  /** Of a partition of which the table has rows: one that nobody has read of loses nothing. */
  #loseLog(): void {
    const { world } = this;
    if (world.lost !== null) return;
    const progress = readProgress(world.metadata, "main");
    if (progress.kind === "unreadable") return;
    const offsets = progress.document.sources.get("c/t")?.offsets ?? new Map<number, bigint>();
    const read = world.partitions.filter((partition) => (offsets.get(partition) ?? 0n) > 0n);
    if (read.length > 0) world.loseLog(world.pick(read));
  }

  #trouble(dice: number): void {
    const { world } = this;
    if (dice < 0.92) {
      const kind = world.random.unit() < 0.5 ? "before" : "after";
      const calls = world.below(12);
      if (world.random.unit() < 0.7) this.#anyWorld.fault = { kind, calls };
      else this.#anyWorld.logFault = { kind, calls, lasts: 1 + world.below(3) };
    } else if (dice < 0.94) this.#anyWorld.loadFails = true;
    else if (dice < 0.95) world.kafkaFails = true;
    else for (const process of this.processes) this.#learnOfTopic(process);
  }

  /**
   * Notes what was read: Kafka has it no longer. Rows of a partition that was lost before are others' to
   * write; those of one that is being given back have half the rebalance timeout (SPEC 2.7).
   */
  #learnOfTopic(process: Process): void {
    const { consumer, pipeline } = process;
    if (consumer === null) return;
    const isGivingBack = this.groups.get(process.groupName)?.awaiting.has(consumer) === true;
    const owned = new Set(isGivingBack ? [] : consumer.owned);
    if (!consumer.learnOfTopic()) return;
    const runs =
      pipeline?.feeds.all().filter(({ epoch, feed }) => epoch > 0 && owned.has(feed.partition)) ??
      [];
    const positions = new Map(runs.map(({ feed, position }) => [feed.partition, position]));
    process.read = { topicId: consumer.topic.id, positions };
    process.fenced = false;
  }

  #answer(): void {
    const waiting = this.#pending.filter(({ request }) => request.answer !== null);
    const { world, request } = this.world.pick(waiting);
    const dice = world.random.unit();
    if (dice < 0.65) world.apply(request, "arrives");
    else if (dice < 0.8) world.apply(request, "lost");
    else world.giveUp(request, dice < 0.9 ? "dropped" : "late");
  }

  #deliver(): void {
    const consumers = this.processes.flatMap((each) => each.consumer ?? []);
    if (consumers.length === 0) return;
    for (let count = 1 + this.world.below(4); count > 0; count--) {
      this.world.pick(consumers).deliver(this.world.below(this.world.partitions.length));
    }
  }

  #startOrEnd(): void {
    const process = this.world.pick(this.processes);
    if (process.pipeline === null) this.#start(process);
    else if (this.world.random.unit() < 0.3) {
      this.world.say(`${process.name} is asked to stop`);
      void process.pipeline.shutdown(200);
      process.pipeline = null;
    } else this.#crash(process);
  }

  #start(process: Process): void {
    this.#crash(process);
    const { world, clock } = this;
    const mine = ++process.incarnation;
    const alive = (): boolean => process.incarnation === mine;
    const group = this.groups.get(process.groupName) ?? new SimGroup(world);
    const { consumer, pipeline, sinks } = startProcess({
      process,
      tables: this.tables,
      group,
      clock: aliveClock(clock, alive),
      alive,
      badOf: this.#badOf,
      isSlow: this.troubles.stalls === true ? () => world.random.unit() < this.#slowLoads : null,
    });
    Object.assign(process, { pipeline, consumer, sinks, read: null });
    world.say(`${process.name} starts`);
    const run = async (): Promise<void> => {
      await pipeline.open();
      await pipeline.run();
    };
    run().catch((error: unknown) => {
      if (alive()) this.violations.push(`${process.name} failed: ${error}`);
    });
  }

  #crash(process: Process): void {
    if (process.consumer === null) return;
    this.world.say(`${process.name} ends`);
    process.incarnation++;
    for (const { request } of this.#pending) {
      if (request.writer === process.name) request.answer = null;
    }
    if (this.world.random.unit() < 0.1) {
      this.world.say(`${process.name} loses its state directory`);
      process.log.wipe();
    }
    const { consumer } = process;
    Object.assign(process, { pipeline: null, consumer: null, sinks: [] });
    process.goOn();
    void consumer.close();
  }

  #rebalance(): void {
    const dice = this.world.random.unit();
    const group = this.groups.get(dice < 0.9 ? "g" : "h") ?? new SimGroup(this.world);
    if (dice < 0.4 && group.members.length > 1) {
      const member = this.world.pick(group.members);
      this.zombies.push(member);
      group.expel(member);
    } else if (dice < 0.7 && this.zombies.length > 0) {
      const zombie = this.zombies.splice(this.world.below(this.zombies.length), 1)[0];
      zombie?.rejoin();
    } else if (dice < 0.85) group.rebalance();
    else group.progress(true);
  }

  async #check(): Promise<void> {
    await this.#checkTables();
    for (const process of this.processes) {
      for (const [index, sink] of process.sinks.entries()) this.#judgeStop(process, index, sink);
      // Others of its tables go on for a while.
      const isOver = process.sinks.every(({ state }) => state.kind === "stopped");
      const stops = process.sinks.some(({ state }) => state.kind === "stopped");
      if (stops && (isOver || this.world.random.unit() < 0.1)) this.#crash(process);
    }
  }

  async #checkTables(): Promise<void> {
    let changed = false;
    // Side tables first: what they have is no longer due in theirs.
    for (const { world } of this.tables.toSorted(
      (a, b) => Number(b.beside !== null) - Number(a.beside !== null),
    )) {
      if (world.version === (this.#checked.get(world) ?? 0)) continue;
      this.#checked.set(world, world.version);
      this.violations.push(...(await world.law.violations()));
      changed = true;
    }
    if (changed) this.violations.push(...(await togetherViolations(this.tables, this.#disordered)));
  }

  /** A table's end is judged when it begins, by the world as it is then; what it threw away at its stop. */
  #judgeStop(process: Process, index: number, { state }: Process["sinks"][number]): void {
    const table = this.tables[index];
    if ((state.kind !== "draining" && state.kind !== "stopped") || table === undefined) return;
    if (process.judged.get(index) !== state.error) {
      process.judged.set(index, state.error);
      const groups = new Set(this.processes.map((each) => each.groupName)).size;
      this.violations.push(...judgeEnd(this.tables, table, process.name, state.error, groups));
      this.world.say(`${process.name} stops ${table.world.name.table}: ${state.error}`);
    }
    if (state.kind === "stopped" && kindOf(state.error) === "topic_unreadable") {
      this.violations.push(...thrownAway(process, table.world));
    }
  }

  /** Nobody is stuck: in a healthy world those who run bring every record into the table, then a fresh one. */
  async #finish(): Promise<void> {
    await this.#heal();
    for (const process of this.processes.filter(isStopped)) this.#crash(process);
    await this.#othersComplete();
    for (const process of this.processes) this.#crash(process);
    for (const { world, request } of this.#pending) world.giveUp(request, "dropped");
    if (this.violations.length > 0) return;
    const last = new Process("Z", "g");
    this.processes.push(last);
    this.#start(last);
    await this.#untilComplete();
    await this.#judgeLast(last);
  }

  /** The fresh process has all, or asks a person; it asks about each table once. */
  async #judgeLast(last: Process): Promise<void> {
    if (this.world.lost !== null) {
      if (!isStopped(last))
        this.violations.push(`READ ON: Z reads the new log of p${this.world.lost}`);
      return this.#check();
    }
    // Once more: a person may undo a cherry-pick, and accept a topic that was created again.
    for (let asked = 0; asked <= this.tables.length && isStopped(last); asked++) {
      await this.#check();
      for (const { world } of this.tables) await acceptAsIs(world);
      this.#start(last);
      await this.#untilComplete();
    }
    await this.#checkTables();
    if (isStopped(last) && !this.#readable()) return;
    const states = last.sinks.map(({ state }) => state);
    if (!(await this.#complete())) this.violations.push(`STUCK: ${JSON.stringify(states)}`);
  }

  async #heal(): Promise<void> {
    this.world.kafkaFails = false;
    this.#slowLoads = 0;
    for (const process of this.processes) process.goOn();
    for (const { world } of this.tables) {
      world.fault = null;
      world.logFault = null;
      world.loadFails = false;
      if (isPaused(world.loaded())) await pause(world, false);
    }
  }

  /** Those who run when the troubles end need no restart, unless a person is asked. */
  async #othersComplete(): Promise<void> {
    const { world } = this;
    for (const zombie of this.zombies.splice(0)) zombie.rejoin();
    for (const process of this.processes) this.#learnOfTopic(process);
    for (const group of this.groups.values()) group.rebalance();
    await this.#untilComplete();
    await this.#check();
    if (!this.#readable()) return;
    const behind = await behindOf(this.tables);
    // What a member has whose table waits for a person, nobody else can read.
    const running = this.processes.filter(
      (each) =>
        each.pipeline !== null &&
        each.groupName === "g" &&
        each.consumer?.topic === world.topic &&
        !each.consumer.owned.isDisjointFrom(behind) &&
        !isStopped(each),
    );
    if (running.length === 0) return;
    this.violations.push(`STUCK: ${running.map((each) => each.name).join(", ")} go on for ever`);
  }

  async #untilComplete(): Promise<void> {
    for (let turn = 0; turn < 300; turn++) {
      await settled();
      for (const { world, request } of this.#pending) world.apply(request, "arrives");
      for (const { consumer } of this.processes) {
        for (const partition of this.world.partitions) consumer?.deliver(partition);
      }
      this.clock.advance(100);
      await this.#checkTables();
      const sinks = this.processes.flatMap((each) => each.sinks);
      if ((await this.#complete()) || sinks.every((each) => each.state.kind === "stopped")) break;
    }
    await settled();
  }

  #readable(): boolean {
    return this.tables.every(({ world }) => world.law.readable() === "yes");
  }

  async #complete(): Promise<boolean> {
    return (await behindOf(this.tables)).size === 0;
  }
}
