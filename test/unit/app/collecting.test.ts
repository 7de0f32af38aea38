/** When garbage is collected: while much of it is there, and once when records have ceased. */
import { expect, test } from "bun:test";
import { collectWhileFlowing } from "#app/collecting.ts";
import { systemClock } from "#base/clock.ts";
import { trimBuffers } from "#columns/buffers.ts";

const MIB = 1024 * 1024;

/** What was asked for at each look: `at once`, `beside` or nothing. */
async function looks(
  count: number,
  at: (look: number) => { consumed: number; buffered?: number; external: number },
): Promise<string[]> {
  // Buffers that other tests of this process left free would count as no garbage.
  for (let trims = 0; trims < 30; trims++) trimBuffers();
  const stop = new AbortController();
  const asked: string[] = [];
  let look = 0;
  const flow = {
    consumed: () => at(look).consumed,
    buffered: () => at(look).buffered ?? 0,
    external: () => at(look).external,
  };
  const clock = {
    ...systemClock,
    sleep: async () => {
      asked.push("");
      if (++look === count) stop.abort();
    },
  };
  await collectWhileFlowing(clock, flow, stop.signal, (atOnce) => {
    asked[asked.length - 1] = atOnce ? "at once" : "beside";
  });
  return asked;
}

test("while records flow the collector runs beside them, and at once when garbage piles up", async () => {
  const external = [10, 60, 100, 200, 60];
  const asked = await looks(4, (look) => ({
    consumed: look,
    external: (external[look] ?? 0) * MIB,
  }));
  expect(asked).toEqual(["beside", "beside", "at once", "beside"]);
});

test("what the hot buffer holds is no garbage, and a trickle of records collects nothing", async () => {
  const full = await looks(3, (look) => ({
    consumed: look,
    buffered: 500 * MIB,
    external: 530 * MIB,
  }));
  expect(full).toEqual(["", "", ""]);
});

test("after the last record all is collected once", async () => {
  const asked = await looks(100, (look) => ({ consumed: Math.min(look, 5), external: 60 * MIB }));
  expect(asked.filter((each) => each === "at once")).toHaveLength(1);
  expect(asked.indexOf("at once")).toBeGreaterThan(30);
  expect(asked.filter((each) => each === "beside")).toHaveLength(5);
});
