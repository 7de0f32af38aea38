/**
 * Which table is flushed when: so many at once, the longest due first, kin at one cut and in their
 * order.
 */
import { expect, test } from "bun:test";
import { LIMITS } from "#base/limits.ts";
import { silentLogger } from "#base/log.ts";
import type { Feed } from "#base/offsets.ts";
import type { Catalog } from "#catalog/catalog.ts";
import type { CommitVia } from "#commit/commit.ts";
import type { AppendResult } from "#commit/shares.ts";
import { Commits } from "#pipeline/commits.ts";
import type { CommitRank } from "#pipeline/pipelineParts.ts";
import type { Sink } from "#pipeline/sink.ts";

/** A table as `Commits` sees it; a flush ends when the test says how. */
class FakeSink {
  readonly name: string;
  readonly rank: CommitRank;
  policy: { intervalMs: number; together?: boolean; copies?: boolean } = { intervalMs: 1000 };
  readonly buffer = { waitingRows: 1 };
  kin: readonly FakeSink[] = [this];
  moved = true;
  sealed = false;
  flushing = false;
  waits = false;
  wantedMs: number;
  intervalMs = 0;
  /** Where its requests go, when not straight to the catalog. */
  via: CommitVia | null = null;
  readonly parts: { readonly catalog: Partial<Catalog> } = { catalog: {} };
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

  async flush(
    intervalMs: number,
    via?: CommitVia,
  ): Promise<{ result: AppendResult; landed: null }> {
    this.#said.push(`flush ${this.name}`);
    this.via = via ?? null;
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
    { clock, observe: () => undefined, logger: silentLogger },
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

/** Tables that are to be committed in one request, over a catalog that writes down what it is asked. */
function together(bench: ReturnType<typeof make>, count: number, offered = true) {
  const requests: string[] = [];
  const commit: Catalog["commit"] = async ({ table }) => {
    requests.push(table);
    return { kind: "conflict", cause: "asked" };
  };
  const commitTogether: Catalog["commitTogether"] = async (changes) => {
    requests.push(changes.map(({ name }) => name.table).join("+"));
    return offered ? changes.map(() => ({ kind: "conflict", cause: "asked" })) : null;
  };
  const add = (name: string, rank?: CommitRank): FakeSink => {
    const sink = bench.add(name, 0, rank);
    sink.policy = { intervalMs: 1000, together: true };
    Object.assign(sink.parts.catalog, { commit, commitTogether });
    return sink;
  };
  const mains = Array.from({ length: count }, (_, index) => add(`m${index}`));
  const send = async (sink: FakeSink): Promise<void> => {
    void sink.via?.commit({ namespace: ["db"], table: sink.name }, [], []);
    await settled();
  };
  return { requests, add, mains, send };
}

test("tables of one cut send one request, and no side table is in it", async () => {
  const bench = make();
  const { requests, add, mains, send } = together(bench, 3);
  const dead = add("dead", "dead_letter");
  bench.related(...mains, dead);
  await bench.begin();
  expect(dead.via).toBeNull();
  await dead.end({ kind: "committed" });
  const [a, b, c] = mains as [FakeSink, FakeSink, FakeSink];
  await send(a);
  await b.end({ kind: "held" });
  expect(requests).toEqual([]);
  await send(c);
  expect(requests).toEqual(["m0+m2"]);
});

test.each([false, true])(
  "who waits for the others needs no slot: more tables than slots go in one request (copies: %p)",
  async (copies) => {
    const bench = make();
    const count = LIMITS.flushesInFlightMax + 3;
    const { requests, mains, send } = together(bench, count);
    for (const sink of mains) sink.policy = { ...sink.policy, copies };
    bench.related(...mains);
    await bench.begin();
    for (const sink of mains) await send(sink);
    expect(requests).toEqual([mains.map(({ name }) => name).join("+")]);
    // Slots that were given back are not given back again at the end.
    for (const sink of mains) await sink.end({ kind: "committed" });
    const others = Array.from({ length: count }, (_, index) => bench.add(`x${index}`, 0));
    bench.said.length = 0;
    await bench.begin();
    const begun = bench.said.filter((line) => line.startsWith("flush x"));
    expect(begun.length).toBe(LIMITS.flushesInFlightMax);
    expect(others.length).toBe(count);
  },
);

test("tables that write files anew never take every slot: they wait for each other without one", async () => {
  const bench = make();
  const copying = Array.from({ length: LIMITS.flushesInFlightMax }, (_, n) =>
    bench.add(`c${n}`, n),
  );
  for (const sink of copying) sink.policy = { ...sink.policy, copies: true };
  const other = bench.add("other", 99);
  // Its dead letters only append.
  const letters = bench.add("letters", 99, "dead_letter");
  letters.policy = { ...letters.policy, copies: true };
  bench.pass(100);
  await bench.begin();
  const begun = bench.said.filter((line) => line.startsWith("flush"));
  const first = copying.slice(0, LIMITS.copyingFlushesMax).map(({ name }) => `flush ${name}`);
  expect(begun).toEqual([...first, "flush other", "flush letters"]);
  await other.end({ kind: "committed" });
  await copying[0]?.end({ kind: "committed" });
  expect(bench.said.at(-1)).toBe(`flush c${LIMITS.copyingFlushesMax}`);
});

test("a request holds so many tables at most", async () => {
  const bench = make();
  const { requests, mains, send } = together(bench, LIMITS.tablesTogetherMax + 2);
  bench.related(...mains);
  await bench.begin();
  for (const sink of mains) await send(sink);
  expect(requests.map((names) => names.split("+").length)).toEqual([LIMITS.tablesTogetherMax, 2]);
});

test("where the catalog has no such request each goes alone, and nobody waits for ten minutes", async () => {
  const bench = make();
  const { requests, mains, send } = together(bench, 2, false);
  bench.related(...mains);
  await bench.begin();
  for (const sink of mains) await send(sink);
  expect(requests).toEqual(["m0+m1", "m0", "m1"]);
  for (const sink of mains) await sink.end({ kind: "committed" });
  for (const sink of mains) sink.moved = true;
  await bench.begin();
  expect(mains.map(({ via }) => via)).toEqual([null, null]);
  for (const sink of mains) await sink.end({ kind: "committed" });
  bench.pass(600_000);
  for (const sink of mains) sink.moved = true;
  await bench.begin();
  for (const sink of mains) await send(sink);
  expect(requests.slice(3)).toEqual(["m0+m1", "m0", "m1"]);
});

test("second requests of tables that went together need slots again", async () => {
  const bench = make();
  const count = LIMITS.flushesInFlightMax + 2;
  const { requests, mains } = together(bench, count);
  bench.related(...mains);
  await bench.begin();
  const told: string[] = [];
  for (const sink of mains) {
    const sent = sink.via?.commit({ namespace: ["db"], table: sink.name }, [], []);
    void sent?.then(() => told.push(sink.name));
    await settled();
  }
  expect(requests).toHaveLength(1);
  expect(told).toHaveLength(LIMITS.flushesInFlightMax);
  await mains[0]?.end({ kind: "committed" });
  expect(told).toHaveLength(LIMITS.flushesInFlightMax + 1);
  for (const sink of mains) await sink.end({ kind: "committed" });
  expect(told).toHaveLength(count);
});
