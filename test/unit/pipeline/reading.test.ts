import { expect, test } from "bun:test";
import type { FeedKey } from "#base/offsets.ts";
import type { FeedRun, Feeds } from "#pipeline/feeds.ts";
import { Reading, wanted } from "#pipeline/reading.ts";
import type { TableState } from "#pipeline/states.ts";

const running = { kind: "running" } as const;
const paused = { kind: "paused" } as const;
const stopped = { kind: "stopped", error: null } as const;
const draining = { kind: "draining", error: null } as const;
const retrying = { kind: "retrying", cause: null } as const;
const OPEN = { phase: "running", isFull: false } as const;

function feed(key: string, ...states: TableState[]): FeedRun & { outlets: { sink: object }[] } {
  const outlets = states.map((state) => ({ sink: { state } }));
  return { key, held: false, outlets } as never;
}

test("a feed is read while there is room, a table takes its rows, and no person holds one of them", () => {
  const cases: readonly (readonly [boolean, readonly TableState[]])[] = [
    [true, [running]],
    [true, [retrying]],
    [true, [running, stopped]],
    [true, [draining, running]],
    [false, [stopped]],
    [false, [draining, stopped]],
    [false, [paused]],
    [false, [running, paused]],
  ];
  for (const [is, states] of cases)
    expect([states, wanted(feed("a", ...states), OPEN)]).toEqual([states, is]);
  expect(wanted(feed("a", running), { phase: "running", isFull: true })).toBe(false);
  expect(wanted(feed("a", running), { phase: "ending", isFull: false })).toBe(false);
});

test("the consumer is told what differs, once, and only of feeds that something happened to", () => {
  const said: string[] = [];
  const one = feed("one", running);
  const two = feed("two", running);
  let looked = 0;
  const changed = new Set<FeedRun>();
  const feeds = {
    changed,
    all: () => {
      looked++;
      return [one, two];
    },
  } as unknown as Feeds;
  const consumer = {
    pause: (keys: readonly FeedKey[]) => void said.push(`pause ${keys.join()}`),
    resume: (keys: readonly FeedKey[]) => void said.push(`resume ${keys.join()}`),
  };
  const reading = new Reading(consumer, feeds);
  reading.compare(OPEN);
  Object.assign(one.outlets[0]?.sink ?? {}, { state: paused });
  reading.compare(OPEN);
  expect([said, looked]).toEqual([[], 0]);
  changed.add(one);
  reading.compare(OPEN);
  changed.add(one);
  reading.compare(OPEN);
  expect([said, looked]).toEqual([["pause one"], 0]);
  reading.compare({ phase: "running", isFull: true });
  reading.compare({ phase: "running", isFull: true });
  reading.compare(OPEN);
  expect([said.slice(1), looked]).toEqual([["pause two", "resume two"], 2]);
});
