/** When garbage is collected: while much of it is there, and once when records have ceased. */
import { expect, test } from "bun:test";
import { collectWhileFlowing } from "#app/collecting.ts";
import { systemClock } from "#base/clock.ts";
import { LIMITS } from "#base/limits.ts";
import { trimBuffers } from "#columns/buffers.ts";

const MIB = 1024 * 1024;
const BUSY = LIMITS.busyBytes / MIB;

/** What was collected at each look: `young`, `old`, `all` or nothing. @param at a look, memory in MiB */
async function looks(
  count: number,
  at: (look: number) => {
    consumed: number;
    buffered?: number;
    external?: number;
    resident: number;
  },
): Promise<string[]> {
  // Buffers that other tests of this process left free would count as no garbage.
  for (let trims = 0; trims < 30; trims++) trimBuffers();
  const stop = new AbortController();
  const asked: string[] = [];
  let look = 0;
  const flow = {
    consumed: () => at(look).consumed,
    buffered: () => (at(look).buffered ?? 0) * MIB,
    external: () => (at(look).external ?? 0) * MIB,
    resident: () => at(look).resident * MIB,
  };
  const clock = {
    ...systemClock,
    sleep: async () => {
      asked.push("");
      if (++look === count) stop.abort();
    },
  };
  await collectWhileFlowing(clock, flow, stop.signal, (what) => {
    asked[asked.length - 1] = what;
  });
  return asked;
}

/** The looks at which so much memory after each other, in MiB, was collected. */
async function collected(resident: readonly number[]): Promise<number[]> {
  const at = (look: number) => ({ consumed: look, resident: resident[look - 1] ?? 0 });
  return (await looks(resident.length, at)).flatMap((what, look) => (what === "" ? [] : [look]));
}

test("memory is collected when an eighth has come on top of what the last collection left", async () => {
  expect(await collected([86, BUSY, BUSY * 1.12, BUSY * 1.14, BUSY])).toEqual([3]);
  // 200 are left at the look after it, which is not collected whatever it is: 225 are an eighth more.
  expect(await collected([300, 200, 224, 226, 200])).toEqual([0, 3]);
});

test("what is in use stays as it is: each further eighth is looked through once", async () => {
  const grown = Array.from({ length: 100 }, () => 600);
  expect(await collected(grown)).toEqual([0]);
});

test("what is in use no more is forgotten by and by, so that garbage cannot take its place", async () => {
  // 40 looks at 150 forget 40 of 300: 292 are an eighth more than 260.
  const long = Array.from({ length: 40 }, () => 150);
  expect(await collected([400, 300, ...long, 292, 294])).toEqual([0, 43]);
  const longest = Array.from({ length: 400 }, () => 100);
  expect(await collected([400, 300, ...longest, BUSY, BUSY * 1.14])).toEqual([0, 403]);
});

test("young garbage is collected while records flow, from the bytes outside the heap", async () => {
  const external = [10, 40, 60, 200, 60];
  const flowing = await looks(4, (look) => ({
    consumed: look,
    external: external[look] ?? 0,
    resident: 100,
  }));
  expect(flowing).toEqual(["", "young", "young", "young"]);
  const waiting = await looks(4, () => ({ consumed: 0, external: 200, resident: 100 }));
  expect(waiting).toEqual(["young", "", "", ""]);
});

test("what the hot buffer holds is no garbage, and an idle process collects nothing", async () => {
  const at = (look: number) => ({
    consumed: look,
    buffered: 500,
    external: 530,
    resident: 600,
  });
  const full = await looks(3, at);
  expect(full).toEqual(["", "", ""]);
  const idle = await looks(20, () => ({ consumed: 0, resident: 90 }));
  expect(idle.filter((what) => what !== "")).toEqual([]);
});

test("after the last record all is collected once", async () => {
  const asked = await looks(100, (look) => ({ consumed: Math.min(look, 5), resident: 100 }));
  expect(asked.filter((each) => each !== "")).toEqual(["all"]);
  expect(asked.indexOf("all")).toBeGreaterThan(30);
});

test("what was in use before all was collected leaves no room for garbage after it", async () => {
  // 800 are in use, then nothing flows and 150 are left when all is collected: 300 at once are garbage.
  const asked = await looks(60, (look) => {
    if (look < 5) return { consumed: look, resident: 800 };
    if (look < 50) return { consumed: 5, resident: 150 };
    return { consumed: look, resident: look < 55 ? 150 : 300 };
  });
  const told = asked.flatMap((what, look) => (what === "" ? [] : [`${look}: ${what}`]));
  expect(told[0]).toBe("0: old");
  expect(told[1]).toEndWith(": all");
  expect(told.at(-1)).toMatch(/^5[3-6]: old$/);
});
