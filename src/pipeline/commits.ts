/**
 * Which table is flushed when. Tables wait in a heap by the time at which they are due; so many are
 * written at once, the longest due first.
 *
 * Tables that have a feed in common (kin) are cut at one point of it and committed in a stated order:
 * dead letters, late rows, logs of changes, the others (SPEC 2.8). A next cut comes when all of the last one has ended,
 * so that no table is ever two cuts behind its kin. Feeds that were fenced in one table are dropped
 * at once in all of them, and sought anew when the cut has ended.
 *
 * When commits take more than half of what the slots can do, intervals stretch, up to a limit: tables
 * then share fewer, larger commits instead of waiting for each other.
 */
import { policyOf } from "#base/errors.ts";
import { Heap } from "#base/heap.ts";
import { LIMITS } from "#base/limits.ts";
import type { Feed } from "#base/offsets.ts";
import type { AppendResult } from "#commit/shares.ts";
import { hasTogether, Together, type Turns } from "#commit/together.ts";
import type { CommitRank, PipelineParts } from "./pipelineParts.ts";
import type { Sink } from "./sink.ts";
import { Slots } from "./slots.ts";
import type { Landed } from "./states.ts";

/** What follows a flush. */
export interface CommitFollowers {
  /** A table has the rows; Kafka's offsets and the log's last entry follow. Never throws. */
  readonly landed: (sink: Sink, landed: Landed) => Promise<void>;
  /** These feeds go on elsewhere: at once nothing of them is taken any more. */
  readonly fenced: (feeds: readonly Feed[]) => void;
  /** The cut in which they were fenced has ended. */
  readonly seekAnew: (feeds: readonly Feed[]) => void;
  /** Something of this table has changed. */
  readonly touched: (sink: Sink) => void;
}

type CommitsParts = Pick<PipelineParts, "clock" | "logger" | "observe" | "letterTopic">;

/** How a cut ended. `waits`: something was held, and goes on when it is due again. */
type CutEnd = "through" | "waits";

/** The order of commits, first first. */
const RANKS: readonly CommitRank[] = ["dead_letter", "late", "changes", "main"];
/** Share of the slots' time that commits may take before intervals stretch. */
const BUSY_SHARE = 0.5;
/** How often the stretching is judged. */
const JUDGE_MS = 5000;
/** A catalog that had no commit of several tables is asked again after so long: a proxy may have said so. */
const TOGETHER_AGAIN_MS = 600_000;

/** Begins flushes, a bounded number at once. */
export class Commits {
  readonly #parts: CommitsParts;
  readonly #follow: CommitFollowers;
  readonly #due = new Heap<Sink>();
  readonly #cuts = new Map<readonly Sink[], Promise<CutEnd>>();
  /** Everything under way, up to its last line in the log. */
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #slots = new Slots(LIMITS.flushesInFlightMax);
  /** Commits that write files anew take minutes, and wait for each other: never in every slot. */
  readonly #copying = new Slots(LIMITS.copyingFlushesMax);
  #stretch = 1;
  /** When commits of several tables are tried again (monotonic); null: the catalog has not said that it has none. */
  #togetherAtMs: number | null = null;
  #busyMs = 0;
  #judgedMs: number;

  constructor(parts: CommitsParts, follow: CommitFollowers) {
    this.#parts = parts;
    this.#follow = follow;
    this.#judgedMs = parts.clock.monotonicMs();
  }

  /** Notes when a table is due, after anything of it has changed. */
  schedule(sink: Sink): void {
    const dueMs = sink.dueMs;
    if (dueMs === null || this.#cuts.has(sink.kin)) this.#due.delete(sink);
    else this.#due.set(sink, dueMs);
  }

  /** Puts a table in front of those that are due. */
  hurry(sink: Sink): void {
    if (sink.dueMs !== null && !this.#cuts.has(sink.kin)) this.#due.set(sink, 0);
  }

  /** Begins what is due, while there are slots. */
  beginDue(): void {
    this.#judge();
    const now = this.#parts.clock.monotonicMs();
    for (let top = this.#due.peek(); top !== undefined && top.key <= now; top = this.#due.peek()) {
      if (!this.#slots.hasFree) return;
      this.#due.delete(top.item);
      void this.#begin(top.item, false);
    }
  }

  /** Flushes all that these tables hold, also what comes while they are written. */
  async flushAll(sinks: readonly Sink[]): Promise<void> {
    const families = new Map(sinks.map((sink) => [sink.kin, sink]));
    await Promise.all(
      [...families.values()].map(async (sink) => {
        for (let round = 0; round < 3 && sink.kin.some(({ pending }) => pending); round++) {
          if ((await this.#begin(sink, true)) === "waits") return;
        }
      }),
    );
  }

  /** Resolves when nothing is under way, log entries and acknowledgements included. */
  async ended(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
  }

  /** Keeps work in mind until it has ended. */
  track(work: Promise<unknown>): void {
    const kept = work.finally(() => this.#underWay.delete(kept));
    this.#underWay.add(kept);
  }

  /** The cut of a table and its kin that is under way, or a new one; `all`: quiet kin included. */
  #begin(due: Sink, all: boolean): Promise<CutEnd> {
    const { kin } = due;
    const underWay = this.#cuts.get(kin);
    if (underWay !== undefined) return underWay;
    const now = this.#parts.clock.monotonicMs();
    const taking = kin.filter((sink) => all || sink === due || !isQuiet(sink, now));
    for (const sink of kin) this.#due.delete(sink);
    const cut = this.#cut(kin, taking).finally(() => {
      this.#cuts.delete(kin);
      for (const sink of kin) this.#follow.touched(sink);
      this.beginDue();
    });
    this.#cuts.set(kin, cut);
    this.track(cut);
    return cut;
  }

  async #cut(kin: readonly Sink[], taking: readonly Sink[]): Promise<CutEnd> {
    if (!isCut(kin, taking)) return "waits";
    if (!(await this.#lettersDelivered(kin))) return "waits";
    const fenced: Feed[] = [];
    let end: CutEnd = "through";
    for (const rank of RANKS) {
      const turn = kin.filter((sink) => sink.rank === rank && sink.sealed);
      if (turn.length === 0) continue;
      const groups = rank === "main" ? this.#groupsOf(turn) : NO_GROUPS;
      const flushes = turn.map((sink) => this.#flush(sink, fenced, groups.get(sink)));
      const results = await Promise.all(flushes);
      // What comes later in the order waits with it.
      if (results.includes("waits")) end = "waits";
      if (end === "waits") break;
    }
    // Whoever waits for a held one would else be due at once, and begin the same cut again.
    if (end === "waits") for (const sink of kin) sink.postpone(this.#intervalMs(sink));
    if (fenced.length > 0) this.#follow.seekAnew(fenced);
    return end;
  }

  /** Whether what was rejected of the rows that were cut off is where it belongs (SPEC 2.8); else they wait. */
  async #lettersDelivered(kin: readonly Sink[]): Promise<boolean> {
    try {
      await this.#parts.letterTopic?.delivered(kin);
      return true;
    } catch (error) {
      if (policyOf(error).action !== "again")
        for (const sink of kin) sink.apply({ kind: "failed", error });
      return false;
    }
  }

  /**
   * Tables whose commits go in one request; the others go by themselves. Side tables are never among them: they
   * are to be committed before their table whatever the server promises of several (decision 0490).
   */
  #groupsOf(turn: readonly Sink[]): ReadonlyMap<Sink, Together> {
    const catalog = turn[0]?.parts.catalog;
    const isWanted = turn.every(({ policy }) => policy.together === true);
    if (this.#parts.clock.monotonicMs() < (this.#togetherAtMs ?? 0)) return NO_GROUPS;
    if (!isWanted || turn.length < 2 || !hasTogether(catalog)) return NO_GROUPS;
    const groups = new Map<Sink, Together>();
    const max = LIMITS.tablesTogetherMax;
    for (let begin = 0; begin < turn.length; begin += max) {
      const members = turn.slice(begin, begin + max);
      const group = new Together(catalog, members.length, () => this.#endTogether());
      for (const sink of members) groups.set(sink, group);
    }
    return groups;
  }

  async #flush(sink: Sink, fenced: Feed[], group: Together | undefined): Promise<CutEnd> {
    // Its side tables append, and everybody waits for them.
    const copies = sink.rank === "main" && sink.policy.copies === true;
    const turns = this.#turns(copies ? this.#copying : null);
    await turns.goOn();
    const member = group?.member(turns);
    try {
      const flushed = sink.flush(this.#intervalMs(sink), member);
      this.#observe();
      this.#follow.touched(sink);
      const ended = await flushed;
      if (ended === null) return "through";
      if (ended.landed !== null) this.track(this.#follow.landed(sink, ended.landed));
      this.#fence(ended.result, fenced);
      return ended.result.kind === "held" || ended.result.kind === "paused" ? "waits" : "through";
    } finally {
      member?.left();
      turns.rest();
    }
  }

  /** The slot of one flush: it is given back while the flush waits for others, who may wait for one, and at its end. */
  #turns(copying: Slots | null): Turns {
    const { clock } = this.#parts;
    let sinceMs: number | null = null;
    return {
      goOn: async () => {
        await copying?.take();
        await this.#slots.take();
        sinceMs = clock.monotonicMs();
      },
      rest: () => {
        if (sinceMs === null) return;
        this.#busyMs += clock.monotonicMs() - sinceMs;
        sinceMs = null;
        this.#slots.give();
        copying?.give();
        this.#observe();
      },
    };
  }

  /** The catalog has no request for several tables: nobody waits for others for a while. */
  #endTogether(): void {
    if (this.#togetherAtMs === null) {
      const message = "The catalog offers no commit of several tables: each is committed by itself";
      this.#parts.logger.log("warn", message);
    }
    this.#togetherAtMs = this.#parts.clock.monotonicMs() + TOGETHER_AGAIN_MS;
  }

  #fence(result: AppendResult, fenced: Feed[]): void {
    if (result.kind !== "committed" && result.kind !== "dropped") return;
    if (result.fenced.length === 0) return;
    this.#follow.fenced(result.fenced);
    fenced.push(...result.fenced);
  }

  #observe(): void {
    this.#parts.observe({
      type: "pending_commits",
      count: this.#slots.wanted + this.#copying.waiting,
    });
  }

  #intervalMs({ policy }: Sink): number {
    const longest = Math.max(policy.intervalMs, LIMITS.commitIntervalMsMax);
    return Math.min(policy.intervalMs * this.#stretch, longest);
  }

  /** Doubles the intervals while the slots are too busy, and halves them again when they are not. */
  #judge(): void {
    const now = this.#parts.clock.monotonicMs();
    const gone = now - this.#judgedMs;
    if (gone < JUDGE_MS) return;
    const share = this.#busyMs / (gone * LIMITS.flushesInFlightMax);
    this.#judgedMs = now;
    this.#busyMs = 0;
    if (share > BUSY_SHARE) this.#stretch = Math.min(this.#stretch * 2, STRETCH_MAX);
    else if (share < BUSY_SHARE / 3) this.#stretch = Math.max(1, this.#stretch / 2);
  }
}

/** Seals tables at one point, unless an earlier cut goes on. False: there can be none now. */
function isCut(kin: readonly Sink[], taking: readonly Sink[]): boolean {
  // Kin that has grown meanwhile: the cut of the smaller family ends first.
  if (kin.some(({ flushing }) => flushing)) return false;
  if (kin.some(({ sealed }) => sealed)) return true;
  // It would part what waits for one table from what its siblings have of the same records.
  if (kin.length > 1 && kin.some(({ waits }) => waits)) return false;
  for (const sink of taking) sink.seal();
  return true;
}

/** A table without a row moves its offsets in a cut of its own time, not in every one of its kin. */
function isQuiet({ buffer, dueMs }: Sink, nowMs: number): boolean {
  return buffer.waitingRows === 0 && (dueMs === null || dueMs > nowMs);
}

const NO_GROUPS: ReadonlyMap<Sink, Together> = new Map();

/** From 0.1 s, the least interval, to the longest. */
const STRETCH_MAX = 512;
