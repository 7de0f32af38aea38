/**
 * The simulation is worth something: it finds each of the deliberate mistakes of `mutations.ts`, made
 * in a copy of the sources.
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
const COPIED = ["src", "test/sim", "test/fakes", "test/support", "package.json", "tsconfig.json"];

let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kafka-iceberg-mutations-"));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

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

/** The first violation that a simulation in `place` reports; null when it passes. */
async function hunt(
  place: string,
  { sim, shownIn = "" }: Pick<Mutation, "sim" | "shownIn">,
  count: number,
): Promise<string | null> {
  const command = [process.execPath, "test", `./test/sim/${sim}.test.ts`, "--bail", "-t", shownIn];
  const child = Bun.spawn(command, {
    cwd: place,
    env: {
      ...process.env,
      SIM_SCHEDULES: String(count),
      SIM_PIPELINES: String(count),
      SIM_UPSERTS: String(count),
      SIM_REPLAYS: String(count),
      SIM_SEED: "1",
    },
    timeout: HUNT_MS_MAX,
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  const found = /seed \d+ breaks the law: .*/.exec(out)?.[0] ?? null;
  const code = await child.exited;
  await rm(place, { recursive: true, force: true });
  if ((code === 0) !== (found === null)) throw new Error(`the simulation did not run: ${err}`);
  return found;
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
    expect(await inTurn(() => hunt(place, { sim }, 10))).toBeNull();
  }
}, 900_000);

for (const [index, mutation] of MUTATIONS.entries()) {
  test.concurrent(`found (SPEC ${mutation.rule}): ${mutation.name}`, async () => {
    const place = await copyOf(String(index), mutation);
    const [found, seconds] = await inTurn(async () => {
      const began = performance.now();
      const violation = await hunt(place, mutation, SCHEDULES[mutation.sim]);
      return [violation, ((performance.now() - began) / 1000).toFixed(1)];
    });
    console.log(`${mutation.name}: ${found ?? "NOT FOUND"} (${seconds} s)`);
    expect(found).not.toBeNull();
  }, 900_000);
}
