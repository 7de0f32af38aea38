/**
 * Plays a trace of the exhaustive model against the real writer: each line of the trace is done to a
 * world, in order. The model's traces end in a violation of an earlier wording of the rules; here the
 * writer decides otherwise at some step, which is noted (`departures`), and the law must hold.
 */
import type { Feed } from "#base/offsets.ts";
import type { AppendResult } from "#commit/shares.ts";
import type { SnapshotId } from "#iceberg/metadata/metadata.ts";
import { TableWriter } from "#writer/tableWriter.ts";
import { expire, foreignAppend, otherBranch, rollback } from "./people.ts";
import { judgeStop, MemoryLog, optionsOf, partsOf, worldClock } from "./process.ts";
import { Rewriter } from "./rewriter.ts";
import { type CompareAndSet, type Request, World } from "./world.ts";

/** One trace as it was printed. */
export interface Trace {
  readonly source: string;
  /** The run that found it. */
  readonly run: string;
  /** What it violates; for `stops.txt`: what was needless. */
  readonly violation: string;
  readonly steps: readonly string[];
}

/** How a trace ended here. */
export interface Played {
  readonly violations: readonly string[];
  /** Steps that the writer did not take, by number from 1, and why. */
  readonly departures: readonly string[];
  /** True when only a person can say where to go on. */
  readonly stopped: boolean;
}

/** Records of one step of the model. */
const STEP = 10n;

/** Reads the traces out of a run's output. */
export function parseTraces(source: string, text: string): Trace[] {
  const traces: { source: string; run: string; violation: string; steps: string[] }[] = [];
  let run = "";
  for (const line of text.split("\n")) {
    const header = /^(?:==|--) (.*?): \d+ states|^(as written|fixed), bounds ([^:]*):/.exec(line);
    const violation = /^ {3}((?:LOST|DOUBLED|DANGLING|BROKEN HISTORY|STUCK).*)$/.exec(line);
    const step = /^ {6}(?:\d+\. )?(.*)$/.exec(line) ?? /^ {3}(.*)$/.exec(line);
    if (header !== null) {
      run = header[1] ?? `${header[2]}, bounds ${header[3]}`;
      if (header[1] === undefined) traces.push({ source, run, violation: "STOP", steps: [] });
    } else if (violation !== null) {
      traces.push({ source, run, violation: violation[1] ?? "", steps: [] });
    } else if (step !== null && step[1] !== "no violation") {
      traces.at(-1)?.steps.push(step[1] ?? "");
    }
  }
  return traces.filter((trace) => trace.steps.length > 0);
}

/** Plays one trace. */
export async function play(trace: Trace, compareAndSet: CompareAndSet): Promise<Played> {
  const sim = new TraceSim(plainWorld(compareAndSet));
  return await sim.run(trace);
}

/** A world in which nothing but the trace's steps happens. */
function plainWorld(compareAndSet: CompareAndSet): World {
  for (let seed = 1; ; seed++) {
    const world = new World(seed, compareAndSet);
    if (world.thinning === null) return world;
  }
}

class Actor {
  readonly name: string;
  readonly rewriter: Rewriter;
  readonly log: MemoryLog = new MemoryLog();
  /** Commit ids of the model that are rewrites. */
  readonly rewrites = new Set<string>();
  writer: TableWriter | null = null;
  running: Promise<AppendResult> | null = null;
  wake: (() => void) | null = null;
  life = 0;

  constructor(name: string, world: World) {
    this.name = name;
    this.rewriter = new Rewriter(world, `${name}'s rewriter`);
  }
}

type Handler = (match: RegExpExecArray, sim: TraceSim) => Promise<void> | void;

class TraceSim {
  readonly world: World;
  readonly actors: Map<string, Actor>;
  readonly violations: string[] = [];
  readonly departures: string[] = [];
  /** Snapshots by the model's numbers. */
  readonly snapshots: (SnapshotId | undefined)[] = [];
  #step = 0;

  constructor(world: World) {
    this.world = world;
    this.actors = new Map(["A", "B"].map((name) => [name, new Actor(name, world)]));
    world.onRequest = () => {
      for (const { rewriter } of this.actors.values()) rewriter.arrived();
    };
  }

  async run(trace: Trace): Promise<Played> {
    for (const actor of this.actors.values()) await this.open(actor);
    const atZero = trace.steps.every((step) => !step.includes("first position"));
    const feeds = this.world.partitions.map((partition) => this.world.feed(partition));
    if (atZero) await this.#claim(this.actor("A"), feeds);
    this.noteHead(0);
    for (const step of trace.steps) {
      this.#step++;
      await this.#take(step);
      await settled();
      this.violations.push(...(await this.world.law.violations()));
    }
    const stopped = await this.#end();
    return { violations: this.violations, departures: this.departures, stopped };
  }

  async #take(step: string): Promise<void> {
    for (const [pattern, handle] of STEPS) {
      const match = pattern.exec(step);
      if (match !== null) return await handle(match, this);
    }
    throw new Error(`no such step is known: ${step}`);
  }

  depart(why: string): void {
    this.departures.push(`${this.#step}: ${why}`);
  }

  actor(name: string | undefined): Actor {
    return this.actors.get(name ?? "") as Actor;
  }

  noteHead(number: number | string | undefined): void {
    this.snapshots[Number(number)] = this.world.metadata.currentSnapshotId ?? undefined;
  }

  async open(actor: Actor): Promise<void> {
    const life = ++actor.life;
    const alive = (): boolean => actor.life === life;
    const clock = worldClock(this.world, alive, (wake) => {
      actor.wake = wake;
    });
    const log = actor.log.reopen((count) => count);
    const parts = partsOf(this.world, actor.name, log, alive, clock);
    actor.running = null;
    actor.wake = null;
    actor.writer = await TableWriter.open(parts, optionsOf(this.world, "g"), []);
  }

  /** What an actor has under way, kept so that nothing is unhandled. */
  begin(actor: Actor, running: Promise<AppendResult> | undefined): void {
    if (running === undefined) return;
    const mine = actor.life;
    const done = (): void => {
      if (actor.life === mine) actor.running = null;
    };
    actor.running = running;
    running.then(done, (error: unknown) => {
      this.violations.push(...judgeStop(this.world, actor.name, error, 1));
      done();
    });
  }

  append(actor: Actor, ranges: string): void {
    const segments = [...ranges.matchAll(/\((\d), (\d), (\d)\)/g)].map(([, p, from, to]) => {
      const feed = this.world.feed(Number(p));
      const [start, end] = [BigInt(from ?? 0) * STEP, BigInt(to ?? 0) * STEP];
      return { range: { feed, start, end }, batch: this.world.batch(feed, start, end) };
    });
    const flush = actor.writer?.newFlush(segments);
    this.begin(actor, flush && actor.writer?.flush(flush));
  }

  async #claim(actor: Actor, feeds: readonly Feed[]): Promise<void> {
    const first = feeds.map((feed) => ({ feed, offset: 0n }));
    this.begin(actor, actor.writer?.claim(first));
    await settled();
    for (const request of [...this.world.pending]) this.world.apply(request, "arrives");
    await settled();
  }

  /** The next turn of an actor that waits between two tries. */
  next(actor: Actor): void {
    const { wake } = actor;
    actor.wake = null;
    if (wake === null) this.depart(`${actor.name} has ended it`);
    else wake();
  }

  request(writer: string, wanted: (request: Request) => boolean): Request | undefined {
    return this.world.pending.find((each) => each.writer === writer && wanted(each));
  }

  crash(actor: Actor): void {
    for (const request of this.world.pending) {
      if (request.writer === actor.name) request.answer = null;
    }
    actor.rewriter.crash();
  }

  /** In a healthy world each ends what it has, and a fresh writer commits the rest. */
  async #end(): Promise<boolean> {
    const { world } = this;
    for (const actor of this.actors.values()) await this.#comesToAnEnd(actor);
    for (const request of [...world.pending]) world.giveUp(request, "dropped");
    const last = new Actor("Z", world);
    await this.open(last);
    const feeds = world.partitions.map((partition) => world.feed(partition));
    const missing = feeds.filter((feed) => !world.law.firstPositions.has(keyOf(feed)));
    if (missing.length > 0) await this.#claim(last, missing);
    const positions = await last.writer?.positions(feeds).catch((error: unknown) => {
      this.violations.push(...judgeStop(world, "Z", error, 1));
      return null;
    });
    if (positions === null || positions === undefined) return true;
    const segments = feeds.map((feed, partition) => {
      const range = { feed, start: positions[partition] ?? 0n, end: world.logEnd(partition) };
      return { range, batch: world.batch(feed, range.start, range.end) };
    });
    const flush = last.writer?.newFlush(segments);
    this.begin(last, flush && last.writer?.flush(flush));
    await this.#comesToAnEnd(last);
    this.violations.push(...(await world.law.violations()));
    const ends = (await last.writer?.positions(feeds)) ?? [];
    const wanted = world.partitions.map((partition) => world.logEnd(partition));
    if (String(ends) !== String(wanted)) this.violations.push(`STUCK: Z ends at ${ends}`);
    return false;
  }

  async #comesToAnEnd(actor: Actor): Promise<void> {
    await settled();
    for (let turn = 0; turn < 20 && actor.running !== null; turn++) {
      const mine = this.request(actor.name, (request) => request.answer !== null);
      if (mine !== undefined) this.world.apply(mine, "arrives");
      else if (actor.wake !== null) this.next(actor);
      await settled();
    }
    if (actor.running !== null) this.violations.push(`STUCK: ${actor.name} never ends`);
  }
}

function keyOf(feed: Feed): string {
  return `${feed.topicId}/${feed.partition}`;
}

/** The model's steps, in its words. */
const STEPS: readonly (readonly [RegExp, Handler])[] = [
  [
    /^([AB]) loads snapshot \d+, sends append \((.*)\) \(commit id/,
    ([, name, ranges], sim) => sim.append(sim.actor(name), ranges ?? ""),
  ],
  [
    /^([AB]) loads snapshot \d+, sends rewrite of \d files \(commit id (\w+)\)/,
    async ([, name, commit], sim) => {
      const actor = sim.actor(name);
      actor.rewrites.add(commit ?? "");
      if (!(await actor.rewriter.begin())) sim.depart("nothing to rewrite");
    },
  ],
  [
    /^catalog applies ([AB])'s (append|rewrite).* as snapshot (\d+), offsets \(\d, \d\)(.*)$/,
    ([, name, kind, number, reply], sim) => {
      const writer = kind === "append" ? `${name}` : `${name}'s rewriter`;
      const waits = !reply?.includes("given up");
      const request = sim.request(writer, (each) => (each.answer !== null) === waits);
      if (request === undefined) return sim.depart("no such request was sent");
      const verdict = sim.world.apply(request, reply === ", REPLY LOST" ? "lost" : "arrives");
      if (verdict === "refused") return sim.depart("the catalog refuses it");
      sim.noteHead(number);
    },
  ],
  [
    /^catalog refuses ([AB])'s request on snapshot (\d+)/,
    ([, name, number], sim) => {
      const base = sim.snapshots[Number(number)];
      const request = sim.world.pending.find(
        (each) =>
          each.writer.startsWith(name ?? "") &&
          each.requirements.some(
            (one) => one.type === "assert-ref-snapshot-id" && one.snapshotId === base,
          ),
      );
      if (request === undefined) return sim.depart("no such request was sent");
      if (sim.world.apply(request, "arrives") === "applied") sim.depart("the catalog applies it");
    },
  ],
  [
    /^([AB]) gives up waiting/,
    ([, name], sim) => {
      const request = sim.request(name ?? "", (each) => each.answer !== null);
      if (request === undefined) return sim.depart("no such request was sent");
      sim.world.giveUp(request, "late");
    },
  ],
  [
    /^([AB]) (?:rebases|drops|resolves) commit (\w+)/,
    async ([, name, commit], sim) => {
      const actor = sim.actor(name);
      if (!actor.rewrites.has(commit ?? "")) return sim.next(actor);
      await actor.rewriter.begin();
      const sent = sim.request(`${name}'s rewriter`, (each) => each.answer !== null);
      if (sent === undefined) sim.depart("the rewrite is dropped");
    },
  ],
  [
    /^([AB]) crashes and restarts/,
    async ([, name], sim) => {
      sim.crash(sim.actor(name));
      await sim.open(sim.actor(name));
    },
  ],
  [
    // Duties are looked at when a writer opens the table, and after each of its commits.
    /^([AB]) discharges the duty for commit/,
    async ([, name], sim) => {
      const before = sim.world.storage.objects.size;
      await sim.actor(name).rewriter.discharge();
      await sim.open(sim.actor(name));
      if (sim.world.storage.objects.size === before) sim.depart("nothing is removed");
    },
  ],
  [
    /^foreign append on snapshot \d+ as snapshot (\d+)/,
    async ([, number], sim) => {
      await foreignAppend(sim.world);
      sim.noteHead(number);
    },
  ],
  [
    /^a person (?:rolls the table back|sets the table) to snapshot (\d+)/,
    ([, number], sim) => {
      const id = sim.snapshots[Number(number)];
      if (id === undefined) return sim.depart("there is no such snapshot");
      rollback(sim.world, id);
    },
  ],
  [
    /^expiry removes snapshots below (\d+) but the head/,
    async ([, below], sim) => {
      const visible = new Set(sim.world.metadata.snapshots.map((each) => each.snapshotId));
      const ids = sim.snapshots.slice(0, Number(below)).flatMap((id) => id ?? []);
      await expire(
        sim.world,
        ids.filter((id) => visible.has(id)),
      );
    },
  ],
  [/^somebody commits snapshot \d+ to another branch/, (_, sim) => otherBranch(sim.world)],
  [/^[AB] finds no entry, resolves latest/, () => undefined],
  [/^a producer writes record/, () => undefined],
  [
    /^([AB]) commits first position (\d)/,
    async ([, name, position], sim) => {
      const actor = sim.actor(name);
      const before = sim.world.version;
      const first = { feed: sim.world.feed(0), offset: BigInt(position ?? 0) * STEP };
      sim.begin(actor, actor.writer?.claim([first]));
      await settled();
      for (const request of [...sim.world.pending]) sim.world.apply(request, "arrives");
      if (sim.world.version === before) sim.depart(`${name} is fenced`);
    },
  ],
];

/** Lets everything that can go on do so. */
async function settled(): Promise<void> {
  for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => setImmediate(resolve));
}
