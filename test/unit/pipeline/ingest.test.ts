import { expect, test } from "bun:test";
import { fail } from "#base/errors.ts";
import { silentLogger } from "#base/log.ts";
import type { FeedOffset } from "#base/offsets.ts";
import { seededRandom } from "#base/random.ts";
import type { TableName } from "#catalog/catalog.ts";
import type { RecordBatch } from "#consumer/consumer.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import type { Format } from "#decode/format.ts";
import { DECODER_DEFAULTS, type DecoderOptions } from "#decode/options.ts";
import { rawFormat } from "#decode/raw.ts";
import { type FeedRun, Feeds } from "#pipeline/feeds.ts";
import { Ingest } from "#pipeline/ingest.ts";
import type { PipelineOptions, PipelineParts } from "#pipeline/pipelineParts.ts";
import { wanted } from "#pipeline/reading.ts";
import { FanOut } from "#pipeline/routes.ts";
import { Sink } from "#pipeline/sink.ts";
import { Sinks } from "#pipeline/sinks.ts";
import { Source } from "#pipeline/source.ts";
import type { WriterOptions, WriterParts } from "#writer/parts.ts";
import { buildBatch } from "../../fakes/recordBatches.ts";
import { SimClock } from "../../sim/simClock.ts";

const FEED = { clusterId: "c", topic: "t", topicId: "1", partition: 0 };
const MIB = 1024 * 1024;

/** A table without columns yet, and its one feed. */
function sampling(
  more: Partial<DecoderOptions> = {},
  format?: Format,
): {
  table: Sink;
  source: Source;
  ingest: Ingest;
  take: (payload: Uint8Array | null) => void;
  /** The same, where it may have to wait. */
  offer: (payload: Uint8Array | null) => Promise<void> | undefined;
  run: FeedRun;
  clock: SimClock;
  /** What the consumer was told to read. */
  started: FeedOffset[];
} {
  const NAME: TableName = { namespace: ["db"], table: "t" };
  const observe = (): void => undefined;
  const clock = new SimClock(0, observe);
  const started: FeedOffset[] = [];
  const consumer = { start: (each: FeedOffset[]) => void started.push(...each), epoch: () => 1 };
  const random = seededRandom(1);
  const parts = { clock, random, consumer, logger: silentLogger, observe };
  const decoder = createDecoder({ ...DECODER_DEFAULTS, ...more }, format);
  const source = new Source(decoder);
  const table = new Sink(
    { name: NAME } as WriterOptions,
    parts as unknown as WriterParts,
    decoder,
    { intervalMs: 1000, rowsMax: 0, bytesMax: MIB, emptyIntervalMs: 1000 },
  );
  const feeds = new Feeds();
  const sinks = new Sinks(() => [{ sink: table, source }], feeds, observe, observe);
  const [run] = feeds.add([FEED], (topic) => sinks.of(topic));
  if (run === undefined) throw new Error("no feed");
  run.epoch = 1;
  const options = { inferRows: 10, rejects: { action: "skip" } } as PipelineOptions;
  const fanOut = new FanOut({ logger: silentLogger }, feeds, sinks, observe);
  const ingest = new Ingest(
    parts as unknown as PipelineParts,
    options,
    feeds,
    sinks,
    observe,
    fanOut,
  );
  const offer = (payload: Uint8Array | null): Promise<void> | undefined => {
    const baseOffset = run.position;
    return ingest.take({
      feed: FEED,
      key: run.key,
      epoch: 1,
      wantedOffset: baseOffset,
      baseOffset,
      nextOffset: baseOffset + 1n,
      leaderEpoch: 0,
      recordCount: payload === null ? 0 : 1,
      payload,
      baseTimestampMs: 0,
      appendTimestampMs: null,
      arrivedMs: 0,
    } satisfies RecordBatch);
  };
  const take = (payload: Uint8Array | null): void => void offer(payload);
  return { table, source, ingest, take, offer, run, clock, started };
}

/** The records of a batch with one value. */
function payloadOf(value: string): Uint8Array {
  const header = 61;
  return buildBatch({ baseOffset: 0, records: [{ value }] }).subarray(header);
}

test("a sample of large records ends long before it has its number of records", () => {
  const { source, take } = sampling();
  const payload = payloadOf(JSON.stringify({ text: "x".repeat(4 * MIB) }));
  for (let batch = 0; batch < 8 && source.decoder.needsSample; batch++) take(payload);
  expect(source.sampledSinceMs).toBeNull();
  expect(source.decoder.needsSample).toBe(false);
});

test("a sample with a batch that cannot be taken apart stops its table, nobody else", () => {
  const { table, take } = sampling();
  for (let batch = 0; batch < 10; batch++) take(new Uint8Array([255, 255, 255, 255]));
  expect(table.state).toMatchObject({ kind: "draining", error: { kind: "batch_corrupt" } });
});

test("batches without records say nothing about the columns: the sample waits for the first record", () => {
  const { table, ingest, take } = sampling({ onUnknownField: "ignore" });
  take(null);
  ingest.finishSamples();
  expect(table.buffer.moved).toBe(true);
  take(payloadOf('{"n":1}'));
  take(null);
  ingest.finishSamples();
  const [segment] = table.buffer.seal();
  expect(segment?.range).toMatchObject({ start: 0n, end: 3n });
  expect(segment?.batch?.fields.map(({ name }) => name)).toContain("n");
});

test("rows lie in the segment whose range names them, also where a full segment is followed by another", () => {
  const { table, take } = sampling({ fields: [TEXT], infer: false });
  for (let batch = 0; batch < 4; batch++) take(payloadOf(`{"text":"${"x".repeat(3 * MIB)}"}`));
  const segments = table.buffer.seal();
  expect(segments.map(({ range, batch }) => [range.start, range.end, batch?.rowCount])).toEqual([
    [0n, 1n, 1],
    [1n, 2n, 1],
    [2n, 3n, 1],
    [3n, 4n, 1],
  ]);
});

const TEXT = { id: 0, name: "text", type: { kind: "string" as const }, required: false };

/** A format that has to fetch the schema that each value's first character names. */
function registryFormat(): { format: Format; asked: string[]; answer: (error?: Error) => void } {
  const known = new Set<string>();
  const asked: string[] = [];
  let pending = Promise.withResolvers<void>();
  const format: Format = {
    ...rawFormat("string"),
    prepare: ({ payload }) => {
      const text = new TextDecoder().decode(payload);
      const missing = ["A", "B"].find((id) => text.includes(id) && !known.has(id));
      if (missing === undefined) return null;
      asked.push(missing);
      pending = Promise.withResolvers();
      return pending.promise.then(() => void known.add(missing));
    },
  };
  const answer = (error?: Error): void => (error ? pending.reject(error) : pending.resolve());
  return { format, asked, answer };
}

test("a batch whose format needs something waits for it, once for each thing, and loses nothing", async () => {
  const { format, asked, answer } = registryFormat();
  const { table, offer } = sampling({ format: "string" }, format);
  const first = offer(payloadOf("A and B"));
  expect(table.buffer.moved).toBe(false);
  answer();
  await Promise.resolve();
  while (asked.length < 2) await Promise.resolve();
  answer();
  await first;
  expect(offer(payloadOf("A again"))).toBeUndefined();
  expect(asked).toEqual(["A", "B"]);
  const [segment] = table.buffer.seal();
  expect(segment?.batch?.rowCount).toBe(2);
  expect(segment?.range).toMatchObject({ start: 0n, end: 2n });
});

test("what a format needs and cannot get stops its table when another try would not help", async () => {
  const stopped = registryFormat();
  const one = sampling({ format: "string" }, stopped.format);
  const taken = one.offer(payloadOf("A"));
  stopped.answer(fail("data", "There is no schema A"));
  await taken;
  expect(one.table.state).toMatchObject({ error: { kind: "data" } });
});

test("what a format needs and cannot get now has its feed read again from that batch on later; what came before stays", async () => {
  const { format, answer } = registryFormat();
  const { table, offer, run, clock, started } = sampling({ format: "string" }, format);
  await offer(payloadOf("before"));
  for (let tries = 1; tries < 4; tries++) {
    const late = offer(payloadOf("A"));
    answer(fail("registry_unreachable", "Nobody answers"));
    await late;
    expect(table.state.kind).toBe("running");
    expect([run.waits, run.epoch, run.position]).toEqual([true, 0, 1n]);
    // What is still on its way of it is nobody's, and nothing of it is asked for.
    expect(offer(payloadOf("B"))).toBeUndefined();
    expect(wanted(run, { phase: "running", isFull: false })).toBe(false);
    clock.advance(5000);
    await Promise.resolve();
    expect(started.splice(0)).toEqual([expect.objectContaining({ feed: FEED, offset: 1n })]);
    expect([run.waits, run.epoch]).toEqual([false, 1]);
  }
  const given = offer(payloadOf("A"));
  answer();
  await given;
  const [segment] = table.buffer.seal();
  expect(segment?.batch?.rowCount).toBe(2);
});

test("what waits in a sample comes first, also when the columns are learned from the table meanwhile", () => {
  const { table, source, ingest, take } = sampling();
  take(payloadOf('{"text":"a"}'));
  source.decoder.adopt([{ ...TEXT, id: 1 }], { dropped: [], hasRows: true });
  take(payloadOf('{"text":"b"}'));
  take(null);
  ingest.finishSamples();
  const [segment] = table.buffer.seal();
  expect(segment?.batch?.rowCount).toBe(2);
  expect(segment?.range).toMatchObject({ start: 0n, end: 3n });
});

test("until a batch that had to wait is given, its table is never taken for one without a record of it", async () => {
  const { format, answer } = registryFormat();
  const { table, offer } = sampling({ format: "string" }, format);
  const given = offer(payloadOf("A"));
  const [outlet] = table.outlets.values();
  answer();
  for (let turns = 0; turns < 20; turns++) {
    expect(outlet?.end === 1n || outlet?.waits).toBe(true);
    await Promise.resolve();
  }
  await given;
  expect([outlet?.end, outlet?.waits]).toEqual([1n, false]);
});
