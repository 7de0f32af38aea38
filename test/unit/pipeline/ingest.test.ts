import { expect, test } from "bun:test";
import { systemClock } from "#base/clock.ts";
import { silentLogger } from "#base/log.ts";
import type { TableName } from "#catalog/catalog.ts";
import type { RecordBatch } from "#consumer/consumer.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import { DECODER_DEFAULTS, type DecoderOptions } from "#decode/options.ts";
import { Feeds } from "#pipeline/feeds.ts";
import { Ingest } from "#pipeline/ingest.ts";
import type { PipelineOptions, PipelineParts } from "#pipeline/pipelineParts.ts";
import { Sink } from "#pipeline/sink.ts";
import { Sinks } from "#pipeline/sinks.ts";
import { Source } from "#pipeline/source.ts";
import type { WriterOptions, WriterParts } from "#writer/parts.ts";
import { buildBatch } from "../../fakes/recordBatches.ts";

const FEED = { clusterId: "c", topic: "t", topicId: "1", partition: 0 };
const MIB = 1024 * 1024;

/** A table without columns yet, and its one feed. */
function sampling(more: Partial<DecoderOptions> = {}): {
  table: Sink;
  source: Source;
  ingest: Ingest;
  take: (payload: Uint8Array | null) => void;
} {
  const NAME: TableName = { namespace: ["db"], table: "t" };
  const observe = (): void => undefined;
  const parts = { clock: systemClock, logger: silentLogger, observe };
  const decoder = createDecoder({ ...DECODER_DEFAULTS, ...more });
  const source = new Source(decoder);
  const table = new Sink(
    { name: NAME } as WriterOptions,
    parts as unknown as WriterParts,
    decoder,
    { intervalMs: 1000, rowsMax: 0, bytesMax: MIB, emptyIntervalMs: 1000 },
  );
  const feeds = new Feeds();
  const sinks = new Sinks(() => [{ sink: table, source }], feeds, observe);
  const [run] = feeds.add([FEED], (topic) => sinks.of(topic));
  if (run === undefined) throw new Error("no feed");
  run.epoch = 1;
  const options = { inferRows: 10, rejects: { action: "skip" } } as PipelineOptions;
  const ingest = new Ingest(parts as unknown as PipelineParts, options, feeds, sinks, observe);
  let offset = 0n;
  const take = (payload: Uint8Array | null): void => {
    const baseOffset = offset++;
    void ingest.take({
      feed: FEED,
      key: run.key,
      epoch: 1,
      wantedOffset: baseOffset,
      baseOffset,
      nextOffset: offset,
      leaderEpoch: 0,
      recordCount: payload === null ? 0 : 1,
      payload,
      baseTimestampMs: 0,
      appendTimestampMs: null,
    } satisfies RecordBatch);
  };
  return { table, source, ingest, take };
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
