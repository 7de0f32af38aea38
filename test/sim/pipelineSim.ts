/**
 * Random schedules of whole pipelines: group, decoder, hot buffer, writer and catalog together, from
 * one seed. The process under test is `src/pipeline.ts` as it ships.
 */

import { TableRun } from "#app/tableRun.ts";
import { silentLogger } from "#base/log.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { Pipeline } from "#pipeline.ts";
import { readProgress } from "#writer/progress.ts";
import { SimConsumer, SimGroup } from "./group.ts";
import { MemoryLog, optionsOf, partsOf } from "./process.ts";
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
}

interface Process {
  readonly name: string;
  readonly log: MemoryLog;
  pipeline: Pipeline | null;
  consumer: SimConsumer | null;
  table: TableRun | null;
  incarnation: number;
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
  readonly group: SimGroup;
  readonly clock: SimClock;
  readonly troubles: PipelineTroubles;
  readonly violations: string[] = [];
  readonly processes: Process[] = ["A", "B", "C"].map((name) => newProcess(name));
  readonly zombies: SimConsumer[] = [];
  #checked = 0;

  constructor(seed: number, troubles: PipelineTroubles) {
    this.world = new World(seed, troubles.compareAndSet, 3);
    this.group = new SimGroup(this.world);
    this.clock = new SimClock(this.world.nowMs, (nowMs) => {
      this.world.nowMs = Math.max(this.world.nowMs, nowMs);
    });
    this.troubles = troubles;
  }

  async run(): Promise<PipelineOutcome> {
    for (let step = 0; step < this.troubles.steps && this.violations.length === 0; step++) {
      await this.#step();
      await settled();
      await this.#check();
    }
    if (this.violations.length === 0) await this.#finish();
    for (const process of this.processes) this.#crash(process);
    const { metadata, trace } = this.world;
    return { violations: this.violations, trace, snapshots: metadata.snapshots.length };
  }

  async #step(): Promise<void> {
    const { world } = this;
    const dice = world.random.unit();
    const waiting = world.pending.filter((request) => request.answer !== null);
    const late = world.pending.filter((request) => request.answer === null);
    if (waiting.length > 0 && dice < 0.3) return this.#answer();
    if (late.length > 0 && dice < 0.34) return world.apply(this.#pick(late), "lost");
    if (dice < 0.6) return this.#deliver();
    if (dice < 0.82) return this.clock.advance(1 + world.below(400));
    if (dice < 0.86) return this.#startOrCrash();
    if (dice < 0.9) return this.#rebalance();
    if (dice < 0.92) {
      world.storageFault = world.random.unit() < 0.5 ? "before" : "after";
      return;
    }
    if (dice < 0.94) {
      world.loadFails = true;
      return;
    }
    if (this.troubles.people && dice > 0.97) await this.#people();
  }

  #answer(): void {
    const { world } = this;
    const request = this.#pick(world.pending.filter((each) => each.answer !== null));
    const dice = world.random.unit();
    if (dice < 0.65) world.apply(request, "arrives");
    else if (dice < 0.8) world.apply(request, "lost");
    else world.giveUp(request, dice < 0.9 ? "dropped" : "late");
  }

  #deliver(): void {
    const consumers = this.processes.flatMap((each) => each.consumer ?? []);
    if (consumers.length === 0) return;
    for (let count = 1 + this.world.below(4); count > 0; count--) {
      this.#pick(consumers).deliver(this.world.below(this.world.records.length));
    }
  }

  #startOrCrash(): void {
    const process = this.#pick(this.processes);
    if (process.pipeline === null) this.#start(process);
    else this.#crash(process);
  }

  #start(process: Process): void {
    const { world, clock } = this;
    const mine = ++process.incarnation;
    const alive = (): boolean => process.incarnation === mine;
    const log = process.log.reopen((count) => world.below(count + 1));
    const parts = { ...partsOf(world, process.name, log, alive), clock: aliveClock(clock, alive) };
    const options = { ...optionsOf("g"), thinning: null };
    const policy = { intervalMs: 200, rowsMax: 0, bytesMax: 1 << 20, emptyIntervalMs: 400 };
    const decoder = createDecoder({ ...DECODER_DEFAULTS, inferRows: 5 });
    const table = new TableRun(options, parts, decoder, policy);
    const consumer = new SimConsumer(process.name, this.group);
    const pipeline = new Pipeline(
      {
        consumer,
        clock: parts.clock,
        random: world.random,
        logger: silentLogger,
        observe: () => undefined,
        tableOf: () => table,
      },
      {
        name: "p",
        start: { reset: "earliest", timestampMs: 0, fromGroup: false },
        revokeFlushMs: 300,
        bufferBytesMax: 1 << 22,
        inferRows: 5,
        inferWaitMs: 100,
        rejects: { action: "fail" },
        acknowledge: { enabled: true, intervalMs: 0 },
      },
    );
    Object.assign(process, { pipeline, consumer, table });
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
    this.world.say(`${process.name} crashes`);
    process.incarnation++;
    for (const request of this.world.pending) {
      if (request.writer === process.name) request.answer = null;
    }
    const { consumer } = process;
    Object.assign(process, { pipeline: null, consumer: null, table: null });
    void consumer.close();
    this.group.rebalance();
  }

  #rebalance(): void {
    const dice = this.world.random.unit();
    const { members } = this.group;
    if (dice < 0.4 && members.length > 1) {
      const member = this.#pick(members);
      this.zombies.push(member);
      this.group.expel(member);
    } else if (dice < 0.7 && this.zombies.length > 0) {
      const zombie = this.zombies.splice(this.world.below(this.zombies.length), 1)[0];
      const lives = this.processes.some((each) => each.consumer === zombie);
      if (zombie === undefined || !lives) return;
      zombie.learn();
      this.group.members.push(zombie);
      this.group.rebalance();
    } else if (dice < 0.85) this.group.rebalance();
    else this.group.progress(true);
  }

  async #people(): Promise<void> {
    const { world } = this;
    world.storageFault = null;
    const chain = world.chain();
    const dice = world.random.unit();
    if (dice < 0.5 || chain.length < 2) return await world.foreignAppend();
    if (dice < 0.8) return world.rollback(this.#pick(chain.slice(1)));
    world.expire(chain.slice(1 + world.below(chain.length - 1)));
  }

  async #check(): Promise<void> {
    if (this.world.version === this.#checked) return;
    this.#checked = this.world.version;
    this.violations.push(...(await this.world.violations()));
    for (const process of this.processes) {
      const { state } = process.table ?? { state: { kind: "running" as const } };
      if (state.kind !== "stopped") continue;
      const kind = (state.error as { kind?: string }).kind ?? "internal";
      if (kind === "internal") this.violations.push(`${process.name}: ${state.error}`);
      this.world.say(`${process.name} stopped: ${state.error}`);
      this.#crash(process);
    }
  }

  /** One fresh process in a healthy world brings every record into the table. */
  async #finish(): Promise<void> {
    const { world } = this;
    for (const process of this.processes) this.#crash(process);
    for (const request of [...world.pending]) world.giveUp(request, "dropped");
    world.storageFault = null;
    world.loadFails = false;
    if (readProgress(world.metadata, "main").kind === "unreadable") return;
    const last = newProcess("Z");
    this.processes.push(last);
    this.#start(last);
    for (let turn = 0; turn < 300; turn++) {
      await settled();
      for (const request of [...world.pending]) world.apply(request, "arrives");
      for (const partition of world.records.keys()) last.consumer?.deliver(partition);
      this.clock.advance(100);
      if (this.#complete()) break;
    }
    await settled();
    if (!this.#complete()) this.violations.push(`STUCK: ${JSON.stringify(last.table?.state)}`);
    this.violations.push(...(await world.violations()));
  }

  #complete(): boolean {
    const progress = readProgress(this.world.metadata, "main");
    if (progress.kind === "unreadable") return true;
    return [...this.world.records.keys()].every((partition) => {
      const source = progress.document.sources.get("c/t");
      return source?.offsets.get(partition) === this.world.logEnd(partition);
    });
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.world.below(list.length)] as T;
  }
}

function newProcess(name: string): Process {
  return {
    name,
    log: new MemoryLog(),
    pipeline: null,
    consumer: null,
    table: null,
    incarnation: 0,
  };
}

/** A dead process's timers never fire. */
function aliveClock(clock: SimClock, alive: () => boolean) {
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
