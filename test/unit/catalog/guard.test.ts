/** A catalog that is away is asked less and less, then left alone, then tried by one call. */
import { describe, expect, test } from "bun:test";
import type { Clock } from "#base/clock.ts";
import { AppError, fail } from "#base/errors.ts";
import { silentLogger } from "#base/log.ts";
import type { Catalog, CommitOutcome } from "#catalog/catalog.ts";
import { type GuardedCatalog, guardedCatalog } from "#catalog/guard.ts";

const NAME = { namespace: ["db"], table: "t" };
const OPTIONS = { backoffMs: [100, 500, 2000, 5000], failuresMax: 5, resetMs: 30_000 };
const AWAY = fail("catalog_unreachable", "connection refused");

interface Bench {
  readonly guard: GuardedCatalog;
  readonly clock: Clock;
  /** Calls that reached the catalog, at which time. */
  readonly sent: number[];
  /** What the catalog does next. */
  answer: () => Promise<CommitOutcome | null>;
  nowMs: number;
}

function bench(): Bench {
  const sent: number[] = [];
  const ask = <T>(): Promise<T> => {
    sent.push(made.nowMs);
    return made.answer() as Promise<T>;
  };
  const catalog = bareCatalog(ask);
  const clock = {
    nowMs: () => made.nowMs,
    monotonicMs: () => made.nowMs,
    sleep: async (ms: number) => {
      made.nowMs += ms;
    },
    turn: () => Promise.resolve(),
  };
  const guard = guardedCatalog(catalog, OPTIONS, { clock, log: silentLogger });
  const made: Bench = { guard, clock, sent, answer: () => Promise.reject(AWAY), nowMs: 0 };
  return made;
}

function bareCatalog(ask: <T>() => Promise<T>): Catalog {
  return {
    traits: {
      type: "fake",
      showsAncestors: true,
      endsLateRequests: "all",
      removesSchemas: true,
    },
    open: () => ask(),
    load: () => ask(),
    list: () => ask(),
    create: () => ask(),
    commit: () => ask(),
    locationOf: () => Promise.resolve(null),
    close: () => Promise.resolve(),
  };
}

async function errorOf(run: Promise<unknown>): Promise<AppError> {
  const error = await run.catch((thrown: unknown) => thrown);
  if (error instanceof AppError) return error;
  throw new Error(`no AppError but ${String(error)}`);
}

async function failTimes(b: Bench, times: number): Promise<void> {
  for (let n = 0; n < times; n++) await errorOf(b.guard.load(NAME));
}

test("each failure in a row makes the next call wait longer, as the key says", async () => {
  const b = bench();
  await failTimes(b, 6);
  expect(b.sent).toEqual([0, 100, 600, 2600, 7600, 12_600]);
});

test("the sixth failure opens the circuit, and the next call fails at once, unsent", async () => {
  const b = bench();
  await failTimes(b, 5);
  expect(b.guard.circuit).toBe("closed");
  await failTimes(b, 1);
  expect(b.guard.circuit).toBe("open");
  const before = b.nowMs;
  const error = await errorOf(b.guard.load(NAME));
  expect([error.kind, b.nowMs - before, b.sent.length]).toEqual(["catalog_unreachable", 0, 6]);
  expect(error.cause).toBe(AWAY);
  const outcome = await b.guard.commit(NAME, [], []);
  expect([outcome.kind, b.sent.length]).toEqual(["conflict", 6]);
});

test("after the reset one call tries, and all others still fail", async () => {
  const b = bench();
  await failTimes(b, 6);
  b.nowMs += OPTIONS.resetMs;
  const trial = Promise.withResolvers<null>();
  b.answer = () => trial.promise;
  const trying = b.guard.load(NAME);
  expect(b.guard.circuit).toBe("half_open");
  await failTimes(b, 3);
  expect(b.sent.length).toBe(7);
  trial.resolve(null);
  expect(await trying).toBeNull();
  expect(b.guard.circuit).toBe("closed");
  b.answer = () => Promise.resolve(null);
  expect(await b.guard.load(NAME)).toBeNull();
});

test("a commit of several tables counts as one call, and is a conflict of each while the circuit is open", async () => {
  const b = bench();
  const change = { name: NAME, requirements: [], updates: [] };
  const unknown: CommitOutcome = { kind: "unknown", cause: AWAY };
  const said: (CommitOutcome["kind"] | null)[] = [];
  const guard = guardedCatalog(
    {
      ...bareCatalog(<T>() => Promise.resolve(null as T)),
      commitTogether: async (changes) => {
        b.sent.push(b.nowMs);
        return changes.map(() => unknown);
      },
    },
    { ...OPTIONS, failuresMax: 0 },
    { clock: b.clock, log: silentLogger },
  );
  for (let n = 0; n < 2; n++) {
    const outcomes = (await guard.commitTogether?.([change, change])) ?? [];
    said.push(...outcomes.map(({ kind }) => kind));
  }
  expect(said).toEqual(["unknown", "unknown", "conflict", "conflict"]);
  expect([b.sent.length, guard.circuit]).toEqual([1, "open"]);
  expect(b.guard.commitTogether).toBeUndefined();
});

test("a request for several tables that is not offered says nothing of the catalog: the circuit stays as it is, and the next call tries", async () => {
  const b = bench();
  const answers: (CommitOutcome[] | null)[] = [];
  const guard = guardedCatalog(
    {
      ...bareCatalog(<T>(): Promise<T> => Promise.reject(AWAY)),
      commitTogether: async () => answers.shift() ?? null,
    },
    { ...OPTIONS, failuresMax: 0 },
    { clock: b.clock, log: silentLogger },
  );
  await guard.load(NAME).catch(() => undefined);
  const change = { name: NAME, requirements: [], updates: [] };
  for (const nothing of [null, []]) {
    b.nowMs += OPTIONS.resetMs;
    answers.push(nothing);
    expect(await guard.commitTogether?.([change])).toEqual(nothing as never);
    expect(guard.circuit).toBe("open");
  }
  answers.push([{ kind: "conflict", cause: "moved on" }]);
  await guard.commitTogether?.([change]);
  expect(guard.circuit).toBe("closed");
});

test("a trial that fails opens the circuit for as long again", async () => {
  const b = bench();
  await failTimes(b, 6);
  b.nowMs += OPTIONS.resetMs;
  await failTimes(b, 1);
  expect([b.guard.circuit, b.sent.length]).toEqual(["open", 7]);
  b.nowMs += OPTIONS.resetMs - 1;
  await failTimes(b, 1);
  expect(b.sent.length).toBe(7);
});

describe("the catalog answered, and is not away, with", () => {
  test.each([
    ["a refusal", () => Promise.reject(fail("catalog_refused", "no"))],
    ["a table of a newer format", () => Promise.reject(fail("table_unsupported", "v9"))],
    ["no such table", () => Promise.resolve(null)],
  ])("%s", async (_, answer) => {
    const b = bench();
    await failTimes(b, 5);
    b.answer = answer;
    await b.guard.load(NAME).catch(() => undefined);
    b.answer = () => Promise.reject(AWAY);
    await failTimes(b, 5);
    expect(b.guard.circuit).toBe("closed");
  });

  test("a conflict with another commit", async () => {
    const b = bench();
    await failTimes(b, 5);
    b.answer = () => Promise.resolve({ kind: "conflict", cause: "the head moved" });
    await b.guard.commit(NAME, [], []);
    b.answer = () => Promise.reject(AWAY);
    await failTimes(b, 5);
    expect(b.guard.circuit).toBe("closed");
  });
});

test("commits without an answer, and those that could not be sent, count as failures", async () => {
  for (const outcome of [
    { kind: "unknown", cause: new Error("timeout") },
    { kind: "conflict", cause: AWAY },
  ] as const) {
    const b = bench();
    b.answer = () => Promise.resolve(outcome);
    for (let n = 0; n < 6; n++) expect(await b.guard.commit(NAME, [], [])).toBe(outcome);
    expect(b.guard.circuit).toBe("open");
  }
});
