/**
 * Random interleavings of writers on one file catalog: every storage call waits for its turn, some
 * fail before or after they are applied, clocks jump by hours so that old versions are removed, and
 * writers fall asleep in the middle of a commit for hundreds of others.
 *
 * Each commit adds a property of its own, so the head's properties are the commits that count: all
 * that were reported committed, none that was reported a conflict.
 */
import { expect, test } from "bun:test";
import { systemClock } from "#base/clock.ts";
import { fail } from "#base/errors.ts";
import { silentLogger } from "#base/log.ts";
import { type Random, seededRandom } from "#base/random.ts";
import type { CommitOutcome } from "#catalog/catalog.ts";
import { createFileCatalog } from "#catalog/file.ts";
import type { Storage } from "#storage/storage.ts";
import { createMemoryStorage } from "../fakes/memoryStorage.ts";
import { sampleTable } from "../support/icebergSamples.ts";

const NAME = { namespace: ["db"], table: "t" };
const WRITERS = 4;
const VERSIONS = 400;

/** Lets waiting calls go on one at a time, in random order. */
interface Turns {
  wait(writer: number): Promise<void>;
  run(done: () => boolean): Promise<void>;
}

function createTurns(random: Random): Turns {
  const waiting: { writer: number; go: () => void }[] = [];
  const asleepUntil = new Map<number, number>();
  let step = 0;
  return {
    wait: (writer) =>
      new Promise((go) => {
        // Once in a while a writer stands still while the others make hundreds of versions.
        if (random.unit() < 0.001) asleepUntil.set(writer, step + 9_000);
        waiting.push({ writer, go });
      }),
    run: async (done) => {
      while (!done()) {
        for (let n = 0; n < 20; n++) await Promise.resolve();
        step++;
        const awake = waiting.filter(({ writer }) => (asleepUntil.get(writer) ?? 0) <= step);
        const ready = awake.length > 0 ? awake : waiting;
        const next = ready[Math.floor(random.unit() * ready.length)];
        if (next === undefined) continue;
        waiting.splice(waiting.indexOf(next), 1);
        next.go();
      }
    },
  };
}

function turnwise(storage: Storage, turns: Turns, random: Random, writer: number): Storage {
  const call = async <T>(run: () => Promise<T>, faults: boolean): Promise<T> => {
    await turns.wait(writer);
    const luck = faults ? random.unit() : 1;
    if (luck < 0.01) throw fail("storage_unreachable", "it did not arrive");
    const result = await run();
    if (luck < 0.02) throw fail("storage_unreachable", "the answer was lost");
    return result;
  };
  return {
    ...storage,
    head: (location) => call(() => storage.head(location), true),
    get: (location) => call(() => storage.get(location), true),
    putIfAbsent: (location, content) => call(() => storage.putIfAbsent(location, content), true),
    remove: (locations) => call(() => storage.remove(locations), true),
    list: async function* (prefix) {
      yield* await call(() => Array.fromAsync(storage.list(prefix)), false);
    },
  };
}

async function simulate(seed: number): Promise<{ wrong: string[]; kinds: Record<string, number> }> {
  const random = seededRandom(seed);
  const turns = createTurns(random);
  let nowMs = 1_000;
  const storage = createMemoryStorage({ nowMs: () => nowMs });
  const clock = { ...systemClock, nowMs: () => nowMs };
  const open = (own: Storage): ReturnType<typeof createFileCatalog> =>
    createFileCatalog(
      { warehouse: "/wh", readOnly: false },
      { storage: own, clock, log: silentLogger },
    );
  const judge = open(storage);
  await judge.create({ name: NAME, metadataAt: (location) => sampleTable(location) });
  const reports = new Map<string, CommitOutcome["kind"]>();
  let committed = 0;
  let running = WRITERS;
  const write = async (writer: number): Promise<void> => {
    let catalog = open(turnwise(storage, turns, random, writer));
    for (let n = 0; committed < VERSIONS; n++) {
      const key = `w${writer}-${n}`;
      const update = { action: "set-properties", properties: { [key]: "" } } as const;
      const outcome = await catalog.commit(NAME, [], [update]);
      reports.set(key, outcome.kind);
      if (outcome.kind === "committed") committed++;
      nowMs += random.unit() < 0.3 ? 600_000 : 100;
      // A process that was started again knows nothing but the hint.
      if (random.unit() < 0.05) catalog = open(turnwise(storage, turns, random, writer));
    }
  };
  const writers = Array.from({ length: WRITERS }, (_, writer) => write(writer));
  const ended = Promise.allSettled(writers).then(() => {
    running = 0;
  });
  await turns.run(() => running === 0);
  await ended;
  await Promise.all(writers);
  const head = await open(storage).load(NAME);
  const landed = head?.metadata.properties ?? {};
  const kinds: Record<string, number> = {};
  const wrong: string[] = [];
  for (const [key, kind] of reports) {
    kinds[kind] = (kinds[kind] ?? 0) + 1;
    const isThere = landed[key] !== undefined;
    if ((kind === "committed" && !isThere) || (kind === "conflict" && isThere)) {
      wrong.push(`${key}: ${kind}`);
    }
  }
  return { wrong, kinds };
}

test("any interleaving: committed means there for good, conflict means never", async () => {
  const first = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
  const totals: Record<string, number> = {};
  for (let seed = first; seed < first + 8; seed++) {
    const { wrong, kinds } = await simulate(seed);
    expect({ seed, wrong }).toEqual({ seed, wrong: [] });
    for (const [kind, count] of Object.entries(kinds)) totals[kind] = (totals[kind] ?? 0) + count;
  }
  console.log(`seeds from ${first}:`, totals);
  expect(totals["unknown"]).toBeGreaterThan(0);
}, 60_000);
