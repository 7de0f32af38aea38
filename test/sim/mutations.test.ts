/**
 * The simulation is worth something: it finds each of the deliberate mistakes of `mutations.ts`, made
 * in a copy of the sources.
 *
 * `foundBy.json` remembers the seed of the schedule that found a mistake last. It is tried first, alone; where it no longer breaks the
 * law, since code that draws random numbers has changed, all schedules are searched. `SIM_REMEMBER=1` writes that file anew.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { cp, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Mutation } from "./mutation.ts";
import { MUTATIONS } from "./mutations.ts";

/** Schedules of each kind of world, by simulation: one with real files takes as long as ten of the others. */
const SCHEDULES = { writer: 600, pipeline: 600, upsert: 150, replay: 150 } as const;
const HUNT_MS_MAX = 600_000;
/** Simulations at once: one a core. */
const AT_ONCE = Math.max(2, availableParallelism());
const REMEMBERED = resolve("test/sim/foundBy.json");
const remembers = process.env["SIM_REMEMBER"] === "1";
const COPIED = ["src", "test/sim", "test/fakes", "test/support", "package.json", "tsconfig.json"];

const remembered: Readonly<Record<string, number>> = await Bun.file(REMEMBERED).json();
const foundBy = new Map<string, number>();

let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kafka-iceberg-mutations-"));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  if (remembers) await remember();
});

/** Writes which schedules found the mistakes, by name, so that a change shows as one line. */
async function remember(): Promise<void> {
  const found = { ...remembered, ...Object.fromEntries(foundBy) };
  const names = MUTATIONS.map(({ name }) => name).sort();
  const lines = names.flatMap((name) => (name in found ? [[name, found[name]]] : []));
  await Bun.write(REMEMBERED, `${JSON.stringify(Object.fromEntries(lines), null, 2)}\n`);
}

/** A copy of what a simulation needs, with one text replaced; null: nothing. */
async function copyOf(name: string, mutation: Mutation | null): Promise<string> {
  const place = join(folder, name);
  await mkdir(join(place, "test"), { recursive: true });
  for (const path of COPIED) await cp(path, join(place, path), { recursive: true });
  await symlink(resolve("node_modules"), join(place, "node_modules"));
  if (mutation !== null) await makeMistake(place, mutation);
  return place;
}

async function makeMistake(place: string, { name, edits }: Mutation): Promise<void> {
  for (const edit of edits) await replaceOnce(place, name, edit);
}

async function replaceOnce(
  place: string,
  name: string,
  { find, replace }: Mutation["edits"][number],
): Promise<void> {
  let found = 0;
  for await (const path of new Bun.Glob("src/**/*.ts").scan({ cwd: place, absolute: true })) {
    const parts = (await Bun.file(path).text()).split(find);
    if (parts.length === 1) continue;
    found += parts.length - 1;
    await Bun.write(path, parts.join(replace));
  }
  expect({ name, find, found }).toEqual({ name, find, found: 1 });
}

/** The violation of a schedule, and its seed; null: there is none. */
type Found = { readonly seed: number; readonly violation: string } | null;

/** Which schedules are tried: `count` from `seed` on, in the tests whose names `test` (a regular expression) matches. */
interface Schedules {
  readonly test: string;
  readonly seed: number;
  readonly count: number;
}

/** The first violation of some schedules. */
async function hunt(
  place: string,
  sim: Mutation["sim"],
  { test: names, seed, count }: Schedules,
): Promise<Found> {
  const command = [process.execPath, "test", `./test/sim/${sim}.test.ts`, "--bail", "-t", names];
  const child = Bun.spawn(command, {
    cwd: place,
    env: {
      ...process.env,
      SIM_SCHEDULES: String(count),
      SIM_PIPELINES: String(count),
      SIM_UPSERTS: String(count),
      SIM_REPLAYS: String(count),
      SIM_SEED: String(seed),
    },
    timeout: HUNT_MS_MAX,
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  const code = await child.exited;
  const broken = /seed (\d+) breaks the law: .*/.exec(out);
  if (broken !== null) return { seed: Number(broken[1]), violation: broken[0] };
  if (code !== 0 && count > 1) throw new Error(`the simulation did not run: ${err}`);
  return null;
}

/** Finds a mistake by the schedule that found it last, or by the first of all that does. */
async function search(place: string, { name, sim, shownIn = "" }: Mutation): Promise<Found> {
  const seed = remembered[name];
  const once =
    seed === undefined ? null : await hunt(place, sim, { test: shownIn, seed, count: 1 });
  return once ?? (await hunt(place, sim, { test: shownIn, seed: 1, count: SCHEDULES[sim] }));
}

/** Hunts that wait for their turn. */
let turns = Promise.resolve();
const slots = Array.from({ length: AT_ONCE }, () => Promise.resolve());

/** Runs one hunt after another on each core. */
async function inTurn<T>(action: () => Promise<T>): Promise<T> {
  const slot = turns.then(() => Promise.race(slots.map((free, index) => free.then(() => index))));
  const result = slot.then(action);
  const done = result.then(
    () => undefined,
    () => undefined,
  );
  turns = slot.then((index) => {
    slots[index] = done;
  });
  return await result;
}

test.concurrent("an unchanged copy keeps the law", async () => {
  for (const sim of ["writer", "pipeline", "upsert", "replay"] as const) {
    const place = await copyOf(`unchanged-${sim}`, null);
    expect(await inTurn(() => hunt(place, sim, { test: "", seed: 1, count: 10 }))).toBeNull();
  }
}, 900_000);

for (const [index, mutation] of MUTATIONS.entries()) {
  test.concurrent(`found (SPEC ${mutation.rule}): ${mutation.name}`, async () => {
    const place = await copyOf(String(index), mutation);
    const [found, seconds] = await inTurn(async () => {
      const began = performance.now();
      const result = await search(place, mutation);
      return [result, ((performance.now() - began) / 1000).toFixed(1)];
    });
    await rm(place, { recursive: true, force: true });
    console.log(`${mutation.name}: ${found?.violation ?? "NOT FOUND"} (${seconds} s)`);
    expect(found).not.toBeNull();
    if (found !== null) foundBy.set(mutation.name, found.seed);
  }, 900_000);
}
