import { expect, test } from "bun:test";
import type { HotBuffer } from "#buffer/hotBuffer.ts";
import { Backpressure } from "../../../src/pipeline/backpressure.ts";
import { Feeds } from "../../../src/pipeline/feeds.ts";
import type { TableRun } from "../../../src/pipeline/tableRun.ts";

/** What backpressure looks at of a table. */
interface Table {
  readonly ready: boolean;
  readonly heldBytes: number;
  readonly state: { readonly kind: "running" | "retrying" };
  readonly policy: { readonly bytesMax: number };
  readonly buffer: Pick<HotBuffer<never>, "bytes" | "rows" | "waitingBytes" | "makeRoom">;
}

const table = (bytes: number, more: Partial<Table> = {}): TableRun => {
  const state = { kind: "running" } as const;
  const buffer = { bytes, rows: 1, waitingBytes: bytes, makeRoom: () => 0 };
  return {
    ready: true,
    heldBytes: bytes,
    state,
    policy: { bytesMax: 100 },
    buffer,
    ...more,
  } as unknown as TableRun;
};

/** A limit of 100 bytes; `paused` counts how often fetching was held back. */
function make(): { pressure: Backpressure; paused: () => number } {
  let paused = 0;
  const consumer = {
    pause: () => {
      paused++;
    },
    resume: () => {},
  };
  const parts = { consumer, clock: { monotonicMs: () => 0 }, observe: () => {} };
  return { pressure: new Backpressure(parts as never, 100), paused: () => paused };
}

test("half of the buffer is flushed before a commit is due, so that it never fills and waits", () => {
  const { pressure, paused } = make();
  const half = table(50);
  const less = table(49);
  pressure.check(new Set([less]), new Feeds());
  expect(pressure.relievedBy(less)).toBe(false);
  pressure.check(new Set([half]), new Feeds());
  expect(pressure.relievedBy(half)).toBe(true);
  expect(paused()).toBe(0);
});

test("of several tables those are flushed that hold their share, unless a flush is under way", () => {
  const { pressure } = make();
  const large = table(40);
  const small = table(10);
  const busy = table(40, { ready: false });
  pressure.check(new Set([large, small, busy]), new Feeds());
  expect([large, small, busy].map((each) => pressure.relievedBy(each))).toEqual([
    true,
    false,
    false,
  ]);
});

test("the limit holds fetching back, and it goes on below four fifths of it", () => {
  const { pressure, paused } = make();
  pressure.check(new Set([table(100)]), new Feeds());
  expect(pressure.active).toBe(true);
  pressure.check(new Set([table(80)]), new Feeds());
  expect(pressure.active).toBe(true);
  pressure.check(new Set([table(79)]), new Feeds());
  expect(pressure.active).toBe(false);
  expect(paused()).toBe(1);
});

test("while there is no table nothing is held back", () => {
  const { pressure, paused } = make();
  pressure.check(new Set(), new Feeds());
  expect([pressure.active, paused()]).toEqual([false, 0]);
});
