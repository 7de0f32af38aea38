/** A CPU profile of the running process. */
import { expect, test } from "bun:test";
import { profileRoute } from "#app/profile.ts";
import { systemClock } from "#base/clock.ts";

const ask = async (
  seconds: string,
  clock: Pick<typeof systemClock, "sleep">,
  isOn = true,
): Promise<Response> =>
  profileRoute(clock, isOn).answer({
    url: new URL(`http://127.0.0.1/profile?seconds=${seconds}`),
    headers: new Headers(),
    body: new Uint8Array(),
    signal: new AbortController().signal,
  });

function work(): number {
  let sum = 0;
  for (let turn = 0; turn < 3e6; turn++) sum += Math.sqrt(turn);
  return sum;
}

test("the profile names the functions that ran while it was taken", async () => {
  const asked: number[] = [];
  const clock = {
    sleep: async (ms: number) => {
      asked.push(ms);
      for (let turn = 0; turn < 20; turn++) {
        work();
        await systemClock.sleep(1);
      }
    },
  };
  const answer = await ask("5", clock);
  expect([answer.status, asked]).toEqual([200, [5000]]);
  const { nodes } = (await answer.json()) as {
    readonly nodes: readonly { readonly callFrame: { readonly functionName: string } }[];
  };
  expect(nodes.map(({ callFrame }) => callFrame.functionName)).toContain("work");
});

test("a time that is none, or too long, is refused", async () => {
  for (const seconds of ["0", "61", "1.5", "x", ""]) {
    const answer = await ask(seconds, systemClock);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toEqual({ error: "seconds must be 1 to 60" });
  }
});

test("it is off unless the configuration says otherwise, and says how to switch it on", async () => {
  const answer = await ask("5", systemClock, false);
  expect(answer.status).toBe(403);
  expect(await answer.text()).toContain("server.profile_enabled = true");
});
