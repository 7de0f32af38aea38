/** A table's files go through the table's own store, wherever the catalog keeps its metadata. */
import { expect, test } from "bun:test";
import { systemClock } from "#base/clock.ts";
import { silentLogger } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import { createFileCatalog } from "#catalog/file.ts";
import { createPointerCatalog } from "#catalog/pointer.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import type { WriterOptions, WriterParts } from "#writer/parts.ts";
import { TableWriter } from "#writer/tableWriter.ts";
import { memoryPointers, memoryRows } from "../../fakes/memoryPointers.ts";
import { createMemoryStorage } from "../../fakes/memoryStorage.ts";
import { onStore } from "../../fakes/onStore.ts";
import { recordBatch } from "../../support/records.ts";
import { WRITER_OPTIONS } from "../../support/writerOptions.ts";

const OPTIONS: WriterOptions = {
  ...WRITER_OPTIONS,
  thinning: { branch: "main", keepAllMs: 0, retentionMs: 1, snapshotsMax: 2 },
};
const FEED = { clusterId: "c", topic: "t", topicId: "1", partition: 0 };

test("data, manifests, clean-up: all in the table's store, and nothing but metadata in the catalog's", async () => {
  const catalogs = createMemoryStorage();
  const tables = createMemoryStorage();
  const own = createFileCatalog(
    { warehouse: "/wh", readOnly: false },
    { storage: catalogs, clock: systemClock, log: silentLogger },
  );
  const parts: WriterParts = {
    random: seededRandom(1),
    txlog: { recovered: [], append: async () => undefined, close: async () => undefined },
    clock: systemClock,
    catalog: onStore(own, () => tables),
    encoder: createInlineEncoder(),
    logger: silentLogger,
    observe: () => undefined,
  };
  const writer = await TableWriter.open(parts, OPTIONS, []);
  await writer.claim([{ feed: FEED, offset: 0n }]);
  for (let offset = 0n; offset < 5n; offset++) {
    const segment = createDecoder({ ...DECODER_DEFAULTS, fields: [] }).builder();
    segment.decode(recordBatch([`{"a":${offset}}`], { baseOffset: offset }));
    const range = { feed: FEED, start: offset, end: offset + 1n };
    const result = await writer.flush(writer.newFlush([{ range, batch: segment.seal() }]));
    expect(result.kind).toBe("committed");
  }
  const foreign = [...catalogs.objects.keys()].filter((at) => !/metadata\.json$|hint/.test(at));
  const kinds = new Set([...tables.objects.keys()].map((at) => at.split(".").at(-1)));
  expect([foreign, kinds]).toEqual([[], new Set(["avro", "parquet"])]);
  expect(tables.calls["remove"] ?? 0).toBeGreaterThan(0);
});

test("a table lives where the catalog put it, whatever anybody else would have chosen", async () => {
  const storage = createMemoryStorage();
  const random = seededRandom(1);
  const parts: WriterParts = {
    random,
    txlog: { recovered: [], append: async () => undefined, close: async () => undefined },
    clock: systemClock,
    catalog: createPointerCatalog(memoryPointers(memoryRows()), {
      storage,
      clock: systemClock,
      random,
      log: silentLogger,
    }),
    encoder: createInlineEncoder(),
    logger: silentLogger,
    observe: () => undefined,
  };
  const options = { ...OPTIONS, name: { namespace: ["a", "b"], table: "t" } };
  const writer = await TableWriter.open(parts, options, []);
  await writer.claim([{ feed: FEED, offset: 0n }]);
  const segment = createDecoder({ ...DECODER_DEFAULTS, fields: [] }).builder();
  segment.decode(recordBatch(['{"a":1}']));
  const range = { feed: FEED, start: 0n, end: 1n };
  const result = await writer.flush(writer.newFlush([{ range, batch: segment.seal() }]));
  expect(result.kind).toBe("committed");
  expect(writer.lastSeen.metadata.location).toBe("/lake/a/b.db/t");
  const elsewhere = [...storage.objects.keys()].filter((at) => !at.startsWith("/lake/a/b.db/t/"));
  expect(elsewhere).toEqual([]);
});
