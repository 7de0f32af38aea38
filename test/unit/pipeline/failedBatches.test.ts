/**
 * Batches that fail after they were decoded: the offset stays in front of them, so that none of their rows
 * may be in a segment, of whatever table.
 */
import { expect, test } from "bun:test";
import { silentLogger } from "#base/log.ts";
import type { RecordBatch } from "#consumer/consumer.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import { topicIdField } from "#decode/lateRows.ts";
import { LetterRows } from "#decode/letters.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { deadLetters, LETTER_COLUMNS } from "#pipeline/deadLetters.ts";
import { Decoding } from "#pipeline/decoding.ts";
import { Feeds, type Outlet } from "#pipeline/feeds.ts";
import { lateColumns, lateTable } from "#pipeline/lateRows.ts";
import type { CommitRank } from "#pipeline/pipelineParts.ts";
import { Rejects } from "#pipeline/rejects.ts";
import { Sink } from "#pipeline/sink.ts";
import { Sinks } from "#pipeline/sinks.ts";
import { Source } from "#pipeline/source.ts";
import { MemoryLog, optionsOf, partsOf } from "../../sim/process.ts";
import { SimClock } from "../../sim/simClock.ts";
import { LATENESS } from "../../sim/tables.ts";
import { World } from "../../sim/world.ts";
import { recordBatch } from "../../support/records.ts";

/** A table with both side tables in use, whose partition has two rows, two late ones and a letter. */
function place() {
  const world = new World(2, "sequence", 1);
  const clock = new SimClock(world.nowMs, () => undefined);
  const log = new MemoryLog().reopen(() => 0);
  const parts = partsOf(world, "A", log, () => true, clock);
  const policy = { intervalMs: 200, rowsMax: 0, bytesMax: 1 << 20, emptyIntervalMs: 400 };
  const decoder = createDecoder({ ...DECODER_DEFAULTS, infer: false, eventTimeField: "at" });
  const sinkOf = (columns: ConstructorParameters<typeof Sink>[2], rank: CommitRank): Sink =>
    new Sink(optionsOf(world, "g"), parts, columns, policy, rank);
  const topicId = topicIdField("_kafka_topic_id");
  const main = sinkOf(decoder, "main");
  const late = sinkOf(lateColumns(decoder, topicId), "late");
  const letters = sinkOf(LETTER_COLUMNS, "dead_letter");
  const lateness = { ...LATENESS };
  const sides = [
    { ...deadLetters(letters), isUsed: true },
    { ...lateTable(late, topicId), isUsed: true },
  ];
  const feeds = new Feeds();
  const [run] = feeds.add([world.feed(0)], () => [
    { sink: main, source: new Source(decoder, lateness), sides },
  ]);
  const outlet = run?.outlets[0] as Outlet;
  const ports = { clock, observe: () => undefined, logger: silentLogger };
  const nothing = (): void => undefined;
  const sinks = new Sinks(() => [], feeds, nothing, nothing);
  const rejects = new Rejects(ports, { action: "table" }, sinks, nothing);
  const decoding = new Decoding(ports, rejects, sinks);
  const take = (values: readonly string[], baseOffset: bigint): string => {
    const records = values.map((value, offsetDelta) => ({ value, offsetDelta }));
    const feed = world.feed(0);
    const nextOffset = baseOffset + BigInt(records.length);
    const about = { feed, nextOffset, leaderEpoch: 0 };
    const batch = { ...recordBatch(records, { baseOffset }), ...about } as unknown as RecordBatch;
    const segment = main.buffer.segment(batch.feed, outlet.end, () => decoder.builder());
    const ended = decoding.take(outlet, segment, batch, batch.payload as Uint8Array, true);
    if (ended === "done") {
      main.buffer.advance(segment, batch.nextOffset, 0);
      outlet.end = batch.nextOffset;
    }
    return ended;
  };
  const rows = (): number[] => [main, late, letters].map(({ buffer }) => buffer.waitingRows);
  expect(take([event(0, 100), event(1, 50), event(2, 60), event(3, 99), "{"], 0n)).toBe("done");
  return { main, late, lateness, take, rows };
}

/** `n` and an event time of so many seconds. */
function event(n: number, seconds: number): string {
  return JSON.stringify({ n, at: 1_600_000_000_000 + seconds * 1000 });
}

const MIXED = [event(5, 100), event(6, 51), "{", event(8, 101)];

type Place = ReturnType<typeof place>;

const CAUSES: Readonly<Record<string, (place: Place) => readonly string[]>> = {
  "the event time is no time any more": ({ lateness }) => {
    Object.assign(lateness, { timeColumn: "n" });
    return MIXED;
  },
  "the late table can begin no segment": ({ late }) => {
    late.buffer.segment = () => {
      throw new Error("a field has the name of a column of the late table");
    };
    return MIXED;
  },
  "a late row does not fit in the memory of its segment": ({ late }) => {
    const { buffer } = late;
    const { segment } = buffer;
    buffer.segment = (...args) => {
      const open = segment.apply(buffer, args);
      const { append } = open.rows as unknown as { append: (...all: unknown[]) => number };
      Object.assign(open.rows, {
        append: (...all: unknown[]): never => {
          append.apply(open.rows, all);
          throw new Error("no memory");
        },
      });
      return open as never;
    };
    return MIXED;
  },
  "its late rows cannot be counted": ({ late }) => {
    late.buffer.advance = () => {
      throw new Error("no memory");
    };
    return MIXED;
  },
};

for (const [cause, bring] of Object.entries(CAUSES)) {
  test(`of a batch that fails after its decode nothing is committed without its offset: ${cause}`, () => {
    const made = place();
    const before = made.rows();
    expect(before).toEqual([2, 2, 1]);
    expect(made.take(bring(made), 5n)).toBe("last");
    expect(made.main.state.kind).toBe("draining");
    // Letters that were counted are in front of their table's offset: a start knows of them.
    expect(made.rows().slice(0, 2)).toEqual([2, 2]);
  });
}

test("of letters that fail in the midst of one none is left", () => {
  const made = place();
  const { append } = LetterRows.prototype;
  let left = 1;
  LetterRows.prototype.append = function (this: LetterRows, ...args) {
    append.apply(this, args);
    if (left-- === 0) throw new Error("no memory");
  };
  try {
    expect(made.take(["{", event(6, 101), "{"], 5n)).toBe("last");
  } finally {
    LetterRows.prototype.append = append;
  }
  expect(made.rows()).toEqual([2, 2, 1]);
});
