import { expect, test } from "bun:test";
import {
  type FlushEvent,
  type FlushState,
  nextFlush,
  nextState,
  type SealedFlush,
  type TableEvent,
  type TableState,
} from "#pipeline/states.ts";

const ERROR = new Error("over");
const EVENTS: Readonly<Record<TableEvent["kind"], TableEvent>> = {
  went_through: { kind: "went_through" },
  held: { kind: "held", cause: ERROR },
  paused: { kind: "paused" },
  unreadable: { kind: "unreadable", error: ERROR },
  drained: { kind: "drained" },
  failed: { kind: "failed", error: ERROR },
};
const STATES: Readonly<Record<TableState["kind"], TableState>> = {
  running: { kind: "running" },
  retrying: { kind: "retrying", cause: ERROR },
  paused: { kind: "paused" },
  draining: { kind: "draining", error: ERROR },
  stopped: { kind: "stopped", error: ERROR },
};
const KINDS = Object.keys(EVENTS) as TableEvent["kind"][];

test("a stopped table stays stopped, whatever a flush under way says", () => {
  const { stopped } = STATES;
  for (const kind of KINDS) expect(nextState(stopped, EVENTS[kind])).toBe(stopped);
});

test("a table at its end ends only when it has nothing left, or can no longer be written", () => {
  const after = KINDS.map((kind) => [kind, nextState(STATES.draining, EVENTS[kind]).kind]);
  expect(Object.fromEntries(after)).toEqual({
    went_through: "draining",
    held: "draining",
    paused: "draining",
    unreadable: "draining",
    drained: "stopped",
    failed: "stopped",
  });
});

test("a table that takes rows is what its last start or flush says", () => {
  for (const state of [STATES.running, STATES.retrying, STATES.paused]) {
    const after = KINDS.filter((kind) => kind !== "drained").map((kind) => [
      kind,
      nextState(state, EVENTS[kind]).kind,
    ]);
    expect(Object.fromEntries(after)).toEqual({
      went_through: "running",
      held: "retrying",
      paused: "paused",
      unreadable: "draining",
      failed: "stopped",
    });
    expect(() => nextState(state, EVENTS.drained)).toThrow("was not draining");
  }
});

test("a flush goes from sealed to its end, by way of being held; nothing else can happen", () => {
  const work = { segments: [] } as unknown as SealedFlush;
  const states: FlushState[] = [
    { kind: "idle" },
    { kind: "sealed", work },
    { kind: "flushing", work },
    { kind: "held", work },
  ];
  const events: FlushEvent[] = [
    { kind: "seal", work },
    { kind: "begin" },
    { kind: "hold" },
    { kind: "end" },
  ];
  const after = (state: FlushState, event: FlushEvent): string => {
    try {
      return nextFlush(state, event).kind;
    } catch (error) {
      return String(error).includes("cannot") ? "never" : String(error);
    }
  };
  const table = states.map((state) => [state.kind, ...events.map((event) => after(state, event))]);
  expect(table).toEqual([
    ["idle", "sealed", "never", "never", "never"],
    ["sealed", "sealed", "flushing", "never", "idle"],
    ["flushing", "never", "never", "held", "idle"],
    ["held", "never", "flushing", "never", "idle"],
  ]);
});
