/**
 * Random schedules of whole pipelines: groups, decoder, hot buffer, writer and catalog together, from
 * one seed. The process under test is `src/pipeline/pipeline.ts` as it ships.
 */

import type { Clock } from "#base/clock.ts";
import { kindOf } from "#base/errors.ts";
import { type Logger, silentLogger } from "#base/log.ts";
import { readProgress } from "#commit/progress.ts";
import { isPaused } from "#commit/properties.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { Pipeline } from "#pipeline/pipeline.ts";
import { Sink } from "#pipeline/sink.ts";
import { Source } from "#pipeline/source.ts";
import { SimConsumer, SimGroup } from "./group.ts";
import { acceptAsIs, pause, somebodyActs } from "./people.ts";
import { judgeStop, MemoryLog, optionsOf, partsOf } from "./process.ts";
import { SimClock } from "./simClock.ts";
import { type CompareAndSet, World } from "./world.ts";

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
}

/** One process with its memory. */
class Process {
  readonly name: string;
  readonly groupName: string;
  readonly log: MemoryLog = new MemoryLog();
  pipeline: Pipeline | null = null;
  consumer: SimConsumer | null = null;
  table: Sink | null = null;
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
  #checked = 0;

  constructor(seed: number, troubles: PipelineTroubles) {
    this.world = new World(seed, troubles.compareAndSet, 3);
    this.groups = new Map(["g", "h"].map((name) => [name, new SimGroup(this.world)]));
    const other = this.world.random.unit() < 0.15 ? "h" : "g";
    this.processes = [new Process("A", "g"), new Process("B", "g"), new Process("C", other)];
    this.clock = new SimClock(this.world.nowMs, (nowMs) => {
      this.world.nowMs = Math.max(this.world.nowMs, nowMs);
    });
    this.troubles = troubles;
    this.world.mayLoseLogs = troubles.lostLogs === true;
  }

  async run(): Promise<PipelineOutcome> {
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

  async #step(): Promise<void> {
    const { world } = this;
    const dice = world.random.unit();
    const waiting = world.pending.filter((request) => request.answer !== null);
    const late = world.pending.filter((request) => request.answer === null);
    if (waiting.length > 0 && dice < 0.3) return this.#answer();
    if (late.length > 0 && dice < 0.34) {
      world.apply(world.pick(late), "lost");
      return;
    }
    if (dice < 0.6) return this.#deliver();
    if (dice < 0.82) return this.clock.advance(1 + world.below(400));
    if (dice < 0.86) return this.#startOrEnd();
    if (dice < 0.9) return this.#rebalance();
    if (dice < 0.96) return this.#trouble(dice);
    if (this.troubles.people && dice > 0.97) await somebodyActs(world);
    if (world.mayLoseLogs && dice > 0.98) this.#loseLog();
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
      world.fault = { kind, calls: world.below(12) };
    } else if (dice < 0.94) world.loadFails = true;
    else if (dice < 0.95) world.kafkaFails = true;
    else for (const process of this.processes) this.#learnOfTopic(process);
  }

  /** Notes what was read: Kafka has it no longer. */
  #learnOfTopic(process: Process): void {
    const { consumer, pipeline } = process;
    if (consumer === null || !consumer.learnOfTopic()) return;
    const runs = pipeline?.feeds.all().filter(({ epoch }) => epoch > 0) ?? [];
    const positions = new Map(runs.map(({ feed, position }) => [feed.partition, position]));
    process.read = { topicId: consumer.topic.id, positions };
    process.fenced = false;
  }

  #answer(): void {
    const { world } = this;
    const request = world.pick(world.pending.filter((each) => each.answer !== null));
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
    const log = process.log.reopen((count) => world.below(count + 1));
    const logger: Logger = {
      log: (_, message) => {
        if (message.startsWith("Rows dropped")) process.fenced = true;
      },
      with: () => logger,
    };
    const plain = partsOf(world, process.name, log, alive, aliveClock(clock, alive));
    const parts = { ...plain, logger };
    const policy = { intervalMs: 200, rowsMax: 0, bytesMax: 1 << 20, emptyIntervalMs: 400 };
    const decoder = createDecoder({ ...DECODER_DEFAULTS, inferRows: 5 });
    const options = optionsOf(world, process.groupName);
    const create = {
      ...options.create,
      partitionForms: world.hourly ? ["hour(_kafka_timestamp)"] : [],
    };
    const table = new Sink({ ...options, create }, parts, decoder, policy);
    const target = { sink: table, source: new Source(decoder) };
    const group = this.groups.get(process.groupName) ?? new SimGroup(world);
    const consumer = new SimConsumer(process.name, group);
    const pipeline = new Pipeline(
      {
        consumer,
        clock: parts.clock,
        random: world.random,
        logger: silentLogger,
        observe: () => undefined,
        targetsOf: () => [target],
      },
      {
        name: "p",
        start: { reset: "earliest", timestampMs: 0, fromGroup: false },
        revokeFlushMs: 300,
        bufferBytesMax: world.random.unit() < 0.2 ? 200 : 1 << 22,
        inferRows: 5,
        inferWaitMs: 100,
        rejects: { action: "skip" },
        acknowledge: { enabled: true, intervalMs: 0 },
      },
    );
    Object.assign(process, { pipeline, consumer, table, read: null });
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
    for (const request of this.world.pending) {
      if (request.writer === process.name) request.answer = null;
    }
    if (this.world.random.unit() < 0.1) {
      this.world.say(`${process.name} loses its state directory`);
      process.log.wipe();
    }
    const { consumer } = process;
    Object.assign(process, { pipeline: null, consumer: null, table: null });
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
    if (this.world.version !== this.#checked) {
      this.#checked = this.world.version;
      this.violations.push(...(await this.world.law.violations()));
    }
    for (const process of this.processes) {
      const { state } = process.table ?? { state: { kind: "running" as const } };
      if (state.kind !== "stopped") continue;
      const groups = new Set(this.processes.map((each) => each.groupName)).size;
      this.violations.push(...judgeStop(this.world, process.name, state.error, groups));
      if (kindOf(state.error) === "topic_unreadable") {
        this.violations.push(...this.#thrownAway(process));
      }
      this.world.say(`${process.name} stopped: ${state.error}`);
      this.#crash(process);
    }
  }

  /** Rows that a process had read of a topic that is gone, and that never came into the table. */
  #thrownAway({ name, read, fenced }: Process): string[] {
    if (read === null || fenced) return [];
    const committed = this.world.law.everCommitted(read.topicId);
    return [...read.positions].flatMap(([partition, position]) =>
      position > (committed.get(partition) ?? 0n)
        ? [`THROWN AWAY: ${name} had read p${partition} up to ${position}`]
        : [],
    );
  }

  /** Nobody is stuck: in a healthy world those who run bring every record into the table, then a fresh one. */
  async #finish(): Promise<void> {
    const { world } = this;
    world.fault = null;
    world.loadFails = false;
    world.kafkaFails = false;
    if (isPaused(world.loaded())) await pause(world, false);
    await this.#othersComplete();
    for (const process of this.processes) this.#crash(process);
    for (const request of [...world.pending]) world.giveUp(request, "dropped");
    if (this.violations.length > 0) return;
    const last = new Process("Z", "g");
    this.processes.push(last);
    this.#start(last);
    await this.#untilComplete();
    if (world.lost !== null) {
      const isStopped = last.table?.state.kind === "stopped";
      if (!isStopped) this.violations.push(`READ ON: Z reads the new log of p${world.lost}`);
      return this.#check();
    }
    if (last.table?.state.kind === "stopped") {
      await this.#check();
      await acceptAsIs(world);
      this.#start(last);
      await this.#untilComplete();
      if (last.table?.state.kind === "stopped" && !world.law.readable()) return;
    }
    if (!this.#complete()) this.violations.push(`STUCK: ${JSON.stringify(last.table?.state)}`);
    this.violations.push(...(await world.law.violations()));
  }

  /** Those who run when the troubles end need no restart, unless a person is asked. */
  async #othersComplete(): Promise<void> {
    const { world } = this;
    for (const zombie of this.zombies.splice(0)) zombie.rejoin();
    for (const process of this.processes) this.#learnOfTopic(process);
    for (const group of this.groups.values()) group.rebalance();
    await this.#untilComplete();
    await this.#check();
    if (!world.law.readable() || this.#complete()) return;
    const running = this.processes.filter(
      ({ pipeline, groupName, consumer }) =>
        pipeline !== null && groupName === "g" && consumer?.topic === world.topic,
    );
    if (running.length === 0) return;
    this.violations.push(`STUCK: ${running.map((each) => each.name).join(", ")} go on for ever`);
  }

  async #untilComplete(): Promise<void> {
    const { world } = this;
    for (let turn = 0; turn < 300; turn++) {
      await settled();
      for (const request of [...world.pending]) world.apply(request, "arrives");
      for (const { consumer } of this.processes) {
        for (const partition of world.partitions) consumer?.deliver(partition);
      }
      this.clock.advance(100);
      this.violations.push(...(await world.law.violations()));
      const tables = this.processes.flatMap((each) => each.table ?? []);
      if (this.#complete() || tables.every((each) => each.state.kind === "stopped")) break;
    }
    await settled();
  }

  #complete(): boolean {
    const progress = readProgress(this.world.metadata, "main");
    if (progress.kind === "unreadable") return false;
    const source = progress.document.sources.get("c/t");
    return this.world.partitions.every(
      (partition) => source?.offsets.get(partition) === this.world.logEnd(partition),
    );
  }
}

/** A dead process's timers never fire. */
function aliveClock(clock: SimClock, alive: () => boolean): Clock {
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

/** Lets everything that can go on do so. */
async function settled(): Promise<void> {
  for (let turns = 0; turns < 2; turns++) await new Promise((resolve) => setImmediate(resolve));
}
