import { expect, test } from "bun:test";
import { type FeedKey, feedKey } from "#base/offsets.ts";
import { type FeedRun, Feeds, type Target } from "#pipeline/feeds.ts";
import { Reading, wanted } from "#pipeline/reading.ts";
import type { TableState } from "#pipeline/states.ts";

const running = { kind: "running" } as const;
const paused = { kind: "paused" } as const;
const stopped = { kind: "stopped", error: null } as const;
const draining = { kind: "draining", error: null } as const;
const retrying = { kind: "retrying", cause: null } as const;
const FEED = { clusterId: "c", topic: "t", topicId: "id", partition: 0 };
const OPEN = { phase: "running", isFull: false } as const;

function feed(key: string, ...states: TableState[]): FeedRun & { outlets: { sink: object }[] } {
  const outlets = states.map((state) => ({ sink: { state }, sides: [] }));
  return { key, held: false, epoch: 1, outlets } as never;
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

test("a feed that begins anew is not read until it has begun: what came would be thrown away", () => {
  expect(wanted({ ...feed("a", running), epoch: 0 }, OPEN)).toBe(false);
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

test("a feed that was assigned anew is told, whatever was said of it under an earlier assignment", () => {
  const held = new Map<FeedKey, boolean>();
  const consumer = {
    pause: (keys: readonly FeedKey[]) => {
      for (const key of keys) held.set(key, true);
    },
    resume: (keys: readonly FeedKey[]) => {
      for (const key of keys) held.set(key, false);
    },
  };
  const feeds = new Feeds();
  const target = {
    sink: { state: running, outlets: new Map(), sides: new Map() },
    source: { lateness: null },
  } as unknown as Target;
  const [run] = feeds.add([FEED], () => [target]);
  const reading = new Reading(consumer, feeds);
  const key = feedKey(FEED);
  // The consumer has assigned it again, and hears what is said of the assignment before.
  reading.compare({ phase: "running", isFull: true });
  expect(held.get(key)).toBe(true);
  const [again] = feeds.add([FEED], () => [target]);
  for (const each of [run, again]) {
    if (each === undefined) continue;
    each.epoch = 1;
    feeds.changed.add(each);
  }
  reading.compare(OPEN);
  expect(held.get(key)).toBe(false);
});
