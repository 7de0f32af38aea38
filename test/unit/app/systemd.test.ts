/** What a service manager is told, and when. */
import { expect, test } from "bun:test";
import { notifyManager, startNotifying } from "#app/systemd.ts";
import { openEnvironment } from "#config/environment.ts";

/** A clock whose sleeps end when the test says so. */
function steps() {
  const waits: { ms: number; wake: () => void }[] = [];
  const sleep = (ms: number): Promise<void> => new Promise((wake) => void waits.push({ ms, wake }));
  const step = async (): Promise<void> => {
    waits.at(-1)?.wake();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { waits, step, clock: { sleep } };
}

function started(watchdogMs: number | null) {
  const sent: string[] = [];
  const ended = new AbortController();
  const { waits, step, clock } = steps();
  let ready = false;
  const notifier = startNotifying(
    { clock, watchdogMs, send: (text) => void sent.push(text), isReady: () => ready },
    ended.signal,
  );
  const becomeReady = (): void => {
    ready = true;
  };
  return { sent, ended, waits, step, notifier, becomeReady };
}

test("a manager hears of the start at once, and of readiness by the status", async () => {
  const { sent, step, becomeReady } = started(null);
  expect(sent).toEqual(["READY=1\nSTATUS=Starting, or waiting for a service: see /health"]);
  becomeReady();
  await step();
  expect(sent[1]).toBe("STATUS=Reading");
});

test("the watchdog hears of us at least twice in its time", async () => {
  const { sent, waits, step } = started(3000);
  expect(waits[0]?.ms).toBe(1500);
  await step();
  expect(sent[1]).toContain("WATCHDOG=1\n");
  expect(started(60_000).waits[0]?.ms).toBe(5000);
});

test("a stop is told, the watchdog hears of us until the end, and nobody after it", async () => {
  const { sent, ended, step, notifier } = started(3000);
  notifier.stopping();
  expect(sent[1]).toStartWith("STOPPING=1");
  await step();
  expect(sent[2]).toStartWith("WATCHDOG=1");
  ended.abort();
  await step();
  expect(sent).toHaveLength(3);
});

test("without a manager nothing is opened, and a socket's wrong name is refused", async () => {
  const parts = { clock: steps().clock, isReady: () => true };
  const of = async (variables: Readonly<Record<string, string>>) =>
    notifyManager(await openEnvironment(null, null, variables), parts, {
      pid: 1,
      ended: AbortSignal.abort(),
    });
  (await of({})).stopping();
  expect(of({ NOTIFY_SOCKET: "relative" })).rejects.toThrow("NOTIFY_SOCKET is no path");
  expect(of({ NOTIFY_SOCKET: `/${"x".repeat(120)}` })).rejects.toThrow("NOTIFY_SOCKET is no path");
});
