import { expect, test } from "bun:test";
import type { Observation } from "#base/events.ts";
import { Backpressure } from "#pipeline/backpressure.ts";
import type { Sink } from "#pipeline/sink.ts";

const LIMIT_BYTES = 100;

/** What backpressure looks at of a table. */
interface Table {
  ready: boolean;
  heldBytes: number;
  readonly buffer: {
    readonly rows: number;
    waitingBytes: number;
    committedBytes: number;
    lentBytes: number;
    readonly isKeeping: boolean;
    makeRoom(bytes: number): number;
    expire(nowMs: number): void;
  };
}

/** So many tables before a limit of 100 bytes. */
function make(count: number, retrying = 0, bytesMax = (): number => LIMIT_BYTES) {
  const tables: Table[] = Array.from({ length: count }, () => {
    const table: Table = {
      ready: true,
      heldBytes: 0,
      buffer: {
        rows: 1,
        waitingBytes: 0,
        committedBytes: 0,
        lentBytes: 0,
        get isKeeping() {
          return table.buffer.committedBytes > 0 || table.buffer.lentBytes > 0;
        },
        makeRoom: (bytes) => {
          const freed = Math.min(bytes, table.buffer.committedBytes);
          table.buffer.committedBytes -= freed;
          table.heldBytes -= freed;
          return freed;
        },
        expire: (nowMs) => void (nowMs >= 1000 && table.buffer.makeRoom(Number.MAX_VALUE)),
      },
    };
    return table;
  });
  const observed: Observation[] = [];
  const observe = (each: Observation): void => void observed.push(each);
  const sinks = { size: count, retrying, flushBytes: count * LIMIT_BYTES };
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs };
  const parts = { clock, observe };
  const pressure = new Backpressure(parts as never, sinks, bytesMax);
  const hold = (index: number, bytes: number, ready = true, committed = 0): void => {
    const table = tables[index] as Table;
    Object.assign(table, { ready, heldBytes: bytes });
    table.buffer.waitingBytes = bytes - committed;
    table.buffer.committedBytes = committed;
    pressure.measure(table as unknown as Sink);
    pressure.judge();
  };
  const takeAll = (): number[] => {
    const taken: number[] = [];
    for (let sink = pressure.takeFullest(); sink !== null; sink = pressure.takeFullest()) {
      taken.push(tables.indexOf(sink as unknown as Table));
    }
    return taken;
  };
  return { pressure, hold, takeAll, observed, clock, tables };
}

test("committed rows go when their time is over, though nothing else happens to their table", () => {
  const { pressure, hold, clock } = make(2);
  hold(0, 20, true, 20);
  hold(1, 20, true, 0);
  for (clock.nowMs = 0; clock.nowMs < 1000; clock.nowMs += 50) pressure.judge();
  expect(pressure.bytes).toBe(40);
  for (; clock.nowMs < 1300; clock.nowMs += 50) pressure.judge();
  expect(pressure.bytes).toBe(20);
});

test("memory that only a reader holds pauses reading, but is not flushed for, and is seen to come back", () => {
  const { pressure, hold, takeAll, clock, tables } = make(2);
  const [table] = tables;
  if (table === undefined) throw new Error("there is a table");
  table.buffer.lentBytes = 100;
  hold(0, 100);
  hold(1, 30);
  expect([pressure.active, takeAll()]).toEqual([true, []]);
  // The reader ends: nothing else happens to the table.
  table.buffer.lentBytes = 0;
  table.heldBytes = 0;
  clock.nowMs += 300;
  pressure.judge();
  expect([pressure.active, pressure.bytes]).toEqual([false, 30]);
});

test("the limit is what others of the process leave: with what they take reading pauses earlier, and goes on when they give it back", () => {
  const room = { bytes: LIMIT_BYTES };
  const { pressure, hold, takeAll } = make(1, 0, () => room.bytes);
  hold(0, 45);
  expect([pressure.active, takeAll()]).toEqual([false, []]);
  room.bytes = LIMIT_BYTES / 2;
  hold(0, 30);
  expect([pressure.active, takeAll()]).toEqual([false, [0]]);
  hold(0, 55);
  expect(pressure.active).toBe(true);
  room.bytes = LIMIT_BYTES;
  pressure.judge();
  expect(pressure.active).toBe(false);
});

test("half of the buffer is flushed before a commit is due, so that it never fills and waits", () => {
  const { pressure, hold, takeAll } = make(1);
  hold(0, 49);
  expect(takeAll()).toEqual([]);
  hold(0, 50);
  expect([takeAll(), takeAll(), pressure.active]).toEqual([[0], [], false]);
});

test("of several tables those are flushed that hold their share, the fullest first, unless one is under way", () => {
  const { hold, takeAll } = make(4);
  hold(0, 20);
  hold(1, 40);
  hold(2, 10);
  hold(3, 90, false);
  expect(takeAll()).toEqual([1, 0]);
});

test("the limit holds reading back, and it goes on below four fifths of it", () => {
  const { pressure, hold, observed } = make(2);
  const active = [100, 80, 79].map((bytes) => {
    hold(0, bytes);
    return pressure.active;
  });
  expect(active).toEqual([true, true, false]);
  expect(observed.at(-1)).toEqual({ type: "buffer", bytes: 79, records: 1 });
});

test("a lone table whose commits go through has seven tenths of the room, and all of it when they do not", () => {
  const held = (count: number, retrying: number): boolean[] => {
    const { pressure, hold } = make(count, retrying);
    return [69, 70, 57, 55, 99].map((bytes) => {
      hold(0, bytes);
      return pressure.active;
    });
  };
  const none = [false, false, false, false, false];
  expect([held(1, 0), held(1, 1), held(2, 0)]).toEqual([
    [false, true, true, false, true],
    none,
    none,
  ]);
});

test("what a reader keeps of a lone table is not taken for rows that wait for a flush", () => {
  const { pressure, hold, takeAll, tables } = make(1);
  const [table] = tables;
  if (table === undefined) throw new Error("there is a table");
  table.buffer.lentBytes = 30;
  hold(0, 99);
  expect([pressure.active, takeAll()]).toEqual([false, [0]]);
});

test("rows that the table has make room before anything is flushed early or held back", () => {
  const { pressure, hold, takeAll } = make(2);
  hold(0, 90, true, 60);
  expect([pressure.active, pressure.bytes]).toEqual([false, 50]);
  hold(1, 40, true, 40);
  expect([pressure.active, pressure.bytes]).toEqual([false, 50]);
  expect(takeAll()).toEqual([0]);
});

test("rows that the table has make room as well for what comes while a long question holds half of the buffer", () => {
  const { pressure, hold, tables } = make(2);
  const [asked] = tables;
  if (asked === undefined) throw new Error("there is a table");
  asked.buffer.lentBytes = 50;
  hold(0, 50);
  for (const bytes of [40, 60, 60]) {
    hold(1, bytes, true, 40);
    expect([pressure.active, pressure.bytes]).toEqual([false, 80]);
  }
});

test("while there is no table nothing is held back", () => {
  const { pressure } = make(0);
  pressure.judge();
  expect([pressure.active, pressure.takeFullest()]).toEqual([false, null]);
});

test("while the process has no room on disk nothing is read, whatever is held", () => {
  const observed: Observation[] = [];
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs };
  const parts = { clock, observe: (each: Observation) => void observed.push(each) };
  let isFull = true;
  const sinks = { size: 1, retrying: 0, flushBytes: LIMIT_BYTES };
  const pressure = new Backpressure(
    parts as never,
    sinks,
    () => LIMIT_BYTES,
    () => isFull,
  );
  pressure.judge();
  expect(pressure.active).toBe(true);
  const told = (): number[] =>
    observed.flatMap((each) => (each.type === "backpressure" ? [each.durationMs] : []));
  clock.nowMs = 50;
  pressure.judge();
  // A hold that does not end is seen, too.
  expect([pressure.active, told()]).toEqual([true, [50]]);
  isFull = false;
  clock.nowMs = 70;
  pressure.judge();
  expect([pressure.active, told()]).toEqual([false, [50, 20]]);
});
