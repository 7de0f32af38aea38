/**
 * Which table is flushed when: so many at once, the longest due first, kin at one cut and in their
 * order.
 */
import { expect, test } from "bun:test";
import { LIMITS } from "#base/limits.ts";
import type { Feed } from "#base/offsets.ts";
import type { AppendResult } from "#commit/shares.ts";
import { Commits } from "#pipeline/commits.ts";
import type { CommitRank } from "#pipeline/pipelineParts.ts";
import type { Sink } from "#pipeline/sink.ts";

/** A table as `Commits` sees it; a flush ends when the test says how. */
class FakeSink {
  readonly name: string;
  readonly rank: CommitRank;
  readonly policy = { intervalMs: 1000 };
  readonly buffer = { waitingRows: 1 };
  kin: readonly FakeSink[] = [this];
  moved = true;
  sealed = false;
  flushing = false;
  waits = false;
  wantedMs: number;
  intervalMs = 0;
  #end: ((result: AppendResult) => void) | null = null;
  readonly #said: string[];

  constructor(name: string, dueMs: number, said: string[], rank: CommitRank = "main") {
    this.name = name;
    this.rank = rank;
    this.wantedMs = dueMs;
    this.#said = said;
  }

  get pending(): boolean {
    return this.moved || this.sealed || this.flushing;
  }

  get dueMs(): number | null {
    return this.flushing || !this.pending ? null : this.wantedMs;
  }

  postpone(ms: number): void {
    if (this.sealed) this.wantedMs += ms;
  }

  seal(): boolean {
    if (!this.moved) return false;
    this.#said.push(`seal ${this.name}`);
    this.moved = false;
    this.sealed = true;
    return true;
  }

  async flush(intervalMs: number): Promise<{ result: AppendResult; landed: null }> {
    this.#said.push(`flush ${this.name}`);
    this.intervalMs = intervalMs;
    this.sealed = false;
    this.flushing = true;
    const result = await new Promise<AppendResult>((resolve) => {
      this.#end = resolve;
    });
    this.flushing = false;
    this.sealed = result.kind === "held" || result.kind === "paused";
    return { result, landed: null };
  }

  async end(result: Partial<AppendResult> & { kind: AppendResult["kind"] }): Promise<void> {
    this.#end?.({ fenced: [], offsets: [], ...result } as unknown as AppendResult);
    await settled();
  }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 40; turn++) await Promise.resolve();
}

function make() {
  const said: string[] = [];
  let nowMs = 0;
  const clock = { monotonicMs: () => nowMs } as never;
  const name = (feeds: readonly Feed[]): string => feeds.map(({ topic }) => topic).join();
  const commits = new Commits(
    { clock, observe: () => undefined },
    {
      landed: async () => undefined,
      fenced: (feeds) => void said.push(`fenced ${name(feeds)}`),
      seekAnew: (feeds) => void said.push(`seek ${name(feeds)}`),
      touched: (sink) => commits.schedule(sink),
    },
  );
  const sinks: FakeSink[] = [];
  const add = (name: string, dueMs: number, rank?: CommitRank): FakeSink => {
    const sink = new FakeSink(name, dueMs, said, rank);
    sinks.push(sink);
    return sink;
  };
  const related = (...family: FakeSink[]): void => {
    for (const sink of family) sink.kin = family;
  };
  const begin = async (): Promise<void> => {
    for (const sink of sinks) commits.schedule(sink as unknown as Sink);
    commits.beginDue();
    await settled();
  };
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  return { said, commits, add, related, begin, pass };
}

test("of a thousand due tables a bounded number is written at once, the longest due first", async () => {
  const { said, add, begin, pass } = make();
  const sinks = Array.from({ length: 1000 }, (_, n) => add(String(n), 1000 - n));
  pass(2000);
  await begin();
  const first = said.filter((line) => line.startsWith("flush"));
  expect(first).toEqual(
    Array.from({ length: LIMITS.flushesInFlightMax }, (_, n) => `flush ${999 - n}`),
  );
  await sinks[999]?.end({ kind: "committed" });
  expect(said.filter((line) => line.startsWith("flush"))).toEqual([
    ...first,
    `flush ${999 - LIMITS.flushesInFlightMax}`,
  ]);
});

test("kin is cut at one point, then written: dead letters, late rows, the others", async () => {
  const { said, add, related, begin, pass } = make();
  const main = add("main", 0);
  const other = add("other", 50);
  const late = add("late", 900, "late");
  const dead = add("dead", 900, "dead_letter");
  related(main, other, late, dead);
  pass(100);
  await begin();
  await dead.end({ kind: "committed" });
  await late.end({ kind: "committed" });
  await main.end({ kind: "committed" });
  expect(said).toEqual([
    ...["main", "other", "late", "dead"].map((name) => `seal ${name}`),
    ...["dead", "late", "main", "other"].map((name) => `flush ${name}`),
  ]);
});

test("what comes later in the order waits with a commit that is held, and nothing is cut before it ended", async () => {
  const { said, add, related, begin, pass } = make();
  const main = add("main", 0);
  const dead = add("dead", 0, "dead_letter");
  related(main, dead);
  await begin();
  await dead.end({ kind: "held" });
  [main.moved, dead.moved] = [true, true];
  expect(said).toEqual(["seal main", "seal dead", "flush dead"]);
  pass(1000);
  await begin();
  await dead.end({ kind: "committed" });
  expect(said.slice(3)).toEqual(["flush dead", "flush main"]);
  await main.end({ kind: "committed" });
  await begin();
  expect(said.slice(5, 7)).toEqual(["seal main", "seal dead"]);
});

test("nothing is cut while records of one table wait to be rows", async () => {
  const { said, add, related, begin } = make();
  const main = add("main", 0);
  const dead = add("dead", 0, "dead_letter");
  related(main, dead);
  dead.waits = true;
  await begin();
  expect(said).toEqual([]);
  dead.waits = false;
  await begin();
  expect(said).toEqual(["seal main", "seal dead", "flush dead"]);
});

test("fenced feeds are dropped at once, and sought anew when the cut has ended", async () => {
  const { said, add, related, begin } = make();
  const main = add("main", 0);
  const dead = add("dead", 0, "dead_letter");
  related(main, dead);
  await begin();
  const fenced = [{ clusterId: "c", topic: "t", topicId: "1", partition: 0 }];
  await dead.end({ kind: "dropped", fenced });
  await main.end({ kind: "committed" });
  expect(said.slice(2)).toEqual(["flush dead", "fenced t", "flush main", "seek t"]);
});

test("a quiet main table moves its offsets in a cut of its own time", async () => {
  const { said, add, related, begin, pass } = make();
  const busy = add("busy", 0);
  const quiet = add("quiet", 60_000);
  quiet.buffer.waitingRows = 0;
  related(busy, quiet);
  await begin();
  await busy.end({ kind: "committed" });
  expect(said).toEqual(["seal busy", "flush busy"]);
  pass(60_000);
  await begin();
  expect(said.slice(2)).toEqual(["seal quiet", "flush quiet"]);
});

test("intervals stretch while commits take more than half of the slots, up to the limit, and shrink again", async () => {
  const { add, begin, pass } = make();
  const sinks = Array.from({ length: LIMITS.flushesInFlightMax }, (_, n) => add(String(n), 0));
  const round = async (): Promise<number> => {
    for (const sink of sinks) sink.moved = true;
    await begin();
    pass(6000);
    for (const sink of sinks) await sink.end({ kind: "committed" });
    return sinks[0]?.intervalMs ?? 0;
  };
  const busy: number[] = [];
  for (let n = 0; n < 12; n++) busy.push(await round());
  expect(busy.slice(0, 5)).toEqual([1000, 1000, 2000, 4000, 8000]);
  expect(busy.at(-1)).toBe(LIMITS.commitIntervalMsMax);
  for (let n = 0; n < 12; n++) {
    pass(6000);
    await begin();
  }
  sinks[0] = add("later", 0);
  await begin();
  expect(sinks[0].intervalMs).toBe(1000);
});
